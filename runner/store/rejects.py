"""`ingest_rejects`: every record that could not become a reading, raw, with its reason.

    {_id, station_idx, reason, ts, raw, raw_form, source, window: {start, end},
     run_id, first_seen_at, last_run_id, last_seen_at}

`_id` is a digest of station, hour, reason and record: the same bad record met again changes only
the last two fields. `raw_form` says how `raw` is to be read: `plain` (as the source sent it),
`json` (a JSON text of it, because MongoDB cannot hold it as it is, or it is large) or `cut` (the
beginning of such a text). Dates are UTC; `ts` is null where the record has no readable time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from reprlib import Repr
from threading import Lock
from typing import Any

from pymongo import ASCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.readings import Reject
from runner.store.collection import DUPLICATE_KEY, Document, open_collection, refusals
from runner.store.connection import store_errors
from runner.store.shape import Index, Indexed

NAME = "ingest_rejects"

LONGEST_RAW = 16_384
"""Characters of a record's JSON text that are kept; a record with more is stored as text."""
DEEPEST_RAW = 32
"""Levels of nesting of a record that is stored plainly; MongoDB itself allows 100."""

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class RejectSummary:
    """Rejects of one station for one reason.

    Attributes:
        station_idx: the station.
        reason: a `Reason`, as stored.
        count: how many are kept.
        example: one of the records, raw.
    """

    station_idx: int | None
    reason: str
    count: int
    example: Any


@dataclass(frozen=True, slots=True)
class KeptReject:
    """A refused record, as the source sent it, that can be tried again.

    Attributes:
        key: its `_id`.
        station_idx: the station that was asked for.
        reason: a `Reason`, as stored.
        record: the record.
        window: the hours that were asked for, UTC.
        met_at: when it was first met, aware.
    """

    key: str
    station_idx: int
    reason: str
    record: Any
    window: Interval
    met_at: datetime


class Rejects(Indexed):
    """The refused records of all stations. Thread-safe.

    Args:
        database: where the collection is, or will be.
        most: records kept through this object; more are counted only.
    """

    indexes = (Index(("station_idx", "reason"), "station_idx_1_reason_1"),)

    def __init__(self, database: Database[Document], most: int = 2**63) -> None:
        self._collection = open_collection(database, NAME)
        self._left = most
        self._lock = Lock()
        self.dropped = 0

    @contextmanager
    def _within_limit(self, rejects: Sequence[Reject]) -> Iterator[Sequence[Reject]]:
        """Yield what is left of the limit; count only if the block ends without an error."""
        with self._lock:
            kept = rejects[: self._left]
            self._left -= len(kept)  # reserved: other threads keep rejects meanwhile
        try:
            yield kept
        except BaseException:
            with self._lock:
                self._left += len(kept)
            raise
        with self._lock:
            self.dropped += len(rejects) - len(kept)

    def keep(
        self,
        run_id: str,
        station_idx: int,
        window: Interval,
        rejects: Sequence[Reject],
        source: str,
        now: datetime,
    ) -> int:
        """Keep refused records; idempotent, and never refuses one, whatever is in it.

        Args:
            run_id: the run that met them.
            station_idx: the station that was asked for.
            window: the hours that were asked for, UTC.
            rejects: the records, as the source sent them.
            source: the name of the source.
            now: the present, aware.

        Returns:
            How many were not kept before.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with self._within_limit(rejects) as kept:
            return self._keep(run_id, station_idx, window, kept, source, now) if kept else 0

    def _keep(
        self,
        run_id: str,
        station_idx: int,
        window: Interval,
        rejects: Sequence[Reject],
        source: str,
        now: datetime,
    ) -> int:
        met = {
            "source": source,
            "window": {"start": to_datetime(window.start), "end": to_datetime(window.end)},
            "run_id": run_id,
            "first_seen_at": now,
        }
        documents = (_to_document(station_idx, reject) for reject in rejects)
        distinct = {document["_id"]: document for document in documents}
        again = {"last_run_id": run_id, "last_seen_at": now}
        upserts = [
            UpdateOne({"_id": key}, {"$setOnInsert": document | met, "$set": again}, upsert=True)
            for key, document in distinct.items()
        ]
        with store_errors(NAME):
            try:
                return self._collection.bulk_write(upserts, ordered=False).upserted_count
            except BulkWriteError as error:  # another run kept the same record at the same time
                refusals(error, DUPLICATE_KEY)
                return int(error.details["nUpserted"])

    def summary(self, station_ids: Collection[int] | None = None) -> list[RejectSummary]:
        """Return what is kept of some stations, or of all: counts by station and reason.

        Raises:
            StoreError: MongoDB could not answer.
        """
        chosen = {} if station_ids is None else {"station_idx": {"$in": [*station_ids]}}
        group = {
            "_id": {"station_idx": "$station_idx", "reason": "$reason"},
            "count": {"$sum": 1},
            "raw": {"$first": "$raw"},
        }
        order = {"_id.station_idx": 1, "count": -1, "_id.reason": 1}
        pipeline: list[Document] = [{"$match": chosen}, {"$group": group}, {"$sort": order}]
        with store_errors(NAME):
            found = list(self._collection.aggregate(pipeline, allowDiskUse=True))
        return [
            RejectSummary(
                item["_id"].get("station_idx"),
                str(item["_id"].get("reason")),
                item["count"],
                item["raw"],
            )
            for item in found
        ]

    def of_station(
        self, station_idx: int, other_shape: Collection[str] = ()
    ) -> tuple[list[KeptReject], int]:
        """Return the rejects of a station that can be tried again, and how many others there are.

        Records that were cut cannot, nor those that are no records in AQICN's shape.

        Args:
            station_idx: the station.
            other_shape: the sources whose rejects have a form of their own.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            found = list(self._collection.find({"station_idx": station_idx}))
        like_ours = (one for one in found if one.get("source") not in other_shape)
        kept = [reject for reject in map(_to_kept, like_ours) if reject]
        return kept, len(found) - len(kept)

    def reasons(self, station_idx: int, window: Interval) -> dict[int, str]:
        """Return the reason of a kept record for every hour of a window that one is kept of.

        Of several records of an hour, the one met last counts.

        Raises:
            StoreError: MongoDB could not answer.
        """
        between = {"$gte": to_datetime(window.start), "$lt": to_datetime(window.end)}
        chosen = {"station_idx": station_idx, "ts": between}
        fields = {"ts": 1, "reason": 1}
        with store_errors(NAME):
            found = self._collection.find(chosen, fields).sort("last_seen_at", ASCENDING)
            return {hour_of(item["ts"]): str(item.get("reason")) for item in found}

    def hours_kept(self, station_ids: Collection[int] | None = None) -> Interval | None:
        """Return the hours from the first window with a record kept to the end of the last.

        Args:
            station_ids: the stations; None for all.

        Raises:
            StoreError: MongoDB could not answer.
        """
        chosen = {} if station_ids is None else {"station_idx": {"$in": [*station_ids]}}
        ends = {"_id": None, "start": {"$min": "$window.start"}, "end": {"$max": "$window.end"}}
        with store_errors(NAME):
            found = next(self._collection.aggregate([{"$match": chosen}, {"$group": ends}]), None)
        return Interval(hour_of(found["start"]), hour_of(found["end"])) if found else None

    def remove(self, keys: Sequence[str]) -> int:
        """Delete rejects by key; return how many there were.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            return self._collection.delete_many({"_id": {"$in": [*keys]}}).deleted_count

    def count(self, station_idx: int | None = None) -> int:
        """Return how many records are kept, of one station or of all.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            chosen = {} if station_idx is None else {"station_idx": station_idx}
            return self._collection.count_documents(chosen)


def _to_kept(document: Document) -> KeptReject | None:
    if document.get("raw_form") not in ("plain", "json"):
        return None
    window, raw = document["window"], document["raw"]
    return KeptReject(
        document["_id"],
        document["station_idx"],
        document["reason"],
        json.loads(raw) if document["raw_form"] == "json" else raw,
        Interval(hour_of(window["start"]), hour_of(window["end"])),
        document["first_seen_at"],
    )


def _to_document(station_idx: int, reject: Reject) -> Document:
    text = _canonical(reject.raw)
    identity = f"{station_idx}\n{reject.hour}\n{reject.reason}\n{text}"
    if len(text) > LONGEST_RAW:
        raw, form = text[:LONGEST_RAW], "cut"
    elif _is_plain(reject.raw, DEEPEST_RAW):
        raw, form = reject.raw, "plain"
    else:
        raw, form = text, "json"
    return {
        "_id": blake2b(identity.encode(), digest_size=16).hexdigest(),
        "station_idx": station_idx,
        "reason": str(reject.reason),
        "ts": None if reject.hour is None else to_datetime(reject.hour),
        "raw": raw,
        "raw_form": form,
    }


class _Outline(Repr):
    """Prints anything, cut at a depth, a number of entries and a length; never raises."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = DEEPEST_RAW
        self.maxdict = self.maxlist = self.maxtuple = 100
        self.maxstring = self.maxother = 1000

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 - the signature of Repr
        """Return an integer of any size; the decimal form ends at 4300 digits."""
        return hex(x)


def _canonical(raw: Any) -> str:
    """Return one ASCII text for equal records; only an outline of what JSON cannot express."""
    try:
        return json.dumps(raw, sort_keys=True, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):  # mixed keys, huge integers, deep nesting
        return json.dumps(_Outline().repr(raw))


def _is_plain(value: Any, levels: int) -> bool:
    """Return whether MongoDB can hold the value as it is, and give it back as it is."""
    if isinstance(value, dict):
        names, items = [*value], [*value.values()]
    elif isinstance(value, list):
        names, items = [], value
    else:
        return _is_plain_scalar(value)
    return (
        levels > 0
        and all(map(_is_field_name, names))
        and all(_is_plain(item, levels - 1) for item in items)
    )


def _is_plain_scalar(value: Any) -> bool:
    match value:
        case None | bool():
            return True
        case int():
            return value in _INT64
        case float():
            return math.isfinite(value)
        case str():
            return _is_text(value)
        case _:
            return False


def _is_field_name(key: Any) -> bool:
    return isinstance(key, str) and not ({"$", ".", "\0"} & set(key)) and _is_text(key)


def _is_text(value: str) -> bool:
    """Return whether the text has no lone surrogates, which UTF-8 and so BSON cannot hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
