"""A run suspended past its lease at a chosen moment: nothing doubled, nothing newer overwritten."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of
from runner.core.readings import to_readings
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from tests.product.product import FAST, Runner, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

STATION = 1584
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
WANTED = Interval(START, START + 10 * 24)
LEASE_S = 1
ASK = (
    f"stations.ids=[{STATION}]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-01-11",
    "backfill.batch_size=24",
    f"backfill.lease_s={LEASE_S}",
    *FAST,
)
STOPPING = """
import importlib, signal, sys, threading

module, _, path = sys.argv.pop(1).partition(":")
left = int(sys.argv.pop(1))
name, method = path.split(".")
owner = getattr(importlib.import_module(module), name)
original = getattr(owner, method)

def stopping(self, *args, **kwargs):
    global left
    # Attributes of a collection are collections, too.
    collection = self if name == "Collection" else getattr(self, "collection", None)
    if getattr(collection, "name", "") in ("", "waqi_station_readings"):
        left -= 1
        if left == 0:
            # To this thread: a signal to the process lets it run on until another one takes it.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    return original(self, *args, **kwargs)

setattr(owner, method, stopping)
from runner.cli.main import script
script()
"""
LOOKED = "runner.store.readings:Readings._difference"
INSERT = "pymongo.synchronous.collection:Collection.insert_many"
UPDATE = "pymongo.synchronous.collection:Collection.bulk_write"
SEND = "pymongo.synchronous.bulk:_Bulk.write_command"
ADVANCE = "runner.store.checkpoints:Checkpoints.advance"


class Shifted:
    """The same hours with other values."""

    synthetic = True

    def __init__(self, by: int) -> None:
        self._by = by
        self._values = Climatology(1)

    def records(self, station_idx: int, window: Interval) -> list[dict[str, Any]]:
        records = self._values.records(station_idx, window)
        return [
            {**record, "current_aqi": record["current_aqi"] + self._by}
            if isinstance(record.get("current_aqi"), int)
            else record
            for record in records
        ]


def truth(values: Shifted) -> dict[datetime, Any]:
    records = values.records(STATION, WANTED)
    made = to_readings(records, STATION, WANTED, datetime.now(UTC)).readings
    return {item["ts"]: item["aqi"] for item in made}


@contextmanager
def served(by: int) -> Iterator[tuple[str, ...]]:
    with Sandbox({STATION: "A"}, Shifted(by)) as api:
        yield (*ASK, f"source.base_url={api.url}")


@contextmanager
def suspended(
    runner: Runner, place: str, number: int, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a run that stops itself before the n-th call of a place; go on after the block."""
    command = [sys.executable, "-c", STOPPING, place, str(number), *arguments]
    process = subprocess.Popen(
        command,
        cwd=runner.directory,
        env=runner.environment | {"AQICN_API_KEY": "any-text"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    state = Path(f"/proc/{process.pid}/stat")
    try:
        wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        time.sleep(LEASE_S + 0.2)
        yield process
    except BaseException:
        process.kill()
        process.communicate()
        raise
    process.send_signal(signal.SIGCONT)


def stored(database: Mongo) -> dict[datetime, list[Any]]:
    found: dict[datetime, list[Any]] = {}
    for item in database["waqi_station_readings"].find({"meta.station_idx": STATION}):
        found.setdefault(item["ts"], []).append(item["aqi"])
    return found


@pytest.mark.parametrize(("place", "number"), [(LOOKED, 4), (UPDATE, 4), (SEND, 4), (ADVANCE, 4)])
def test_a_run_that_slept_past_its_lease_writes_no_old_value_over_a_newer_one(
    runner: Runner, database: Mongo, place: str, number: int
) -> None:
    with served(0) as first, served(1) as older, served(2) as newer:
        runner(*first, AQICN_API_KEY="any-text")
        with suspended(runner, place, number, *older, "backfill.mode=refetch") as process:
            runner(*newer, "backfill.mode=refetch", AQICN_API_KEY="any-text")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 4, out + err
    assert "leased by run" in out + err
    assert stored(database) == {ts: [aqi] for ts, aqi in truth(Shifted(2)).items()}


@pytest.mark.parametrize(("place", "number"), [(LOOKED, 4), (INSERT, 4), (ADVANCE, 4)])
def test_a_run_that_slept_past_its_lease_doubles_nothing_in_a_time_series_collection(
    runner: Runner, database: Mongo, place: str, number: int
) -> None:
    with served(1) as older, served(2) as newer:
        kind = "mongo.readings.kind=timeseries"
        with suspended(runner, place, number, *older, kind) as process:
            runner(*newer, kind, AQICN_API_KEY="any-text")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 4, out + err
    found = stored(database)
    assert found.keys() == truth(Shifted(2)).keys()
    assert Counter(len(values) for values in found.values()) == {1: len(found)}


def test_what_leaves_the_process_just_after_the_last_check_is_taken_back_or_named(
    runner: Runner, database: Mongo
) -> None:
    with served(1) as older, served(2) as newer:
        kind = "mongo.readings.kind=timeseries"
        with suspended(runner, SEND, 4, *older, kind) as process:
            runner(*newer, kind, AQICN_API_KEY="any-text")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 4, out + err
    doubled = {ts for ts, values in stored(database).items() if len(values) > 1}
    logs = "".join(path.read_text() for path in runner.directory.glob("runs/*/*/backfill.log"))
    for ts in doubled:
        assert f"{ts:%Y-%m-%dT%H:%MZ}" in logs
    assert bool(doubled) == ("readings.doubled" in logs)
