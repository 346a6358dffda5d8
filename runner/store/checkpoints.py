"""`ingest_checkpoints`: how far every station has been fetched; one document per station.

    {station_idx, last_processed_ts, start_ts, target_end_ts, total_hours_processed,
     total_readings_inserted, last_updated, status, error_message,  <- the documented fields
     schema: 2, created_at, covered: [[start, end), ...], empty: [[start, end, asked), ...],
     rejected, not_asked, unknown: [[start, end), ...] each,
     total_updated, total_unchanged, total_kept, windows, writer, lease}  <- ours

`covered` is the truth; the documented fields follow from it and keep their meaning: every hour from
`start_ts` to `last_processed_ts` (excluded) is processed, so that it is `start_ts` before the first
window and `target_end_ts` when completed. `total_hours_processed` counts the hours covered,
`total_readings_inserted` the readings that runs put into the collection, each once.
What `rejected`, `not_asked` and `unknown` mean, `runner.core.checkpoint.Progress` says.
`writer` {ids, inserted} names the run that has the station by its part of every `_id`, and says how
many of its readings are counted: what a killed run stored without counting is counted by the next.

Documents in the documented form and those of older versions are understood (checkpoint_document.py)
and rewritten by `begin`. A status that is none of the three counts as in_progress, so that the work
goes on. All dates are UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from runner.core.checkpoint import Checkpoint, Progress, Status, Tally
from runner.core.errors import CheckpointChangedError, FailedElsewhereError, StoreError
from runner.core.intervals import (
    Interval,
    Intervals,
    to_datetime,
    total_hours,
)
from runner.store import readings
from runner.store.checkpoint_document import (
    COUNTERS,
    DROPPED,
    INSERTED,
    NAME,
    NOTED,
    SCHEMA,
    reached,
    station_of,
    to_checkpoint,
    unreadable,
)
from runner.store.collection import Document, open_collection, whole_number
from runner.store.connection import store_errors
from runner.store.leases import Leases
from runner.store.reading_document import made_by
from runner.store.rejects import Rejects
from runner.store.shape import Index, Indexed

LONGEST_ERROR = 2000
"""Characters kept of an error message."""

_DELETED = "its checkpoint was deleted while this run worked on it"
_CHANGED = "its checkpoint was changed by somebody else while this run worked on it"


class Checkpoints(Indexed):
    """The checkpoints of all stations. Thread-safe; a station is one thread's at a time.

    `begin` makes a checkpoint; all others change what this run last saw of it, and nothing else: a
    checkpoint that a person deletes while its station is being fetched stays deleted.

    Args:
        database: where the collection is, or will be.
        leases: of the run that changes checkpoints; None if no lease is needed.
        maker: the part of every `_id` that says that this run inserted a reading.
    """

    indexes = (Index(("station_idx",), "station", unique=True),)

    def __init__(
        self, database: Database[Document], leases: Leases | None = None, maker: str = ""
    ) -> None:
        self._collection = open_collection(database, NAME)
        self._readings = open_collection(database, readings.NAME)
        self._rejects = Rejects(database)
        self._leases = leases
        self._maker = maker
        self._seen: dict[int, Document] = {}

    def load(
        self, station_ids: Collection[int] | None = None, *, with_empty: bool = True
    ) -> dict[int, Checkpoint]:
        """Return the checkpoints of some stations, or of all; those without one are absent.

        Args:
            station_ids: the stations; None for all.
            with_empty: read `empty`, too: over years the longest part of a checkpoint by far.

        Returns:
            One for every station that has a document; `unreadable` is set where it cannot be
            understood.

        Raises:
            StoreError: MongoDB could not answer.
        """
        loaded: dict[int, Checkpoint] = {}
        with store_errors(NAME):
            found = self._collection.find(_of(station_ids), None if with_empty else {"empty": 0})
            for document in found:  # one by one: together they would fill the memory
                idx = station_of(document)
                if idx is None:
                    continue
                try:
                    checkpoint = self._read(document)
                except StoreError as error:
                    checkpoint = unreadable(idx, error)
                if checkpoint:
                    loaded[idx] = checkpoint
        return loaded

    def _read(self, document: Document) -> Checkpoint | None:
        """Return a checkpoint, with what an older version noted in the kept rejects alone.

        Raises:
            StoreError: it cannot be understood, or MongoDB could not answer.
        """
        checkpoint = to_checkpoint(document)
        if checkpoint is None or not checkpoint.unsettled or not checkpoint.empty:
            return checkpoint
        span = Interval(checkpoint.empty[0].start, checkpoint.empty[-1].end)
        kept = self._rejects.reasons(checkpoint.station_idx, span)
        progress = checkpoint.progress.settle(kept.keys())
        return replace(
            checkpoint, rejected=progress.rejected, unknown=progress.unknown, unsettled=0
        )

    def forget(self, remaining: Mapping[int, Intervals]) -> None:
        """Let some stations be covered only so far, so that the rest is fetched again.

        Args:
            remaining: what stays covered, by station index.

        Raises:
            StoreError: MongoDB could not do it.
        """
        ranges = self._ranges(remaining)
        updates = []
        for idx, covered in remaining.items():
            changes = {"covered": _dates(covered), "total_hours_processed": total_hours(covered)}
            if idx in ranges:
                changes["last_processed_ts"] = reached(covered, ranges[idx])
            updates.append(UpdateOne({"station_idx": idx}, {"$set": changes}))
        if updates:
            with store_errors(NAME):
                self._collection.bulk_write(updates, ordered=False)

    def _ranges(self, station_ids: Collection[int]) -> dict[int, Interval]:
        """Return the ranges last begun, of stations that have one."""
        found = self.load(station_ids, with_empty=False) if station_ids else {}
        ranges = {idx: _range_of(checkpoint) for idx, checkpoint in found.items()}
        return {idx: one for idx, one in ranges.items() if one}

    def begin(
        self, station_idx: int, wanted: Interval | None, now: datetime, *, even_failed: bool = True
    ) -> Progress:
        """Take a station, and set it to in_progress over a range; what is covered stays.

        A checkpoint is made where there is none, and filled up where it was written by hand.
        Without a range (a present observation) state and range stay as they are; a checkpoint that
        is made then is completed, since nothing is left of what was asked for.

        Args:
            station_idx: the station.
            wanted: the range.
            now: the present, aware.
            even_failed: whether to take a station that failed.

        Returns:
            How far the station is.

        Raises:
            LeaseError: another run works on the station.
            FailedElsewhereError: it failed, and is not to be taken then.
            StoreError: MongoDB could not do it, or the stored document cannot be understood, which
                is the station's fault alone; the message names the station and the field.
        """
        first = _first(station_idx, wanted, now)
        make = {"$cond": [{"$eq": [{"$type": "$_id"}, "missing"]}, {"$literal": first}, "$$ROOT"]}
        chosen = {"station_idx": station_idx}
        # A DuplicateKeyError means that another run made it at the same moment.
        with store_errors(NAME), suppress(DuplicateKeyError):
            self._collection.update_one(chosen, [{"$replaceWith": make}], upsert=True)
        if self._leases:
            self._leases.claim(station_idx)
        with store_errors(NAME):
            document = self._collection.find_one(chosen)
        before = self._read(document) if document else None
        if document is None or before is None:  # a person deleted it just now
            raise CheckpointChangedError(_DELETED)
        if wanted and before.status is Status.FAILED and not even_failed:
            if self._leases:
                self._leases.release(station_idx)
            raise FailedElsewhereError(before.error_message or "it failed in another run")
        ids, counted = _writer_of(document)
        stored = self._stored_by(station_idx, ids) if ids else 0
        progress = before.progress
        seen = _state(progress)
        changes = {
            "station_idx": station_idx,
            # What a killed run stored without counting is found by its ids.
            INSERTED: before.total.inserted + max(0, stored - counted),
            "last_updated": now,
            "schema": SCHEMA,
            **seen,
            "total_hours_processed": total_hours(before.covered),
            "writer": {"ids": self._maker, "inserted": stored if ids == self._maker else 0},
        }
        if wanted:
            changes |= {
                "status": str(Status.IN_PROGRESS),
                "start_ts": to_datetime(wanted.start),
                "target_end_ts": to_datetime(wanted.end),
                "error_message": None,
            }
        if within := wanted or _range_of(before):
            changes["last_processed_ts"] = reached(progress.settled, within)
        layers = [{"$literal": {"_id": None, **first}}, "$$ROOT", {"$literal": changes}]
        rewrite: list[Document] = [
            {"$unset": [*DROPPED]},
            {"$replaceWith": {"$mergeObjects": layers}},
        ]
        if not self._update(station_idx, rewrite):
            raise CheckpointChangedError(_DELETED)
        self._seen[station_idx] = seen
        return progress

    def _stored_by(self, station_idx: int, maker: str) -> int:
        """Count the readings of a station that a run inserted."""
        theirs = {"meta.station_idx": station_idx, "$expr": made_by(maker)}
        with store_errors(readings.NAME):
            return self._readings.count_documents(theirs)

    def advance(
        self,
        station_idx: int,
        wanted: Interval | None,
        progress: Progress,
        tally: Tally,
        now: datetime,
    ) -> None:
        """Record a window whose readings are stored: the one write after a window.

        Args:
            station_idx: the station.
            wanted: the range begun; None for none.
            progress: what is known of the station's hours now, the window included.
            tally: counts of the window; added to the totals.
            now: the present, aware.

        Raises:
            LeaseError: another run works on the station by now.
            CheckpointChangedError: the checkpoint is not what this run last saw; it stays so.
            StoreError: MongoDB could not do it.
        """
        state = _state(progress)
        if state == self._seen.get(station_idx):
            return  # an observation of an hour that is known: nothing of it could be made out twice
        counts = asdict(tally)
        hours = total_hours(progress.covered)
        changes = {**state, "total_hours_processed": hours, "last_updated": now}
        if wanted:
            changes["last_processed_ts"] = reached(progress.settled, wanted)
        self._change(
            station_idx,
            state,
            {
                "$set": changes,
                "$inc": {
                    "writer.inserted": tally.inserted,
                    **{field: counts[name] for name, field in COUNTERS.items()},
                },
            },
        )

    def note_filled(
        self, station_idx: int, hours: Collection[int], gained: Tally, now: datetime
    ) -> None:
        """Record that covered hours have a reading now; they are not empty any more.

        Args:
            station_idx: the station.
            hours: those hours.
            gained: added to the totals.
            now: the present, aware.

        Raises:
            LeaseError: another run works on the station by now.
            StoreError: MongoDB could not do it.
        """
        before = self.load([station_idx]).get(station_idx)
        if before is None or before.unreadable:
            return
        state = _state(before.progress.after_filling(hours))
        counts = {field: getattr(gained, name) for name, field in COUNTERS.items()}
        counts["writer.inserted"] = gained.inserted
        changes = {**state, "last_updated": now}
        if self._update(station_idx, {"$set": changes, "$inc": counts}):
            self._seen[station_idx] = state

    def complete(self, station_idx: int, now: datetime) -> None:
        """Record that the range begun is covered to its end.

        Raises:
            LeaseError: another run works on the station by now.
            CheckpointChangedError: the checkpoint is not what this run last saw; it stays so.
            StoreError: MongoDB could not do it.
        """
        changes = {
            "status": str(Status.COMPLETED),
            "last_processed_ts": "$target_end_ts",
            "error_message": None,
            "last_updated": now,
        }
        self._change(station_idx, self._seen[station_idx], [{"$set": changes}])

    def fail(self, station_idx: int, message: str, now: datetime) -> None:
        """Record why a station could not be fetched to the end.

        Raises:
            StoreError: MongoDB could not do it.
        """
        storable = message[:LONGEST_ERROR].encode("utf-8", "replace").decode("utf-8")
        changes = {"status": str(Status.FAILED), "error_message": storable, "last_updated": now}
        self._update(station_idx, {"$set": changes})

    def leave(self, station_idx: int, *, counted: bool = True) -> None:
        """Give a station back.

        Args:
            station_idx: the station.
            counted: whether all that this run inserted is counted; if not, the next run counts it.

        Raises:
            StoreError: MongoDB could not do it; the lease expires by itself.
        """
        begun = self._seen.pop(station_idx, None) is not None
        if self._leases:
            self._leases.release(station_idx, besides=("writer",) if begun and counted else ())

    def reset(self, station_ids: Collection[int]) -> int:
        """Delete checkpoints, so that the stations are fetched anew; return how many there were.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            return self._collection.delete_many(_of(station_ids)).deleted_count

    def _change(self, station_idx: int, after: Document, change: Document | list[Document]) -> None:
        """Change a checkpoint that is what this run last saw.

        Args:
            station_idx: the station.
            after: what is known of the station's hours then.
            change: as MongoDB takes it.

        Raises:
            LeaseError: another run works on the station by now.
            CheckpointChangedError: it is something else.
        """
        seen = self._seen[station_idx]
        # The others are long: they are compared only if `covered` does not make out what is new.
        names = ["covered"] if after["covered"] != seen["covered"] else [*after]
        if not self._update(station_idx, change, {name: seen[name] for name in names}):
            with store_errors(NAME):
                found = self._collection.find_one({"station_idx": station_idx}, names)
            if found is None:
                raise CheckpointChangedError(_DELETED)
            # After an outage it may be done although no answer came: it must not count twice.
            if any(found.get(name) != after[name] for name in names):
                raise CheckpointChangedError(_CHANGED)
        self._seen[station_idx] = after

    def _update(
        self,
        station_idx: int,
        change: Document | list[Document],
        seen: Document | None = None,
    ) -> bool:
        """Change a checkpoint if it is there, is this run's, and is what was seen of it.

        Raises:
            LeaseError: it is another run's.
        """
        chosen: Document = {"station_idx": station_idx, **(seen or {})}
        mine = {**chosen, "lease.owner": self._leases.owner} if self._leases else chosen
        with store_errors(NAME):
            matched = self._collection.update_one(mine, change).matched_count
        if self._leases and not matched:
            self._leases.check(station_idx)
        return bool(matched)


def _id_of(station_idx: int) -> ObjectId:
    """Return the `_id` of a new checkpoint.

    The station's number as an ObjectId: two runs that begin a station at the same moment make one
    document, also where there is no unique index (mongo.indexes=none).
    """
    return ObjectId(f"{station_idx % 2**96:024x}")


def _first(station_idx: int, wanted: Interval | None, now: datetime) -> Document:
    """Return a checkpoint before the first window, the documented fields first."""
    start, end = map(to_datetime, wanted) if wanted else (None, None)
    return {
        "_id": _id_of(station_idx),
        "station_idx": station_idx,
        "last_processed_ts": start,
        "start_ts": start,
        "target_end_ts": end,
        "total_hours_processed": 0,
        INSERTED: 0,
        "last_updated": now,
        "status": str(Status.IN_PROGRESS if wanted else Status.COMPLETED),
        "error_message": None,
        "schema": SCHEMA,
        "created_at": now,
        **_state(Progress()),
        **{field: 0 for field in COUNTERS.values() if field != INSERTED},
    }


def _state(progress: Progress) -> Document:
    """Return what makes out how far a station is; every window changes it."""
    return {
        "covered": _dates(progress.covered),
        "empty": [[*map(to_datetime, item)] for item in progress.empty],
        **{name: _dates(getattr(progress, name)) for name in NOTED},
    }


def _writer_of(document: Document) -> tuple[str, int]:
    """Return who had the station last, as in its ids, and how many of its readings are counted."""
    writer = document.get("writer")
    if not isinstance(writer, dict):
        return "", 0
    return str(writer.get("ids") or ""), whole_number(writer.get("inserted")) or 0


def _range_of(checkpoint: Checkpoint) -> Interval | None:
    """Return the range last begun; None without one."""
    start, end = checkpoint.start_hour, checkpoint.target_end_hour
    return Interval(start, end) if start is not None and end is not None and start < end else None


def _of(station_ids: Collection[int] | None) -> Document:
    return {} if station_ids is None else {"station_idx": {"$in": [*station_ids]}}


def _dates(intervals: Iterable[Interval]) -> list[list[Any]]:
    return [[to_datetime(start), to_datetime(end)] for start, end in intervals]
