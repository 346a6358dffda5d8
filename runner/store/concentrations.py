"""`ingest_concentrations`: what was measured, beside the indices that were computed from it.

    {_id, station_idx, ts, source, scale, gave: {aqi, iaqi}, local: {s, tz},
     measured: [{pollutant, value, unit, location, sensor, coverage, decides}], run_id, stored_at,
     next: {scale, gave}}

One document a station, hour and source, with every sensor that measured; `decides` marks those that
the indices of `waqi_station_readings` come from, `scale` names how, `gave` is what was computed
(null where the scale has no index). `scale` is null where no reading comes from the document: the
hour was asked for because later ones depend on it, or its reading is another's. An hour that is
fetched again replaces its document. Dates are UTC; `ts` is that of the reading.

`next` is there while `job=rescale` changes the reading, and after one that was killed: the reading
is then what one of the two says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pymongo import ReplaceOne, UpdateOne
from pymongo.database import Database

from runner.core.concentrations import Measured, MeasuredHour
from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.rescaling import Change, KeptHour
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors
from runner.store.shape import Index, Indexed

NAME = "ingest_concentrations"

_MEASURED = ("pollutant", "value", "unit", "location", "sensor", "coverage")
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
                **_on(hour),
                "local": {**hour.measured[0].local},
                "measured": [_told(one, hour) for one in hour.measured],
                "run_id": run_id,
                "stored_at": now,
            }
            if hour.scale:
                changes.append(ReplaceOne(key, {**key, **document}, upsert=True))
            else:
                changes.append(UpdateOne(key, {"$setOnInsert": document}, upsert=True))
        self._write(changes)

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

    def scales(
        self, station_ids: Collection[int] | None = None
    ) -> dict[int, dict[str, tuple[int, Interval]]]:
        """Return how many hours have indices on which scale, and from when to when, by station.

        Args:
            station_ids: the stations; None for all.

        Raises:
            StoreError: MongoDB could not answer.
        """
        chosen: Document = {"scale": {"$ne": None}}
        if station_ids is not None:
            chosen["station_idx"] = {"$in": [*station_ids]}
        group = {
            "_id": {"station_idx": "$station_idx", "scale": "$scale"},
            "hours": {"$sum": 1},
            "first": {"$min": "$ts"},
            "last": {"$max": "$ts"},
        }
        found: dict[int, dict[str, tuple[int, Interval]]] = {}
        with store_errors(NAME):
            for one in self._collection.aggregate([{"$match": chosen}, {"$group": group}]):
                extent = Interval(hour_of(one["first"]), hour_of(one["last"]) + 1)
                of_station = found.setdefault(one["_id"]["station_idx"], {})
                of_station[str(one["_id"]["scale"])] = (one["hours"], extent)
        return found

    def of(self, station_idx: int, window: Interval) -> list[KeptHour]:
        """Return what is kept of a window, sorted by hour.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            found = self._collection.find(_in(station_idx, window)).sort("ts")
            return [*map(_kept, found)]

    def intend(self, changes: Iterable[Change]) -> None:
        """Note what the readings of some hours are, and what they are about to become.

        Raises:
            StoreError: MongoDB could not do it.
        """
        self._write(
            [
                UpdateOne({"_id": one.kept.key}, {"$set": {**_on(one.now), "next": _on(one.new)}})
                for one in changes
            ]
        )

    def settle(self, hours: Iterable[tuple[KeptHour, MeasuredHour]]) -> None:
        """Note what the readings of some hours are now; without a scale: another's.

        Raises:
            StoreError: MongoDB could not do it.
        """
        self._write(
            [
                UpdateOne({"_id": kept.key}, {"$set": _on(hour), "$unset": {"next": ""}})
                for kept, hour in hours
            ]
        )

    def _write(self, changes: list[ReplaceOne[Document] | UpdateOne]) -> None:
        if changes:
            with store_errors(NAME):
                self._collection.bulk_write(changes, ordered=False)

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


def _on(hour: MeasuredHour) -> Document:
    """Return the fields that say how the reading of an hour was computed."""
    gave = hour.gave and {name: hour.gave[name] for name in ("aqi", "iaqi")}
    return {"scale": hour.scale or None, "gave": gave}


def _kept(document: Document) -> KeptHour:
    """Read a document; one of an older version does not say what it gave."""
    hour, local = hour_of(document["ts"]), document["local"]
    measured = tuple(
        Measured(hour=hour, local=local, **{name: one[name] for name in _MEASURED})
        for one in document["measured"]
    )
    deciding = {one["pollutant"]: one["sensor"] for one in document["measured"] if one["decides"]}
    one = MeasuredHour(hour, measured, deciding, document["scale"] or "")
    told = [part for part in (document, document.get("next", {})) if "gave" in part]
    return KeptHour(
        key=document["_id"],
        source=document["source"],
        stored_at=document["stored_at"],
        measured=one,
        may_be=tuple(
            replace(
                one,
                scale=part["scale"] or "",
                gave=part["gave"] and {**part["gave"], "time": local},
            )
            for part in told
        ),
    )


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
