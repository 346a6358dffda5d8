"""One leg of `benchmarks.quality`, in a process of its own: does it, and tells what it cost."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from runner.core.checkpoint import Progress
from runner.core.intervals import Interval, hour_of
from runner.core.stations import Station

_DATABASE = "benchmark"
_FIRST_STATION = 20_001
_START = datetime(2022, 1, 1, tzinfo=UTC)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS_OF_A_YEAR = 365.25
_AT_ONCE = 2
_OFFSET = timedelta(hours=7)


@dataclass(frozen=True, slots=True)
class Task:
    """What a leg works on.

    Attributes:
        place: a directory of the benchmark's own.
        uri: of its mongod.
        count: stations.
        years: of hours, each.
    """

    place: Path
    uri: str
    count: int
    years: int

    @property
    def stations(self) -> list[Station]:
        """The stations."""
        ids = range(_FIRST_STATION, _FIRST_STATION + self.count)
        return [Station(idx, f"Station {idx} (synthetic)", 21.0, 105.8) for idx in ids]

    @property
    def window(self) -> Interval:
        """The hours."""
        start = hour_of(_START)
        return Interval(start, start + 24 * round(_DAYS_OF_A_YEAR * self.years))

    @property
    def directory(self) -> Path:
        """Where the files of the checks are."""
        made = self.place / "run" / "quality"
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made


@contextmanager
def _database(task: Task) -> Iterator[Any]:
    from pymongo import MongoClient  # noqa: PLC0415 - only where a leg needs it

    with MongoClient[dict[str, Any]](task.uri, tz_aware=True) as client:
        yield client[_DATABASE]


def fill(task: Task) -> dict[str, Any]:
    """Insert the readings, unless they are there; what the sandbox calls "-" is left out."""
    from runner.store.readings import NAME, Readings  # noqa: PLC0415 - only where a leg needs it

    with _database(task) as database:
        wanted = {"count": task.count, "years": task.years}
        if database["filled"].find_one(wanted) is None:
            database.drop_collection("filled")
            database.drop_collection(NAME)
            Readings(database).ensure()
            with ProcessPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(partial(_fill_one, task), range(task.count)))
            database["filled"].insert_one(wanted)
        return {"readings": database[NAME].estimated_document_count()}


def _fill_one(task: Task, number: int) -> None:
    from runner.sources.sandbox.climatology import Climatology  # noqa: PLC0415 - only where a leg needs it
    from runner.store.readings import NAME  # noqa: PLC0415 - as above

    idx = task.stations[number].idx
    records = Climatology(1, dash_rate=0).records(idx, task.window)
    with _database(task) as database:
        database[NAME].insert_many([_reading(idx, record) for record in records], ordered=False)


def _reading(station_idx: int, record: dict[str, Any]) -> dict[str, Any]:
    local = datetime.fromisoformat(record["time"]["s"]).replace(tzinfo=UTC)
    return {
        "ts": local - _OFFSET,
        "meta": {"station_idx": station_idx},
        "aqi": record["current_aqi"],
        "time": record["time"],
        "iaqi": record["current_iaqi"],
    }


def extraction(task: Task) -> dict[str, Any]:
    """One pass over the stored readings, to Parquet."""
    from runner.quality.grid import KNOWN_KEYS, POLLUTANTS, WEATHER  # noqa: PLC0415 - as above
    from runner.quality.inputs import extract  # noqa: PLC0415 - only where a leg needs it
    from runner.store.flat_readings import FlatReadings  # noqa: PLC0415 - as above

    with _database(task) as database:
        flat = FlatReadings(database, (*POLLUTANTS, *WEATHER), KNOWN_KEYS)
        documents = extract(task.stations, task.window, flat, task.directory, _NOW)
    return {"readings": documents}


def checks(task: Task) -> dict[str, Any]:
    """Every check of the standard, from the Parquet files, and all files for the page."""
    from runner.config.files import standard_checks  # noqa: PLC0415 - only where a leg needs it
    from runner.config.quality import Quality  # noqa: PLC0415 - as above
    from runner.quality.assess import assess  # noqa: PLC0415 - as above
    from runner.quality.document import Identity  # noqa: PLC0415 - as above
    from runner.quality.files import read_readings  # noqa: PLC0415 - as above
    from runner.quality.grid import Scope, StationData  # noqa: PLC0415 - as above
    from runner.quality.ledger import StationLedger  # noqa: PLC0415 - as above
    from runner.quality.policy import policy_of  # noqa: PLC0415 - as above

    scope = Scope(task.window, _NOW, known=frozenset(one.idx for one in task.stations))
    covered = StationLedger("completed", progress=Progress((task.window,)))
    made = assess(
        task.directory,
        task.stations,
        lambda one: StationData(one, read_readings(task.directory, one.idx), covered, scope),
        scope,
        policy_of(Quality(), standard_checks(), _NOW.date()),
        Identity(
            run_id="benchmark",
            job="validate",
            command="make bench-quality",
            fingerprint="",
            subject={},
            database=_DATABASE,
            source="sandbox",
            versions={},
        ),
        fail_on="never",
        ledger=None,
        previous=None,
        redact=str,
    )
    took = {one["id"]: one["duration_s"] for one in made["checks"]}
    slowest = sorted(took, key=lambda one: -took[one])[:6]
    return {"readings": made["counts"]["readings"], "slowest": {one: took[one] for one in slowest}}


def page(task: Task) -> dict[str, Any]:
    """Execute notebook 02 in its kernel, and make the page of it."""
    from runner.quality.report.notebooks import (  # noqa: PLC0415 - as above
        PAGE,
        builtin_notebooks,
        execute,
    )
    from runner.quality.report.page import render  # noqa: PLC0415 - as above

    executed = task.directory / f"{PAGE}.ipynb"
    done = execute(
        builtin_notebooks() / f"{PAGE}.ipynb",
        executed,
        {"RUN_DIR": str(task.directory.parent)},
        cell_timeout_s=600,
    )
    if done.error or done.failed_cells:
        msg = f"the notebook failed: {done.error} {done.failed_cells}"
        raise RuntimeError(msg)
    target = task.directory / "report.html"
    render(executed, target, "Quality report")
    return {"page_bytes": target.stat().st_size}


LEGS: dict[str, Callable[[Task], dict[str, Any]]] = {
    "fill": fill,
    "extraction": extraction,
    "checks": checks,
    "page": page,
}


def main() -> int:
    """Do one leg and print what it cost, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality_legs", description=__doc__)
    parser.add_argument("leg", choices=LEGS)
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--stations", type=int, required=True)
    parser.add_argument("--years", type=int, required=True)
    asked = parser.parse_args()
    began = time.perf_counter()
    told = LEGS[asked.leg](Task(asked.place, asked.uri, asked.stations, asked.years))
    seconds = time.perf_counter() - began
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    told |= {
        "seconds": round(seconds, 2),
        "cpu_s": round(sum(one.ru_utime + one.ru_stime for one in used), 2),
        "maxrss": max(one.ru_maxrss for one in used),
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
