"""How much of every month each station has: a number in a coloured cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from runner.core.causes import cause_words
from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import by_capture, folded, legend, note, station
from runner.report.sections.words import CAUSES, MONTHS, counted, month_name, share

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
    told = f"{month_name(month)}: {row['readings']:,} of {row['expected']:,} h"
    title = text(f"{told}; {missing}" if missing else told)
    percent = int(100 * row["capture"])  # rounded down: 100 means all
    return f'<td class="{kind}" title="{title}">{percent}</td>'
