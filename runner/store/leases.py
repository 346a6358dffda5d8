"""Leases in the checkpoints, so that two runs never work on one station together.

    lease: {owner: run id, expires_at: date}

Expiry is on the server's clock. A run that lives renews its leases all the time; one that was
killed loses them after `seconds`, one that ends gives them back at once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pymongo
import structlog
from pymongo import ReturnDocument
from pymongo.database import Database

from runner.core.checkpoint import Holder
from runner.core.errors import LeaseError, StoreError, StoreUnavailableError
from runner.process.stop import elapsed_s
from runner.store.checkpoint_document import NAME
from runner.store.collection import Document, open_collection, whole_number
from runner.store.connection import store_errors

log = structlog.get_logger()

_PARTING_S = 5.0
"""A run that ends waits no longer than this for a database that may be gone."""
_RENEWALS = 4
"""Times a lease is renewed before it would expire."""
_LONGEST_BEAT_S = 15.0
"""Longest time between two beats, and so until a run from elsewhere asked to stop begins to."""
_RESERVE = 0.1
"""Share of a lease at its end in which nothing is sent any more."""


class Leases:
    """The leases of one run. Thread-safe.

    Args:
        database: where the checkpoints are.
        owner: the run id.
        seconds: after which a lease that is not renewed is free.
    """

    def __init__(self, database: Database[Document], owner: str, seconds: float) -> None:
        self._collection = open_collection(database, NAME)
        self._owner = owner
        self._seconds = seconds
        self._held: dict[int, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    @property
    def owner(self) -> str:
        """The run id."""
        return self._owner

    @contextmanager
    def renewing(self, beat: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Renew what is held until the block ends; then give back what is left.

        Args:
            beat: called as often as leases are renewed, to show that the run lives; may raise
                StoreError.
        """
        thread = threading.Thread(target=self._renew_all, args=(beat,), name="leases", daemon=True)
        self._ended.clear()
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            self._give_back()

    def holders(self) -> dict[int, Holder]:
        """Return who works on which station now, by station index; leases that ended are none.

        Raises:
            StoreError: MongoDB could not answer.
        """
        live: Document = {
            "lease.expires_at": {"$type": "date"},
            "$expr": {"$gt": ["$lease.expires_at", "$$NOW"]},
        }
        with store_errors(NAME):
            found = list(self._collection.find(live, {"station_idx": 1, "lease": 1}))
        return {
            idx: Holder(str(document["lease"].get("owner")), document["lease"]["expires_at"])
            for document in found
            if (idx := whole_number(document.get("station_idx"))) is not None
        }

    def claim(self, station_idx: int) -> None:
        """Take a station, whose checkpoint exists.

        Raises:
            LeaseError: another run works on it.
            StoreError: MongoDB could not do it.
        """
        asked_at = elapsed_s()
        free = {
            "$or": [
                {"$ne": [{"$type": "$lease.expires_at"}, "date"]},
                {"$lte": ["$lease.expires_at", "$$NOW"]},
                {"$eq": ["$lease.owner", self._owner]},
            ]
        }
        with store_errors(NAME):
            taken = self._collection.find_one_and_update(
                {"station_idx": station_idx, "$expr": free},
                [{"$set": self._lease()}],
                return_document=ReturnDocument.AFTER,
            )
        if taken is None:
            raise self._taken(station_idx)
        with self._lock:
            self._held[station_idx] = asked_at

    @contextmanager
    def hold(self, station_idx: int) -> Iterator[Callable[[], None]]:
        """Let no operation of the block outlive the lease, also after the process was suspended.

        Yields:
            A check to call right before a write. It raises StoreUnavailableError if the lease may
            have ended meanwhile; the next `hold` finds out whether it did.

        Raises:
            LeaseError: the station is not ours: this process slept for longer than the lease.
            StoreError: MongoDB could not answer.
        """
        self.keep(station_idx)
        with self._lock:
            renewed_at = self._held.get(station_idx, -math.inf)
        end = renewed_at + self._seconds * (1 - _RESERVE)

        # pymongo's own deadline is checked again just before it sends, and the server ends what
        # takes longer. But its clock stands still while a machine sleeps; ours goes on.
        def check() -> None:
            if elapsed_s() >= end:
                raise _too_late(station_idx)

        check()
        with pymongo.timeout(max(end - elapsed_s(), 0.001)):  # 0 would be no limit
            yield check

    def keep(self, station_idx: int) -> None:
        """Make sure, before a write, that the station is still ours.

        A checkpoint that a person deleted meanwhile is nobody's, and the work goes on.

        Raises:
            LeaseError: it is not ours: this process slept for longer than the lease.
            StoreError: MongoDB could not answer.
        """
        with self._lock:
            renewed_at = self._held.get(station_idx, -math.inf)
        if elapsed_s() - renewed_at >= self._seconds / 2:
            self.check(station_idx)

    def check(self, station_idx: int) -> None:
        """Renew a lease now, as `keep` does when the last renewal is long ago.

        Raises:
            LeaseError: it is not ours any more.
            StoreError: MongoDB could not answer.
        """
        asked_at = elapsed_s()
        mine = {"station_idx": station_idx, "lease.owner": self._owner}
        with store_errors(NAME):
            with pymongo.timeout(self._seconds):
                update = self._collection.update_one(mine, [{"$set": self._lease()}])
            renewed = update.matched_count
            if not renewed and self._collection.find_one({"station_idx": station_idx}):
                self._drop(station_idx)
                raise self._taken(station_idx)
        with self._lock:
            self._held[station_idx] = asked_at

    def release(self, station_idx: int, *, besides: Sequence[str] = ()) -> None:
        """Give a station back.

        Args:
            station_idx: the station.
            besides: other fields of the checkpoint that end with the lease.

        Raises:
            StoreError: MongoDB could not do it; the lease expires by itself.
        """
        self._drop(station_idx)
        with store_errors(NAME), pymongo.timeout(_PARTING_S):
            mine = {"station_idx": station_idx, "lease.owner": self._owner}
            self._collection.update_one(mine, {"$unset": dict.fromkeys(("lease", *besides), "")})

    def _lease(self) -> Document:
        expires_at = {"$add": ["$$NOW", round(self._seconds * 1000)]}
        return {"lease": {"owner": {"$literal": self._owner}, "expires_at": expires_at}}

    def _taken(self, station_idx: int) -> LeaseError:
        left = {"$subtract": ["$lease.expires_at", "$$NOW"]}
        look: list[Document] = [
            {"$match": {"station_idx": station_idx, "lease.expires_at": {"$type": "date"}}},
            {"$project": {"owner": "$lease.owner", "left_ms": left}},
        ]
        with store_errors(NAME):
            found = next(self._collection.aggregate(look), {})
        owner, left_ms = found.get("owner", "unknown"), found.get("left_ms", 0)
        return LeaseError(f"leased by run {owner}", free_in_s=max(0.0, left_ms / 1000))

    def _drop(self, station_idx: int) -> None:
        with self._lock:
            self._held.pop(station_idx, None)

    def _renew_all(self, beat: Callable[[], None]) -> None:
        while not self._ended.wait(min(self._seconds / _RENEWALS, _LONGEST_BEAT_S)):
            try:
                beat()
            except StoreError as error:  # nobody sees that the run lives, which does it no harm
                log.debug("run.not_shown", error=error.message)
            asked_at = elapsed_s()
            with self._lock:
                held = [*self._held]
            if not held:
                continue
            mine = {"station_idx": {"$in": held}, "lease.owner": self._owner}
            try:
                with store_errors(NAME), pymongo.timeout(self._seconds):
                    self._collection.update_many(mine, [{"$set": self._lease()}])
                    still = set(self._collection.distinct("station_idx", mine))
            except StoreError as error:  # `keep` asks again before the next write
                log.warning("lease.not_renewed", error=error.message)
                continue
            with self._lock:
                for station_idx in self._held.keys() & still:
                    self._held[station_idx] = max(asked_at, self._held[station_idx])

    def _give_back(self) -> None:
        mine = {"station_idx": {"$in": [*self._held]}, "lease.owner": self._owner}
        if not self._held:
            return
        try:
            with store_errors(NAME), pymongo.timeout(_PARTING_S):
                self._collection.update_many(mine, {"$unset": {"lease": ""}})
        except StoreError as error:  # they expire by themselves
            log.warning("lease.not_released", error=error.message)


def _too_late(station_idx: int) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"station {station_idx}: its lease may have ended before a write; nothing more was sent"
    )
