"""How much each station has: in every month, in all, and which hours are missing, why."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from typing import Any

import polars as pl

from runner.core.causes import CAUSE_WORDS, cause_words
from runner.core.text import counted
from runner.quality.grid import WHOLE_MONTH
from runner.quality.report.html import Markup, show
from runner.quality.report.run_files import RunFiles
from runner.quality.report.words import MONTHS, month_name

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
MOST_SHOWN = 60
"""Stations shown at once; the others are folded away."""
YEARS_ABREAST = 4
"""Calendar years beside each other; more do not fit on a sheet (A4, landscape)."""
_STEPS = ((0.90, "c4"), (0.85, "c3"), (0.75, "c2"))
_LEGEND = (
    ("background:var(--c4)", "90 % or more: what the EU asked for up to 2024 (2008/50/EC)"),
    ("background:var(--c3)", "85 to 90 %: what the EU asks for now (2024/2881)"),
    ("background:var(--c2)", "75 to 85 %: enough for US EPA means"),
    ("background:var(--c1)", "under 75 %: too little for a mean"),
    ("background:var(--c0)", "nothing expected, or a month that the range cuts short"),
)


def gaps(run: RunFiles) -> Markup:
    """Return the sums by cause and the longest gaps."""
    missing = run.document["gaps"]["hours_missing"]
    total = sum(missing.values())
    held = run.gaps()
    listed: list[dict[str, Any]] = []
    if held.height:
        long = held.filter(pl.col("hours") >= _LEAST_H)
        chosen = (long if long.height else held).head(_MOST)
        to = chosen.with_columns(run.local("start").alias("from"), run.local("end").alias("to"))
        listed = to.to_dicts()
    return show(
        "gaps",
        f"missing: {counted(total, 'hours')}" if total else "no gap",
        run=run,
        missing=missing,
        total=total,
        means=_MEANS,
        reasons=run.document["gaps"].get("rejected_by_reason", {}),
        listed=listed,
        left=held.height - len(listed),
    )


def coverage(run: RunFiles) -> Markup:
    """Return the table, the least captured station first."""
    held = run.table("month")
    months = held["month"].unique().sort().to_list() if held.height else []
    years = sorted({month[:4] for month in months})
    return show(
        "coverage",
        f"{counted(len(run.by_capture), 'stations')}, {counted(len(months), 'months')}",
        run=run,
        blocks=[
            [
                {"label": month, "year": month[:4], "name": MONTHS[int(month[5:]) - 1]}
                for month in months
                if month[:4] in years[at : at + YEARS_ABREAST]
            ]
            for at in range(0, len(years), YEARS_ABREAST)
        ],
        cells={
            (row["station_idx"], row["month"]): _cell(row) for row in held.iter_rows(named=True)
        },
        most=MOST_SHOWN,
        legends=_LEGEND,
    )


def _cell(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how a station's month is shown; None if nothing was expected of it."""
    if row["capture"] is None:
        return None
    missing = cause_words({cause: row.get(cause) or 0 for cause in CAUSE_WORDS})
    title = f"{month_name(row['month'])}: {row['readings']:,} of {row['expected']:,} h"
    kind = next((name for least, name in _STEPS if row["capture"] >= least), "c1")
    year, number = map(int, row["month"].split("-"))
    if row["expected"] < WHOLE_MONTH * 24 * monthrange(year, number)[1]:
        kind, title = "c0", f"{title}, too few for a month"
    return {
        "kind": kind,
        "title": f"{title}; {missing}" if missing else title,
        "percent": int(100 * row["capture"]),  # rounded down: 100 means all
    }


def stations(run: RunFiles) -> Markup:
    """Return the table, the stations that look worst first."""
    placed = any(one["latitude"] is not None for one in run.stations)
    return show("stations", counted(len(run.stations), "stations"), run=run, placed=placed)
