"""The files of a sweep: read what its jobs left, write `summary.json` and `index.html`.

Whoever finishes a job writes both anew from the files of all jobs, in whatever process that is;
the last one has seen them all. Readers see a whole file at any moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.box import SIMPLE_HEAD
from rich.table import Table

from runner.cli.summary import Summary, SweepPlan
from runner.process.files import write_text
from runner.process.secrets import masked
from runner.process.tables import plain
from runner.quality.report.html import show


def sweep_page(summary: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        summary: the content of `summary.json`, see `runner.cli.summary`.
    """
    states = ", ".join(f"{count} {state}" for state, count in summary["totals"]["states"].items())
    code = summary["exit_code"]
    return show(
        "sweep",
        title="Sweep",
        summary=summary,
        lead=f"{states}; {'under way' if code is None else f'exit code {code}'}",
        counts=_COUNTS,
        # ./ keeps a colon in a name from being read as a scheme
        links={job["number"]: f"./{quote(job['page'])}" for job in summary["jobs"] if job["page"]},
    ).html


_COUNTS = (
    *("stations", "fetched", "failed", "requests"),
    *("inserted", "updated", "unchanged", "rejects"),
)


def sweep_table(summary: Mapping[str, Any]) -> Table:
    """Return the table.

    Args:
        summary: the content of `summary.json`, see `runner.cli.summary`.
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
    # What nobody did takes no room: a table fits 80 columns.
    names = [name for name in _COUNTS if totals[name] or name in ("stations", "fetched")]
    for name in names:
        table.add_column(name, f"{totals[name]:,}", justify="right", no_wrap=True)
    for name in checked:
        table.add_column(name, no_wrap=True)
    for job in jobs:
        table.add_row(
            str(job["number"]),
            plain(job["label"]),
            job["state"],
            "" if job["exit_code"] is None else str(job["exit_code"]),
            *("" if job[name] is None else f"{job[name]:,}" for name in names),
            *(job[name] or "" for name in checked),
        )
    return table


SUMMARY = "summary.json"
INDEX = "index.html"
OUTCOME = "outcome.json"
STOP = "stop"
"""Made to ask the workers of a sweep for a stop; holds the number of the signal."""

_BEGUN = Path(".hydra", "overrides.yaml")
"""Written before a job begins."""

Redact = Callable[[str], str]


def clear(plan: SweepPlan) -> None:
    """Remove what an earlier sweep in the same directories said of its jobs."""
    (Path(plan.directory) / STOP).unlink(missing_ok=True)
    for job in plan.jobs:
        run_dir = Path(plan.directory) / job.directory
        (run_dir / OUTCOME).unlink(missing_ok=True)
        (run_dir / _BEGUN).unlink(missing_ok=True)


def write_outcome(run_dir: Path, outcome: Mapping[str, Any], redact: Redact) -> None:
    """Leave the outcome of a job that could not leave its own.

    Raises:
        OSError: the disk refuses.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    content = masked(outcome, redact)
    write_text(run_dir / OUTCOME, json.dumps(content, indent=2, ensure_ascii=False))


def summary_of(plan: SweepPlan, *, ended_at: str = "", stopped_by: int | None = None) -> Summary:
    """Return what the files of the jobs say.

    Args:
        plan: the sweep.
        ended_at: ISO 8601, UTC; empty while jobs may still begin.
        stopped_by: 128 + signal number, None without a stop.
    """
    place = Path(plan.directory)
    outcomes, began, pages = {}, set(), {}
    for job in plan.jobs:
        run_dir = place / job.directory
        if (run_dir / _BEGUN).exists():
            began.add(job.number)
        outcome = _read(run_dir / OUTCOME)
        if outcome is not None:
            outcomes[job.number] = outcome
            page = (outcome.get("report") or {}).get("path")
            if page:
                pages[job.number] = os.path.relpath(page, place)
    return Summary.of(plan, outcomes, began, pages, ended_at=ended_at, stopped_by=stopped_by)


def write(summary: Summary, redact: Redact) -> None:
    """Write `summary.json` and `index.html`.

    Raises:
        OSError: the disk refuses.
    """
    place = Path(summary.plan.directory)
    content = masked(summary.to_json(), redact)
    write_text(place / SUMMARY, json.dumps(content, indent=2, ensure_ascii=False))
    write_text(place / INDEX, sweep_page(content))


def _read(path: Path) -> dict[str, Any] | None:
    """Return the outcome in a file; None if there is none, or it is being written."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "exit_code" in content:
            return content
    return None
