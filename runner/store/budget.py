"""`ingest_budgets`: when the next request may start, for all who use one key at one host.

    _id: fingerprint of host and key    source: the host
    next_free: date                     nobody is granted an instant before
    granted: date                       the last instant granted, at granted_at: date
    permits: how many were granted      paused_until: date, nobody asks before

An instant is the moment at which one request may start, on the clock of the MongoDB server, which
is the only one that all processes have in common. One atomic update grants it and puts `next_free`
off by the interval of whoever asked, so no two processes can disagree, and instants are never
closer than an interval: that alone keeps every rolling hour (`runner.core.plan.Pace`).

Older versions kept a list of instants in `slots`. The first grant waits until those have passed,
as long as it takes to spread them or until no hour holds any of them, and replaces the list by a
word that older versions cannot read: one that is still running ends, resumable, instead of asking
beside us.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

import pymongo
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from runner.core.plan import HOUR_S, SPARE_S
from runner.process.secrets import Secret
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors

NAME = "ingest_budgets"

# A server that takes longer than it may to be found, within these bounds, does not answer. The
# upper bound must stay below LATE_S: what is granted later is too old to use.
_SHORTEST_ANSWER_S, _LONGEST_ANSWER_S = 1.0, 10.0
_HASH_ROUNDS = 100_000
_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Grant:
    """An instant that belongs to whoever asked for it.

    Attributes:
        instant: when one request may start, on the server's clock.
        granted_at: the server's present.
        paused_until: nobody may ask before; None if there never was a pause.
    """

    instant: datetime
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
        self._id = fingerprint(host, key)
        self._host = host

    def grant(self, interval_s: float) -> Grant:
        """Grant the next free instant; the one after it is free `interval_s` seconds later.

        Done twice because an answer got lost, it wastes an instant and breaks no limit.
        """
        made = self._update(grant_update(interval_ms(interval_s)))
        return Grant(made["granted"], made["granted_at"], made.get("paused_until"))

    def pause(self, seconds: float) -> datetime:
        """Grant nothing for some seconds from now; a longer pause already on stays.

        Returns:
            The end of the pause on the server's clock.
        """
        end = {"$add": ["$$NOW", math.ceil(seconds * 1000)]}
        made = self._update([{"$set": {"paused_until": {"$max": ["$paused_until", end]}}}])
        paused_until: datetime = made["paused_until"]
        return paused_until

    def paused_until(self) -> datetime | None:
        """Return the end of the last pause on the server's clock; None if there never was one."""
        with store_errors(NAME), pymongo.timeout(self._answer_s):
            found = self._collection.find_one({"_id": self._id}, {"paused_until": 1})
        return found.get("paused_until") if found else None

    def free_in_s(self, interval_s: float) -> float:
        """Return the seconds until a process with this interval may start a request."""
        next_free = _next_free(interval_ms(interval_s), "$$NOW")
        look: list[Document] = [
            {"$match": {"_id": self._id}},
            {"$project": {"ms": {"$subtract": [next_free, "$$NOW"]}}},
        ]
        with store_errors(NAME), pymongo.timeout(self._answer_s):
            found = next(self._collection.aggregate(look), {"ms": 0})
        return float(found["ms"]) / 1000

    def _update(self, pipeline: list[Document]) -> Document:
        about = {"$set": {"source": {"$literal": self._host}}}

        def update() -> Document:
            made = self._collection.find_one_and_update(
                {"_id": self._id},
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


def interval_ms(interval_s: float) -> int:
    """Return whole milliseconds, as MongoDB counts, rounded to the safe side."""
    return math.ceil(round(interval_s * 1000, 6))


def grant_update(interval_ms: int, now: Any = "$$NOW") -> list[Document]:
    """Return the update that grants the next free instant: the whole arithmetic of the schedule.

    Args:
        interval_ms: of the process that asks.
        now: the present, an expression.
    """
    return [
        {"$set": {"granted": _next_free(interval_ms, now), "granted_at": now}},
        {
            "$set": {
                "next_free": {"$add": ["$granted", interval_ms]},
                "permits": {"$add": [{"$ifNull": ["$permits", 0]}, 1]},
                "slots": "replaced by next_free",
            }
        },
    ]


def _next_free(interval_ms: int, now: Any) -> Document:
    """Return the expression of the next free instant.

    Instants of an older version may be closer together than an interval. They count as if they
    began an interval apart after the last one, so that no hour holds more of theirs and ours
    together than it may. After an hour none of them counts.
    """
    older: Document = {"$cond": [{"$isArray": ["$slots"]}, "$slots", []]}
    hour_ms = math.ceil((HOUR_S + SPARE_S) * 1000)
    spread_ms = {"$min": [{"$multiply": [{"$size": older}, interval_ms]}, hour_ms]}
    after_older = {"$add": [{"$arrayElemAt": [older, -1]}, spread_ms]}
    return {"$max": [now, "$next_free", "$paused_until", after_older]}  # $max passes over null


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
