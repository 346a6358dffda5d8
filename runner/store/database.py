"""The database of a job: connected, with its collections. A part of `runner.jobs.opening`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from pymongo.database import Database

from runner.config.mongo import CollectionKind, Indexes
from runner.core.errors import ConfigError
from runner.process.job import Job
from runner.process.secrets import Secret
from runner.process.stop import StopFlag
from runner.store.budget import Budget
from runner.store.checkpoints import Checkpoints
from runner.store.collection import Document, Kind
from runner.store.concentrations import Concentrations
from runner.store.connection import (
    connect,
    missing_rights,
    overruled_writes,
    server_clock,
    server_socket,
    server_version,
    store_errors,
    topology,
)
from runner.store.embedded import listens
from runner.store.flat_readings import FlatReadings
from runner.store.leases import Leases
from runner.store.leftovers import Leftovers
from runner.store.outage import Outage
from runner.store.queries import Queries
from runner.store.raw import RawAnswers
from runner.store.reading_document import ObjectIds
from runner.store.readings import Readings
from runner.store.rejects import Rejects
from runner.store.revisions import Revisions
from runner.store.runs import Runs
from runner.store.shape import Shape, look
from runner.store.stations import Stations


@dataclass(frozen=True, slots=True)
class Store:
    """The collections of one database, their shapes, and its server's clock and version.

    Attributes:
        overruled_writes: see `runner.store.connection.overruled_writes`.
        outage: makes what waits while the server does not answer.
    """

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
    look: Callable[[Sequence[str]], dict[str, Shape]]
    overruled_writes: str
    outage: Callable[[StopFlag], Outage]
    topology: Callable[[], str]
    missing_rights: Callable[[str], list[str] | None]


@contextmanager
def open_store(job: Job) -> Iterator[Store]:
    """Connect to the configured database, or to the embedded server, until the block ends.

    Raises:
        StoreUnavailableError: it cannot be reached within `mongo.timeout_s`.
        ConfigError: MONGO_URI cannot be read, is missing, or there is no server to embed.
    """
    mongo = job.config.mongo
    address = _address(job)
    as_timeseries = mongo.readings.kind is CollectionKind.timeseries
    with connect(
        address,
        job.database_name,
        timeout_s=mongo.timeout_s,
        embedded_dir=Path(mongo.embedded.data_dir),
        embedded_port=mongo.embedded.port,
        embedded_binary=Path(mongo.embedded.binary) if mongo.embedded.binary else None,
    ) as database:
        leases = Leases(database, job.run_id, job.config.backfill.lease_s)
        ids = ObjectIds()
        yield Store(
            Stations(database),
            Readings(
                database,
                Kind.TIME_SERIES if as_timeseries else Kind.REGULAR,
                ids,
                with_indexes=mongo.indexes is not Indexes.none,
            ),
            Checkpoints(database, leases, ids.maker),
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
            partial(_look, database),
            overruled_writes(database),
            lambda stop: Outage(
                mongo.outage_limit_s,
                stop,
                # Whoever starts the embedded server again does so elsewhere.
                (lambda: False) if address else lambda: not listens(server_socket(database)),
            ),
            partial(topology, database),
            partial(missing_rights, database),
        )


def _address(job: Job) -> Secret | None:
    """Return the address of the server; None for the embedded one.

    Raises:
        ConfigError: measured readings would go to an embedded server, and nobody asked for it.
    """
    uri = job.mongo_uri
    if uri or job.config.mongo.use_embedded or job.database_suffix:
        return uri or None
    misspelt = job.context.environment.misspelt("MONGO_URI")
    if misspelt:
        raise ConfigError(
            f"MONGO_URI is not set; {misspelt} is, which nothing reads",
            hint=f"Rename {misspelt} to MONGO_URI; mongo=embedded uses {job.server}",
        )
    if not sys.stderr.isatty():  # nobody is there to see which server the plan names
        raise ConfigError(
            f"MONGO_URI is not set: the readings would go to {job.server}",
            hint="Set MONGO_URI in the environment or .env, or write mongo=embedded if they shall",
        )
    return None


def _look(database: Database[Document], names: Sequence[str]) -> dict[str, Shape]:
    with store_errors("collections and indexes"):
        return look(database, names)
