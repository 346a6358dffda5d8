"""The main job into a time-series collection: no doubles under rerun, crash and changed values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.product import FAST, Runner, readings_of, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

ASK = (
    "source=sandbox",
    "stations.ids=[1584,13658]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-03-01",
    "backfill.batch_size=48",
    "mongo.readings.kind=timeseries",
    "backfill.lease_s=1",
    *FAST,
)


def test_a_time_series_collection_gets_the_same_readings_as_a_regular_one(
    runner: Runner, sandbox_database: Mongo
) -> None:
    regular = [item for item in ASK if not item.startswith("mongo")]
    runner(*regular)
    expected = readings_of(sandbox_database)
    sandbox_database.client.drop_database(sandbox_database.name)

    process = runner.start(*ASK, "sandbox.faults.latency_ms=30")
    wait_for(lambda: sandbox_database["waqi_station_readings"].count_documents({}) > 300)
    process.kill()
    process.communicate()
    runner(*ASK)
    (kind,) = sandbox_database.list_collections(filter={"name": "waqi_station_readings"})
    assert kind["type"] == "timeseries"
    assert readings_of(sandbox_database) == expected

    runner("job=reset", "confirm=true", "stations.ids=[1584,13658]", "source=sandbox")
    runner(*ASK, "backfill.batch_size=100")
    assert runner.last_json("outcome.json")["totals"]["unchanged"] == len(expected)
    assert readings_of(sandbox_database) == expected


def test_a_value_that_cannot_be_replaced_is_kept_and_named(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*ASK, "dry_run=true")  # makes nothing
    assert sandbox_database.list_collection_names() == []
    runner(*ASK)
    collection = sandbox_database["waqi_station_readings"]
    some = collection.find_one({"meta.station_idx": 1584}, sort=[("ts", 1)])
    assert some is not None
    collection.delete_many({"meta": {"station_idx": 1584}})
    odd = {**some, "aqi": 7777}
    collection.insert_one(odd)
    done = runner(*ASK, "backfill.mode=refetch")
    totals = runner.last_json("outcome.json")["totals"]
    assert totals["kept"] + totals["updated"] == 1
    if totals["kept"]:
        assert "ingest_revisions" in done.stdout
        (revision,) = sandbox_database["ingest_revisions"].find()
        assert (revision["stored"]["aqi"], revision["offered"]["aqi"]) == (7777, some["aqi"])
    hours = [(item["meta"]["station_idx"], item["ts"]) for item in readings_of(sandbox_database)]
    assert len(hours) == len(set(hours))
    assert max(ts for _idx, ts in hours) < datetime(2023, 3, 1, tzinfo=UTC) + timedelta(hours=1)
