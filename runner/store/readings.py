"""`waqi_station_readings`: one document a station and hour, made impossible to double.

What the store owns of a document are the fields of a reading: `ts`, `meta.station_idx`, `aqi`,
`time.s`, `time.tz` and `iaqi`. Two rules say what happens to a document that is already there:

- It says what the reading says (numbers by value, 45 = 45.0): it is left alone, whatever else is
  in it.
- It says something else: `aqi`, `time` and `iaqi` are set, nothing else is touched. In a document
  with fields that are not a reading's (the live job writes `time.v`, `time.iso`, ...), `time` and
  `iaqi` are laid over what is there, so that the other writer's fields and sub-indices stay.

An update holds only while the document says what was seen: if another writer came between, the
window is looked at again. So a process that slept overwrites nothing newer.

A time-series collection (`timeField ts, metaField meta`) knows neither a unique index nor an update
of one reading. There the window is looked at and what is missing is inserted, which doubles nothing
as long as one run works on a station (see leases.py). Other writers may insert at the same moment:
the window is looked at again, and what we doubled is taken back where the server can delete by time
(MongoDB 7.0). What changed is replaced there, too, and else stays: the caller keeps it as a
revision.

On a replica set, what a look finds may be lost in a failover still. `upsert` returns only after a
majority has every reading: those it wrote itself are acknowledged so, the others are read again
from what a majority has.

`_id` is an ObjectId. An int64 packed from station and hour inserts 10-30 % faster (mongod 6.0.5),
which no source is fast enough to need; against it stand validators that ask for ObjectIds, and a
document whose `ts` someone corrected, which would keep its old hour's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from bson import decode
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as MongoCollection
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from runner.core.errors import (
    Scope,
    StoreError,
    StoreUnavailableError,
    UnsupportedCollectionError,
)
from runner.core.intervals import EPOCH, Interval, Intervals, hour_of, to_datetime, union
from runner.core.readings import Reading
from runner.store.attempt import Attempt, Pair, Written
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
from runner.store.reading_document import (
    ObjectIds,
    after_id,
    changes,
    documents_in,
    object_id,
    says_still,
    text_of,
    update_of,
    without_id,
)
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

log = structlog.get_logger()

NAME = "waqi_station_readings"

FIELDS = ("ts", "meta", "aqi", "time", "iaqi")
"""Top-level fields of our documents, besides `_id`."""

_KEY = ("meta.station_idx", "ts")
_HOUR_MS = 3_600_000
_MOST_ROUNDS = 4
"""Looks at the window before giving up; more than one only after another writer came between."""


class _Changed(NamedTuple):
    """A stored document, the reading that differs, and the document as it is stored."""

    stored: Document
    reading: Reading
    text: bytes


def _always() -> None:
    """Allow every write."""


def _unnoted(_replaced: Sequence[Pair]) -> None:
    """Keep nothing of what is replaced."""


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
        self._ids_of_replaced = ObjectIds()
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
            new, changed = self._difference(station_idx, window, readings, Attempt())
        unchanged = len(readings) - len(new) - len(changed)
        if self._can_replace:
            return Written(len(new), len(changed), unchanged)
        kept = tuple((stored, reading) for stored, reading, _text in changed)
        return Written(len(new), 0, unchanged, kept)

    def upsert(
        self,
        station_idx: int,
        window: Interval,
        readings: Sequence[Reading],
        attempt: Attempt | None = None,
        *,
        check: Callable[[], None] = _always,
        note: Callable[[Sequence[Pair]], None] = _unnoted,
    ) -> Written:
        """Make the stored readings of a window say what these readings say; idempotent.

        Hours of the window without a reading here are left as they are.

        Args:
            station_idx: the station of all the readings.
            window: hours, UTC, half-open; every reading lies in it.
            readings: at most one per hour.
            attempt: the same at every try of the same window, so that a try whose answer was lost
                counts.
            check: is called before every write; what it raises ends the upsert.
            note: keeps stored values before they are removed from a time-series collection.

        Returns:
            Exact counts, also when another writer stores the same hours at the same time.

        Raises:
            StoreError: MongoDB could not do it. Part of the readings may be stored; the next
                `upsert` of the window finds them unchanged.
        """
        if not readings:
            return Written()
        attempt = attempt or Attempt()
        acknowledged = 0
        with store_errors(NAME):
            for number in range(_MOST_ROUNDS):
                new, changed = (
                    ([*readings], [])
                    if number == 0 and station_idx in self._all_new
                    else self._difference(station_idx, window, readings, attempt)
                )
                kept: tuple[Pair, ...] = ()
                if not self._can_replace:
                    kept = tuple((stored, reading) for stored, reading, _text in changed)
                    changed = []
                inserted = self._insert(new, attempt, check)
                updated = self._replace(station_idx, changed, attempt, check, note)
                acknowledged += inserted + updated
                if inserted != len(new) or updated != len(changed):
                    continue
                if self.take_back(station_idx, window, attempt):
                    acknowledged = 0
                    continue
                if acknowledged < len(readings) and not self._is_durable(
                    station_idx, window, readings, attempt, len(kept)
                ):
                    continue
                self._expect(station_idx, all_new=inserted == len(readings))
                return attempt.written(len(readings), kept)
        if not new:
            raise StoreUnavailableError(
                f"{NAME}: station {station_idx}, {window}: other writers change the readings faster"
                " than they can be compared"
            )
        raise StoreError(
            f"{NAME}: station {station_idx}, {window}: {len(new)} readings are refused as doubles,"
            f" though their hours are not stored",
            scope=Scope.STATION,
            hint="A unique index on other fields than (meta.station_idx, ts) is in the way; "
            f"db.{NAME}.getIndexes() shows it.",
        )

    @property
    def can_replace(self) -> bool:
        """Whether a stored reading can be replaced or removed; known after `check` or `ensure`."""
        return self._can_replace

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
        self,
        station_idx: int,
        window: Interval,
        readings: Sequence[Reading],
        attempt: Attempt,
        confirmed_in: ClientSession | None = None,
    ) -> tuple[list[Reading], list[_Changed]]:
        """Return the readings that are not stored, and those that differ with what is stored.

        They come whole and in one batch, and as they are stored: nearly all of a rerun are equal to
        their reading byte by byte, and need not be decoded. (A projection is slower, too.)
        """
        collection: MongoCollection[Any] = self._collection
        if confirmed_in:
            collection = collection.with_options(read_concern=ReadConcern("majority"))
        batches: Iterable[Any] = collection.find_raw_batches(
            _in_window(station_idx, window), batch_size=window.hours + 1, session=confirmed_in
        )
        stored = {after_id(text): text for text in documents_in(b"".join(batches))}
        left: list[Reading] = []
        for reading in readings:
            if text := stored.pop(text_of(reading), None):
                attempt.finds(object_id(text), reading["ts"])
            else:
                left.append(reading)
        if not left:
            return [], []
        options = self._collection.codec_options
        by_time = {}
        for text in stored.values():
            document = decode(text, options)
            by_time[document["ts"]] = document, text
        new: list[Reading] = []
        changed: list[_Changed] = []
        for reading in left:
            document, text = by_time.get(reading["ts"], (None, b""))
            if document is None:
                new.append(reading)
            elif changes(document, reading, attempt.added_by_others(document)):
                changed.append(_Changed(document, reading, text))
            else:
                # A time-series collection returns `ts` and `meta` before it.
                attempt.finds(document["_id"], reading["ts"])
        return new, changed

    def _is_durable(
        self,
        station_idx: int,
        window: Interval,
        readings: Sequence[Reading],
        attempt: Attempt,
        kept: int,
    ) -> bool:
        """Whether a majority has the readings that were found, rather than written.

        Another writer may not have waited for it, nor a try of ours whose answer was lost. What the
        checkpoint calls covered must not be lost in a failover that takes them back.
        """
        client = self._collection.database.client
        servers = client.topology_description.server_descriptions().values()
        if any(server.server_type_name == "Standalone" for server in servers):
            return True
        with client.start_session(causal_consistency=True) as session:
            # The read below then waits until the majority has come as far as the primary is now.
            self._collection.database.command("ping", session=session)
            new, changed = self._difference(station_idx, window, readings, attempt, session)
        return not new and len(changed) == kept

    def _insert(self, new: list[Reading], attempt: Attempt, check: Callable[[], None]) -> int:
        """Insert; an hour that another writer stored first is left to the next look."""
        if not new:
            return 0
        ids = self._ids.take(len(new))
        for number, reading in enumerate(new):
            if reading["ts"] in attempt.removed:  # replaced, not inserted: see Checkpoints.begin
                (ids[number],) = self._ids_of_replaced.take(1)
        documents: list[Document] = [
            {"_id": _id, **attempt.removed.get(reading["ts"], reading)}
            for _id, reading in zip(ids, new, strict=True)
        ]
        check()
        attempt.sent |= {document["_id"]: document["ts"] for document in documents}
        refused: set[int] = set()
        try:
            self._collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            refused = {item["index"] for item in refusals(error, DUPLICATE_KEY)}
        attempt.inserted(documents, refused)
        return len(new) - len(refused)

    def take_back(self, station_idx: int, window: Interval, attempt: Attempt) -> bool:
        """Remove inserts of ours whose hour another writer filled at the same moment.

        If that is another run of ours, it may remove its own, too: as long as the station is its
        own, it looks again, and finds the hour missing. Before MongoDB 7.0 doubles stay, and a
        warning names them.

        Returns:
            Whether any was removed; a unique index leaves nothing to do.

        Raises:
            StoreError: MongoDB could not do it.
        """
        if not self._is_timeseries or not attempt.sent:
            return False
        with store_errors(NAME):
            return self._take_back(station_idx, window, attempt)

    def _take_back(self, station_idx: int, window: Interval, attempt: Attempt) -> bool:
        at: dict[datetime, set[Any]] = {}
        for document in self._collection.find(
            _in_window(station_idx, window), {"ts": 1}, batch_size=window.hours + 1
        ):
            at.setdefault(document["ts"], set()).add(document["_id"])
        ours = {
            ts: mine
            for ts, ids in at.items()
            if len(ids) > 1 and (mine := ids & attempt.sent.keys())
        }
        if ours and not self._can_replace:
            log.warning(
                "readings.doubled",
                station_idx=station_idx,
                hours=[f"{ts:%Y-%m-%dT%H:%MZ}" for ts in sorted(ours)],
                reason="another writer inserted into the time-series collection meanwhile",
                hint="before MongoDB 7.0 the server cannot remove a single reading",
            )
            return False
        if ours:
            self._remove(station_idx, [*ours], [_id for mine in ours.values() for _id in mine])
            for ts in ours:
                attempt.done.pop(ts, None)
        return bool(ours)

    def _replace(
        self,
        station_idx: int,
        changed: list[_Changed],
        attempt: Attempt,
        check: Callable[[], None],
        note: Callable[[Sequence[Pair]], None],
    ) -> int:
        """Update; a document that another writer changed or deleted is left to the next look."""
        if not changed:
            return 0
        hours = [reading["ts"] for _stored, reading, _text in changed]
        wanted = [
            changes(stored, reading, attempt.added_by_others(stored))
            for stored, reading, _text in changed
        ]
        if self._is_timeseries:
            note([(stored, reading) for stored, reading, _text in changed])
            return self._exchange(station_idx, changed, wanted, attempt, check)
        updates = [
            UpdateOne(says_still(text), update_of(stored, fields))
            for (stored, _reading, text), fields in zip(changed, wanted, strict=True)
        ]
        check()
        attempt.updates.update(hours)
        matched = self._collection.bulk_write(updates, ordered=False).matched_count
        attempt.updated(hours, matched)
        return matched

    def _exchange(
        self,
        station_idx: int,
        changed: list[_Changed],
        wanted: list[Document],
        attempt: Attempt,
        check: Callable[[], None],
    ) -> int:
        """Replace documents of a time-series collection, which knows no updates (MongoDB 7.0).

        Out with the old before in with the new: a crash between costs a fetch, because the hours do
        not count as covered meanwhile, never a double. By `_id`, because what another writer
        inserted since the look was not noted as a revision.
        """
        corrected = {
            stored["ts"]: without_id(stored | fields)
            for (stored, _reading, _text), fields in zip(changed, wanted, strict=True)
        }
        check()
        attempt.removed |= corrected
        self._remove(station_idx, [*corrected], [stored["_id"] for stored, _, _ in changed])
        return self._insert([reading for _stored, reading, _text in changed], attempt, check)

    def _remove(self, station_idx: int, hours: Sequence[datetime], ids: Sequence[Any]) -> None:
        """Delete single documents of a time-series collection (MongoDB 7.0)."""
        self._collection.delete_many(
            {"meta.station_idx": station_idx, "ts": {"$in": hours}, "_id": {"$in": ids}}
        )


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
