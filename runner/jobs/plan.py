"""job=plan: show what a backfill would fetch, why, and what it would cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from runner.core.outcome import Outcome
from runner.jobs.backfill.planning import prepare
from runner.jobs.opening import budget_of, key_lines
from runner.process.job import Job
from runner.process.secrets import Secret
from runner.process.tables import (
    plan_lines,
    plan_table,
    show,
)
from runner.sources import provider_of
from runner.store.database import open_store


def run(job: Job) -> Outcome:
    """Show what a backfill would fetch, why, and what it would cost; asks no API."""
    with open_store(job) as store:
        work = prepare(job, store)
        wanted = provider_of(job).key
        key = job.context.environment.secret(wanted.variable) if wanted else Secret("")
        budget = budget_of(job, store, key)
        # Not known without the key, which a plan does not need.
        free_in_s = budget.free_in_s(job.pace.interval_s) if budget else None
    if work is not None:
        if not job.says_json:
            show(plan_table(work.plan))
        lines = plan_lines(work.plan, job.wanted, datetime.now(UTC), free_in_s)
        job.tell("\n".join([*lines, *key_lines(job), *work.database.lines()]))
        if work.database.refusal:  # as the run would
            raise work.database.refusal
        job.tell(f"Written: {job.files}/plan.json")
        totals = {name: getattr(work.plan, name) for name in ("requests", "hours", "duration_s")}
        return replace(job.outcome(), planned=totals)
    return job.outcome()
