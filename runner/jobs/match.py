"""job=match: which places of a source may be the chosen stations; prints YAML, writes nothing."""

from __future__ import annotations

from dataclasses import replace

from runner.core.errors import ConfigError
from runner.core.outcome import Outcome
from runner.jobs.choosing import choose_stations
from runner.jobs.opening import access_to, api_key, budget_of, key_lines
from runner.process.job import Job
from runner.sources import provider_of, providers
from runner.store.database import open_store


def run(job: Job) -> Outcome:
    """Propose places of the source for the chosen stations that have none confirmed.

    Raises:
        ConfigError: the source has no places to propose.
        RunnerError: the source or MongoDB could not answer.
    """
    match = provider_of(job).match
    if match is None:
        able = [one.name for one in providers().values() if one.match]
        raise ConfigError(
            f"job=match looks through the places of a source; source={job.source} has none",
            hint=f"Write: python -m runner job=match source={' or source='.join(able)}",
        )
    key = api_key(job)
    with open_store(job) as store:
        stations = choose_stations(job, store).stations
        outage = store.outage(job.stop)
        access = access_to(job, store, key, outage, budget_of(job, store, key), {})
        job.tell("\n".join(f"# {line.strip()}" for line in key_lines(job)))
        proposals = match(access, stations)
    job.tell("\n".join(proposals))
    pacer = access.pacer
    return replace(job.outcome(), requests=pacer.permits, budget_wait_s=pacer.waited_s)
