"""Kept answers and kept rejects tried again without the API, and what old runs left removed."""

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from tests.product.product import FAST, Runner, readings_of

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

KEY = "canary-key-0a1b2c3d4e"
IDS = "stations.ids=[1584,13658]"
WEEKS = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-01-29")
CLOSED = "source.base_url=http://127.0.0.1:9"


class Echoing(Climatology):
    """Repeats the key in every record, as no API should."""

    def records(self, station_idx: int, window: Interval) -> list[dict[str, Any]]:
        return [{**item, "asked_with": KEY} for item in super().records(station_idx, window)]


class Minus(Climatology):
    """A source whose first hours are refused."""

    def records(self, station_idx: int, window: Interval) -> list[dict[str, Any]]:
        found = super().records(station_idx, window)
        return [{**item, "current_aqi": -5} for item in found[:6]] + found[6:]


def keep(runner: Runner, *more: str, values: Climatology | None = None) -> None:
    with Sandbox({1584: "Da Nang", 13658: "Da Nang 2"}, values or Climatology(1)) as api:
        ask = (IDS, f"source.base_url={api.url}", *FAST, "source.keep_raw=true")
        runner(*ask, *(more or WEEKS), AQICN_API_KEY=KEY)


def checkpoints_of(database: Mongo) -> dict[int, dict[str, Any]]:
    fields = ("status", "covered", "empty")
    found = database["ingest_checkpoints"].find()
    return {item["station_idx"]: {name: item[name] for name in fields} for item in found}


def test_a_replay_gives_the_same_readings_in_other_windows_without_key_or_request(
    runner: Runner, database: Mongo
) -> None:
    keep(runner, values=Minus(1))
    before, known = readings_of(database), checkpoints_of(database)
    assert len(before) > 1000
    for name in ("waqi_station_readings", "ingest_checkpoints", "ingest_rejects"):
        database[name].delete_many({})
    done = runner("source=replay", IDS, *WEEKS, "backfill.batch_size=50", CLOSED)
    assert "Total API requests: 0" in done.stdout
    assert "this source asks no API" in done.stdout
    assert readings_of(database) == before
    assert checkpoints_of(database) == known
    assert set(database["ingest_rejects"].distinct("source")) == {"replay of aqicn"}


def test_the_key_is_in_no_kept_answer_and_a_week_takes_few_bytes(
    runner: Runner, database: Mongo
) -> None:
    keep(runner, values=Echoing(1))
    kept = list(database["ingest_raw"].find())
    assert len(kept) == 8
    for item in kept:
        body = zlib.decompress(item["body"])
        assert len(body) == item["size"]
        assert len(json.loads(body)["data"]) > 100
        assert b"***" in body
        assert KEY.encode() not in body
        assert KEY not in str({**item, "body": b""})
        assert item["request"]["start"] == f"{item['window']['start']:%Y-%m-%dT%H:%M:%SZ}"
        assert item["expires_at"] - item["answered_at"] == timedelta(days=90)
    assert sum(len(item["body"]) for item in kept) / len(kept) < 4096
    indexes = database["ingest_raw"].index_information().values()
    assert [index["expireAfterSeconds"] for index in indexes if "expireAfterSeconds" in index]
    keep(runner, *WEEKS, "backfill.mode=refetch")
    assert database["ingest_raw"].count_documents({}) == 8


def test_nothing_is_kept_unless_asked_for_nor_in_a_dry_run(runner: Runner, database: Mongo) -> None:
    with Sandbox({1584: "Da Nang", 13658: "Da Nang 2"}, Climatology(1)) as api:
        ask = (IDS, f"source.base_url={api.url}", *WEEKS, *FAST)
        runner(*ask, "source.keep_raw=true", "dry_run=true", AQICN_API_KEY=KEY)
        runner(*ask, AQICN_API_KEY=KEY)
    assert "ingest_raw" not in database.list_collection_names()
    refused = runner("source=replay", IDS, *WEEKS, expect=2)
    assert "source.keep_raw=true" in refused.stderr


def test_hours_without_a_kept_answer_are_never_covered_and_are_counted(
    runner: Runner, database: Mongo
) -> None:
    keep(runner)
    before = readings_of(database)
    gone = datetime(2023, 1, 8, tzinfo=UTC)
    database["ingest_raw"].delete_one({"station_idx": 1584, "window.start": gone})
    database["waqi_station_readings"].delete_many({})
    database["ingest_checkpoints"].delete_many({})
    done = runner("source=replay", IDS, *WEEKS, "backfill.batch_size=100", expect=4)
    assert "no kept answer for 168 hours" in done.stdout
    assert "skipped 168" in done.stdout
    left = checkpoints_of(database)
    assert (left[1584]["status"], left[13658]["status"]) == ("in_progress", "completed")
    assert left[1584]["covered"] == [
        [datetime(2023, 1, 1, tzinfo=UTC), gone],
        [datetime(2023, 1, 15, tzinfo=UTC), datetime(2023, 1, 29, tzinfo=UTC)],
    ]
    with Sandbox({1584: "Da Nang", 13658: "Da Nang 2"}, Climatology(1)) as api:
        runner(IDS, f"source.base_url={api.url}", *WEEKS, *FAST, AQICN_API_KEY=KEY)
        assert api.stats()["requests"] == 1
    assert readings_of(database) == before


def test_a_refetch_from_kept_answers_mends_readings_and_leaves_other_hours_covered(
    runner: Runner, database: Mongo
) -> None:
    keep(runner)
    before, known = readings_of(database), checkpoints_of(database)
    gone = datetime(2023, 1, 8, tzinfo=UTC)
    database["ingest_raw"].delete_one({"station_idx": 1584, "window.start": gone})
    database["waqi_station_readings"].update_many({}, {"$set": {"aqi": 999}})
    again = ("source=replay", IDS, *WEEKS, "backfill.mode=refetch", "backfill.batch_size=24")
    runner(*again, expect=4)
    assert checkpoints_of(database) == known
    wrong = {
        (item["meta"]["station_idx"], item["ts"])
        for item in readings_of(database)
        if item["aqi"] == 999
    }
    week = (gone, gone + timedelta(days=7))
    hole = {
        (item["meta"]["station_idx"], item["ts"])
        for item in before
        if item["meta"]["station_idx"] == 1584 and week[0] <= item["ts"] < week[1]
    }
    assert wrong == hole


def test_rejects_that_are_readings_after_a_fix_are_stored_and_the_others_stay(
    runner: Runner, database: Mongo
) -> None:
    keep(runner, values=Minus(1))
    rejects, readings = database["ingest_rejects"], database["waqi_station_readings"]
    minus = list(rejects.find({"reason": "aqi_negative", "station_idx": 1584}).sort("ts"))
    assert len(minus) == 24
    for item in minus[:3]:  # as if the transformation had refused them by mistake
        rejects.update_one({"_id": item["_id"]}, {"$set": {"raw.current_aqi": 45}})
    for number, form in ((3, {"raw_form": "cut"}), (4, {"reason": "duplicate_hour"})):
        change = {"$set": {**form, "raw.current_aqi": 45}}
        rejects.update_one({"_id": minus[number]["_id"]}, change)
    readings.insert_one({"ts": minus[2]["ts"], "meta": {"station_idx": 1584}, "aqi": 46})
    total, stored = rejects.count_documents({}), readings.count_documents({})
    ask = ("job=replay", CLOSED)
    dry = runner(*ask, "dry_run=true").stdout
    assert "2 would become readings, 1 were settled" in dry
    assert (rejects.count_documents({}), readings.count_documents({})) == (total, stored)
    done = runner(*ask).stdout
    assert f"{total - 1} rejects tried: 2 became readings, 1 were settled" in done
    assert f"{total - 4} are still rejected; 1 could not be tried" in done
    assert rejects.count_documents({}) == total - 3
    assert readings.find_one({"ts": minus[2]["ts"], "meta.station_idx": 1584})["aqi"] == 46  # type: ignore[index]
    assert readings.count_documents({}) == stored + 2
    made = readings.find_one({"ts": minus[0]["ts"], "meta.station_idx": 1584})
    assert made is not None
    assert made["aqi"] == 45
    empty = checkpoints_of(database)[1584]["empty"]
    assert not any(start <= minus[0]["ts"] < end for start, end, _asked in empty)
    assert any(start <= minus[3]["ts"] < end for start, end, _asked in empty)
    assert "0 became readings, 0 were settled" in runner(*ask).stdout


def test_rejects_of_a_station_that_another_run_has_are_left(
    runner: Runner, database: Mongo
) -> None:
    keep(runner, values=Minus(1))
    lease = {"owner": "another-run", "expires_at": datetime.now(UTC) + timedelta(hours=1)}
    database["ingest_checkpoints"].update_one({"station_idx": 1584}, {"$set": {"lease": lease}})
    database["ingest_rejects"].update_many(
        {"reason": "aqi_negative"}, {"$set": {"raw.current_aqi": 45}}
    )
    done = runner("job=replay", expect=4)
    assert "leased by run another-run" in done.stdout
    assert database["ingest_rejects"].count_documents({"reason": "aqi_negative"}) == 24
    assert database["waqi_station_readings"].count_documents({"aqi": 45}) >= 24


def test_prune_shows_first_and_removes_only_what_is_old(runner: Runner, database: Mongo) -> None:
    keep(runner, values=Minus(1))
    old, live = datetime.now(UTC) - timedelta(days=200), datetime.now(UTC) + timedelta(hours=1)
    database["ingest_runs"].insert_one({"_id": "ancient", "started_at": old})
    for name, field in (("ingest_rejects", "last_seen_at"), ("ingest_raw", "answered_at")):
        one = database[name].find_one({})
        assert one is not None
        database[name].update_one({"_id": one["_id"]}, {"$set": {field: old}})
    checkpoints = database["ingest_checkpoints"]
    lease = {"owner": "x", "expires_at": old}
    checkpoints.insert_many(
        [
            {"station_idx": 1, "last_updated": old, "lease": lease},
            {"station_idx": 2, "last_updated": old, "lease": {**lease, "expires_at": live}},
            {"station_idx": 3, "updated_at": datetime.now(UTC)},
        ]
    )
    before = {name: database[name].count_documents({}) for name in database.list_collection_names()}
    looked = runner("job=prune", "stations=hanoi").stdout
    assert "4 would be removed" in looked
    runner("job=prune", "confirm=true", "dry_run=true")
    after = {name: database[name].count_documents({}) for name in before}
    assert after == before
    acted = runner("job=prune", "confirm=true", "stations=hanoi").stdout
    assert "4 removed" in acted
    after = {name: database[name].count_documents({}) for name in before}
    less = {name: before[name] - after[name] for name in before if before[name] != after[name]}
    assert less == {"ingest_runs": 1, "ingest_rejects": 1, "ingest_raw": 1}
    assert "lease" not in checkpoints.find_one({"station_idx": 1})  # type: ignore[operator]
    runner("job=prune", "confirm=true", "prune.checkpoints=true", IDS)
    assert set(checkpoints.distinct("station_idx")) == {2, 3, 1584, 13658}
