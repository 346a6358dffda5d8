"""job=backfill: fetch what is not covered yet."""

from __future__ import annotations

from runner.core.outcome import Outcome
from runner.process.job import Job


def run(job: Job) -> Outcome:
    """Fetch what is not covered yet."""
    from runner.jobs.backfill.job import run_backfill  # noqa: PLC0415 - brings what asks an API

    return run_backfill(job)
