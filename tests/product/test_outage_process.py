"""A database that is killed while a run writes to it: back in time, or gone for good."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from runner.store.embedded import find_mongod
from tests.product.product import FAST, Runner, wait_for

pytestmark = pytest.mark.slow

ASK = (
    "stations.ids=[1584,13658]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-03-01",
    "backfill.batch_size=24",
    "backfill.lease_s=5",
    "mongo.timeout_s=2",
    *FAST,
)


class Mongod:
    """A server of the test's own, to be killed."""

    def __init__(self, place: Path) -> None:
        self._data = place / "killed"
        self._data.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"mongodb://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                str(find_mongod(None)),
                f"--dbpath={self._data}",
                f"--port={self.port}",
                "--bind_ip=127.0.0.1",
                "--nounixsocket",
                f"--logpath={self._data / 'log'}",
                "--wiredTigerCacheSizeGB=0.25",
            ],
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    server = Mongod(tmp_path)
    try:
        yield server
    finally:
        server.kill()


def log_of(runner: Runner) -> str:
    return (runner.run_dirs()[-1] / "backfill.log").read_text("utf-8")


def stored(uri: str) -> list[tuple[int, Any, int]]:
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        found = client["outage"]["waqi_station_readings"].find()
        return sorted((item["meta"]["station_idx"], item["ts"], item["aqi"]) for item in found)


def test_a_killed_database_that_comes_back_costs_time_and_nothing_else(
    runner: Runner, mongod: Mongod
) -> None:
    with Sandbox({1584: "A", 13658: "B"}, Climatology(1), Faults(latency_ms=20)) as api:
        told = {"MONGO_URI": mongod.uri, "MONGO_DB": "outage", "AQICN_API_KEY": "anything"}
        process = runner.start(*ASK, f"source.base_url={api.url}", **told)
        wait_for(lambda: api.stats()["requests"] > 20)
        mongod.kill()
        wait_for(
            lambda: '"database.waiting"' in (runner.run_dirs()[-1] / "backfill.log").read_text()
        )
        mongod.start()
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, out + err
        assert api.stats()["requests"] == 2 * 59
        once = stored(mongod.uri)
        runner("job=reset", "confirm=true", "stations.ids=[1584,13658]", expect=0, **told)
        runner(*ASK, f"source.base_url={api.url}", expect=0, **told)
        assert runner.last_json("outcome.json")["totals"]["unchanged"] == len(once)
    assert stored(mongod.uri) == once
    assert len({item[:2] for item in once}) == len(once)
    assert "database.back" in err
    totals = runner.last_json("outcome.json")["totals"]
    assert totals["inserted"] == totals["updated"] == 0


def test_a_database_gone_for_good_ends_the_run_cleanly_and_the_next_one_resumes(
    runner: Runner, mongod: Mongod
) -> None:
    with Sandbox({1584: "A", 13658: "B"}, Climatology(1), Faults(latency_ms=20)) as api:
        told = {"MONGO_URI": mongod.uri, "MONGO_DB": "outage", "AQICN_API_KEY": "anything"}
        ask = (*ASK, f"source.base_url={api.url}", "mongo.outage_limit_s=1", "mongo.timeout_s=1")
        process = runner.start(*ask, **told)
        wait_for(lambda: api.stats()["requests"] > 20)
        mongod.kill()
        out, err = process.communicate(timeout=200)
        assert process.returncode == 1, out + err
        assert "Traceback" not in err
        assert "Resume where this run ended" in out
        mongod.start()
        runner(*ASK, f"source.base_url={api.url}", expect=0, **told)
        assert api.stats()["requests"] <= 2 * 59 + 2
    assert len({item[:2] for item in stored(mongod.uri)}) == len(stored(mongod.uri)) > 0


def test_a_stop_during_an_outage_ends_the_run_at_once(runner: Runner, mongod: Mongod) -> None:
    with Sandbox({1584: "A", 13658: "B"}, Climatology(1), Faults(latency_ms=20)) as api:
        told = {"MONGO_URI": mongod.uri, "MONGO_DB": "outage", "AQICN_API_KEY": "anything"}
        process = runner.start(*ASK, f"source.base_url={api.url}", **told)
        wait_for(lambda: api.stats()["requests"] > 20)
        mongod.kill()
        wait_for(
            lambda: '"database.waiting"' in (runner.run_dirs()[-1] / "backfill.log").read_text()
        )
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 143, out + err
