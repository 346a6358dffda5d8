"""The loop that everybody writes first: a session, a bulk upsert and a checkpoint per window.

python -m benchmarks.plain_loop URL MONGO_URI DATABASE FIRST_HOUR HOURS STATIONS
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from pymongo import MongoClient, ReplaceOne

WEEK = 168


def main(url: str, uri: str, name: str, first: int, hours: int, stations: int) -> None:
    """Fetch every week of every station and upsert it."""
    session = requests.Session()
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    database = client[name]
    readings = database["waqi_station_readings"]
    readings.create_index([("meta.station_idx", 1), ("ts", 1)], unique=True)
    for idx in range(1, stations + 1):
        for start in range(first, first + hours, WEEK):
            end = min(start + WEEK, first + hours)
            params = {"start": _iso(start), "end": _iso(end), "token": "t"}
            answer = session.get(f"{url}/feed/@{idx}/history", params=params, timeout=30)
            answer.raise_for_status()
            writes = []
            for record in answer.json()["data"]:
                time = record["time"]
                ts = datetime.fromisoformat(time["s"] + time["tz"]).astimezone(UTC)
                document = {
                    "ts": ts,
                    "meta": {"station_idx": idx},
                    "aqi": record["current_aqi"],
                    "time": time,
                    "iaqi": record["current_iaqi"],
                }
                key = {"meta.station_idx": idx, "ts": ts}
                writes.append(ReplaceOne(key, document, upsert=True))
            readings.bulk_write(writes, ordered=False)
            database["ingest_checkpoints"].update_one(
                {"station_idx": idx}, {"$set": {"last_processed_ts": _iso(end)}}, upsert=True
            )


def _iso(hour: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0], given[1], given[2], *map(int, given[3:]))
