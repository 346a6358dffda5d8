"""Picks implementations for a job: the database, the source, the sandbox. The only place that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config import missing_key_message
from runner.core.errors import ConfigError
from runner.job import Job
from runner.pacing import Pacer
from runner.secrets import Secret

if TYPE_CHECKING:
    from runner.engine import Source
    from runner.sandbox.server import Sandbox
    from runner.sources.airnow import AirNowSource
    from runner.store.checkpoints import Checkpoints
    from runner.store.readings import Readings
    from runner.store.rejects import Rejects
    from runner.store.runs import Runs
    from runner.store.stations import Stations


@dataclass(frozen=True, slots=True)
class Store:
    """The collections of one database."""

    stations: Stations
    readings: Readings
    checkpoints: Checkpoints
    rejects: Rejects
    runs: Runs


@contextmanager
def open_store(job: Job) -> Iterator[Store]:
    from runner.store.checkpoints import Checkpoints  # noqa: PLC0415 - brings pymongo
    from runner.store.connection import connect  # noqa: PLC0415
    from runner.store.readings import Readings  # noqa: PLC0415
    from runner.store.rejects import Rejects  # noqa: PLC0415
    from runner.store.runs import Runs  # noqa: PLC0415
    from runner.store.stations import Stations  # noqa: PLC0415

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
        yield Store(
            Stations(database),
            Readings(database),
            Checkpoints(database),
            Rejects(database),
            Runs(database),
        )


def api_key(job: Job) -> Secret:
    """Return the API key, if the source needs one.

    Raises:
        ConfigError: it is not set.
    """
    if job.source_kind != "aqicn":
        return Secret("sandbox-needs-no-key")
    key = job.context.environment.secret("AQICN_API_KEY")
    if not key:
        raise ConfigError(missing_key_message())
    return key


@contextmanager
def open_source(job: Job, key: Secret, work: Work) -> Iterator[tuple[Source, Pacer | None]]:
    if work.airnow:
        try:
            yield work.airnow, None
        finally:
            work.airnow.close()
        return
    names = {entry.station.idx: entry.station.name for entry in work.plan.stations}
    with ExitStack() as stack:
        base_url = job.config.source.base_url
        if job.source_kind == "sandbox":
            base_url = stack.enter_context(sandbox_server(job, names)).url
        limit = job.config.rate_limit
        pacer = Pacer(limit.delay_s, limit.max_per_hour, job.stop)
        yield stack.enter_context(aqicn(job, base_url, key, pacer)), pacer


@contextmanager
def aqicn(job: Job, base_url: str, key: Secret, pacer: Pacer) -> Iterator[Source]:
    raise RuntimeError  # wired when runner.sources.aqicn lands


def airnow_files(job: Job) -> AirNowSource:
    from runner.sources.airnow import AirNowSource  # noqa: PLC0415 - brings polars

    source = job.config.source
    return AirNowSource(Path(source.path or ""), source.sites)


@contextmanager
def sandbox_server(job: Job, names: dict[int, str]) -> Iterator[Any]:
    raise RuntimeError  # wired when runner.sandbox lands
