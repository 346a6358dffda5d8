"""`ingest_budgets`: the schedule of requests that all who use one key at one host share.

    _id: fingerprint of host and key    source: the host
    slots: [date, …]                    ascending, the newest 1000; some are still to come
    granted: [date, …]                  the slots of the last reservation, made at granted_at: date
    paused_until: date                  nobody asks before

A slot is the moment at which one request may be made, on the clock of the MongoDB server, which is
the only one that all processes have in common. Slots are appended by one atomic update, which looks
at all earlier ones, so no two processes can disagree.

**How the hour is kept.** Slot number j + most lies a whole window after slot j. A request arrives
at the API somewhat after its slot: by `late`, with 0 <= late < guard. Two requests that are `most`
apart therefore arrive more than window - guard apart. With window = hour + guard that is an hour:
no hour, wherever it begins, sees one request too many. What happens to a permit on its way (a
thread that is not scheduled, a connection that is slow to come about, a server clock that differs
after a failover, clocks that drift apart during a long sleep) does no harm as long as it stays
below the guard; `shared_pacer.py` lets half of it pass at most before the request is made. The
guard is a hundredth of the hour: 36 seconds, and 99 % of the limit can be used.

**More than 1000 an hour** are kept as up to 1000 in a window shorter in proportion, for instance
5000 as 1000 in 720 seconds: every hour is made of such windows, and the document stays small
(13 kB; a permit takes MongoDB 1 ms, and 4 ms with the journal).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

import pymongo
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from runner.core.plan import HOUR_S, Pace
from runner.process.secrets import Secret
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors

NAME = "ingest_budgets"
MOST_SLOTS = 1000
"""Slots kept, and so the largest number of requests counted in one window."""

_GUARD_SHARE = 0.01
_SHORTEST_ANSWER_S, _LONGEST_ANSWER_S = 1.0, 10.0
"""Seconds. A server that takes longer than it may to be found, within these bounds, does not
answer. The upper one must stay below half the guard: what is granted later is too old to use."""
_HASH_ROUNDS = 100_000
_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """One process's wishes as to the schedule, in whole milliseconds, as MongoDB counts.

    Attributes:
        delay_ms: from the slot before to one's own.
        most: slots allowed in any window; 0 for no limit.
        window_ms: length of the window, its guard included.
        keep_ms: age up to which slots are kept for others, who may have other limits.
        late_s: seconds after its slot in which a permit may still be used: half the guard.
    """

    delay_ms: int
    most: int
    window_ms: int
    keep_ms: int
    late_s: float

    @classmethod
    def of(cls, pace: Pace, hour_s: float = HOUR_S, guard_s: float | None = None) -> Limits:
        """Return the limits that keep a pace, rounded to the safe side.

        Args:
            pace: delay and requests an hour.
            hour_s: what an hour is; shorter in tests only.
            guard_s: how late a request may arrive; a hundredth of the hour by default.
        """
        guard_s = _GUARD_SHARE * hour_s if guard_s is None else guard_s
        parts = math.ceil(pace.max_per_hour / MOST_SLOTS) or 1
        whole_ms = (hour_s + guard_s) * 1000
        return cls(
            delay_ms=math.ceil(round(pace.delay_s * 1000, 6)),
            most=pace.max_per_hour // parts,
            window_ms=math.ceil(whole_ms / parts),
            keep_ms=math.ceil(whole_ms),
            late_s=guard_s / 2,
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """Slots that belong to whoever asked for them.

    Attributes:
        slots: ascending, on the server's clock.
        granted_at: the server's present.
        paused_until: nobody may ask before; None without a pause ever.
    """

    slots: tuple[datetime, ...]
    granted_at: datetime
    paused_until: datetime | None


class Budget:
    """The budget of one key at one host. Thread-safe. All methods raise StoreError.

    Args:
        database: where the collection is, or will be; those who share a key share the database.
        base_url: of the API; only its host and port count.
        key: is not stored, and cannot be found from what is stored.
    """

    def __init__(self, database: Database[Document], base_url: str, key: Secret) -> None:
        self._collection = open_collection(database, NAME)
        found_s = database.client.options.server_selection_timeout
        self._answer_s = min(max(found_s, _SHORTEST_ANSWER_S), _LONGEST_ANSWER_S)
        host = _host(base_url)
        self._about = {"_id": fingerprint(host, key), "source": host}

    def reserve(
        self, limits: Limits, count: int = 1, unused: Sequence[datetime] = ()
    ) -> Reservation:
        """Append slots to the schedule, as early as the limits allow.

        Done twice because an answer got lost, it wastes slots and breaks no limit; but `unused`
        slots must not be given back twice: another process may have a slot at the same moment.

        Args:
            limits: of the process that asks.
            count: how many, at most `limits.most` where that is not 0.
            unused: slots reserved before, which nobody used, nor will.
        """
        made = self._update(reservation(limits, count, unused))
        return Reservation(tuple(made["granted"]), made["granted_at"], made.get("paused_until"))

    def pause(self, seconds: float) -> datetime:
        """Let nobody ask for some seconds from now; a longer pause already on stays.

        Returns:
            The end of the pause on the server's clock.
        """
        end = {"$add": ["$$NOW", math.ceil(seconds * 1000)]}
        made = self._update([{"$set": {"paused_until": {"$max": ["$paused_until", end]}}}])
        paused_until: datetime = made["paused_until"]
        return paused_until

    def paused_until(self) -> datetime | None:
        """Return the end of the last pause on the server's clock; None without one ever."""
        with store_errors(NAME), pymongo.timeout(self._answer_s):
            found = self._collection.find_one({"_id": self._about["_id"]}, {"paused_until": 1})
        return found.get("paused_until") if found else None

    def used(self) -> int:
        """Return how many requests the last hour saw, by whomever; 1000 also for more."""
        past = {
            "$and": [
                {"$gt": ["$$this", {"$subtract": ["$$NOW", round(HOUR_S * 1000)]}]},
                {"$lte": ["$$this", "$$NOW"]},
            ]
        }
        slots = {"$filter": {"input": {"$ifNull": ["$slots", []]}, "cond": past}}
        look: list[Document] = [
            {"$match": {"_id": self._about["_id"]}},
            {"$project": {"used": {"$size": slots}}},
        ]
        with store_errors(NAME), pymongo.timeout(self._answer_s):
            found = next(self._collection.aggregate(look), {"used": 0})
        return int(found["used"])

    def _update(self, pipeline: list[Document]) -> Document:
        about = {"$set": {"source": {"$literal": self._about["source"]}}}

        def update() -> Document:
            made = self._collection.find_one_and_update(
                {"_id": self._about["_id"]},
                [about, *pipeline],
                {"granted": 1, "granted_at": 1, "paused_until": 1},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
            return cast("Document", made)  # never None after an upsert

        with store_errors(NAME), pymongo.timeout(self._answer_s):
            return _twice(update)


def _twice(update: Callable[[], Document]) -> Document:
    """Update once more where two made the missing document at the same time."""
    try:
        return update()
    except DuplicateKeyError:
        return update()


def reservation(
    limits: Limits, count: int, unused: Sequence[datetime] = (), now: Any = "$$NOW"
) -> list[Document]:
    """Return the update that appends slots: the whole arithmetic of the schedule.

    A slot is the latest of: the present; the end of the pause; a delay after the slot before,
    whoever has it; a window after the slot `most` places before it.

    Args:
        limits: of the process that asks.
        count: slots to append.
        unused: slots to take out, each once.
        now: the present, an expression.
    """
    young = {"$gt": ["$$this", {"$subtract": [now, limits.keep_ms]}]}
    used: Any = {"$ifNull": ["$slots", []]}
    if unused:
        used = {"$reduce": {"input": [*unused], "initialValue": used, "in": _without_one()}}
    kept = {"$filter": {"input": used, "cond": young}}
    last = {
        "$ifNull": [{"$arrayElemAt": ["$$value", -1]}, {"$arrayElemAt": ["$slots", -1]}],
    }
    bounds = [now, "$paused_until", {"$add": [last, limits.delay_ms]}]  # $max passes over null
    if limits.most:
        before = {"$subtract": [{"$add": [{"$size": "$slots"}, "$$this"]}, limits.most]}
        window_after = {"$add": [{"$arrayElemAt": ["$slots", before]}, limits.window_ms]}
        bounds.append({"$cond": [{"$gte": [before, 0]}, window_after, None]})
    append = {"$concatArrays": ["$$value", [{"$max": bounds}]]}
    granted = {"$reduce": {"input": {"$range": [0, count]}, "initialValue": [], "in": append}}
    newest = {"$slice": [{"$concatArrays": ["$slots", "$granted"]}, -MOST_SLOTS]}
    return [
        {"$set": {"slots": kept}},
        {"$set": {"granted": granted, "granted_at": now}},
        {"$set": {"slots": newest}},
    ]


def _without_one() -> Document:
    """Return the slots in $$value without one that equals $$this."""
    at = {"$indexOfArray": ["$$value", "$$this"]}
    before = {"$slice": ["$$value", "$$at"]}
    after = {"$slice": ["$$value", {"$add": ["$$at", 1]}, MOST_SLOTS]}
    rest = {"$cond": [{"$lt": ["$$at", 0]}, "$$value", {"$concatArrays": [before, after]}]}
    return {"$let": {"vars": {"at": at}, "in": rest}}


def fingerprint(host: str, key: Secret) -> str:
    """Return what stands for a key at a host, the same on every machine.

    A key of AQICN is 160 random bits: no hash of it can be searched. Other servers may have
    shorter keys, so every guess is made to cost 100,000 rounds (PBKDF2, RFC 8018; some 30 ms, once
    a run), and the host is the salt, so that no table of guesses serves twice. A keyed hash would
    need one more secret that all machines have; there is none.
    """
    made = hashlib.pbkdf2_hmac(
        "sha256", key.reveal().encode(), f"ingest budget of {host}".encode(), _HASH_ROUNDS
    )
    return made[:_HASH_BYTES].hex()


def _host(base_url: str) -> str:
    """Return host and port of an address, without anything that may be secret."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    return f"{host}:{parts.port}" if parts.port else host
