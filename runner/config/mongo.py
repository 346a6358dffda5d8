"""Where readings go: `mongo=NAME`. The address is MONGO_URI in the environment or `.env`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from runner.config.section import Section, setting

_LONGEST_DATABASE_NAME = 50
OF_MONGODB = ("admin", "local", "config")
"""Databases in which MongoDB keeps users, the oplog and the sharding."""


class CollectionKind(Enum):
    """The kind of collection that readings go to; spelt as typed."""

    regular = "regular"
    timeseries = "timeseries"


class Indexes(Enum):
    """What a run does about missing indexes."""

    create = "create"
    require = "require"
    none = "none"


class ReadingsCollection(Section):
    """The collection of the readings."""

    kind: CollectionKind = setting(
        CollectionKind.regular,
        "what `waqi_station_readings` is made as if it is missing: `regular` (unique index) or "
        "`timeseries`; one that exists is used as it is",
    )


class Embedded(Section):
    """The MongoDB server started where no other is configured."""

    data_dir: str = setting("data/mongodb", "its data, relative to the working directory")
    port: int | None = setting(
        None,
        "opens a port on 127.0.0.1; empty: a private socket only",
        ge=1,
        le=65_535,
        unit="a TCP port",
    )
    binary: str | None = setting(
        None,
        "path of a `mongod`, from the command line only; empty: the `embedded` extra, else the "
        "`PATH`",
    )


class Mongo(Section):
    """The database."""

    database: str | None = setting(
        None, "database name; empty: `MONGO_DB`, else as in `MONGO_URI`, else `air_quality_db`"
    )
    timeout_s: float = setting(30.0, "seconds to find the server", ge=0.01, le=3600, unit="seconds")
    outage_limit_s: float = setting(
        300.0,
        "seconds that a run waits for a server that stopped answering, before it ends (resumable)",
        ge=0,
        le=604_800,
        unit="seconds",
    )
    use_embedded: bool = setting(
        False,
        "use the embedded server even if `MONGO_URI` is set",
    )
    indexes: Indexes = setting(
        Indexes.create,
        "missing indexes: `create` makes them, `require` refuses to run and prints the commands "
        "that make them, `none` makes none and looks at every window before it inserts",
    )
    readings: ReadingsCollection = setting(ReadingsCollection(), "the collection of the readings")
    embedded: Embedded = setting(Embedded(), "the embedded server")

    def broken(self) -> Iterator[str]:
        """Yield a line if the database cannot be used."""
        if self.database is not None:
            yield from broken_database("mongo.database", self.database)


def broken_database(key: str, name: str) -> Iterator[str]:
    """Yield why a name is none of a database for readings: MongoDB's rules, and its own three."""
    if not re.fullmatch(r"[^/\\. \"$*<>:|?\x00]+", name) or len(name) > _LONGEST_DATABASE_NAME:
        yield (
            f"{key}={name}: 1 to {_LONGEST_DATABASE_NAME} characters, "
            'none of / \\ . " $ * < > : | ? or a blank'
        )
    elif name.casefold() in OF_MONGODB:
        yield (
            f"{key}={name}: {', '.join(OF_MONGODB)} belong to MongoDB itself; "
            "choose another name, as air_quality_db"
        )
