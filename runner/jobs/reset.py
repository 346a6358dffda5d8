"""job=reset: forget the checkpoints of stations, so that they are fetched again."""

from __future__ import annotations

from runner.core.errors import ConfigError
from runner.core.outcome import Outcome
from runner.core.text import counted
from runner.jobs.choosing import choose_stations, is_narrowed
from runner.process.job import Job
from runner.store.database import open_store


def run(job: Job) -> Outcome:
    """Forget the checkpoints of the chosen stations, so that they are fetched again."""
    if not (is_narrowed(job) or job.config.job.confirm):
        raise ConfigError(
            "job=reset would forget the progress of every station",
            hint="Choose stations (stations=hanoi, stations.ids=[8641]), or add confirm=true",
        )
    with open_store(job) as store:
        stations = choose_stations(job, store)
        ids = [*(station.idx for station in stations.stations), *stations.unknown]
        forgotten = 0 if job.config.dry_run else store.checkpoints.reset(ids)
    would = " (dry run: nothing was changed)" if job.config.dry_run else ""
    job.tell(
        f"Forgot the progress of {forgotten} of {counted(len(ids), 'stations')}; "
        f"readings stay.{would}"
    )
    return job.outcome()
