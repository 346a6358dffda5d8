"""What one `upsert` of readings has done so far, over all its tries, and its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId

from runner.core.readings import Reading
from runner.store.collection import Document

Pair = tuple[Document, Reading]
"""A stored document, and the reading that differs from it."""


@dataclass(frozen=True, slots=True)
class Written:
    """Counts of the readings of one `upsert`; the four add up to their number.

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
    revisions: tuple[Pair, ...] = ()


@dataclass(slots=True)
class Attempt:
    """What is known of one `upsert` over all its tries; an answer may be lost in an outage.

    Attributes:
        done: hours that were inserted or updated for sure.
        more: updates beside those in `done`, of which only the number is known.
        sent: ids of all documents that were sent to be inserted, and their hours.
        updates: hours whose update was sent and not answered.
        removed: documents to be inserted in place of removed ones of a time-series collection.
        seen: names of the sub-indices that a stored document had when first seen.
    """

    done: dict[datetime, str] = field(default_factory=dict)
    more: int = 0
    sent: dict[ObjectId, datetime] = field(default_factory=dict)
    updates: set[datetime] = field(default_factory=set)
    removed: dict[datetime, Document] = field(default_factory=dict)
    seen: dict[datetime, frozenset[str]] = field(default_factory=dict)

    def finds(self, _id: Any, ts: datetime) -> None:
        """Note that a reading is stored: by us, if it was sent and the answer was lost."""
        if ts in self.updates or (_id in self.sent and ts in self.removed):
            self.done.setdefault(ts, "updated")
        elif _id in self.sent:
            self.done.setdefault(ts, "inserted")

    def inserted(self, documents: Sequence[Document], refused: Collection[int]) -> None:
        """Note the answer to an insert: all but the refused ones are there."""
        for number, document in enumerate(documents):
            if number not in refused:
                self.finds(document["_id"], document["ts"])

    def updated(self, hours: Sequence[datetime], matched: int) -> None:
        """Note the answer to an update."""
        self.updates.difference_update(hours)
        if matched == len(hours):
            self.done |= {ts: self.done.get(ts, "updated") for ts in hours}
        else:
            self.more += matched

    def added_by_others(self, document: Document) -> frozenset[str]:
        """Return the sub-indices of a document that it did not have when first seen."""
        iaqi = document.get("iaqi")
        names = frozenset(iaqi if isinstance(iaqi, dict) else ())
        return names - self.seen.setdefault(document["ts"], names)

    def written(self, total: int, kept: tuple[Pair, ...]) -> Written:
        """Return the counts of all tries together."""
        counts = Counter(self.done.values())
        inserted = counts["inserted"]
        updated = min(counts["updated"] + self.more, total - inserted - len(kept))
        return Written(inserted, updated, total - inserted - updated - len(kept), kept)
