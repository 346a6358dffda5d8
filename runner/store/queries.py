"""The documented validation queries: each as text for mongosh, and run as it stands. Read only."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from runner.core.errors import StoreError
from runner.core.intervals import Interval, to_datetime
from runner.core.text import harmless
from runner.store import checkpoint_document, readings
from runner.store.collection import Document
from runner.store.connection import store_errors

MOST_ROWS = 20
"""Rows of a result that are kept; more are only said to be there."""
_MOST_MS = 30_000
"""Milliseconds after which the server gives a query up."""
_LONGEST_TEXT = 120


@dataclass(frozen=True, slots=True)
class Query:
    """One query.

    Attributes:
        title: what it asks, in a few words.
        about: what a good answer looks like.
        collection: it asks.
        pipeline: an aggregation without a stage that writes.
    """

    title: str
    about: str
    collection: str
    pipeline: Sequence[Document]

    @property
    def text(self) -> str:
        """The query as typed into mongosh."""
        stages = ",\n  ".join(_shell(stage) for stage in self.pipeline)
        return f"db.{self.collection}.aggregate([\n  {stages}\n])"


def documented(stations: Sequence[int], station_idx: int, window: Interval) -> list[Query]:
    """Return the validation queries.

    Args:
        stations: all that are asked about.
        station_idx: the one whose latest readings are shown.
        window: hours, UTC, half-open.
    """
    between = {"$gte": to_datetime(window.start), "$lt": to_datetime(window.end)}
    of_all = {"$match": {"meta.station_idx": {"$in": [*stations]}, "ts": between}}
    key = {"station": "$meta.station_idx", "ts": "$ts"}
    return [
        Query(
            f"Latest readings of station {station_idx} in the range",
            "One document an hour, the newest first.",
            readings.NAME,
            [
                {"$match": {"meta.station_idx": station_idx, "ts": between}},
                {"$sort": {"ts": -1}},
                {"$limit": 10},
                {"$project": {"_id": 0, "ts": 1, "aqi": 1, "time": 1, "iaqi": 1}},
            ],
        ),
        Query(
            "Readings of every station in the range",
            "Fewest first: the stations to look at.",
            readings.NAME,
            [
                of_all,
                {
                    "$group": {
                        "_id": "$meta.station_idx",
                        "readings": {"$sum": 1},
                        "first": {"$min": "$ts"},
                        "last": {"$max": "$ts"},
                    }
                },
                {"$sort": {"readings": 1, "_id": 1}},
            ],
        ),
        Query(
            "Checkpoints by state",
            "All stations completed; failed ones are tried again by job=retry.",
            checkpoint_document.NAME,
            [{"$group": {"_id": "$status", "stations": {"$sum": 1}}}, {"$sort": {"_id": 1}}],
        ),
        Query(
            "Required fields: documents that lack one",
            "Zeros but for the number of documents.",
            readings.NAME,
            [
                of_all,
                {
                    "$group": {
                        "_id": None,
                        "documents": {"$sum": 1},
                        "ts is no date": _sum_where({"$ne": [{"$type": "$ts"}, "date"]}),
                        "no aqi": _sum_where({"$eq": [{"$type": "$aqi"}, "missing"]}),
                        "aqi is no number": _sum_where({"$not": {"$isNumber": "$aqi"}}),
                        "no local time": _sum_where({"$ne": [{"$type": "$time.s"}, "string"]}),
                        "no zone": _sum_where({"$ne": [{"$type": "$time.tz"}, "string"]}),
                        "no iaqi": _sum_where({"$ne": [{"$type": "$iaqi"}, "object"]}),
                    }
                },
                {"$project": {"_id": 0}},
            ],
        ),
        Query(
            "Doubles: the same station and hour more than once",
            "No row. What is found here, job=dedupe looks at.",
            readings.NAME,
            [
                of_all,
                {"$group": {"_id": key, "documents": {"$sum": 1}}},
                {"$match": {"documents": {"$gt": 1}}},
                {"$sort": {"documents": -1, "_id": 1}},
                {"$limit": MOST_ROWS + 1},
            ],
        ),
    ]


def _sum_where(condition: Document) -> Document:
    return {"$sum": {"$cond": [condition, 1, 0]}}


def ask(database: Database[Document], query: Query) -> dict[str, Any]:
    """Return a query with its answer, ready for JSON; an error of the server is an answer, too."""
    began = time.monotonic()
    rows: list[Document] = []
    error = ""
    try:
        with store_errors(query.collection):
            found = database[query.collection].aggregate(
                [*query.pipeline, {"$limit": MOST_ROWS + 1}],
                maxTimeMS=_MOST_MS,
                allowDiskUse=True,
            )
            rows = [_plain(row) for row in found]
    except StoreError as failure:
        error = failure.message
    return {
        "title": query.title,
        "about": query.about,
        "query": query.text,
        "rows": rows[:MOST_ROWS],
        "more_rows": len(rows) > MOST_ROWS,
        "error": error or None,
        "elapsed_s": round(time.monotonic() - began, 2),
    }


def unanswered(
    database: str, stations: Sequence[int], station_idx: int, window: Interval
) -> dict[str, Any]:
    """Return all queries without an answer, in the form of `Queries.answers`."""
    listed = [
        {"title": one.title, "about": one.about, "query": one.text, "rows": [],
         "more_rows": False, "error": "not asked", "elapsed_s": 0.0}
        for one in documented(stations, station_idx, window)
    ]  # fmt: skip
    return {
        "database": database,
        "stations": [*stations],
        "station_idx": station_idx,
        "window": [window.start, window.end],
        "queries": listed,
    }


class Queries:
    """The validation queries of one database.

    Args:
        database: is only read.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def answers(
        self, stations: Sequence[int], station_idx: int, window: Interval
    ) -> dict[str, Any]:
        """Return all queries with their answers, ready for JSON; see `documented`."""
        asked = documented(stations, station_idx, window)
        return {
            "made_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "database": self._database.name,
            "stations": [*stations],
            "station_idx": station_idx,
            "window": [window.start, window.end],
            "queries": [ask(self._database, query) for query in asked],
        }


def _plain(value: Any) -> Any:
    """Return what JSON and a page can hold of a BSON value."""
    if isinstance(value, Mapping):
        return {harmless(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value[:MOST_ROWS]]
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return harmless(str(value))[:_LONGEST_TEXT]


def _shell(value: Any) -> str:
    """Return a value as mongosh reads it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_shell(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shell, value)) + "]"
    if isinstance(value, datetime):
        return f'ISODate("{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")'
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.replace("$", "").replace("_", "")
    return name if plain.isidentifier() else json.dumps(name)
