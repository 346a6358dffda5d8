"""A fleet of stations as a database holds it after months of work: stations and checkpoints."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from runner.core.checkpoint import Empty
from runner.core.intervals import Interval, hour_of, subtract, to_datetime, union
from runner.store.checkpoint_document import SCHEMA, reached

Document = dict[str, Any]

SHARES = {"completed": 0.45, "in_progress": 0.30, "failed": 0.05}
"""Of the stations by status; the others were never begun."""
MOST_HOLES = 12
"""Holes in the covered hours of a station."""
EMPTY_STRETCHES = 40
"""Stretches without a reading that a source had in ten years, on average."""

_WORDS = ("Hà Nội", "Đà Nẵng", "Kraków", "São Paulo", "北京", "Manchester", "Chiang Mai", "Lagos")


def populate(database: Database[Document], stations: int, wanted: Interval, seed: int = 1) -> None:
    """Fill `waqi_stations` and `ingest_checkpoints`, with their indexes, as runs leave them.

    Args:
        database: an empty one.
        stations: how many.
        wanted: the range that was asked for, UTC.
        seed: of everything that is drawn.
    """
    draw = random.Random(seed)
    ids = range(1, stations + 1)
    database["waqi_stations"].insert_many([_station(idx, draw) for idx in ids], ordered=False)
    checkpoints = database["ingest_checkpoints"]
    checkpoints.create_index("station_idx", unique=True)
    checkpoints.insert_many(list(_checkpoints(ids, wanted, draw)), ordered=False)


def _station(idx: int, draw: random.Random) -> Document:
    name = f"{draw.choice(_WORDS)}, monitoring station number {idx}"
    place = [round(draw.uniform(-180, 180), 6), round(draw.uniform(-60, 70), 6)]
    return {
        "_id": idx,
        "station_id": idx,
        "city": {
            "name": name,
            "url": f"https://aqicn.org/city/station/{idx}",
            "geo": {"type": "Point", "coordinates": place},
        },
        "time": {"tz": "+07:00"},
        "attributions": [{"name": "A network of stations", "url": "https://example.org/"}],
    }


def _checkpoints(ids: range, wanted: Interval, draw: random.Random) -> Iterator[Document]:
    for idx in ids:
        (status,) = draw.choices([*SHARES, ""], [*SHARES.values(), 1 - sum(SHARES.values())])
        if status:
            yield _checkpoint(idx, status, wanted, draw)


def _checkpoint(idx: int, status: str, wanted: Interval, draw: random.Random) -> Document:
    reach = wanted.end if status == "completed" else draw.randrange(wanted.start + 1, wanted.end)
    done = Interval(wanted.start, reach)
    holes = [] if status == "completed" else _stretches(done, draw.randint(0, MOST_HOLES), draw)
    covered = subtract((done,), holes) or (done,)
    empty = union(_stretches(done, draw.randint(0, 2 * EMPTY_STRETCHES), draw))
    asked = hour_of(datetime.now(UTC)) - draw.randrange(24 * 300)
    now = datetime.now(UTC)
    rows = [Empty(start, end, asked) for start, end in empty]
    hours = sum(item.hours for item in covered)
    return {
        "station_idx": idx,
        "last_processed_ts": reached(covered, wanted),
        "start_ts": to_datetime(wanted.start),
        "target_end_ts": to_datetime(wanted.end),
        "total_hours_processed": hours,
        "total_readings_inserted": hours,
        "last_updated": now,
        "status": status,
        "error_message": "station 1: HTTP 500 (given up after 8 tries)" * (status == "failed"),
        "schema": SCHEMA,
        "created_at": now,
        "covered": [[to_datetime(start), to_datetime(end)] for start, end in covered],
        "empty": [[to_datetime(hour) for hour in row] for row in rows],
        **dict.fromkeys(("total_updated", "total_unchanged", "total_kept"), 0),
        "windows": hours // 168 + 1,
    }


def _stretches(within: Interval, count: int, draw: random.Random) -> list[Interval]:
    starts = [draw.randrange(within.start, within.end) for _ in range(count)]
    return [Interval(at, min(at + draw.randint(1, 200), within.end)) for at in starts]
