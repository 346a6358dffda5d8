"""`ingest_concentrations`: one document a station, hour and source, the newest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from runner.core.concentrations import Measured, MeasuredHour
from runner.core.intervals import Interval, to_datetime
from runner.store.concentrations import Concentrations

HOUR = 420_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measured(value: float, sensor: int = 21632) -> Measured:
    local: Any = {"s": "2017-11-29 07:00:00", "tz": "+07:00"}
    return Measured(HOUR, local, "pm25", value, "ug/m3", 7441, sensor, 100.0)


def test_an_hour_that_is_fetched_again_replaces_its_document_of_that_source_alone(
    database: Database[dict[str, Any]],
) -> None:
    kept = Concentrations(database)
    kept.ensure()
    kept.ensure()
    first = MeasuredHour(HOUR, (measured(35.5),), {"pm25": 21632}, "aqicn")
    both = (measured(12.0, 21633), measured(35.5))
    second = MeasuredHour(HOUR, both, {"pm25": 21633}, "aqicn")
    kept.keep("run-1", 8641, "openaq", [first], NOW)
    kept.keep("run-1", 8641, "openaq_archive", [first], NOW)
    for _ in range(2):
        kept.keep("run-2", 8641, "openaq", [second], NOW)
    found = {one["source"]: one for one in database["ingest_concentrations"].find()}
    assert len(found) == database["ingest_concentrations"].count_documents({}) == 2
    assert found["openaq_archive"]["measured"][0]["value"] == 35.5
    newest = found["openaq"]
    assert newest["ts"] == to_datetime(HOUR)
    assert (newest["station_idx"], newest["scale"], newest["run_id"]) == (8641, "aqicn", "run-2")
    assert newest["local"] == {"s": "2017-11-29 07:00:00", "tz": "+07:00"}
    assert [(one["sensor"], one["value"], one["decides"]) for one in newest["measured"]] == [
        (21633, 12.0, True),
        (21632, 35.5, False),
    ]
    assert kept.count(8641, Interval(HOUR, HOUR + 1)) == 2
    assert kept.count(8641, Interval(HOUR + 1, HOUR + 2)) == 0


def test_a_station_with_indices_on_another_scale_is_found(
    database: Database[dict[str, Any]],
) -> None:
    kept = Concentrations(database)
    assert kept.on_another_scale([8641, 8767], "aqicn") is None
    hour = MeasuredHour(HOUR, (measured(35.5),), {"pm25": 21632}, "vn_aqi")
    kept.keep("run-1", 8641, "openaq", [hour], NOW)
    assert kept.on_another_scale([8641, 8767], "aqicn") == (8641, "vn_aqi")
    assert kept.on_another_scale([8641], "vn_aqi") is None
    assert kept.on_another_scale([8767], "aqicn") is None
    assert kept.on_scale([8641, 8767], "vn_aqi") == {8641}
    assert kept.scales([8641, 8767, 1]) == {8641: "vn_aqi"}
    kept.keep("r", 8767, "openaq", [MeasuredHour(HOUR, (measured(9.0),), {"pm25": 21632})], NOW)
    assert kept.on_another_scale([8767], "aqicn") is None  # no reading comes of it
    assert kept.on_scale([8767], "aqicn") == set()


def test_an_hour_without_a_scale_takes_the_place_of_none_that_has_one(
    database: Database[dict[str, Any]],
) -> None:
    kept = Concentrations(database)
    before = MeasuredHour(HOUR, (measured(12.0),), {"pm25": 21632})
    loaded = MeasuredHour(HOUR, (measured(35.5),), {"pm25": 21632}, "aqicn")
    for number, (hour, scale, value) in enumerate(
        [(before, None, 12.0), (loaded, "aqicn", 35.5), (before, "aqicn", 35.5)]
    ):
        kept.keep(f"run-{number}", 8641, "openaq", [hour], NOW)
        (found,) = database["ingest_concentrations"].find()
        assert (found["scale"], found["measured"][0]["value"]) == (scale, value)


def test_other_scales_are_found_without_reading_what_is_on_this_one(
    database: Database[dict[str, Any]],
) -> None:
    kept = Concentrations(database)
    kept.ensure()
    hours = [
        MeasuredHour(hour, (replace(measured(9.0), hour=hour),), {"pm25": 21632}, scale)
        for hour in range(HOUR, HOUR + 500)
        for scale in (["aqicn"] if hour >= HOUR + 11 else [""])
    ]
    kept.keep("run-1", 8641, "openaq", hours, NOW)
    other = {"station_idx": {"$in": [8641, 8767]}, "scale": {"$nin": ["aqicn", None]}}
    told = database["ingest_concentrations"].find(other).explain()["executionStats"]
    assert (told["nReturned"], told["totalDocsExamined"]) == (0, 0)
    assert told["totalKeysExamined"] < 10
