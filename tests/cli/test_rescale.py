"""`job=rescale`: what it writes, what it leaves, and what it says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.concentrations import CONTEXT_H, Measured, settle
from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.readings import to_readings
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.openaq import concentrations_of
from runner.store.collection import Kind
from runner.store.concentrations import Concentrations
from runner.store.readings import Readings
from tests.cli.conftest import Ran, Run
from tests.product.openaq_api import invented_api
from tests.product.product import FAST, readings_of

Mongo = Database[dict[str, Any]]
There = Callable[..., Ran]

WEEKS = (
    "source=openaq",
    "stations.ids=[8641]",
    "backfill.start_date=2016-11-01",
    "backfill.end_date=2016-11-15",
    "source.openaq.scale=epa_2024",
    *FAST,
)
WINDOW = Interval(*(hour_of(datetime(2016, 11, day, tzinfo=UTC)) for day in (1, 15)))


@pytest.fixture
def there(run: Run, database: Mongo, mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> There:
    """Return a function that runs a command line against the test's own database."""
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    monkeypatch.setenv("MONGO_DB", database.name)
    monkeypatch.setenv("OPENAQ_API_KEY", "any")

    def run_there(*argv: str, code: int = 0) -> Ran:
        done = run(*WEEKS, *argv)
        assert done.code == code, done
        return done

    return run_there


def load(database: Mongo, kind: Kind = Kind.REGULAR) -> list[dict[str, Any]]:
    """Store what a load on AQICN's scale stores; return the readings."""
    asked = Interval(WINDOW.start - CONTEXT_H, WINDOW.end)
    measured = []
    for hour, value in concentrations_of(Climatology(1))(8641, asked)["pm25"]:
        local = f"{to_datetime(hour) + timedelta(hours=7):%Y-%m-%d %H:%M:%S}"
        at: Any = {"s": local, "tz": "+07:00"}
        measured.append(Measured(hour, at, "pm25", value, "ug/m3", 2539, 1))
    settled = settle(measured, [2539], "aqicn", WINDOW)
    now = datetime.now(UTC)
    Concentrations(database).keep("a-load", 8641, "openaq", settled.hours, now)
    readings = Readings(database, kind)
    readings.ensure()
    readings.upsert(8641, WINDOW, to_readings(settled.records, 8641, WINDOW, now).readings)
    return readings_of(database)


def everything(database: Mongo, *but: str) -> dict[str, list[dict[str, Any]]]:
    names = sorted(set(database.list_collection_names()) - {*but})
    return {name: list(database[name].find().sort("_id")) for name in names}


def test_without_a_yes_and_in_a_dry_run_it_tells_what_would_change_and_writes_nothing(
    there: There, database: Mongo
) -> None:
    load(database)
    before = everything(database)
    looks = ((), ("confirm=true", "dry_run=true"))
    (text,) = {there("job=rescale", *look).out for look in looks}
    assert "readings would be updated" in text
    assert "Nothing was written; confirm=true" in text
    assert everything(database) == before


def test_it_is_recorded_changes_nothing_again_and_leaves_no_gap(
    there: There, database: Mongo
) -> None:
    with invented_api() as api:
        url = f"source.base_url={api.url}"
        there("source.openaq.scale=aqicn", url)
        there("job=rescale", "confirm=true")
        record = database["ingest_runs"].find_one({"job": "rescale"})
        assert record is not None
        assert record["scale"] == record["outcome"]["scale"] == "epa_2024"
        totals = record["outcome"]["totals"]
        readings = readings_of(database)
        assert totals["updated"] + totals.get("unchanged", 0) == len(readings)
        assert record["outcome"]["stations"] == [{"station_idx": 8641, **totals}]
        found = database["ingest_rejects"].find({"source": "rescale of openaq"})
        assert [one["reason"] for one in found] == ["no_index"] * totals["removed"] != []

        before = everything(database, "ingest_runs", "ingest_checkpoints")
        again = there("job=rescale", "confirm=true").out
        assert "0 readings updated, 0 inserted, 0 removed" in again
        assert f"{len(readings)} unchanged" in again
        assert everything(database, "ingest_runs", "ingest_checkpoints") == before

        asked = api.stats()["requests"]
        there("backfill.mode=gaps", url)
        assert api.stats()["requests"] == asked


def test_a_validation_afterwards_names_the_scale_that_is_stored(
    there: There, database: Mongo, cwd: Path
) -> None:
    load(database)
    place = {"station_idx": 8641, "location": 2539, "scale": "aqicn"}
    account = {"station_idx": 8641, "start": "2016-01-01T00:00:00Z", "end": "2017-01-01T00:00:00Z"}
    loaded = {"attributions": [place], "accounts": [{**account, "windows": {}, "totals": {}}]}
    run = {"job": "backfill", "source": "openaq", "outcome": {**loaded, "windows": {}}}
    database["ingest_runs"].insert_one({**run, "started_at": datetime.now(UTC)})
    database["waqi_stations"].insert_one({"_id": 8641, "city": {"name": "Hanoi"}})
    there("job=rescale", "confirm=true")
    there("job=validate")
    (told,) = cwd.rglob("attributions.json")
    assert json.loads(told.read_text("utf-8"))["attributions"] == [{**place, "scale": "epa_2024"}]


def test_stations_and_readings_of_others_stay_and_are_counted(
    there: There, database: Mongo
) -> None:
    changed, deleted, elsewhere = (item["ts"] for item in load(database)[50:53])
    database["ingest_concentrations"].delete_one({"ts": elsewhere})
    readings, checkpoints = database["waqi_station_readings"], database["ingest_checkpoints"]
    readings.update_one({"ts": changed}, {"$set": {"aqi": 77}})
    readings.delete_one({"ts": deleted})
    lease = {"owner": "another-run", "expires_at": datetime.now(UTC) + timedelta(hours=1)}
    checkpoints.insert_one({"station_idx": 8641, "lease": lease})
    before = everything(database, "ingest_runs", "ingest_checkpoints")
    left = there("job=rescale", "confirm=true", code=4).out
    assert "Station 8641 was left: leased by run another-run" in left
    after = everything(database, "ingest_runs", "ingest_checkpoints")
    assert {name: after[name] for name in before} == before

    checkpoints.delete_many({})
    told = there("job=rescale", "confirm=true").out
    assert "1 hour left as they are: they have a reading that these" in told
    assert "1 hour left as they are: they have no reading" in told
    assert "1 reading of the range came from elsewhere, without concentrations" in told
    assert readings.find_one({"ts": elsewhere}) == next(
        item for item in before["waqi_station_readings"] if item["ts"] == elsewhere
    )
    assert readings.find_one({"ts": changed})["aqi"] == 77  # type: ignore[index]
    assert readings.find_one({"ts": deleted}) is None
    assert Concentrations(database).on_another_scale([8641], "epa_2024") is None
    assert "lease" not in checkpoints.find_one({})  # type: ignore[operator]


def test_a_part_leaves_the_station_on_two_scales_and_says_so(there: There, database: Mongo) -> None:
    load(database)
    told = there("job=rescale", "confirm=true", "backfill.end_date=2016-11-08").out
    assert "on the scale aqicn still, from 2016-11-08T00:00:00Z" in told
    assert "job=rescale" in there(code=2).err


def test_without_concentrations_it_says_where_they_come_from(there: There, database: Mongo) -> None:
    refused = there("job=rescale", "confirm=true", code=2)
    assert "source=openaq and source=openaq_archive keep them" in refused.err
    assert database.list_collection_names() == []


def test_a_time_series_collection_is_rescaled_or_keeps_what_would_have_been_said(
    there: There, database: Mongo
) -> None:
    first = load(database, Kind.TIME_SERIES)
    told = there("job=rescale", "confirm=true").out
    after = readings_of(database)
    if "cannot be replaced" not in told:
        assert 0 < len(after) < len(first)
        there("job=rescale", "confirm=true", "source.openaq.scale=aqicn")
        assert readings_of(database) == first
        return
    assert after == first
    assert database["ingest_revisions"].count_documents({"source": "rescale of openaq"}) > 0
    left = re.search(r"(\d+) hours on the scale aqicn still", told)
    kept = re.search(r"(\d+) cannot be replaced", told)
    assert left is not None
    assert kept is not None
    assert left[1] == kept[1]  # an hour with the same index on both scales is on the new one
