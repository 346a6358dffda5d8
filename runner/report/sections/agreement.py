"""How far the readings agree with WAQI's daily files, month by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from runner.report.markup import table
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import folded, names, note
from runner.report.sections.words import share

_OTHER_INSTRUMENT = 0.5
"""Share of equal days below which the file is hardly of the same instrument: files of the same one
have nine tenths and more, that of another one at the same address had none."""
_HOW = (
    "Equal: the file's pm25 is floor(mean of the hourly sub-indices) of the local day. Near: as "
    "close as E01 allows. Days with too few hours are left out."
)


def agreement(run: RunFiles) -> str:
    """Return a table a station, folded; nothing where no file was named."""
    told: Sequence[Mapping[str, Any]] = run.document.get("external") or ()
    known = names(run)
    html = ""
    for idx, rows in groupby(told, key=lambda row: row["station_idx"]):
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
