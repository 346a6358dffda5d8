"""The summary of a sweep as a table for a terminal: a row a job, and the totals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from runner.tables import plain

_COUNTS = (
    *("stations", "fetched", "failed", "requests"),
    *("inserted", "updated", "unchanged", "rejects"),
)


def sweep_table(summary: Mapping[str, Any]) -> Table:
    """Return the table.

    Args:
        summary: the content of `summary.json`, see `runner.core.sweep`.
    """
    table = Table(
        box=SIMPLE_HEAD,
        title="SWEEP SUMMARY",
        title_justify="left",
        show_footer=True,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    jobs, totals, code = summary["jobs"], summary["totals"], summary["exit_code"]
    checked = ["quality"] if any(job["quality"] for job in jobs) else []
    table.add_column("job", justify="right", no_wrap=True)
    table.add_column("settings", "total", overflow="fold", min_width=24)
    table.add_column("state", no_wrap=True)
    table.add_column("exit", "" if code is None else str(code), justify="right", no_wrap=True)
    for name in _COUNTS:
        table.add_column(name, f"{totals[name]:,}", justify="right", no_wrap=True)
    for name in checked:
        table.add_column(name, no_wrap=True)
    for job in jobs:
        table.add_row(
            str(job["number"]),
            plain(job["label"]),
            job["state"],
            "" if job["exit_code"] is None else str(job["exit_code"]),
            *("" if job[name] is None else f"{job[name]:,}" for name in _COUNTS),
            *(job[name] or "" for name in checked),
        )
    return table
