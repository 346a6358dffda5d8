"""When a check found something, in words, from its examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.report.markup import text
from runner.report.sections.words import is_instant, month_name

_MOST = 2
_HOUR = timedelta(hours=1)
_ALL_DAY = 10
"""Characters of a date without a time."""


def when(check: Mapping[str, Any], offset_h: int) -> str:
    """Return the times of a finding on the local clock, as HTML; empty where it has none.

    Hours beside each other are one time, whatever pollutants they are of: `2024-06-05 00:00 to
    2024-06-08 00:00`, the end not included.
    """
    spans = _joined(sorted(_spans(check["samples"])))
    told = [_span(*span, offset_h) for span in spans]
    told += dict.fromkeys(_days(check["samples"]))
    if not told:
        return ""
    unseen = (check["samples_total"] or 0) > len(check["samples"])
    rest = len(told) - _MOST
    more = "and others" if unseen else f"and {rest} more" if rest > 0 else ""
    return text(" ".join(filter(None, (", ".join(told[:_MOST]), more))))


def _spans(samples: Any) -> Iterator[tuple[datetime, datetime]]:
    for one in samples:
        start = one.get("start", one.get("ts"))
        if not is_instant(start):
            continue
        begins = _instant(start)
        if is_instant(one.get("end")):
            yield begins, _instant(one["end"])
        elif "start" in one and isinstance(one.get("hours"), int):
            yield begins, begins + one["hours"] * _HOUR
        else:
            yield begins, begins + _HOUR


def _joined(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    found: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _days(samples: Any) -> Iterator[str]:
    for one in samples:
        if isinstance(one.get("day"), str):
            yield one["day"]
        elif isinstance(one.get("month"), str):
            yield month_name(one["month"])


def _span(start: datetime, end: datetime, offset_h: int) -> str:
    begins, ends = (f"{at + timedelta(hours=offset_h):%Y-%m-%d %H:%M}" for at in (start, end))
    if end - start <= _HOUR:
        return begins
    same_day = begins[:_ALL_DAY] == ends[:_ALL_DAY]
    return f"{begins} to {ends[_ALL_DAY + 1 :] if same_day else ends}"


def _instant(value: str) -> datetime:
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
