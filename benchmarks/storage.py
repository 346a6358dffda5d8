"""What a reading takes on disk, and how fast readings are stored, with the product's own classes.

    python -m benchmarks.storage

A MongoDB of its own stores the sandbox's readings of some stations and years, a week at a time, as
a run does, in a regular and in a time-series collection. Sizes are those of the server after a
checkpoint (`storageSize` and `totalIndexSize` of `$collStats`, which compression has made small).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import bson
from pymongo import MongoClient
from pymongo.database import Database

from benchmarks.arithmetic import BATCH_HOURS, TEN_YEARS
from benchmarks.fleet import Document
from benchmarks.measure import machine
from runner.core.intervals import Interval, split, to_datetime
from runner.core.readings import Reading, to_readings
from runner.sources.sandbox.climatology import Climatology
from runner.store.collection import Kind
from runner.store.embedded import embedded
from runner.store.readings import NAME, Readings


@dataclass(frozen=True, slots=True)
class Size:
    """What a collection takes.

    Attributes:
        readings: how many it holds.
        data: bytes on disk.
        indexes: bytes on disk.
        wall_s: seconds that storing took.
        cpu_s: of them, seconds of processor time of this process.
        document: bytes of one reading, as BSON.
    """

    readings: int
    data: int
    indexes: int
    wall_s: float
    cpu_s: float
    document: int

    @property
    def each(self) -> float:
        """Bytes on disk for a reading, with indexes."""
        return (self.data + self.indexes) / self.readings

    def __str__(self) -> str:
        return (
            f"{self.readings:,} readings: {self.data / self.readings:.1f} bytes of data and "
            f"{self.indexes / self.readings:.1f} of indexes each, together {self.each:.1f} "
            f"({self.document} as BSON); {self.readings / self.wall_s:,.0f} readings/s, "
            f"{1e6 * self.cpu_s / self.readings:.0f} us of our CPU each"
        )


def measure(database: Database[Document], kind: Kind, stations: int, years: int) -> Size:
    """Store made-up readings as a run does, one connection, and return what they take."""
    store = Readings(database, kind)
    store.ensure()
    source = Climatology(1)
    wanted = Interval(TEN_YEARS.end - 8766 * years, TEN_YEARS.end)
    now = to_datetime(wanted.end + 24)
    wall_s = cpu_s = 0.0
    count, document = 0, 0
    for idx in range(1, stations + 1):
        for window in split((wanted,), BATCH_HOURS):
            records = source.records(idx, window)
            readings: list[Reading] = to_readings(records, idx, window, now).readings
            began, used = time.perf_counter(), time.process_time()
            count += store.upsert(idx, window, readings).inserted
            wall_s += time.perf_counter() - began
            cpu_s += time.process_time() - used
            document = document or len(bson.encode({**readings[0]})) + 17  # with its _id
    database.client.admin.command("fsync")
    name = f"system.buckets.{NAME}" if kind is Kind.TIME_SERIES else NAME
    sizes = next(iter(database[name].aggregate([{"$collStats": {"storageStats": {}}}])))
    found = sizes["storageStats"]
    return Size(count, found["storageSize"], found["totalIndexSize"], wall_s, cpu_s, document)


def main() -> int:
    """Print what both kinds of collection take."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    words.add_argument("--stations", type=int, default=20)
    words.add_argument("--years", type=int, default=2)
    asked = words.parse_args()
    print(machine())
    with (
        tempfile.TemporaryDirectory(prefix="bench-storage-") as place,
        embedded(Path(place) / "mongodb") as uri,
        MongoClient[Document](uri, tz_aware=True, journal=True) as client,
    ):
        print(f"MongoDB {client.server_info()['version']}")
        for kind in (Kind.REGULAR, Kind.TIME_SERIES):
            database = client[f"size_{kind.replace('-', '_')}"]
            print(f"{kind}: {measure(database, kind, asked.stations, asked.years)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
