"""job=reset: forget the checkpoints of stations, so that they are fetched again."""

from __future__ import annotations

from dataclasses import replace

from runner.core.outcome import Outcome
from runner.core.text import counted
from runner.jobs.choosing import choose_stations
from runner.process.job import Job
from runner.process.secrets import masked
from runner.process.tables import show, status_table
from runner.store.database import open_store


def run(job: Job) -> Outcome:
    """Show the progress that the chosen stations would lose; forget it if that is confirmed."""
    act = job.config.job.confirm and not job.config.dry_run
    with open_store(job) as store:
        chosen = choose_stations(job, store)
        ids = [*(station.idx for station in chosen.stations), *chosen.unknown]
        found = store.checkpoints.load(ids, with_empty=False)
        if not act:
            shown = {
                idx: replace(one, error_message=masked(one.error_message, job.redact))
                for idx, one in found.items()
            }
            show(status_table([one for one in chosen.stations if one.idx in found], shown))
        forgotten = store.checkpoints.reset(ids) if act else len(found)
    would = "Forgot" if act else "Would forget"
    job.tell(
        f"{would} the progress of {forgotten} of {counted(len(ids), 'stations')} in {job.place}; "
        f"readings stay.{'' if act else ' confirm=true forgets it.'}"
    )
    return job.outcome()
