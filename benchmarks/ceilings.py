"""What the parts allow, alone: draining the server, inserting, looking at what is there.

    python -m benchmarks.ceilings drain  URL FIRST_HOUR HOURS STATIONS
    python -m benchmarks.ceilings insert MONGO_URI DATABASE FIRST_HOUR HOURS STATIONS regular
    python -m benchmarks.ceilings probe  MONGO_URI DATABASE FIRST_HOUR HOURS STATIONS

`insert` makes its documents before the clock starts; each prints the seconds of its work alone.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.api import aqi

WEEK = 168
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VIETNAM = timedelta(hours=7)


def documents(idx: int, start: int, end: int) -> list[dict[str, Any]]:
    """Return the documents of the hours [start, end) of a station, as the runner stores them."""
    made = []
    for hour in range(start, end):
        ts = _EPOCH + timedelta(hours=hour)
        value = aqi(idx, hour)
        made.append(
            {
                "ts": ts,
                "meta": {"station_idx": idx},
                "aqi": value,
                "time": {"s": f"{ts + _VIETNAM:%Y-%m-%d %H:%M:%S}", "tz": "+07:00"},
                "iaqi": {"pm25": {"v": value}, "pm10": {"v": value // 2}},
            }
        )
    return made


def drain(url: str, first: int, hours: int, stations: int) -> float:
    """Return the seconds that asking for everything takes, nothing done with it."""
    import requests  # noqa: PLC0415 - each leg brings its own

    session = requests.Session()
    began = time.monotonic()
    for idx in range(1, stations + 1):
        for start in range(first, first + hours, WEEK):
            params = {"start": _iso(start), "end": _iso(min(start + WEEK, first + hours))}
            _ = session.get(f"{url}/feed/@{idx}/history", params=params, timeout=30).content
    return time.monotonic() - began


def insert(uri: str, name: str, first: int, hours: int, stations: int, kind: str) -> float:
    """Return the seconds that `insert_many` takes, a station at a time."""
    from pymongo import MongoClient  # noqa: PLC0415 - as above

    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    database = client[name]
    if kind == "time-series":
        series = {"timeField": "ts", "metaField": "meta", "granularity": "hours"}
        database.create_collection("waqi_station_readings", timeseries=series)
    readings = database["waqi_station_readings"]
    readings.create_index([("meta.station_idx", 1), ("ts", 1)], unique=kind == "regular")
    took = 0.0
    for idx in range(1, stations + 1):
        made = documents(idx, first, first + hours)
        began = time.monotonic()
        readings.insert_many(made, ordered=False)
        took += time.monotonic() - began
    return took


def probe(uri: str, name: str, first: int, hours: int, stations: int) -> float:
    """Return the seconds that reading everything that is there takes, week by week."""
    from pymongo import MongoClient  # noqa: PLC0415 - as above

    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    readings = client[name]["waqi_station_readings"]
    began = time.monotonic()
    for idx in range(1, stations + 1):
        for start in range(first, first + hours, WEEK):
            end = min(start + WEEK, first + hours)
            window = {"$gte": _EPOCH + timedelta(hours=start), "$lt": _EPOCH + timedelta(hours=end)}
            list(readings.find({"meta.station_idx": idx, "ts": window}, batch_size=WEEK + 1))
    return time.monotonic() - began


def _iso(hour: int) -> str:
    return f"{_EPOCH + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    leg, *given = sys.argv[1:]
    match leg:
        case "drain":
            seconds = drain(given[0], *map(int, given[1:4]))
        case "insert":
            first, hours, stations = map(int, given[2:5])
            seconds = insert(given[0], given[1], first, hours, stations, given[5])
        case _:
            seconds = probe(given[0], given[1], *map(int, given[2:5]))
    sys.stdout.write(f"{seconds}\n")
