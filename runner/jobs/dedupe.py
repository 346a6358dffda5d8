"""job=dedupe: remove exact doubles of readings that other writers made."""

from __future__ import annotations

from runner.core.errors import UnsupportedCollectionError
from runner.core.outcome import Outcome
from runner.core.text import counted
from runner.process.job import Job
from runner.process.tables import (
    MOST_ROWS,
)
from runner.store.database import open_store


def run(job: Job) -> Outcome:
    """Remove exact doubles of readings, which other writers made; report those that differ.

    In a time-series collection before MongoDB 7.0 they stay: only whole stations can be deleted
    there, and what a live job inserts between a copy and the deletion would be lost.

    Raises:
        UnsupportedCollectionError: the server cannot delete single readings; nothing was changed.
    """
    act = job.config.job.confirm and not job.config.dry_run
    removed = differing = 0
    with open_store(job) as store:
        why_not = store.readings.why_not_remove(store.version())
        if act and why_not:
            raise UnsupportedCollectionError(f"job=dedupe: {why_not}; nothing was changed")
        for station_idx, ts, exact, left in store.readings.doubles():
            removed += store.readings.remove(exact) if act else len(exact)
            if len(left) > 1:
                differing += 1
                if differing <= MOST_ROWS:
                    values = ", ".join(str(item.get("aqi")) for item in left)
                    job.tell(f"station {station_idx}, {ts}: {len(left)} differ (aqi {values})")
    found = f"found. They stay: {why_not}" if why_not else "found; confirm=true removes them"
    job.tell(f"{counted(removed, 'exact doubles')} {'removed' if act else found}")
    if differing:
        todo = "" if why_not else ". Decide, and delete one by _id"
        job.tell(f"Hours whose documents differ: {differing:,}{todo}")
    return job.outcome()
