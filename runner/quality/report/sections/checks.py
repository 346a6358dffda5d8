"""All checks, failures first, with examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from runner.core.causes import CAUSE_WORDS
from runner.core.text import counted, shortened
from runner.core.verdict import blamed_words
from runner.quality.catalogue import ADVICE
from runner.quality.report.html import Markup, show, words
from runner.quality.report.run_files import RunFiles
from runner.quality.report.words import is_instant, local, month_name, share

_OTHER_INSTRUMENT = 0.5
"""Share of equal days below which the file is hardly of the same instrument: files of the same one
have nine tenths and more, that of another one at the same address had none."""
_BAD = ("fail", "error", "warn")
_MOST_SAMPLES = 10
_LONGEST_VALUE, _LONGEST_NAME = 60, 40
_SHARES = ("capture", "share")
_MOST_TIMES = 2
_HOUR = timedelta(hours=1)
_ALL_DAY = 10
"""Characters of a date without a time."""


def checks(run: RunFiles) -> Markup:
    """Return the table of those that found something, and the others folded away."""
    listed = run.document["checks"]
    bad = [_row(run, item) for status in _BAD for item in listed if item["status"] == status]
    return show(
        "checks",
        f"{len(bad)} of {len(listed)} checks found something",
        run=run,
        bad=bad,
        good=[_row(run, item) for item in listed if item["status"] == "pass"],
        idle=[item for item in listed if item["status"] == "not_evaluated"],
        compared=_compared(run),
    )


def _row(run: RunFiles, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check as its row shows it."""
    means = ADVICE.get(item["id"], "") if item["status"] in ("warn", "fail") else ""
    return {
        **item,
        "found": observed(item),
        "blamed": blamed_words(item["n_stations"]),
        "warns": bound(item, "warn") or "never",
        "fails": bound(item, "fail") or "never",
        "before": _before(item),
        "when": when(item, run.offset_h, run.names) if means else "",
        "means": means,
        "examples": _examples(run, item),
    }


def _examples(run: RunFiles, item: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a table of examples, their instants on the local clock; None without any."""
    samples = item["samples"][:_MOST_SAMPLES]
    if not samples:
        return None
    keys = list(dict.fromkeys(key for sample in samples for key in sample))
    keys.sort(key=lambda name: name != "station_idx")
    instants = {key for sample in samples for key, value in sample.items() if is_instant(value)}
    total = item["samples_total"] or len(samples)
    columns = [
        (shortened(key.replace("_", " "), 30) + f" ({run.zone})" * (key in instants),
         samples[0].get(key)) for key in keys
    ]  # fmt: skip
    return {
        "shown": f"{len(samples)} of {total:,}" if total > len(samples) else f"{len(samples)}",
        "columns": columns,
        "rows": [
            [(sample.get(key), _cell(run, key, sample.get(key))) for key in keys]
            for sample in samples
        ],
    }


def _cell(run: RunFiles, key: str, value: Any) -> str:
    if value is None or is_instant(value):
        return local(value, run.offset_h) if value else ""
    if key in ("station_idx", "copy_of"):
        return shortened(f"{value} {run.names.get(value, '')}".strip(), _LONGEST_NAME)
    if key in _SHARES and isinstance(value, int | float):
        return share(value)
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int):
        return str(words(value))
    return shortened(
        str(CAUSE_WORDS.get(value, value) if key == "cause" else value), _LONGEST_VALUE
    )


def _compared(run: RunFiles) -> list[dict[str, Any]]:
    """Return how WAQI's daily files agree, by station; nothing where no file was named."""
    found = []
    compared = run.document.get("external") or ()
    for idx, rows in groupby(compared, key=lambda row: row["station_idx"]):
        months = list(rows)
        days, equal = (sum(row[key] for row in months) for key in ("days", "equal"))
        found.append({
            "name": (run.names.get(idx) or f"station {idx}")[:80],
            "days": days,
            "equal": equal,
            "is_other": equal < _OTHER_INSTRUMENT * days,
            "rows": [
                (row["month"], row["days"], row["equal"], row["within"],
                 share(row["equal"] / row["days"]), row["mean_difference"])
                for row in months
            ],
        })  # fmt: skip
    return found


def observed(check: Mapping[str, Any]) -> tuple[str, str]:
    """Return what was observed, `22 gaps` or a share, and the share beside it if that says more."""
    if check["status"] == "error":
        return "the check broke", ""
    if check["status"] == "not_evaluated":
        return "not evaluated", ""
    if check["direction"] == "min":
        return share(check["observed"]), ""
    worst = check["worst"] or check
    month = f" of {month_name(worst['month'])}" if worst.get("month") else ""
    of_all = worst["n_evaluated"] > 1 and check["n_failed"]
    beside = f"{share(worst['share'])}{month}" if of_all else ""
    return counted(check["n_failed"], check["unit"]), beside


def bound(check: Mapping[str, Any], name: str) -> str:
    """Return a threshold: `over 1 %`, `under 75 %`, `if any`; empty where it has none.

    Args:
        check: of quality.json.
        name: warn or fail.
    """
    limit = check[name]
    if limit is None:
        return ""
    side = "under" if check["direction"] == "min" else "over"
    value = f"{100 * limit['value']:g} %" if limit["is_share"] else f"{limit['value']:,}"
    if (side, value) in (("over", "0"), ("over", "0 %")):
        return "if any"
    return f"{side} {value}"


def _before(check: Mapping[str, Any]) -> dict[str, str]:
    """Return how the previous run compares: in words, a CSS class for better and worse, and was."""
    old = check["previous"]
    if not old or old.get("observed") is None or check["observed"] is None:
        said = f"was {old['status']}" if old and old.get("status") else "—"
        return {"words": said, "kind": "", "was": ""}
    now, then = check["observed"], old["observed"]
    low_is_bad = check["direction"] == "min"
    was = share(then) if low_is_bad else f"{then:,}"
    if now == then:
        return {"words": "= same", "kind": "", "was": was}
    worse = now < then if low_is_bad else now > then
    word, kind = ("▲ worse", "worse") if worse else ("▼ better", "better")
    return {"words": word, "kind": kind, "was": f"was {was}"}


def when(check: Mapping[str, Any], offset_h: int, names: Mapping[int, str]) -> str:
    """Return the times of a finding on the local clock, the worst first; empty if it has none.

    If several stations are to blame, these are of the worst one, which is named. Hours beside each
    other are one time, whatever pollutants they are of: `2024-06-05 00:00 to 2024-06-08 00:00`, the
    end not included.
    """
    samples = check["samples"]
    worst = samples[0].get("station_idx") if samples else None
    own = [one for one in samples if one.get("station_idx") == worst]
    periods = [_span(*span, offset_h) for span in _joined([*_spans(own)])]
    periods += dict.fromkeys(_days(own))
    if not periods:
        return ""
    unseen = len(own) < len(samples) or (check["samples_total"] or 0) > len(samples)
    rest = len(periods) - _MOST_TIMES
    more = "and others" if unseen else f"and {rest} more" if rest > 0 else ""
    name = shortened(names.get(worst or 0) or f"station {worst}", _LONGEST_NAME)
    shown = " ".join(filter(None, (", ".join(periods[:_MOST_TIMES]), more)))
    return f"{name}: {shown}" if len(own) < len(samples) else shown


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
    """Return spans with those that touch made one, in the order of the first of each."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    first = {
        one: next(place for place, (start, _end) in enumerate(spans) if one[0] <= start < one[1])
        for one in found
    }
    return sorted(found, key=first.__getitem__)


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
