"""job=rejects: show the rejected records by station and reason."""

from __future__ import annotations

from dataclasses import replace

from runner.core.outcome import Outcome
from runner.core.text import counted
from runner.jobs.choosing import choose_stations, is_narrowed
from runner.process.job import Job
from runner.process.secrets import masked
from runner.process.tables import (
    rejects_table,
    show,
)
from runner.store.database import open_store


def run(job: Job) -> Outcome:
    """Show the refused records: reasons by station, with an example."""
    with open_store(job) as store:
        chosen = choose_stations(job, store) if is_narrowed(job) else None
        ids = None if chosen is None else [station.idx for station in chosen.stations]
        found = store.rejects.summary(ids)
    total = sum(item.count for item in found)
    if found:
        # Cells are masked before a table breaks them: others may have stored what they hold.
        shown = [replace(item, example=masked(item.example, job.redact)) for item in found]
        show(rejects_table(shown))
    stations = len({item.station_idx for item in found})
    job.tell(
        f"{counted(total, 'records')} of {counted(stations, 'stations')} rejected "
        f"in {job.database_name}"
    )
    return job.outcome()
