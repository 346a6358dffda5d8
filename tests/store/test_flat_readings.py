"""Extraction reads whatever others stored, from regular and time-series collections alike."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bson import Decimal128, Int64
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of
from runner.core.stations import Station
from runner.quality.files import read_readings
from runner.quality.grid import KNOWN_KEYS, POLLUTANTS, SCHEMA, WEATHER, numeric
from runner.quality.inputs import extract
from runner.store.flat_readings import FlatReadings
from runner.store.readings import NAME

Documents = Database[dict[str, Any]]
START = datetime(2022, 12, 31, 20, tzinfo=UTC)
WINDOW = Interval(hour_of(START), hour_of(START) + 24)
NOW = datetime(2023, 2, 1, tzinfo=UTC)
SERIES = {"timeField": "ts", "metaField": "meta", "granularity": "hours"}

AQIS: list[tuple[Any, str, float | None]] = [
    (45, "int", 45.0),
    (Int64(46), "long", 46.0),
    (47.5, "double", 47.5),
    (Decimal128("48"), "decimal", 48.0),
    ("-", "string", None),
    ("49", "string", None),
    (None, "null", None),
    (True, "bool", None),
    (float("nan"), "double", None),
    (float("inf"), "double", None),
    ({"v": 1}, "object", None),
    (datetime(2023, 1, 1, tzinfo=UTC), "date", None),
]


@pytest.fixture(params=["regular", "time-series"])
def stored(request: pytest.FixtureRequest, database: Documents) -> Documents:
    if request.param == "time-series":
        database.create_collection(NAME, timeseries=SERIES)
    documents: list[dict[str, Any]] = [
        {
            "ts": (START + timedelta(hours=hour)).replace(tzinfo=None),
            "meta": {"station_idx": 8641},
            "aqi": aqi,
            "time": {"s": "2023-01-01 03:00:00", "tz": "+07:00"},
            "iaqi": {"pm25": {"v": hour}, "radon": {"v": 1}} if hour else None,
        }
        for hour, (aqi, _type, _value) in enumerate(AQIS)
    ]
    documents.append({"ts": START + timedelta(hours=20), "meta": {"station_idx": Int64(8641)}})
    documents.append({"ts": NOW + timedelta(hours=5), "meta": {"station_idx": 8641}, "aqi": 1})
    documents.append({"ts": START - timedelta(hours=1), "meta": {"station_idx": 8641}, "aqi": 1})
    documents.append({"ts": START, "meta": {"station_idx": 8767}, "aqi": 1})
    database[NAME].insert_many(documents)
    return database


def extracted(database: Documents, directory: Path, station_idx: int = 8641) -> pl.DataFrame:
    flat = FlatReadings(database, (*POLLUTANTS, *WEATHER), KNOWN_KEYS)
    extract([Station(station_idx)], WINDOW, flat, directory, NOW)
    return read_readings(directory, station_idx)


def test_every_kind_of_value_is_read_and_only_numbers_count(
    stored: Documents, tmp_path: Path
) -> None:
    rows = extracted(stored, tmp_path)
    assert rows.schema == pl.Schema(SCHEMA)
    assert rows.height == len(AQIS) + 2
    assert rows["aqi_type"].to_list()[: len(AQIS)] == [kind for _aqi, kind, _value in AQIS]
    assert numeric(rows)["aqi"].to_list()[: len(AQIS)] == [value for _aqi, _kind, value in AQIS]
    assert rows["aqi_type"].to_list()[len(AQIS) :] == ["missing", "int"]
    assert rows["idx_type"].to_list()[len(AQIS)] == "long"
    assert rows["pm25"].to_list()[:3] == [None, 1.0, 2.0]
    assert rows["unknown"].to_list()[:2] == [None, "radon"]
    assert rows["ts"][0] == int(START.timestamp() * 1000)


def test_a_file_for_every_station_and_utc_year(stored: Documents, tmp_path: Path) -> None:
    extracted(stored, tmp_path)
    extracted(stored, tmp_path, 8767)
    extracted(stored, tmp_path, 1)
    names = sorted(path.name for path in (tmp_path / "readings").iterdir())
    assert names == ["8641-2022.parquet", "8641-2023.parquet", "8767-2022.parquet"]


def test_what_has_no_date_is_read_too(database: Documents, tmp_path: Path) -> None:
    odd: list[Any] = ["2023-01-01", 5, None, {"a": 1}]
    database[NAME].insert_many(
        [{"ts": ts, "meta": {"station_idx": 8641}, "aqi": 1, "time": 5, "iaqi": [1]} for ts in odd]
    )
    rows = extracted(database, tmp_path)
    assert rows["ts"].null_count() == 4
    assert set(rows["ts_type"]) == {"string", "int", "null", "object"}
