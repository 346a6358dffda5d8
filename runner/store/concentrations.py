"""`ingest_concentrations`: what was measured, beside the indices that were computed from it.

    {_id, station_idx, ts, source, scale, local: {s, tz},
     measured: [{pollutant, value, unit, location, sensor, coverage, decides}], run_id, stored_at}

One document a station, hour and source, with every sensor that measured; `decides` marks those that
the indices of `waqi_station_readings` come from, `scale` names how. `scale` is null where no
reading comes from the document: the hour was asked for because later ones depend on it, or its
reading is another's. An hour that is fetched again replaces its document. Dates are UTC; `ts` is
that of the reading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReplaceOne, UpdateOne
from pymongo.database import Database

from runner.core.concentrations import Measured, MeasuredHour
from runner.core.intervals import Interval, to_datetime
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors
from runner.store.shape import Index, Indexed

NAME = "ingest_concentrations"

_KEY = ("station_idx", "ts", "source")


class Concentrations(Indexed):
    """The concentrations kept of all stations. Thread-safe.

    Args:
        database: where the collection is, or will be.
    """

    indexes = (
        Index(_KEY, "station_ts_source", unique=True),
        Index(("scale", "station_idx"), "scale_station"),
    )

    def __init__(self, database: Database[Document]) -> None:
        self._collection = open_collection(database, NAME)

    def keep(
        self,
        run_id: str,
        station_idx: int,
        source: str,
        hours: Sequence[MeasuredHour],
        now: datetime,
    ) -> None:
        """Keep the concentrations of some hours in place of what was kept of them; idempotent.

        Hours without a scale are kept only where nothing was: what was belongs to a reading.

        Args:
            run_id: the run that got them.
            station_idx: the station that was asked for.
            source: the name of the source.
            hours: what was measured.
            now: the present, aware.

        Raises:
            StoreError: MongoDB could not do it.
        """
        changes: list[ReplaceOne[Document] | UpdateOne] = []
        for hour in hours:
            key = dict(zip(_KEY, (station_idx, to_datetime(hour.hour), source), strict=True))
            document = {
                "scale": hour.scale or None,
                "local": {**hour.measured[0].local},
                "measured": [_told(one, hour) for one in hour.measured],
                "run_id": run_id,
                "stored_at": now,
            }
            if hour.scale:
                changes.append(ReplaceOne(key, {**key, **document}, upsert=True))
            else:
                changes.append(UpdateOne(key, {"$setOnInsert": document}, upsert=True))
        if changes:
            with store_errors(NAME):
                self._collection.bulk_write(changes, ordered=False)

    def on_another_scale(self, station_ids: Collection[int], scale: str) -> tuple[int, str] | None:
        """Return a station with indices on another scale, and that scale; None if there is none.

        Raises:
            StoreError: MongoDB could not answer.
        """
        other = {"station_idx": {"$in": [*station_ids]}, "scale": {"$nin": [scale, None]}}
        with store_errors(NAME):
            found = self._collection.find_one(other, {"station_idx": 1, "scale": 1})
        return (found["station_idx"], str(found["scale"])) if found else None

    def on_scale(self, station_ids: Collection[int], scale: str) -> set[int]:
        """Return which of some stations have indices on a scale.

        Raises:
            StoreError: MongoDB could not answer.
        """
        chosen = {"scale": scale, "station_idx": {"$in": [*station_ids]}}
        with store_errors(NAME):
            return {*self._collection.distinct("station_idx", chosen)}

    def scales(self, station_ids: Collection[int]) -> dict[int, str]:
        """Return the scale of the stored indices of those stations that have any here.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            names = self._collection.distinct("scale", {"scale": {"$ne": None}})
        return {idx: str(name) for name in names for idx in self.on_scale(station_ids, name)}

    def of(self, station_idx: int, window: Interval) -> Iterator[Document]:
        """Yield what is kept of a window in order of time, of an hour first what readings are of.

        Raises:
            StoreError: MongoDB could not answer.
        """
        order = [("ts", ASCENDING), ("scale", DESCENDING)]
        with store_errors(NAME):
            yield from self._collection.find(_in(station_idx, window), sort=order)

    def count(self, station_idx: int, window: Interval) -> int:
        """Return how many hours of a window have kept concentrations.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            return self._collection.count_documents(_in(station_idx, window))


def _in(station_idx: int, window: Interval) -> Document:
    between = {"$gte": to_datetime(window.start), "$lt": to_datetime(window.end)}
    return {"station_idx": station_idx, "ts": between}


def _told(one: Measured, hour: MeasuredHour) -> dict[str, Any]:
    return {
        "pollutant": one.pollutant,
        "value": one.value,
        "unit": one.unit,
        "location": one.location,
        "sensor": one.sensor,
        "coverage": one.coverage,
        "decides": hour.deciding.get(one.pollutant) == one.sensor,
    }
