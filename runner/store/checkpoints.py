"""`ingest_checkpoints`: how far every station has been fetched; one document a station.

    {station_idx, status, last_processed_ts, start_ts, target_end_ts, total_readings, error_message,
     created_at, updated_at,                                       <- the documented fields
     covered: [[start, end), ...], empty: [[start, end, asked), ...], lease, total_inserted,
     total_updated, total_unchanged, total_rejected, total_repaired, rejected_hours, empty_hours,
     windows}                                                      <- ours

`covered` is the truth; the documented fields follow from it and keep their meaning: every hour from
`start_ts` to `last_processed_ts` (included) is processed, `target_end_ts` (excluded) is where the
range ends. Documents written by hand in the documented form are understood: without `covered`, what
they say by these dates is covered, and a status that is none of the three counts as in_progress, so
that the work goes on. All dates are UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from runner.core.checkpoint import (
    Checkpoint,
    Empties,
    Progress,
    Status,
    Tally,
    note_empties,
    without_hours,
)
from runner.core.errors import FailedElsewhereError
from runner.core.intervals import Interval, Intervals, hour_of, intersect, to_datetime
from runner.store.checkpoint_document import COUNTERS, NAME, to_checkpoint
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors
from runner.store.leases import Leases
from runner.store.shape import Index, Indexed

LONGEST_ERROR = 2000
"""Characters kept of an error message."""

_HOUR_MS = 3_600_000


class Checkpoints(Indexed):
    """The checkpoints of all stations. Thread-safe.

    A checkpoint that a person deletes while its station is being fetched stays deleted: `advance`,
    `complete` and `fail` change documents, and only `begin` makes one.

    Args:
        database: where the collection is, or will be.
        leases: of the run that changes checkpoints; None where no lease is asked for.
    """

    indexes = (Index(("station_idx",), "station", unique=True),)

    def __init__(self, database: Database[Document], leases: Leases | None = None) -> None:
        self._collection = open_collection(database, NAME)
        self._leases = leases

    def load(
        self, station_ids: Collection[int] | None = None, *, with_empty: bool = True
    ) -> dict[int, Checkpoint]:
        """Return the checkpoints of some stations, or of all; those without one are absent.

        Args:
            station_ids: the stations; None for all.
            with_empty: read `empty`, too: over years the longest part of a checkpoint by far.

        Raises:
            StoreError: MongoDB could not answer, or a document cannot be understood; the message
                names the station and the field.
        """
        with store_errors(NAME):
            found = self._collection.find(_of(station_ids), None if with_empty else {"empty": 0})
            loaded = map(to_checkpoint, found)  # one by one: together they would fill the memory
            return {checkpoint.station_idx: checkpoint for checkpoint in loaded if checkpoint}

    def forget(self, remaining: Mapping[int, Intervals]) -> None:
        """Let some stations be covered only so far, so that the rest is fetched again.

        Args:
            remaining: what stays covered, by station index.

        Raises:
            StoreError: MongoDB could not do it.
        """
        updates = [
            UpdateOne({"station_idx": idx}, {"$set": {"covered": _dates(covered)}})
            for idx, covered in remaining.items()
        ]
        if updates:
            with store_errors(NAME):
                self._collection.bulk_write(updates, ordered=False)

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
            StoreError: MongoDB could not do it, or the stored document cannot be understood.
        """
        defaults: Document = {
            "_id": _id_of(station_idx),
            "station_idx": station_idx,
            "status": str(Status.IN_PROGRESS if wanted else Status.COMPLETED),
            **dict.fromkeys(("last_processed_ts", "start_ts", "target_end_ts")),
            "total_readings": 0,
            "error_message": None,
            "created_at": now,
            "updated_at": now,
            "covered": None,
            "empty": [],
            **dict.fromkeys(COUNTERS.values(), 0),
        }
        fill_up = {"$replaceWith": {"$mergeObjects": [{"$literal": defaults}, "$$ROOT"]}}
        with store_errors(NAME):
            try:
                self._collection.update_one({"station_idx": station_idx}, [fill_up], upsert=True)
            except DuplicateKeyError:  # another run made it at the same moment
                self._collection.update_one({"station_idx": station_idx}, [fill_up])
        if self._leases:
            self._leases.claim(station_idx)
        before = self.load([station_idx]).get(station_idx)
        if wanted and before and before.status is Status.FAILED and not even_failed:
            if self._leases:
                self._leases.release(station_idx)
            raise FailedElsewhereError(before.error_message or "it failed in another run")
        progress = Progress(before.covered, before.empty) if before else Progress()
        covered = progress.covered
        changes = {"station_idx": station_idx, "covered": _dates(covered), "updated_at": now}
        if wanted:
            changes |= {
                "status": str(Status.IN_PROGRESS),
                "last_processed_ts": _reached(covered, wanted),
                "start_ts": to_datetime(wanted.start),
                "target_end_ts": to_datetime(wanted.end),
                "error_message": None,
            }
        self._update(station_idx, {"$set": changes})
        return progress

    def advance(
        self,
        station_idx: int,
        wanted: Interval | None,
        covered: Intervals,
        empty: Empties,
        tally: Tally,
        now: datetime,
    ) -> None:
        """Record a window whose readings are stored: the one write after a window.

        Args:
            station_idx: the station.
            wanted: the range begun; None for none.
            covered: everything covered now, the window included.
            empty: covered hours that the source had no reading for.
            tally: counts of the window; added to the totals.
            now: the present, aware.

        Raises:
            LeaseError: another run works on the station by now.
            StoreError: MongoDB could not do it.
        """
        counts = asdict(tally)
        dates = _dates(covered)
        reached = {"last_processed_ts": _reached(covered, wanted)} if wanted else {}
        self._update(
            station_idx,
            {
                "$set": {
                    "covered": dates,
                    "empty": [[*map(to_datetime, item)] for item in empty],
                    "updated_at": now,
                    **reached,
                },
                "$inc": {
                    "total_readings": tally.readings,
                    **{field: counts[name] for name, field in COUNTERS.items()},
                },
            },
            covered={"$ne": dates},  # asked again after an outage, it must not count twice
        )

    def note_filled(
        self,
        station_idx: int,
        hours: Collection[int],
        gained: Tally,
        now: datetime,
        emptied: Collection[int] = (),
    ) -> None:
        """Record that covered hours have a reading now; they are not empty any more.

        Args:
            station_idx: the station.
            hours: those hours.
            gained: added to the totals.
            now: the present, aware.
            emptied: hours that have no reading any more; of them, those covered are empty now.

        Raises:
            LeaseError: another run works on the station by now.
            StoreError: MongoDB could not do it.
        """
        before = self.load([station_idx]).get(station_idx)
        if before is None:
            return
        empty = without_hours(before.empty, hours)
        for piece in intersect(before.covered, (Interval(hour, hour + 1) for hour in emptied)):
            empty = note_empties(empty, piece, range(*piece), hour_of(now))
        changes = {"empty": [[*map(to_datetime, item)] for item in empty], "updated_at": now}
        counts = {field: getattr(gained, name) for name, field in COUNTERS.items()}
        counts["total_readings"] = gained.inserted
        self._update(station_idx, {"$set": changes, "$inc": counts})

    def complete(self, station_idx: int, now: datetime) -> None:
        """Record that the range begun is covered to its end.

        Raises:
            StoreError: MongoDB could not do it.
        """
        changes = {
            "status": str(Status.COMPLETED),
            "last_processed_ts": {"$subtract": ["$target_end_ts", _HOUR_MS]},
            "error_message": None,
            "updated_at": now,
        }
        self._update(station_idx, [{"$set": changes}])

    def fail(self, station_idx: int, message: str, now: datetime) -> None:
        """Record why a station could not be fetched to the end.

        Raises:
            StoreError: MongoDB could not do it.
        """
        storable = message[:LONGEST_ERROR].encode("utf-8", "replace").decode("utf-8")
        changes = {"status": str(Status.FAILED), "error_message": storable, "updated_at": now}
        self._update(station_idx, {"$set": changes})

    def reset(self, station_ids: Collection[int]) -> int:
        """Delete checkpoints, so that the stations are fetched anew; return how many there were.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            return self._collection.delete_many(_of(station_ids)).deleted_count

    def _update(
        self, station_idx: int, change: Document | list[Document], **unless: Document
    ) -> None:
        """Change a checkpoint; one that a person deleted meanwhile stays deleted."""
        chosen: Document = {"station_idx": station_idx, **unless}
        mine = {**chosen, "lease.owner": self._leases.owner} if self._leases else chosen
        with store_errors(NAME):
            matched = self._collection.update_one(mine, change).matched_count
        if self._leases and not matched:
            self._leases.check(station_idx)


def _id_of(station_idx: int) -> ObjectId:
    """Return the `_id` of a new checkpoint.

    The station's number as an ObjectId: two runs that begin a station at the same moment make one
    document, also where there is no unique index (mongo.indexes=none).
    """
    return ObjectId(f"{station_idx % 2**96:024x}")


def _reached(covered: Intervals, wanted: Interval) -> datetime | None:
    """Return the last hour up to which a range is covered without a hole; None before the first."""
    ends = (piece.end for piece in covered if piece.start <= wanted.start < piece.end)
    end = next(ends, None)
    return None if end is None else to_datetime(min(end, wanted.end) - 1)


def _of(station_ids: Collection[int] | None) -> Document:
    return {} if station_ids is None else {"station_idx": {"$in": [*station_ids]}}


def _dates(intervals: Iterable[Interval]) -> list[list[Any]]:
    return [[to_datetime(start), to_datetime(end)] for start, end in intervals]
