"""What old runs left beside the readings and stations, which are no leftovers, by age.

The age of a checkpoint is that of its last change; a station that a run works on has a live lease,
and its checkpoint is never removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from pymongo.database import Database

from runner.store import checkpoint_document, raw, rejects, runs
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors

_LEASES = "lease"


@dataclass(frozen=True, slots=True)
class Leftover:
    """Documents of one collection that can go.

    Attributes:
        collection: its name.
        what: the kind of thing, in words.
        chosen: the query that finds them.
        field: what is taken away; None for the whole document.
        count: how many there are.
    """

    collection: str
    what: str
    chosen: Document
    field: str | None = None
    count: int = 0


class Leftovers:
    """Finds and removes what is old.

    Args:
        database: where the collections are.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def find(self, before: datetime, keep_stations: Collection[int] | None) -> list[Leftover]:
        """Return what was last touched before a moment, counted.

        Args:
            before: aware.
            keep_stations: stations whose checkpoints stay; None to keep every checkpoint.

        Raises:
            StoreError: MongoDB could not answer.
        """
        return [
            Leftover(item.collection, item.what, item.chosen, item.field, self._count(item))
            for item in _kinds(before, keep_stations)
        ]

    def remove(self, leftover: Leftover) -> int:
        """Remove what `find` found, as far as it is still old; return how many.

        Raises:
            StoreError: MongoDB could not do it.
        """
        collection = open_collection(self._database, leftover.collection)
        with store_errors(leftover.collection):
            if leftover.field:
                change = {"$unset": {leftover.field: ""}}
                return collection.update_many(leftover.chosen, change).modified_count
            return collection.delete_many(leftover.chosen).deleted_count

    def _count(self, leftover: Leftover) -> int:
        with store_errors(leftover.collection):
            collection = open_collection(self._database, leftover.collection)
            return collection.count_documents(leftover.chosen)


def _kinds(before: datetime, keep_stations: Collection[int] | None) -> Iterator[Leftover]:
    old = {"$lt": before}
    yield Leftover(runs.NAME, "records of runs", {"started_at": old})
    yield Leftover(rejects.NAME, "refused records", {"last_seen_at": old})
    yield Leftover(raw.NAME, "kept answers", {"answered_at": old})
    expired = {"lease.expires_at": old}
    yield Leftover(checkpoint_document.NAME, "expired leases", expired, _LEASES)
    if keep_stations is not None:
        live = {
            "$and": [
                {"$eq": [{"$type": "$lease.expires_at"}, "date"]},
                {"$gt": ["$lease.expires_at", "$$NOW"]},
            ]
        }
        others: Document = {
            "station_idx": {"$nin": [*keep_stations]},
            # Documents of older versions have `updated_at` in its place.
            "$or": [{"last_updated": old}, {"updated_at": old}],
            "$expr": {"$not": live},
        }
        yield Leftover(checkpoint_document.NAME, "checkpoints of stations not chosen", others)
