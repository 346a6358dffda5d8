"""`waqi_station_readings`: one document a station and hour, made impossible to double.

What the store owns of a document are the fields of a reading: `ts`, `meta.station_idx`, `aqi`,
`time.s`, `time.tz` and `iaqi`. Two rules say what happens to a document that is already there:

- It says what the reading says (numbers by value, 45 = 45.0): it is left alone, whatever else is
  in it.
- It says something else: `aqi`, `time` and `iaqi` are set, nothing else is touched. In a document
  with fields that are not a reading's (the live job writes `time.v`, `time.iso`, ...), `time` and
  `iaqi` are laid over what is there, so that the other writer's fields and sub-indices stay.

A time-series collection (`timeField ts, metaField meta`) knows neither a unique index nor an update
of one reading. There the window is looked at and what is missing is inserted, which doubles nothing
as long as one run works on a station (see leases.py). What changed is replaced where the server can
delete by time (MongoDB 7.0), and else stays: the caller is told, and keeps it as a revision.

`_id` is an ObjectId. An int64 packed from station and hour inserts 10-30 % faster (mongod 6.0.5),
which no source is fast enough to need; against it stand validators that ask for ObjectIds, and a
document whose `ts` someone corrected, which would keep its old hour's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bson import decode
from pymongo import DeleteMany, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from runner.core.errors import StoreError, UnsupportedCollectionError
from runner.core.intervals import EPOCH, Interval, Intervals, hour_of, to_datetime, union
from runner.core.readings import Reading
from runner.store.collection import (
    DUPLICATE_KEY,
    ILLEGAL_OPERATION,
    INVALID_OPTIONS,
    Document,
    Kind,
    can_delete_by_time,
    doubled,
    open_collection,
    refusals,
)
from runner.store.connection import store_errors
from runner.store.object_ids import ObjectIds, made_by
from runner.store.reading_document import after_id, changes, documents_in, text_of, without_id
from runner.store.shape import (
    Change,
    Index,
    Indexed,
    Shape,
    drop_command,
    is_there,
    missing,
    refusing,
    shape_of,
)

NAME = "waqi_station_readings"

FIELDS = ("ts", "meta", "aqi", "time", "iaqi")
"""Top-level fields of our documents, besides `_id`."""

_KEY = ("meta.station_idx", "ts")
_HOUR_MS = 3_600_000
_MOST_ROUNDS = 4
"""Looks at the window before giving up; more than one only after another writer came between."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the readings of one `upsert`; the four add up to their number.

    Attributes:
        inserted: were not there.
        updated: were there with other values.
        unchanged: were there with the same values.
        revisions: were there with other values, which this collection cannot replace: the stored
            document, and the reading that would have replaced it.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    revisions: tuple[tuple[Document, Reading], ...] = ()


class Readings(Indexed):
    """The stored readings of all stations. Thread-safe.

    Args:
        database: where the collection is, or will be.
        wanted: the kind to make where there is no collection yet; one that is there stays as it is.
        ids: makes the `_id`s of this run.
        with_indexes: whether indexes may be made and relied on.
    """

    indexes = (Index(_KEY, "station_hour", unique=True),)

    def __init__(
        self,
        database: Database[Document],
        wanted: Kind = Kind.REGULAR,
        ids: ObjectIds | None = None,
        *,
        with_indexes: bool = True,
    ) -> None:
        self._collection = open_collection(database, NAME)
        self._wanted = wanted
        self._with_indexes = with_indexes
        self._is_timeseries = False
        self._can_replace = True
        self._refused = False
        self._refuses_doubles = False
        self._ids = ids or ObjectIds()
        self._all_new: set[int] = set()
        """Stations whose last window was new as a whole: the next one will be, too."""

    def check(self, shape: Shape | None = None) -> list[Change]:
        """Return what `ensure` would make, without writing anything.

        A regular collection gets a unique index on (meta.station_idx, ts), a time-series one a
        plain one.

        Args:
            shape: of the collection; None to look.

        Raises:
            UnsupportedCollectionError: it is of another kind, has doubles, or an index is in the
                way.
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            shape = shape or shape_of(self._collection)
            self._look(shape)
            made = []
            if shape.kind is Kind.ABSENT and self._wanted is Kind.TIME_SERIES:
                made.append(Change(NAME, kind=Kind.TIME_SERIES))
            self._is_timeseries = self._is_timeseries or bool(made)
            if not self._is_timeseries:
                _refuse_foreign_index(shape)
            wanted = [replace(one, unique=not self._is_timeseries) for one in self.indexes]
            if self._with_indexes:
                made += missing(self._collection, shape, wanted)
            is_kept = self._with_indexes or all(is_there(shape, one) for one in wanted)
            self._refused = is_kept and not self._is_timeseries
        return made

    def ensure(self, changes: Sequence[Change] | None = None) -> None:
        """Make the collection, and what keeps doubles out and reads fast, where missing.

        Args:
            changes: what `check` returned; None to check now.

        Raises:
            UnsupportedCollectionError: see `check`; nothing was changed.
            StoreError: MongoDB could not do it.
        """
        changes = self.check() if changes is None else changes
        super().ensure(changes)
        if any(change.index is None for change in changes):
            with store_errors(NAME):
                self._look(shape_of(self._collection))
        self._refuses_doubles = self._with_indexes and self._refused

    @property
    def refuses_doubles(self) -> bool:
        """Whether MongoDB refuses a second reading of an hour; known after `check`."""
        return self._refused

    @property
    def is_timeseries(self) -> bool:
        """Whether it is a time-series collection, or will be; known after `check`."""
        return self._is_timeseries

    def compare(self, station_idx: int, window: Interval, readings: Sequence[Reading]) -> Written:
        """Return what `upsert` would count at this moment, without writing anything.

        Raises:
            StoreError: MongoDB could not answer.
        """
        if not readings:
            return Written()
        with store_errors(NAME):
            new, changed = self._difference(station_idx, window, readings)
        unchanged = len(readings) - len(new) - len(changed)
        if self._can_replace:
            return Written(len(new), len(changed), unchanged)
        return Written(len(new), 0, unchanged, tuple(changed))

    def upsert(self, station_idx: int, window: Interval, readings: Sequence[Reading]) -> Written:
        """Make the stored readings of a window say what these readings say; idempotent.

        Hours of the window without a reading here are left as they are.

        Args:
            station_idx: the station of all the readings.
            window: hours, UTC, half-open; every reading lies in it.
            readings: at most one an hour.

        Returns:
            Exact counts, also when another writer stores the same hours at the same time.

        Raises:
            StoreError: MongoDB could not do it. Part of the readings may be stored; the next
                `upsert` of the window finds them unchanged.
        """
        if not readings:
            return Written()
        inserted = updated = 0
        with store_errors(NAME):
            for number in range(_MOST_ROUNDS):
                new, changed = (
                    ([*readings], [])
                    if number == 0 and station_idx in self._all_new
                    else self._difference(station_idx, window, readings)
                )
                kept = () if self._can_replace else tuple(changed)
                if kept:
                    changed = []
                now_inserted = self._insert(new)
                now_updated = self._replace(station_idx, changed)
                inserted += now_inserted
                updated += now_updated
                if now_inserted == len(new) and now_updated == len(changed):
                    self._expect(station_idx, all_new=inserted == len(readings))
                    unchanged = len(readings) - inserted - updated - len(kept)
                    return Written(inserted, updated, unchanged, kept)
        raise StoreError(
            f"{NAME}: station {station_idx}, {window}: {len(new)} readings are refused as doubles,"
            f" though their hours are not stored",
            hint="A unique index on other fields than (meta.station_idx, ts) is in the way; "
            f"db.{NAME}.getIndexes() shows it.",
        )

    @property
    def can_replace(self) -> bool:
        """Whether a stored reading can be replaced or removed; known after `check` or `ensure`."""
        return self._can_replace

    def take_out(self, readings: Sequence[Reading]) -> int:
        """Delete documents that still say what is given; return how many there were.

        Args:
            readings: as stored; only where `can_replace`.

        Raises:
            StoreError: MongoDB could not do it.
        """
        deletions = [
            DeleteMany(
                {
                    "meta.station_idx": reading["meta"]["station_idx"],
                    **{name: reading[name] for name in ("ts", "aqi", "time", "iaqi")},
                }
            )
            for reading in readings
        ]
        if not deletions:
            return 0
        with store_errors(NAME):
            return self._collection.bulk_write(deletions, ordered=False).deleted_count

    def _expect(self, station_idx: int, *, all_new: bool) -> None:
        """Remember what the station's next window will be like.

        After a window that was all new, the next is inserted without a look at what is there: the
        unique index refuses what is, and only then it is looked at. A time-series collection has no
        such index, and is looked at every time.
        """
        if all_new and self._refuses_doubles:
            self._all_new.add(station_idx)
        else:
            self._all_new.discard(station_idx)

    def why_not_remove(self, version: str) -> str:
        """Return why single readings cannot be deleted here; empty if they can.

        Args:
            version: of the server, for the words.

        Raises:
            StoreError: MongoDB could not answer, or the user may not delete at all.
        """
        with store_errors(NAME):
            series = shape_of(self._collection).kind is Kind.TIME_SERIES
            no = (INVALID_OPTIONS, ILLEGAL_OPERATION)
            if not series or can_delete_by_time(self._collection, no):
                return ""
        return (
            f"MongoDB {version} cannot delete single readings of the time-series collection {NAME};"
            " MongoDB 7.0 and later can"
        )

    def doubles(self) -> Iterator[tuple[int, datetime, list[Any], list[Document]]]:
        """Yield every station and hour that several documents share.

        Yields:
            Station, time, the `_id`s of exact doubles of others, and the documents that are left.
            A double with the `_id` of one that is left stays, too: a time-series collection takes
            both, and a deletion by `_id` would remove both.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            for found in self._collection.aggregate(doubled(_KEY), allowDiskUse=True):
                key = found["_id"]
                same = {"meta.station_idx": key.get("station_idx"), "ts": key.get("ts")}
                left: list[Document] = []
                exact = []
                for document in self._collection.find(same).sort("_id"):
                    is_left = any(document["_id"] == other["_id"] for other in left)
                    same_as = (without_id(document) == without_id(other) for other in left)
                    if not is_left and any(same_as):
                        exact.append(document["_id"])
                    else:
                        left.append(document)
                yield key.get("station_idx"), key.get("ts"), exact, left

    def remove(self, ids: Sequence[Any]) -> int:
        """Delete documents by `_id`; return how many there were.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            return self._collection.delete_many({"_id": {"$in": [*ids]}}).deleted_count

    def at(self, station_idx: int, hours: Sequence[int]) -> dict[int, Document]:
        """Return the stored documents of some hours of a station; raises StoreError."""
        times = [to_datetime(hour) for hour in hours]
        with store_errors(NAME):
            found = self._collection.find({"meta.station_idx": station_idx, "ts": {"$in": times}})
            return {hour_of(document["ts"]): document for document in found}

    def inserted_here(self, station_idx: int, window: Interval) -> int:
        """Count the readings of a window that this object inserted; raises StoreError."""
        mine = {**_in_window(station_idx, window), "$expr": made_by(self._ids.maker)}
        with store_errors(NAME):
            return self._collection.count_documents(mine)

    def has_any(self, station_idx: int) -> bool:
        """Whether a station has any reading; raises StoreError."""
        with store_errors(NAME):
            found = self._collection.find_one({"meta.station_idx": station_idx}, {"_id": 1})
        return found is not None

    def has_off_hour(self, station_idx: int, hour: int) -> bool:
        """Whether another writer has a reading within an hour, not at its beginning.

        Raises:
            StoreError: MongoDB could not answer.
        """
        within = {"$gt": to_datetime(hour), "$lt": to_datetime(hour + 1)}
        with store_errors(NAME):
            found = self._collection.find_one({"meta.station_idx": station_idx, "ts": within})
        return found is not None

    def stored_hours(self, station_ids: Sequence[int], window: Interval) -> dict[int, Intervals]:
        """Return the hours of a window that have a reading, by station; one aggregation.

        Raises:
            StoreError: MongoDB could not answer.
        """
        hour = {"$divide": [{"$subtract": ["$ts", EPOCH]}, _HOUR_MS]}
        pipeline = [
            {"$match": {**_in_window(0, window), "meta.station_idx": {"$in": [*station_ids]}}},
            {"$group": {"_id": "$meta.station_idx", "hours": {"$push": hour}}},
        ]
        stored: dict[int, Intervals] = {}
        with store_errors(NAME):
            for found in self._collection.aggregate(pipeline, allowDiskUse=True):
                whole = (int(hour) for hour in found["hours"] if hour == int(hour))
                stored[found["_id"]] = union(Interval(hour, hour + 1) for hour in whole)
        return stored

    def _look(self, shape: Shape) -> None:
        """Remember what can be done with the collection.

        Raises:
            UnsupportedCollectionError: we cannot write to it.
        """
        if shape.kind in (Kind.ABSENT, Kind.REGULAR):
            return
        series = shape.options.get("timeseries", {})
        if (series.get("timeField"), series.get("metaField")) == ("ts", "meta"):
            self._is_timeseries = True
            self._can_replace = can_delete_by_time(self._collection)
            return
        name = f"{self._collection.database.name}.{NAME}"
        what = f"a {shape.kind} collection"
        if series:
            fields = f"timeField {series.get('timeField')}, metaField {series.get('metaField')}"
            what = f"{what} with {fields}"
        raise UnsupportedCollectionError(
            f"{name} is {what}; readings go to a regular one, or to a time-series one with"
            " timeField ts, metaField meta; nothing was changed",
            hint="Use another database: set MONGO_DB to a name of your choice.",
        )

    def _difference(
        self, station_idx: int, window: Interval, readings: Sequence[Reading]
    ) -> tuple[list[Reading], list[tuple[Document, Reading]]]:
        """Return the readings that are not stored, and those that differ with what is stored.

        They come whole and in one batch, and as they are stored: nearly all of a rerun are equal to
        their reading byte by byte, and need not be decoded. (A projection is slower, too.)
        """
        batches: Iterable[Any] = self._collection.find_raw_batches(
            _in_window(station_idx, window), batch_size=window.hours + 1
        )
        stored = {after_id(text): text for text in documents_in(b"".join(batches))}
        left = [reading for reading in readings if not stored.pop(text_of(reading), None)]
        if not left:
            return [], []
        options = self._collection.codec_options
        decoded = (decode(text, options) for text in stored.values())
        by_time = {document["ts"]: document for document in decoded}
        new: list[Reading] = []
        changed: list[tuple[Document, Reading]] = []
        for reading in left:
            document = by_time.get(reading["ts"])
            if document is None:
                new.append(reading)
            elif changes(document, reading):
                changed.append((document, reading))
        return new, changed

    def _insert(self, new: list[Reading]) -> int:
        """Insert; an hour that another writer stored first is left to the next look."""
        if not new:
            return 0
        ids = self._ids.take(len(new))
        documents = [{"_id": _id, **reading} for _id, reading in zip(ids, new, strict=True)]
        try:
            return len(self._collection.insert_many(documents, ordered=False).inserted_ids)
        except BulkWriteError as error:
            return len(new) - len(refusals(error, DUPLICATE_KEY))

    def _replace(self, station_idx: int, changed: list[tuple[Document, Reading]]) -> int:
        """Update; a document that was deleted meanwhile is left to the next look."""
        if not changed:
            return 0
        if not self._is_timeseries:
            updates = [
                UpdateOne({"_id": stored["_id"]}, {"$set": changes(stored, reading)})
                for stored, reading in changed
            ]
            return self._collection.bulk_write(updates, ordered=False).matched_count
        # Out with the old before in with the new: a crash between costs a fetch, never a double.
        hours = [reading["ts"] for _stored, reading in changed]
        self._collection.delete_many({"meta.station_idx": station_idx, "ts": {"$in": hours}})
        corrected = [stored | changes(stored, reading) for stored, reading in changed]
        return len(self._collection.insert_many(corrected, ordered=False).inserted_ids)


def _refuse_foreign_index(shape: Shape) -> None:
    """Refuse a unique index on other fields: it would take readings of other hours for doubles.

    Raises:
        UnsupportedCollectionError: there is one; nothing was changed.
    """
    name = refusing(shape, _KEY, FIELDS)
    if name:
        raise UnsupportedCollectionError(
            f"{NAME}: its unique index {name} would refuse readings of different hours or stations;"
            " nothing was changed",
            hint="If nobody needs it, drop it in mongosh, then run again:\n"
            f"{drop_command(NAME, name)}",
        )


def _in_window(station_idx: int, window: Interval) -> Document:
    return {
        "meta.station_idx": station_idx,
        "ts": {"$gte": to_datetime(window.start), "$lt": to_datetime(window.end)},
    }
