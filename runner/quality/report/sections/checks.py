"""All checks, failures first, with examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from runner.quality.catalogue import ADVICE
from runner.quality.report.html import Markup, table, text
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections.pieces import badge, clipped, folded, names, note, where
from runner.quality.report.words import CAUSES, counted, is_instant, local, month_name, share

_OTHER_INSTRUMENT = 0.5
"""Share of equal days below which the file is hardly of the same instrument: files of the same one
have nine tenths and more, that of another one at the same address had none."""
_HOW = (
    "Equal: the file's pm25 is floor(mean of the hourly sub-indices) of the local day. Near: as "
    "close as E01 allows. Days with too few hours are left out."
)


def agreement(run: RunFiles) -> str:
    """Return a table a station, folded; nothing where no file was named."""
    compared: Sequence[Mapping[str, Any]] = run.document.get("external") or ()
    known = names(run)
    html = ""
    for idx, rows in groupby(compared, key=lambda row: row["station_idx"]):
        months = list(rows)
        days, equal = (sum(row[key] for row in months) for key in ("days", "equal"))
        name = known.get(idx) or f"station {idx}"
        title = f"WAQI's daily file of {name[:80]}: {equal:,} of {days:,} days equal"
        shown = table(
            ("month", "days", "equal", "near", "equal, share", "mean difference, points"),
            [
                (row["month"], row["days"], row["equal"], row["within"],
                 share(row["equal"] / row["days"]), row["mean_difference"])
                for row in months
            ],
        )  # fmt: skip
        other = "It may be of another instrument at the same address. "
        hint = other if equal < _OTHER_INSTRUMENT * days else ""
        html += folded(title, shown.html + note(hint + _HOW))
    return html


def observed(check: Mapping[str, Any]) -> str:
    """Return what was observed, as HTML: `22 gaps (5.3 %)`, or a share where less is worse."""
    if check["status"] == "error":
        return "the check broke"
    if check["status"] == "skip":
        return "nothing to look at"
    if check["direction"] == "min":
        return text(share(check["observed"]))
    of_all = check["n_evaluated"] > 1 and check["n_failed"]
    beside = f' <span class="note">({share(check["share"])})</span>' if of_all else ""
    return text(counted(check["n_failed"], check["unit"])) + beside


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


def before(check: Mapping[str, Any]) -> str:
    """Return how the previous run compares, as HTML; a dash without one."""
    old = check["previous"]
    if not old or old.get("observed") is None or check["observed"] is None:
        return f"was {text(old['status'])}" if old and old.get("status") else "—"
    now, then = check["observed"], old["observed"]
    low_is_bad = check["direction"] == "min"
    was = share(then) if low_is_bad else f"{then:,}"
    if now == then:
        return f'= same <span class="note">({text(was)})</span>'
    worse = now < then if low_is_bad else now > then
    word, kind = ("▲ worse", "worse") if worse else ("▼ better", "better")
    return f'<span class="{kind}">{word}</span> <span class="note">(was {text(was)})</span>'


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
    periods = [_span(*span, offset_h) for span in spans]
    periods += dict.fromkeys(_days(check["samples"]))
    if not periods:
        return ""
    unseen = (check["samples_total"] or 0) > len(check["samples"])
    rest = len(periods) - _MOST
    more = "and others" if unseen else f"and {rest} more" if rest > 0 else ""
    return text(" ".join(filter(None, (", ".join(periods[:_MOST]), more))))


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


_BAD = ("fail", "error", "warn")
_MOST_SAMPLES = 10
_LONGEST_VALUE = 60
_SHARES = ("capture", "share")
_COLUMNS = ("Status", "Check", "Found", "Previous run", "Warns", "Fails", "Where")


def checks(run: RunFiles) -> Markup:
    """Return the table of those that found something, and the others folded away."""
    listed = run.document["checks"]
    bad = [item for status in _BAD for item in listed if item["status"] == status]
    good = [item for item in listed if item["status"] == "pass"]
    idle = [item for item in listed if item["status"] == "skip"]
    html = _table(run, bad) if bad else "<p>No check found anything.</p>"
    if good:
        html += folded(f"✓ {counted(len(good), 'checks')} passed", _table(run, good))
    if idle:
        html += folded(f"— {counted(len(idle), 'checks')} had nothing to look at", _idle(idle))
    html += agreement(run)
    return Markup(html, f"{len(bad)} of {len(listed)} checks found something")


def _table(run: RunFiles, listed: Sequence[Mapping[str, Any]]) -> str:
    known = names(run)
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    body = "".join(_rows(run, item, known) for item in listed)
    return f'<table class="checks"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _rows(run: RunFiles, item: Mapping[str, Any], known: Mapping[int, str]) -> str:
    said = f"<br>{clipped(item['message'], 200)}" if item["status"] == "error" else ""
    words = f"{said}{_told(run, item)}{_accepted(item, known)}"
    title = f"<b>{text(item['id'])}</b> {text(item['title'])}{words}"
    cells = (
        ("", badge(item["status"])),
        ("", title),
        ("Found", observed(item)),
        ("Previous run", before(item)),
        ("Warns", text(bound(item, "warn") or "never")),
        ("Fails", text(bound(item, "fail") or "never")),
        ("Where", where(item["stations"], known, " ")),
    )
    row = "".join(f'<td data-label="{label}">{html}</td>' for label, html in cells if html)
    if not cells[-1][1]:
        row += "<td></td>"
    return f"<tr>{row}</tr>{_examples(run, item)}"


def _told(run: RunFiles, item: Mapping[str, Any]) -> str:
    """Return when it was, and what it means, of a check that found something."""
    if item["status"] not in ("warn", "fail"):
        return ""
    at = when(item, run.offset_h)
    times = f'<p class="when">{at} ({run.zone})</p>' if at else ""
    return f'{times}<p class="means">{text(ADVICE.get(item["id"], ""))}</p>'


def _accepted(item: Mapping[str, Any], known: Mapping[int, str]) -> str:
    parts = []
    for one in item["accepted"]:
        if not one["n_failed"]:
            continue
        idx = one["station_idx"]
        about = "all stations" if idx is None else clipped(known.get(idx) or f"station {idx}", 34)
        state = "Acceptance expired" if one["expired"] else "Accepted until"
        parts.append(
            f'<p class="accepted">{state} {text(one["until"])} ({about}): '
            f"{clipped(one['reason'], 200)}</p>"
        )
    return "".join(parts)


def _examples(run: RunFiles, item: Mapping[str, Any]) -> str:
    """Return a row with examples that opens on demand; their instants are on the local clock."""
    samples = item["samples"][:_MOST_SAMPLES]
    if not samples:
        return ""
    columns = list(dict.fromkeys(key for sample in samples for key in sample))
    columns.sort(key=lambda name: name != "station_idx")
    instants = {key for sample in samples for key, value in sample.items() if is_instant(value)}
    head = "".join(
        f"<th{_side(samples[0].get(key))}>{clipped(key.replace('_', ' '), 30)}"
        f"{f' ({run.zone})' if key in instants else ''}</th>"
        for key in columns
    )
    rows = "".join(
        "<tr>" + "".join(_cell(key, sample.get(key), run.offset_h) for key in columns) + "</tr>"
        for sample in samples
    )
    total = item["samples_total"] or len(samples)
    shown = f"{len(samples)} of {total:,}" if total > len(samples) else f"{len(samples)}"
    table = (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    opened = folded(f"Examples: {shown}", table)
    return f'<tr class="more"><td colspan="{len(_COLUMNS)}">{opened}</td></tr>'


def _cell(key: str, value: Any, offset_h: int) -> str:
    if value is None:
        shown = ""
    elif is_instant(value):
        shown = local(value, offset_h)
    elif key in _SHARES and isinstance(value, int | float):
        shown = share(value)
    elif isinstance(value, float):
        shown = f"{value:,.4g}"
    elif isinstance(value, int) and key != "station_idx":
        shown = f"{value:,}"
    else:
        shown = clipped(CAUSES.get(value, value) if key == "cause" else value, _LONGEST_VALUE)
    return f"<td{_side(value)}>{shown}</td>"


def _side(value: Any) -> str:
    """Return where a value stands: numbers on the right."""
    return ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _idle(listed: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f"<li><b>{text(item['id'])}</b> {text(item['title'])}{_said(item['message'])}</li>"
        for item in listed
    )
    return f"<ul>{items}</ul>"


def _said(message: str) -> str:
    return f": {clipped(message, 200)}" if message else ""
