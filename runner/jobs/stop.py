"""job=stop run=ID: ask a run to stop, from any machine that reaches its database."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.errors import ConfigError
from runner.core.outcome import Outcome
from runner.process.job import Job, whoami
from runner.store.database import open_store

_ANY = 20


def run(job: Job) -> Outcome:
    """Ask a run to finish the windows in hand, save, and exit with 143; the same command resumes.

    Raises:
        ConfigError: no run is named, or none of that name goes on.
        StoreError: MongoDB could not do it.
    """
    run_id = job.config.job.run
    with open_store(job) as store:
        going = [one.run_id for one in store.runs.recent(_ANY) if one.goes_on]
        if not run_id or (not job.config.dry_run and not _ask(job, run_id, store.runs.ask_to_stop)):
            said = f"run={run_id} is none that goes on" if run_id else "job=stop needs run=ID"
            listed = ", ".join(going) or "none"
            raise ConfigError(f"{said} in {job.place}", hint=f"At work there: {listed}")
    would = "Would ask" if job.config.dry_run else "Asked"
    job.tell(
        f"{would} run {run_id} to stop: within 15 s it finishes the windows in hand, saves and "
        "ends (exit code 143). job=runs shows it; its own command resumes."
    )
    return job.outcome()


def _ask(job: Job, run_id: str, ask: Callable[[str, str], bool]) -> bool:
    me = whoami()
    return ask(run_id, f"{me['user']}@{me['host']}, {job.run_id}")
