"""`waqi_stations`: read, filled up with stations met in configuration, and kept up to date.

`ensure` changes no document that is there. `record` changes, of the fields that a sighting speaks
of, those that say something else; what others wrote beside them (`location`, `latest_reading_at`)
stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from runner.core.sightings import Sighting
from runner.core.stations import INT32, Station
from runner.core.text import harmless, shortened
from runner.store.collection import (
    DUPLICATE_KEY,
    FAILED_VALIDATION,
    Document,
    open_collection,
    refusals,
    whole_number,
)
from runner.store.connection import store_errors

NAME = "waqi_stations"

LONGEST_NAME = 200
"""Characters of a name that are read: it stands in every log line and table."""

_LONGEST_ID = 60
"""Characters shown of an id that is none of a station."""


@dataclass(frozen=True, slots=True)
class StationsWritten:
    """The stations of one `ensure`, by what was done.

    Attributes:
        inserted: stations that were not there.
        present: stations that were there, and were left as they are.
        refused: stations that the collection's validator does not accept, for want of what we do
            not know (the existing system asks for coordinates and a page address).
    """

    inserted: int = 0
    present: int = 0
    refused: tuple[Station, ...] = ()


@dataclass(frozen=True, slots=True)
class StationsRecorded:
    """The stations of one `record`, by what was done, as indices.

    Attributes:
        new: were not there.
        changed: were there, and said something else.
        unchanged: were there, and said the same.
        refused: are not accepted by the collection's validator, for want of what is not known.
    """

    new: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    unchanged: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()


class Stations:
    """The known stations.

    Args:
        database: where the collection is, or will be.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._collection = open_collection(database, NAME)

    def known(self) -> list[Station]:
        """Return all stations, sorted by index.

        A document whose `_id` is no station index is none; an unusable name or position is left
        empty.

        Raises:
            StoreError: MongoDB could not answer.
        """
        return self.read()[0]

    def read(self) -> tuple[list[Station], tuple[str, ...]]:
        """Return all stations, sorted by index, and the ids of documents that are none.

        Raises:
            StoreError: MongoDB could not answer.
        """
        stations: list[Station] = []
        others: list[str] = []
        with store_errors(NAME):
            for document in self._collection.find({}, {"city.name": 1, "city.geo": 1}):
                station = _to_station(document)
                if station:
                    stations.append(station)
                else:
                    others.append(shortened(harmless(repr(document["_id"])), _LONGEST_ID))
        return sorted(stations, key=lambda station: station.idx), tuple(sorted(others))

    def ensure(self, stations: Iterable[Station], *, tz: str = "+07:00") -> StationsWritten:
        """Insert the stations that are not there; those that are stay exactly as they are.

        Args:
            stations: stations met in configuration.
            tz: their offset from UTC, for `time.tz`.

        Raises:
            StoreError: MongoDB could not do it.
        """
        wanted = {station.idx: station for station in stations}
        with store_errors(NAME):
            found = self._collection.find({"_id": {"$in": [*wanted]}}, {"_id": 1})
            there = {document["_id"] for document in found}
            missing = [station for idx, station in wanted.items() if idx not in there]
            inserted, refused = self._insert(missing, tz)
        return StationsWritten(inserted, len(wanted) - inserted - len(refused), refused)

    def complete(self) -> set[int]:
        """Return the stations of which name, position, page, zone and attributions are known.

        Raises:
            StoreError: MongoDB could not answer.
        """
        known = ("city.name", "city.url", "city.geo.coordinates.1", "time.tz", "attributions.0")
        with store_errors(NAME):
            found = self._collection.find({key: {"$exists": True} for key in known}, {"_id": 1})
            return {idx for item in found if (idx := whole_number(item["_id"])) is not None}

    def record(self, seen: Iterable[Sighting], *, dry_run: bool = False) -> StationsRecorded:
        """Make the stored stations say what was seen; idempotent.

        What a sighting does not say is left as it is. Only its own fields are touched.

        Args:
            seen: at most one a station.
            dry_run: write nothing; a validator cannot be asked then.

        Raises:
            StoreError: MongoDB could not do it.
        """
        wanted = {item.idx: item for item in seen}
        with store_errors(NAME):
            found = self._collection.find({"_id": {"$in": [*wanted]}})
            stored = {whole_number(document["_id"]): document for document in found}
            new = [item for idx, item in wanted.items() if idx not in stored]
            changes = {
                idx: made
                for idx, item in wanted.items()
                if idx in stored and (made := dict(_changes(stored[idx], item)))
            }
            refused = set() if dry_run else {*self._add(new), *self._change(changes)}
        same = wanted.keys() - {item.idx for item in new} - changes.keys()
        return StationsRecorded(
            tuple(item.idx for item in new if item.idx not in refused),
            tuple(idx for idx in changes if idx not in refused),
            tuple(sorted(same)),
            tuple(sorted(refused)),
        )

    def _add(self, new: list[Sighting]) -> list[int]:
        """Insert stations; return those that the validator refuses.

        One that another writer inserted meanwhile is left to the next `record`.
        """
        if not new:
            return []
        documents = [_recorded(item) for item in new]
        try:
            self._collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            refused = refusals(error, DUPLICATE_KEY, FAILED_VALIDATION)
            return [new[it["index"]].idx for it in refused if it["code"] == FAILED_VALIDATION]
        return []

    def _change(self, changes: dict[int, Document]) -> list[int]:
        if not changes:
            return []
        ids = [*changes]
        updates = [UpdateOne({"_id": idx}, {"$set": made}) for idx, made in changes.items()]
        try:
            self._collection.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            return [ids[it["index"]] for it in refusals(error, FAILED_VALIDATION)]
        return []

    def _insert(self, missing: list[Station], tz: str) -> tuple[int, tuple[Station, ...]]:
        if not missing:
            return 0, ()
        documents = [_to_document(station, tz) for station in missing]
        try:
            return len(self._collection.insert_many(documents, ordered=False).inserted_ids), ()
        except BulkWriteError as error:
            refused = refusals(error, DUPLICATE_KEY, FAILED_VALIDATION)
            invalid = [item["index"] for item in refused if item["code"] == FAILED_VALIDATION]
            return int(error.details["nInserted"]), tuple(missing[index] for index in invalid)


def _to_document(station: Station, tz: str) -> Document:
    """Return the document in the existing system's shape; what is not known is left out."""
    city: Document = {"name": station.name}
    if station.latitude is not None and station.longitude is not None:
        city["geo"] = {"type": "Point", "coordinates": [station.longitude, station.latitude]}
    return {"_id": station.idx, "station_id": station.idx, "city": city, "time": {"tz": tz}}


def _recorded(seen: Sighting) -> Document:
    """Return the document of a new station, in the existing system's shape."""
    document = _to_document(seen.station, seen.tz)
    if not seen.tz:
        del document["time"]
    if seen.url:
        document["city"]["url"] = seen.url
    if seen.attributions:
        document["attributions"] = [*seen.attributions]
    return document


def _changes(stored: Document, seen: Sighting) -> Iterator[tuple[str, Any]]:
    """Yield the fields to set so that a stored station says what was seen."""
    wanted = _recorded(seen)
    city = stored.get("city")
    if not isinstance(city, dict):
        if wanted["city"] != {"name": ""}:
            yield "city", wanted["city"]
    else:
        for key, value in wanted["city"].items():
            if value and city.get(key) != value:
                yield f"city.{key}", value
    if "time" in wanted and not isinstance(stored.get("time"), dict):
        yield "time", wanted["time"]
    elif "time" in wanted and stored["time"].get("tz") != wanted["time"]["tz"]:
        yield "time.tz", wanted["time"]["tz"]
    if "attributions" in wanted and stored.get("attributions") != wanted["attributions"]:
        yield "attributions", wanted["attributions"]
    if stored.get("station_id") is None:
        yield "station_id", seen.idx


def _to_station(document: Document) -> Station | None:
    idx = whole_number(document["_id"])
    if idx is None or idx not in INT32 or idx == 0:
        return None
    city = document.get("city")
    if not isinstance(city, dict):
        return Station(idx)
    name = city.get("name")
    latitude, longitude = _position(city.get("geo"))
    return Station(idx, name[:LONGEST_NAME] if isinstance(name, str) else "", latitude, longitude)


def _position(geo: Any) -> tuple[float, float] | tuple[None, None]:
    """Return (latitude, longitude) of a GeoJSON point, whose order is [longitude, latitude]."""
    pair = geo.get("coordinates") if isinstance(geo, dict) else None
    if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 - a position is a pair
        return None, None
    longitude, latitude = pair
    if not (_within(longitude, 180) and _within(latitude, 90)):
        return None, None
    return float(latitude), float(longitude)


def _within(value: Any, most: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= most
