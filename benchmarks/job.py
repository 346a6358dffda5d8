"""One amount of work, and every way to do it: each way is a leg, a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from pymongo import MongoClient

from benchmarks import peers
from benchmarks.api import aqi
from benchmarks.measure import Cost, clean_environment, cost_of
from benchmarks.servers import api, mongod

FIRST = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp()) // 3600
WEEK = 168
READINGS = "waqi_station_readings"
CHANGED = 0.01
PACED_STATIONS = 8
"""More than there are workers, so that all of these have one to the end."""


@dataclass(frozen=True, slots=True)
class Job:
    """Stations times hours, in windows of a week, from one API into one server.

    Attributes:
        stations: how many.
        weeks: of every station.
        url: of the API.
        changed_url: of the same with some values changed.
        uri: of the server.
        client: connected to it.
        directory: where runs leave their files.
    """

    stations: int
    weeks: int
    url: str
    changed_url: str
    uri: str
    client: MongoClient[dict[str, Any]]
    directory: Path

    @property
    def hours(self) -> int:
        """Hours of a station."""
        return self.weeks * WEEK

    @property
    def readings(self) -> int:
        """Readings in all."""
        return self.stations * self.hours

    def fresh(self, kind: str = "regular") -> Cost:
        """Load everything into an empty database, as a user does."""
        name = f"ours_{kind[:4]}"
        self.client.drop_database(name)
        cost = self._runner(name, kind)
        self.check(name)
        return cost

    def unchanged(self, kind: str = "regular") -> Cost:
        """Load everything again, the checkpoints deleted."""
        name = f"ours_{kind[:4]}"
        self.client[name]["ingest_checkpoints"].delete_many({})
        cost = self._runner(name, kind)
        self.check(name)
        return cost

    def changed(self, kind: str = "regular") -> Cost:
        """Load everything again, one in a hundred values changed, the checkpoints deleted."""
        name = f"ours_{kind[:4]}"
        self.client[name]["ingest_checkpoints"].delete_many({})
        return self._runner(name, kind, url=self.changed_url)

    def nothing_to_do(self, kind: str = "regular") -> Cost:
        """Run the same command once more."""
        cost = self._runner(f"ours_{kind[:4]}", kind)
        if "0 requests" not in cost.said:
            raise RuntimeError(f"something was asked:\n{cost.said}")
        return cost

    def empty(self) -> Cost:
        """Run for a station of which nothing is wanted: a range of one hour, covered."""
        return self._runner("empty", "regular", stations=1, hours=1)

    def plain(self) -> Cost:
        """Load everything into an empty database by the plain loop."""
        self.client.drop_database("plain")
        cost = self._plain()
        self.check("plain")
        return cost

    def plain_again(self) -> Cost:
        """Let the plain loop load everything again."""
        return self._plain()

    def dlt(self, pages: str) -> Cost:
        """Load everything into an empty database by dlt, its pages as `rows` or as `arrow`."""
        self.client.drop_database("dlt")
        given = ("-m", "benchmarks.dlt_leg", self.url, self.uri, "dlt", *self._range, pages)
        cost = self.command(*given, python=peers.PYTHON)
        self.check("dlt")
        return cost

    def insert(self, kind: str = "regular") -> float:
        """Return the seconds of `insert_many` alone."""
        name = f"insert_{kind[:4]}"
        self.client.drop_database(name)
        seconds = self._ceiling("insert", self.uri, name, *self._range, kind)
        self.client.drop_database(name)
        return seconds

    def drain(self) -> float:
        """Return the seconds of asking for everything alone."""
        return self._ceiling("drain", self.url, *self._range)

    def probe(self, kind: str = "regular") -> float:
        """Return the seconds of reading all that is stored, week by week, alone."""
        return self._ceiling("probe", self.uri, f"ours_{kind[:4]}", *self._range)

    def small(self, years: int) -> Cost:
        """Load so many years of one station into an empty database."""
        self.client.drop_database("small")
        return self._runner("small", "regular", stations=1, hours=years * 8760)

    def paced(self, latency_ms: int, pace_s: float, count: int) -> float:
        """Return the seconds between the first and the last of some paced requests."""
        self.client.drop_database("paced")
        with api("--latency-ms", str(latency_ms)) as url:
            pace = (f"rate_limit.delay_s={pace_s}", "rate_limit.max_per_hour=0")
            self._runner(
                "paced",
                "regular",
                "backfill.batch_size=6",
                *pace,
                url=url,
                stations=PACED_STATIONS,
                hours=6 * count // PACED_STATIONS,
            )
            stats = requests.get(f"{url}/_stats", timeout=10).json()
        if stats["asked"] != count:
            raise RuntimeError(f"{stats} instead of {count} requests")
        return float(stats["span_s"])

    def command(self, *arguments: str, python: Path = Path(sys.executable)) -> Cost:
        """Run this interpreter, or another one, with some arguments."""
        secrets = {"MONGO_URI": self.uri, "AQICN_API_KEY": "any", "MONGO_DB": "ours_regu"}
        command = [str(python), *arguments]
        return cost_of(command, self.directory, clean_environment(**secrets))

    def check(self, name: str) -> None:
        """Make sure that a database holds every reading once, with its value.

        Raises:
            RuntimeError: it does not.
        """
        group = {"_id": None, "count": {"$sum": 1}, "sum": {"$sum": "$aqi"}}
        (found,) = self.client[name][READINGS].aggregate([{"$group": group}])
        wanted = sum(
            aqi(idx, hour)
            for idx in range(1, self.stations + 1)
            for hour in range(FIRST, FIRST + self.hours)
        )
        if (found["count"], found["sum"]) != (self.readings, wanted):
            raise RuntimeError(f"{name}: {found}, wanted {self.readings} and {wanted}")

    @property
    def _range(self) -> tuple[str, str, str]:
        return str(FIRST), str(self.hours), str(self.stations)

    def _runner(
        self,
        name: str,
        kind: str,
        *more: str,
        url: str | None = None,
        stations: int | None = None,
        hours: int | None = None,
    ) -> Cost:
        """Run `python -m runner` for all or some of the work, with more overrides."""
        ids = range(1, (stations or self.stations) + 1)
        named = ",".join(f"{idx}: Station {idx}" for idx in ids)
        command = [
            "runner",
            f"source.base_url={url or self.url}",
            f"+stations.named={{{named}}}",
            f"stations.ids=[{','.join(map(str, ids))}]",
            f"backfill.start_date={_iso(FIRST)}",
            f"backfill.end_date={_iso(FIRST + (hours or self.hours))}",
            *(
                []
                if any(item.startswith("rate_limit.") for item in more)
                else ["rate_limit=unlimited"]
            ),
            "quality=off",
            "report=none",
            f"mongo.database={name}",
            f"mongo.readings.kind={kind.replace('-', '')}",
            *more,
        ]
        return self._run(*command)

    def _plain(self) -> Cost:
        return self._run("benchmarks.plain_loop", self.url, self.uri, "plain", *self._range)

    def _ceiling(self, *arguments: str) -> float:
        return float(self._run("benchmarks.ceilings", *arguments).said)

    def _run(self, module: str, *arguments: str) -> Cost:
        return self.command("-m", module, *arguments)


def _iso(hour: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour):%Y-%m-%dT%H:00:00}"


@contextmanager
def job(stations: int, weeks: int) -> Iterator[Job]:
    """Serve the API and a mongod of this benchmark's own until the block ends."""
    with (
        mongod() as (uri, client),
        api() as url,
        api("--changed", str(CHANGED)) as changed_url,
        TemporaryDirectory(prefix="airq-bench-") as directory,
    ):
        yield Job(stations, weeks, url, changed_url, uri, client, Path(directory))
