"""Stored readings in a flat form, for checks: every document, whatever is in it.

The server projects: `$convert` turns what is a number into a double and everything else into null,
`$type` says what was there. Nothing that another writer stored can make a read fail. The same for
regular and time-series collections.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from pymongo.database import Database

from runner.core.intervals import Interval, to_datetime
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors
from runner.store.readings import NAME

_BATCH = 5000
"""Documents in one answer of the server: about 1.5 MB."""
_MOST_ODD = 1000
"""Documents of a station read besides those of the range: in the future, or with no date."""
_NOT_DATES = (
    *("double", "string", "object", "array", "binData", "objectId", "bool", "int", "long"),
    *("timestamp", "decimal"),
)


class FlatReadings:
    """The stored readings of all stations, read only.

    Args:
        database: where the collection is.
        keys: keys of `iaqi` that become columns.
        known: keys of `iaqi` that are no surprise; others are listed as `unknown`.
    """

    def __init__(
        self, database: Database[Document], keys: Sequence[str], known: Collection[str]
    ) -> None:
        self._collection = open_collection(database, NAME)
        self._project = _projection(keys, known)

    def of(self, station_idx: int, window: Interval) -> Iterator[Document]:
        """Yield the documents of a station in a window, in no particular order.

        Raises:
            StoreError: MongoDB could not answer.
        """
        between = {"$gte": to_datetime(window.start), "$lt": to_datetime(window.end)}
        yield from self._find({"meta.station_idx": station_idx, "ts": between}, 0)

    def odd(self, station_idx: int, now: datetime) -> Iterator[Document]:
        """Yield the documents of a station later than now, and those whose `ts` is no date.

        Raises:
            StoreError: MongoDB could not answer.
        """
        when = [{"ts": {"$gt": now}}, {"ts": None}, {"ts": {"$type": [*_NOT_DATES]}}]
        yield from self._find({"meta.station_idx": station_idx, "$or": when}, _MOST_ODD)

    def _find(self, chosen: Document, limit: int) -> Iterator[Document]:
        with store_errors(NAME):
            yield from self._collection.find(chosen, self._project, batch_size=_BATCH, limit=limit)


def _projection(keys: Sequence[str], known: Collection[str]) -> dict[str, Any]:
    """Return the projection of the columns in `runner.quality.grid`."""
    is_object = {"$eq": [{"$type": "$iaqi"}, "object"]}
    names = {"$map": {"input": {"$objectToArray": "$iaqi"}, "as": "item", "in": "$$item.k"}}
    return {
        "_id": 0,
        "ts": {"$cond": [{"$eq": [{"$type": "$ts"}, "date"]}, {"$toLong": "$ts"}, None]},
        "ts_type": {"$type": "$ts"},
        "idx_type": {"$type": "$meta.station_idx"},
        "aqi_type": {"$type": "$aqi"},
        "aqi": _number("$aqi"),
        "s": _text("$time.s"),
        "tz": _text("$time.tz"),
        **{key: _number(f"$iaqi.{key}.v") for key in keys},
        "unknown": {"$cond": [is_object, {"$setDifference": [names, [*known]]}, None]},
    }


def _number(path: str) -> Document:
    return {"$convert": {"input": path, "to": "double", "onError": None, "onNull": None}}


def _text(path: str) -> Document:
    return {"$cond": [{"$eq": [{"$type": path}, "string"]}, path, None]}
