"""`ingest_checkpoints`: how far every station has been fetched; one document a station.

    {station_idx, status, last_processed_ts, start_ts, target_end_ts, total_readings, error_message,
     created_at, updated_at,                                       <- the documented fields
     covered: [[start, end), ...], total_inserted, total_updated, total_unchanged, total_rejected,
     total_repaired, rejected_hours, empty_hours, windows}         <- ours

`covered` is the truth; the documented fields follow from it and keep their meaning: every hour from
`start_ts` to `last_processed_ts` (included) is processed, `target_end_ts` (excluded) is where the
range ends. Documents written by hand in the documented form are understood: without `covered`, what
they say by these dates is covered, and a status that is none of the three counts as in_progress, so
that the work goes on. All dates are UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pymongo.database import Database

from runner.core.checkpoint import Checkpoint, Status, Tally
from runner.core.intervals import Interval, Intervals, to_datetime
from runner.store.checkpoint_document import COUNTERS, NAME, to_checkpoint
from runner.store.collection import Document, ensure_unique_index, open_collection
from runner.store.connection import store_errors

LONGEST_ERROR = 2000
"""Characters kept of an error message."""

_HOUR_MS = 3_600_000


class Checkpoints:
    """The checkpoints of all stations. Thread-safe.

    A checkpoint that a person deletes while its station is being fetched stays deleted: `advance`,
    `complete` and `fail` change documents, and only `begin` makes one.

    Args:
        database: where the collection is, or will be.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._collection = open_collection(database, NAME)

    def ensure(self) -> None:
        """Make the collection and its unique index on station_idx, where missing.

        Raises:
            UnsupportedCollectionError: a station has several checkpoints; nothing was changed.
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            ensure_unique_index(self._collection, ("station_idx",), "station")

    def load(self, station_ids: Collection[int] | None = None) -> dict[int, Checkpoint]:
        """Return the checkpoints of some stations, or of all; those without one are absent.

        Raises:
            StoreError: MongoDB could not answer, or a document cannot be understood; the message
                names the station and the field.
        """
        with store_errors(NAME):
            found = list(self._collection.find(_of(station_ids)))
        loaded = map(to_checkpoint, found)
        return {checkpoint.station_idx: checkpoint for checkpoint in loaded if checkpoint}

    def begin(self, station_idx: int, wanted: Interval, now: datetime) -> None:
        """Set a station to in_progress over a range; what is covered and the totals stay.

        Raises:
            StoreError: MongoDB could not do it, or the stored document cannot be understood.
        """
        before = self.load([station_idx]).get(station_idx)
        covered = before.covered if before else ()
        reached = next(
            (piece.end for piece in covered if piece.start <= wanted.start < piece.end),
            wanted.start,
        )
        last = min(reached, wanted.end) - 1
        defaults = {
            "station_idx": station_idx,
            **dict.fromkeys(("status", "last_processed_ts", "start_ts", "target_end_ts")),
            "total_readings": 0,
            "error_message": None,
            "created_at": now,
            "updated_at": now,
            "covered": _dates(covered),
            **dict.fromkeys(COUNTERS.values(), 0),
        }
        changes = {
            "station_idx": station_idx,
            "status": str(Status.IN_PROGRESS),
            "last_processed_ts": to_datetime(last) if last >= wanted.start else None,
            "start_ts": to_datetime(wanted.start),
            "target_end_ts": to_datetime(wanted.end),
            "error_message": None,
            "updated_at": now,
        }
        layers = [{"$literal": defaults}, "$$ROOT", {"$literal": changes}]
        with store_errors(NAME):
            self._collection.update_one(
                {"station_idx": station_idx},
                [{"$replaceWith": {"$mergeObjects": layers}}],
                upsert=True,
            )

    def advance(
        self,
        station_idx: int,
        window: Interval,
        covered: Intervals,
        tally: Tally,
        now: datetime,
    ) -> None:
        """Record a window whose readings are stored: the one write after a window.

        Args:
            station_idx: the station.
            window: the hours just processed.
            covered: everything covered now, the window included.
            tally: counts of the window; added to the totals.
            now: the present, aware.

        Raises:
            StoreError: MongoDB could not do it.
        """
        counts = asdict(tally)
        self._update(
            station_idx,
            {
                "$set": {
                    "covered": _dates(covered),
                    "last_processed_ts": to_datetime(window.end - 1),
                    "updated_at": now,
                },
                "$inc": {
                    "total_readings": tally.readings,
                    **{field: counts[name] for name, field in COUNTERS.items()},
                },
            },
        )

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

    def reopen_failed(self, station_ids: Collection[int] | None = None) -> list[int]:
        """Set failed stations, of some or of all, to in_progress; what is covered stays.

        Returns:
            The indices of the stations that were failed, sorted.

        Raises:
            StoreError: MongoDB could not do it.
        """
        failed = {"status": str(Status.FAILED)}
        changes = {"status": str(Status.IN_PROGRESS), "error_message": None}
        with store_errors(NAME):
            found = self._collection.distinct("station_idx", {**_of(station_ids), **failed})
            self._collection.update_many({**_of(found), **failed}, {"$set": changes})
        return sorted(found)

    def reset(self, station_ids: Collection[int]) -> int:
        """Delete checkpoints, so that the stations are fetched anew; return how many there were.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            return self._collection.delete_many(_of(station_ids)).deleted_count

    def _update(self, station_idx: int, change: Document | list[Document]) -> None:
        with store_errors(NAME):
            self._collection.update_one({"station_idx": station_idx}, change)


def _of(station_ids: Collection[int] | None) -> Document:
    return {} if station_ids is None else {"station_idx": {"$in": [*station_ids]}}


def _dates(intervals: Iterable[Interval]) -> list[list[Any]]:
    return [[to_datetime(start), to_datetime(end)] for start, end in intervals]
