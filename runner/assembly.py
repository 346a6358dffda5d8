"""Picks implementations for a job: database, source, sandbox. The only place that does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.asking import Source
from runner.config import missing_key_message
from runner.core.errors import AqicnClientError, ConfigError, OpenAqError, SourceError
from runner.core.stations import Station
from runner.job import Job
from runner.pacing import Pacer
from runner.sandbox.climatology import Climatology
from runner.sandbox.faults import Faults
from runner.sandbox.openaq import Hours, OpenAqAnswers, concentrations_of
from runner.sandbox.server import Sandbox
from runner.sandbox.values import Replay, Values
from runner.secrets import Secret
from runner.sources.aqicn import AqicnSource, Keep
from runner.sources.aqicn_answers import AnswerReader
from runner.sources.http import HttpClient, Timeouts
from runner.sources.openaq import Keep as KeepMeasured
from runner.sources.openaq import OpenAqSource
from runner.sources.openaq_answers import OpenAqReader
from runner.sources.openaq_archive import OpenAqArchive
from runner.sources.openaq_rows import Terms
from runner.sources.patience import FailedTries, RetryPolicy
from runner.sources.replay import ReplaySource
from runner.store.checkpoints import Checkpoints
from runner.store.collection import Kind
from runner.store.concentrations import Concentrations
from runner.store.connection import connect, server_clock
from runner.store.flat_readings import FlatReadings
from runner.store.leases import Leases
from runner.store.leftovers import Leftovers
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
    """The collections of one database, and its server's clock."""

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
    flat: Callable[[Sequence[str], Collection[str]], FlatReadings]
    queries: Queries


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
            partial(FlatReadings, database),
            Queries(database),
        )


def api_key(job: Job) -> Secret:
    """Return the API key; a word in its place for sources that need none.

    Raises:
        ConfigError: it is needed and not set.
    """
    name = {"aqicn": "AQICN_API_KEY", "openaq": "OPENAQ_API_KEY"}.get(job.source_kind)
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


def openaq_archive(job: Job) -> OpenAqArchive:
    """Return the source that reads local copies of OpenAQ's archive; it keeps nothing yet."""
    source = job.config.source
    return OpenAqArchive(
        Path(source.path or ""),
        source.openaq.locations,
        scale=source.openaq.scale,
        least_coverage=source.openaq.least_coverage,
    )


@contextmanager
def open_api(
    job: Job,
    key: Secret,
    pacer: Pacer,
    names: Mapping[int, str],
    failed: FailedTries,
    keep: Keep | None = None,
) -> Iterator[Source]:
    """Open the AQICN API, or a sandbox that speaks it, until the block ends.

    Args:
        job: for its settings.
        key: the API key.
        pacer: gives a permit for every request.
        names: the stations a sandbox knows.
        failed: counts the tries that came to nothing.
        keep: keeps the answers; None where they are not kept.
    """
    source = job.config.source
    server = sandbox_server(job, names) if job.source_kind == "sandbox" else nullcontext()
    with server as sandbox:
        base_url = sandbox.url if sandbox else source.base_url
        with closing(_client(job, base_url, pacer, failed, AqicnClientError)) as client:
            history = source.history
            yield AqicnSource(
                client,
                key,
                history_path=history.path,
                start_param=history.start_param,
                end_param=history.end_param,
                token_param=history.token_param,
                name=job.source_kind,
                keep=keep,
            )


@contextmanager
def open_openaq(
    job: Job, key: Secret, pacer: Pacer, failed: FailedTries, keep: KeepMeasured | None = None
) -> Iterator[OpenAqSource]:
    """Open the OpenAQ API until the block ends.

    Args:
        job: for its settings.
        key: the API key.
        pacer: gives a permit for every request.
        failed: counts the tries that came to nothing.
        keep: keeps the concentrations; None where they are not kept.
    """
    settings = job.config.source.openaq
    with openaq_client(job, key, pacer, failed) as (client, reader):
        yield OpenAqSource(
            client,
            reader,
            settings.locations,
            scale=settings.scale,
            terms=Terms(settings.least_coverage, settings.accept_flagged),
            keep=keep,
        )


def attributions_of(source: Source) -> list[dict[str, Any]]:
    """Return whose measurements a source gave, by place; nothing of sources that do not say."""
    return source.attributions() if isinstance(source, OpenAqSource | OpenAqArchive) else []


@contextmanager
def openaq_client(
    job: Job, key: Secret, pacer: Pacer, failed: FailedTries
) -> Iterator[tuple[HttpClient, OpenAqReader]]:
    """Open the way to OpenAQ until the block ends; arguments as in `open_openaq`."""
    source = job.config.source
    reader = OpenAqReader(key, pacer.pause, source.retry.backoff_s)
    headers = {"X-API-Key": key}
    with closing(_client(job, source.base_url, pacer, failed, OpenAqError, headers)) as client:
        yield client, reader


def _client(
    job: Job,
    base_url: str,
    pacer: Pacer,
    failed: FailedTries,
    failure: type[SourceError],
    secret_headers: Mapping[str, Secret] | None = None,
) -> HttpClient:
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
    if settings.replay:
        files = airnow_files(settings.replay, job.config.source.sites)
        values: Values = Replay(lambda idx, window: files.fetch(Station(idx), window).records)
        hours: Hours = lambda idx, window: {"pm25": files.measured(idx, window)}  # noqa: E731
    else:
        values = Climatology(settings.seed)
        hours = concentrations_of(values)
    return Sandbox(
        names,
        values,
        Faults(**asdict(settings.faults), seed=settings.seed),
        port=settings.port,
        openaq=OpenAqAnswers(
            job.config.source.openaq.locations,
            names,
            hours,
            lambda: datetime.now(UTC),
            synthetic=values.synthetic,
        ),
    )
