"""Missing hours by cause, and the longest gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from runner.core.causes import gap_words
from runner.report.bands import CAUSE_COLOURS
from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import clipped, note, station
from runner.report.sections.words import CAUSES, counted, duration, share

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
    rows = "".join(_row(row) for row in shown.iter_rows(named=True))
    left = held.height - listed.height
    rest = note(f"In gaps.csv: {counted(left, 'shorter gaps')}.") if left > 0 else ""
    return (
        "<h3>The longest gaps</h3>"
        f'<div class="wide"><table class="list"><thead><tr><th>Station</th>'
        f"<th>From ({run.zone})</th><th>To, not included</th>"
        '<th class="n">Hours</th><th>Cause</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{rest}"
    )


def _row(row: Mapping[str, Any]) -> str:
    detail = f'<br><span class="note">{clipped(row["detail"], 160)}</span>' if row["detail"] else ""
    return (
        f"<tr><th>{station(row['name'], row['station_idx'])}</th><td>{row['from']}</td>"
        f'<td>{row["to"]}</td><td class="n">{duration(row["hours"])}</td>'
        f"<td>{text(gap_words(row))}{detail}</td></tr>"
    )
