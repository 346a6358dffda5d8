"""How much of every month each station has: a number in a coloured cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import polars as pl

from runner.core.causes import cause_words, gap_words
from runner.quality.report.html import Markup, text
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections.pieces import by_capture, clipped, folded, legend, note, station
from runner.quality.report.words import (
    CAUSE_COLOURS,
    CAUSES,
    MONTHS,
    counted,
    duration,
    month_name,
    share,
)

_MOST = 25
_LEAST_H = 6
"""Shorter gaps are listed only where there is no longer one."""
_MEANS = {
    "empty": "asked, answered, and no record of that hour: fetching again brings nothing",
    "not_asked": "not fetched yet, failed, or left out on purpose: nobody has an answer",
    "rejected": "there was a record, or there is a stored value, that is no reading",
    "lost": "stored by an earlier run and gone since",
    "kept": "another writer's document stands there and is no reading",
    "unknown": "only a checkpoint says covered, often one that another program wrote",
}


def gaps(run: RunFiles) -> Markup:
    """Return the sums by cause and the longest gaps."""
    missing = run.document["gaps"]["hours_missing"]
    total = sum(missing.values())
    if not total:
        return Markup("<p>No hour is missing.</p>", "no gap")
    reasons = run.document["gaps"].get("rejected_by_reason", {})
    html = _by_cause(missing, total, reasons) + _longest(run)
    return Markup(html, f"missing: {counted(total, 'hours')}")


def _by_cause(missing: Mapping[str, int], total: int, reasons: Mapping[str, int]) -> str:
    bar = "".join(
        f'<i style="width:{100 * hours / total:.3f}%;background:{CAUSE_COLOURS[cause]}"></i>'
        for cause, hours in missing.items()
        if hours
    )
    rows = "".join(
        f'<tr><td><i class="patch" style="background:{CAUSE_COLOURS[cause]}"></i></td>'
        f'<td class="n">{missing.get(cause, 0):,} h</td>'
        f'<td class="n">{share(missing.get(cause, 0) / total)}</td>'
        f"<th>{words[:1].upper()}{words[1:]}</th><td>{_MEANS[cause]}{_reasons(cause, reasons)}"
        "</td></tr>"
        for cause, words in CAUSES.items()
        if missing.get(cause, 0)
    )
    return (
        f"<p>Missing: <b>{counted(total, 'station-hours')}</b>, because:</p>"
        f'<div class="bar" role="img" aria-label="missing hours by cause">{bar}</div>'
        f'<table class="causes"><tbody>{rows}</tbody></table>'
    )


def _reasons(cause: str, reasons: Mapping[str, int]) -> str:
    """Return the reasons of rejected hours; empty for another cause."""
    if cause != "rejected" or not reasons:
        return ""
    return ": " + text(", ".join(f"{reason} {hours:,} h" for reason, hours in reasons.items()))


def _longest(run: RunFiles) -> str:
    held = run.gaps()
    if not held.height:
        return note("The run kept no list of gaps.")
    long = held.filter(pl.col("hours") >= _LEAST_H)
    listed = (long if long.height else held).head(_MOST)
    shown = listed.with_columns(run.local("start").alias("from"), run.local("end").alias("to"))
    rows = "".join(_gap_row(row) for row in shown.iter_rows(named=True))
    left = held.height - listed.height
    rest = note(f"In gaps.csv: {counted(left, 'shorter gaps')}.") if left > 0 else ""
    return (
        "<h3>The longest gaps</h3>"
        f'<div class="wide"><table class="list"><thead><tr><th>Station</th>'
        f"<th>From ({run.zone})</th><th>To, not included</th>"
        '<th class="n">Hours</th><th>Cause</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{rest}"
    )


def _gap_row(row: Mapping[str, Any]) -> str:
    detail = f'<br><span class="note">{clipped(row["detail"], 160)}</span>' if row["detail"] else ""
    return (
        f"<tr><th>{station(row['name'], row['station_idx'])}</th><td>{row['from']}</td>"
        f'<td>{row["to"]}</td><td class="n">{duration(row["hours"])}</td>'
        f"<td>{text(gap_words(row))}{detail}</td></tr>"
    )


MOST_SHOWN = 60
"""Stations shown at once; the others are folded away."""
YEARS_ABREAST = 4
"""Calendar years beside each other; more do not fit on a sheet (A4, landscape)."""
_Cells = Mapping[int, Mapping[str, Mapping[str, Any]]]
_STEPS = ((0.90, "c4"), (0.85, "c3"), (0.75, "c2"))
_LEGEND = (
    ("background:var(--c4)", "90 % or more: what the EU asked for up to 2024 (2008/50/EC)"),
    ("background:var(--c3)", "85 to 90 %: what the EU asks for now (2024/2881)"),
    ("background:var(--c2)", "75 to 85 %: enough for US EPA means"),
    ("background:var(--c1)", "under 75 %: too little for a mean"),
    ("background:var(--c0)", "nothing expected"),
)


def coverage(run: RunFiles) -> Markup:
    """Return the table, the least captured station first."""
    held = run.table("month")
    if not held.height:
        return Markup(note("The run kept no months."))
    months = held["month"].unique().sort().to_list()
    cells: dict[int, dict[str, dict[str, Any]]] = {}
    for row in held.iter_rows(named=True):
        cells.setdefault(row["station_idx"], {})[row["month"]] = row
    rows = by_capture(run)
    html = _tables(rows[:MOST_SHOWN], months, cells)
    if len(rows) > MOST_SHOWN:
        rest = _tables(rows[MOST_SHOWN:], months, cells)
        html += folded(f"{counted(len(rows) - MOST_SHOWN, 'stations')} with better capture", rest)
    said = note(
        f"Percent of the hours of a local month ({run.zone}) that have a reading, of those in the "
        "range; the least captured station first. Point at a cell for the hours and the causes."
    )
    return Markup(
        said + html + legend(_LEGEND),
        f"{counted(len(rows), 'stations')}, {counted(len(months), 'months')}",
    )


def _tables(stations: Sequence[Any], months: list[str], cells: _Cells) -> str:
    """Return the table in blocks of years, each no wider than a sheet of paper."""
    years = sorted({month[:4] for month in months})
    blocks = [years[at : at + YEARS_ABREAST] for at in range(0, len(years), YEARS_ABREAST)]
    html = ""
    for block in blocks:
        inside = [month for month in months if month[:4] in block]
        rows = [_row(one, inside, cells.get(one["station_idx"], {})) for one in stations]
        html += _table(_head(inside), rows)
    return html


def _table(head: str, rows: list[str]) -> str:
    return (
        f'<div class="wide"><table class="months"><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _head(months: list[str]) -> str:
    years = "".join(
        f'<th colspan="{len(list(group))}">{year}</th>'
        for year, group in groupby(months, key=lambda month: month[:4])
    )
    names = "".join(f"<td>{MONTHS[int(month[5:]) - 1]}</td>" for month in months)
    return f'<tr><th rowspan="2">Station</th><th rowspan="2">All</th>{years}</tr><tr>{names}</tr>'


def _row(one: Any, months: list[str], cells: Mapping[str, Mapping[str, Any]]) -> str:
    shown = "".join(_cell(month, cells.get(month)) for month in months)
    name = station(one["name"], one["station_idx"])
    return f"<tr><th>{name}</th><td>{share(one['capture'])}</td>{shown}</tr>"


def _cell(month: str, row: Mapping[str, Any] | None) -> str:
    if row is None or row["capture"] is None:
        return '<td class="c0">·</td>'
    kind = next((name for least, name in _STEPS if row["capture"] >= least), "c1")
    missing = cause_words({cause: row.get(cause) or 0 for cause in CAUSES})
    summary = f"{month_name(month)}: {row['readings']:,} of {row['expected']:,} h"
    title = text(f"{summary}; {missing}" if missing else summary)
    percent = int(100 * row["capture"])  # rounded down: 100 means all
    return f'<td class="{kind}" title="{title}">{percent}</td>'
