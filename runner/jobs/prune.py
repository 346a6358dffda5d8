"""`job=prune`: removes what old runs left, by age; never a reading, never a station."""

from __future__ import annotations

from datetime import timedelta

from runner.core.outcome import Outcome
from runner.core.text import counted
from runner.jobs.choosing import choose_stations
from runner.process.job import Job
from runner.process.tables import leftovers_table, show
from runner.store.database import open_store


def run(job: Job) -> Outcome:
    """Show what is older than `prune.older_than_days`; remove it where that is confirmed.

    Checkpoints go only with `prune.checkpoints=true`, and only those of stations that the
    configuration does not choose: without its checkpoint a station is fetched again.

    Raises:
        RunnerError: MongoDB could not do it, or no station is chosen.
    """
    settings = job.config.prune
    before = job.started_at - timedelta(days=settings.older_than_days)
    act = job.config.job.confirm and not job.config.dry_run
    with open_store(job) as store:
        stay = None
        if settings.checkpoints:
            chosen = choose_stations(job, store)
            stay = {*(station.idx for station in chosen.stations), *chosen.unknown}
        found = store.leftovers.find(before, stay)
        show(leftovers_table(found, before))
        removed = sum(store.leftovers.remove(item) for item in found) if act else 0
    if act:
        job.tell(f"{removed:,} removed from {job.database_name}; readings and stations stay.")
    else:
        total = sum(item.count for item in found)
        job.tell(f"{total:,} would be removed from {job.database_name}; confirm=true removes them.")
    if stay is not None:
        job.tell(f"The checkpoints of {counted(len(stay), 'chosen stations')} stay.")
    return job.outcome()
