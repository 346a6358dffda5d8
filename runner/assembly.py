"""Picks implementations for a job: database, source, sandbox. The only place that does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config import missing_key_message
from runner.core.country import Country, country_of
from runner.core.errors import AqicnClientError, ConfigError, SourceError
from runner.core.intervals import Interval
from runner.core.stations import Station
from runner.job import Job
from runner.openaq_side import openaq_side
from runner.pacing import Pacer, Pacing
from runner.sandbox.climatology import Climatology
from runner.sandbox.faults import Faults
from runner.sandbox.flaws import Flawed
from runner.sandbox.server import Sandbox
from runner.sandbox.values import Replay, Values
from runner.secrets import Secret
from runner.shared_pacer import SharedPacer
from runner.sources.aqicn import AqicnSource, Keep
from runner.sources.aqicn_answers import AnswerReader
from runner.sources.aqicn_live import AqicnLive
from runner.sources.http import HttpClient, Timeouts
from runner.sources.patience import FailedTries, RetryPolicy
from runner.sources.replay import ReplaySource
from runner.store.budget import Budget, Limits
from runner.store.checkpoints import Checkpoints
from runner.store.collection import Kind
from runner.store.concentrations import Concentrations
from runner.store.connection import connect, server_clock, server_version
from runner.store.flat_readings import FlatReadings
from runner.store.leases import Leases
from runner.store.leftovers import Leftovers
from runner.store.outage import Outage
from runner.store.queries import Queries
from runner.store.raw import Held, RawAnswers
from runner.store.readings import Readings
from runner.store.rejects import Rejects
from runner.store.revisions import Revisions
from runner.store.runs import Runs
from runner.store.stations import Stations

if TYPE_CHECKING:
    from runner.sources.airnow import AirNowSource


@dataclass(frozen=True, slots=True)
class Store:
    """The collections of one database, and its server's clock and version."""

    stations: Stations
    readings: Readings
    checkpoints: Checkpoints
    leases: Leases
    rejects: Rejects
    raw: RawAnswers
    concentrations: Concentrations
    leftovers: Leftovers
    revisions: Revisions
    runs: Runs
    clock: Callable[[], datetime]
    version: Callable[[], str]
    flat: Callable[[Sequence[str], Collection[str]], FlatReadings]
    queries: Queries
    budget: Callable[[str, Secret], Budget]


@contextmanager
def open_store(job: Job) -> Iterator[Store]:
    """Connect to the configured database, or to the embedded server, until the block ends.

    Raises:
        StoreUnavailableError: it cannot be reached within `mongo.timeout_s`.
        ConfigError: MONGO_URI cannot be read, or there is no server to embed.
    """
    mongo = job.config.mongo
    uri = Secret("") if mongo.use_embedded else job.context.environment.secret("MONGO_URI")
    with connect(
        uri or None,
        job.database_name,
        timeout_s=mongo.timeout_s,
        embedded_dir=Path(mongo.embedded.data_dir),
        embedded_port=mongo.embedded.port,
        embedded_binary=Path(mongo.embedded.binary) if mongo.embedded.binary else None,
    ) as database:
        leases = Leases(database, job.run_id, job.config.backfill.lease_s)
        yield Store(
            Stations(database),
            Readings(database, Kind(mongo.readings.kind.value)),
            Checkpoints(database, leases),
            leases,
            Rejects(database, job.config.limits.rejects),
            RawAnswers(database),
            Concentrations(database),
            Leftovers(database),
            Revisions(database),
            Runs(database),
            lambda: server_clock(database),
            lambda: server_version(database),
            partial(FlatReadings, database),
            Queries(database),
            partial(Budget, database),
        )


def api_key(job: Job) -> Secret:
    """Return the API key; a word in its place for sources that need none.

    Raises:
        ConfigError: it is needed and not set.
    """
    name = job.key_name
    if name is None:
        return Secret("sandbox-needs-no-key")
    key = job.context.environment.secret(name)
    if not key:
        raise ConfigError(missing_key_message(name))
    return key


def airnow_files(directory: str | None, sites: Mapping[str, int]) -> AirNowSource:
    """Return the source that reads the AirNow files of a directory."""
    from runner.sources.airnow import AirNowSource  # noqa: PLC0415 - brings polars

    return AirNowSource(Path(directory or ""), sites)


def budget_of(job: Job, store: Store, key: Secret) -> Budget | None:
    """Return the budget that the job's requests come from; None where they need none.

    A sandbox of the job's own has no key that others use, and without any limit there is nothing
    to keep. Everybody else shares, with the embedded server, too: several processes may use it,
    and a permit costs some 5 ms of the seconds between two requests. A dry run asks as others do.
    """
    limit = job.config.rate_limit
    limited = limit.delay_s or limit.max_per_hour
    if job.key_name is None or not limit.shared or not limited or not key:
        return None
    return store.budget(job.config.source.base_url, key)


def pacer_of(job: Job, budget: Budget | None, outage: Outage) -> Pacing:
    """Return what hands out the job's permits: from a budget where there is one."""
    if budget is None:
        return Pacer(job.pace.delay_s, job.pace.max_per_hour, job.stop)
    return SharedPacer(budget, Limits.of(job.pace), outage, job.stop)


@contextmanager
def open_client(
    job: Job, pacer: Pacing, names: Mapping[int, str], failed: FailedTries
) -> Iterator[HttpClient]:
    """Open the way to the AQICN API, or to a sandbox that speaks it, until the block ends.

    Args:
        job: for its settings.
        pacer: gives a permit for every request.
        names: the stations a sandbox knows.
        failed: counts the tries that came to nothing.
    """
    source = job.config.source
    server = sandbox_server(job, names) if job.source_kind == "sandbox" else nullcontext()
    with server as sandbox:
        base_url = sandbox.url if sandbox else source.base_url
        with closing(http_client(job, base_url, pacer, failed, AqicnClientError)) as client:
            yield client


def history_source(job: Job, client: HttpClient, key: Secret, keep: Keep | None) -> AqicnSource:
    """Return the source that asks the configured history endpoint.

    Args:
        job: for its settings.
        client: to the API.
        key: the API key.
        keep: keeps the answers; None where they are not kept.
    """
    history = job.config.source.history
    return AqicnSource(
        client,
        key,
        history_path=history.path,
        start_param=history.start_param,
        end_param=history.end_param,
        token_param=history.token_param,
        name=job.source_kind,
        keep=keep,
    )


def live_source(
    job: Job, client: HttpClient, key: Secret, store: Store, outage: Outage
) -> AqicnLive:
    """Return the source of the present observations."""

    def is_taken(station_idx: int, hour: int) -> bool:
        return outage.outlast(lambda: store.readings.has_off_hour(station_idx, hour))

    return AqicnLive(client, key, job.now, is_taken)


def wanted_country(job: Job) -> Country:
    """Return the country that stations must lie in."""
    chosen = job.config.country
    return country_of(chosen.name, chosen.parts, chosen.words, chosen.others)


def http_client(
    job: Job,
    base_url: str,
    pacer: Pacing,
    failed: FailedTries,
    failure: type[SourceError],
    secret_headers: Mapping[str, Secret] | None = None,
) -> HttpClient:
    """Return the way to a server, with the job's patience and pace; the caller closes it.

    Args:
        job: for its settings.
        base_url: of the server.
        pacer: gives a permit for every request.
        failed: counts the tries that came to nothing.
        failure: the error class for what goes wrong on the way.
        secret_headers: sent with every request.
    """
    source = job.config.source
    return HttpClient(
        base_url,
        pacer,
        job.stop,
        job.redact,
        RetryPolicy(
            source.retry.max_attempts,
            source.retry.max_elapsed_s,
            source.retry.backoff_s,
            source.retry.backoff_max_s,
            source.retry.throttled_max_s,
        ),
        Timeouts(source.connect_timeout_s, source.read_timeout_s),
        failure=failure,
        failed=failed,
        secret_headers=secret_headers,
    )


def replay_source(job: Job, store: Store, held: Held) -> ReplaySource:
    """Return the source that reads kept answers, named after those who gave them."""
    reader = AnswerReader(api_key(job), job.config.source.history.path)
    return ReplaySource(store.raw.find, reader, f"replay of {', '.join(held.sources)}")


def sandbox_server(job: Job, names: Mapping[int, str]) -> Sandbox:
    """Return a sandbox for some stations; it serves inside a with block."""
    settings = job.config.sandbox
    values: Values = Climatology(settings.seed, missing_rate=settings.missing_share)
    if settings.replay:
        values = Replay(_replayed(settings.replay, job))
    return Sandbox(
        names,
        Flawed(values, job.flaws),
        Faults(**asdict(settings.faults), seed=settings.seed),
        port=settings.port,
        openaq=openaq_side(job, names),
    )


def _replayed(directory: str, job: Job) -> Callable[[int, Interval], list[dict[str, Any]]]:
    """Return how to look up the records of AirNow files by station and window."""
    files = airnow_files(directory, job.config.source.sites)

    def records(station_idx: int, window: Interval) -> list[dict[str, Any]]:
        return files.fetch(Station(station_idx), window).records

    return records
