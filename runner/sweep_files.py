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

from runner.core.sweep import Summary, SweepPlan
from runner.files import write_text
from runner.report.sweep_page import sweep_page
from runner.secrets import masked

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
    """Return the outcome in a file; None where there is none, or it is being written."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "exit_code" in content:
            return content
    return None
