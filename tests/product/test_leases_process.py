"""Two runs at once: one station, one run; what a dead run held is free after the lease time."""

import signal
import time
from typing import Any

import pytest
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from tests.product.product import FAST, Runner, readings_of, stop, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

IDS = (1583, 1584, 1585, 13658, 8641, 8767)
MONTH = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-02-01")
ASK = (f"stations.ids=[{','.join(map(str, IDS))}]", *MONTH, *FAST, "backfill.batch_size=24")


def sandbox(latency_ms: float) -> Sandbox:
    names = {idx: f"Station {idx}" for idx in IDS}
    return Sandbox(names, Climatology(1), Faults(latency_ms=latency_ms))


def holders(database: Mongo) -> set[int]:
    found = database["ingest_checkpoints"].find({"lease": {"$exists": True}})
    return {item["station_idx"] for item in found}


def test_four_runs_at_once_fetch_every_window_once(runner: Runner, database: Mongo) -> None:
    with sandbox(10) as api:
        ask = (*ASK, f"source.base_url={api.url}", "backfill.workers=2", "backfill.lease_s=2")
        runs = [runner.start(*ask, AQICN_API_KEY="any-text") for _ in range(4)]
        ended = [(run.communicate(timeout=240), run.returncode) for run in runs]
        assert {code for _texts, code in ended} <= {0, 4}, ended
        assert api.stats()["requests"] == len(IDS) * 31
    states = database["ingest_checkpoints"].distinct("status")
    assert states == ["completed"]
    keys = [(item["meta"]["station_idx"], item["ts"]) for item in readings_of(database)]
    assert len(keys) == len(set(keys)) > 0
    assert holders(database) == set()


def test_a_second_run_takes_what_is_free_and_says_who_has_the_rest(
    runner: Runner, database: Mongo
) -> None:
    with sandbox(300) as api:
        base = (f"source.base_url={api.url}", "backfill.lease_s=3")
        slow = (*ASK, *base, "backfill.workers=2")
        first = runner.start(*slow, AQICN_API_KEY="any-text")
        try:
            wait_for(lambda: len(holders(database)) == 2)
            done = runner(*slow, expect=None, AQICN_API_KEY="any-text")
        finally:
            code, _out, err = stop(first, signal.SIGINT)
        assert code in (0, 130), err
        assert "leased by another run: " in done.stdout
        assert "leased by run 20" in done.stdout
        assert done.returncode == 4
        assert api.stats()["requests"] <= len(IDS) * 31
    assert holders(database) == set()


def test_stations_of_a_killed_run_are_free_after_the_lease_time_and_fetched_to_the_end(
    runner: Runner, database: Mongo
) -> None:
    with sandbox(50) as api:
        ask = (*ASK, f"source.base_url={api.url}", "backfill.workers=2", "backfill.lease_s=2")
        first = runner.start(*ask, AQICN_API_KEY="any-text")
        wait_for(lambda: database["waqi_station_readings"].count_documents({}) > 50)
        first.kill()
        first.communicate()
        assert holders(database)
        runner(*ask, AQICN_API_KEY="any-text")
        assert api.stats()["requests"] <= len(IDS) * 31 + 2
    assert database["ingest_checkpoints"].distinct("status") == ["completed"]
    assert holders(database) == set()


def test_a_run_that_slept_past_its_lease_notices_before_it_writes(
    runner: Runner, database: Mongo
) -> None:
    with sandbox(100) as api:
        base = (f"source.base_url={api.url}", *FAST, *MONTH, "backfill.batch_size=24")
        ask = ("stations.ids=[1584]", *base, "backfill.lease_s=1")
        first = runner.start(*ask, AQICN_API_KEY="any-text")
        wait_for(lambda: database["waqi_station_readings"].count_documents({}) > 24)
        first.send_signal(signal.SIGSTOP)
        try:
            time.sleep(1.5)
            runner(*ask, AQICN_API_KEY="any-text")
            checkpoint = database["ingest_checkpoints"].find_one({"station_idx": 1584})
        finally:
            first.send_signal(signal.SIGCONT)
        out, err = first.communicate(timeout=120)
        assert first.returncode == 4, out + err
        assert "leased by run" in out + err
        assert database["ingest_checkpoints"].find_one({"station_idx": 1584}) == checkpoint


def test_two_nights_that_overlap_store_what_one_night_stores(
    runner: Runner, database: Mongo
) -> None:
    span = ("stations.ids=[1583,1584,1585]", "backfill.batch_size=24", "backfill.lease_s=2")
    with sandbox(30) as api:
        nightly = ("profile=nightly", *span, *FAST, f"source.base_url={api.url}")
        first = runner(*nightly, AQICN_API_KEY="any-text")
        assert "new: 3" in first.stdout
        alone = readings_of(database)
        lost = alone[len(alone) // 2]  # somebody deletes it: the next night finds it missing
        database["waqi_station_readings"].delete_one(
            {"meta.station_idx": lost["meta"]["station_idx"], "ts": lost["ts"]}
        )
        before = api.stats()["requests"]
        nights = [runner.start(*nightly, AQICN_API_KEY="any-text") for _ in range(2)]
        ended = [(night.communicate(timeout=240), night.returncode) for night in nights]
        assert {code for _texts, code in ended} <= {0, 4}, ended
        asked = api.stats()["requests"] - before
    stored = readings_of(database)
    by_key = {(item["meta"]["station_idx"], item["ts"]): item for item in stored}
    assert len(by_key) == len(stored)
    kept = [by_key.get((item["meta"]["station_idx"], item["ts"])) for item in alone]
    assert kept == alone  # an hour more is stored, if one went by
    assert 0 < asked <= 2 * (3 * 3 + 1)  # two days again and the hole, by each; of 93 windows
    assert database["ingest_checkpoints"].distinct("status") == ["completed"]
    assert holders(database) == set()
