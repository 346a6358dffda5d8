"""Joins store, source and pacer: what a job hands to the source that it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from runner.core.concentrations import MeasuredHour
from runner.core.errors import ConfigError
from runner.core.kept import KeptAnswer
from runner.core.stations import Station
from runner.process.job import PROGRAM, Job
from runner.process.secrets import Secret
from runner.sources import provider_of, providers
from runner.sources.pacing import Pacer, Pacing
from runner.sources.patience import FailedTries
from runner.sources.provider import Access
from runner.store.budget import Budget
from runner.store.database import Store
from runner.store.outage import Outage
from runner.store.shared_pacer import SharedPacer


def api_key(job: Job) -> Secret:
    """Return the API key; empty for sources that want none.

    Raises:
        ConfigError: it is needed and not set, or cannot be sent.
    """
    wanted = provider_of(job).key
    if wanted is None:
        return Secret("")
    key = job.context.environment.secret(wanted.variable)
    if not key:
        examples = [one.example for one in providers().values() if one.example]
        others = ", and ".join(["make demo", *(f"{' '.join(PROGRAM)} {one}" for one in examples)])
        other = job.context.environment.misspelt(wanted.variable)
        noticed = f" ({other} is, which nothing reads)" if other else ""
        raise ConfigError(
            f"{wanted.variable} is not set{noticed}: put it into the environment, or into a file "
            f".env here as\n{wanted.variable}=your-key (free: {wanted.free_at}).\n"
            f"No key is needed by: {others}"
        )
    value = key.reveal()
    if not value.isprintable() or value != value.encode("latin-1", "ignore").decode("latin-1"):
        raise ConfigError(
            f"{wanted.variable} cannot be sent: it holds a line break, or a character that no key "
            "has",
            hint="Copy the key again, on one line, into the environment or .env",
        )
    return key


def key_in_plan(job: Job) -> dict[str, str] | None:
    """Return which key goes to which host, and its port if unusual; None if none is wanted."""
    wanted = provider_of(job).key
    if wanted is None:
        return None
    return {"name": wanted.variable, "host": urlsplit(job.config.source.base_url).netloc}


def key_lines(job: Job) -> list[str]:
    """Return a line of the plan: where the key goes; none if the source wants no key."""
    key = key_in_plan(job)
    if key is None:
        return []
    clear = job.config.source.base_url.startswith("http:")
    return [f"  key       {key['name']} goes to {key['host']}{', unencrypted' * clear}"]


def shares_budget(job: Job) -> bool:
    """Whether the requests come from a budget that is shared through the database.

    A source without a key has nothing that others use, and without any limit there is nothing to
    keep. Everybody else shares, with the embedded server, too: several processes may use it, and a
    permit costs some 5 ms of the seconds between two requests. A dry run asks as others do.
    """
    limit = job.config.rate_limit
    limited = limit.delay_s or limit.max_per_hour
    return bool(provider_of(job).key and limit.shared and limited)


def budget_of(job: Job, store: Store, key: Secret) -> Budget | None:
    """Return the budget that the job's requests come from; None if they need none."""
    return store.budget(job.config.source.base_url, key) if key and shares_budget(job) else None


def pacer_of(job: Job, budget: Budget | None, outage: Outage) -> Pacing:
    """Return what hands out the job's permits: from a budget where there is one."""
    if budget is None:
        return Pacer(job.pace.interval_s, job.stop)
    return SharedPacer(budget, job.pace.interval_s, outage, job.stop)


def access_to(
    job: Job,
    store: Store,
    key: Secret,
    outage: Outage,
    budget: Budget | None,
    names: Mapping[int, str],
) -> Access:
    """Return what the job's source is opened with.

    Args:
        job: for its settings.
        store: keeps what the source gives besides readings, except in a dry run.
        key: the API key.
        outage: waits while the database does not answer.
        budget: of the requests, if they have one.
        names: of the stations, by index.
    """
    writes = not job.config.dry_run

    def keep_answer(station: Station, answer: KeptAnswer) -> None:
        def keep() -> None:
            with store.leases.hold(station.idx):
                store.raw.keep(job.run_id, station.idx, answer, job.config.source.raw_days)

        outage.outlast(keep)

    def keep_measured(station: Station, hours: Sequence[MeasuredHour]) -> None:
        def keep() -> None:  # as with readings, only while the station is this run's
            with store.leases.hold(station.idx):
                store.concentrations.keep(job.run_id, station.idx, job.source, hours, job.now())

        outage.outlast(keep)

    return Access(
        job,
        key,
        pacer_of(job, budget, outage),
        FailedTries(),
        names,
        keep_answer if writes and job.config.source.keep_raw else None,
        keep_measured if writes else None,
        lambda idx, hour: outage.outlast(lambda: store.readings.has_off_hour(idx, hour)),
    )
