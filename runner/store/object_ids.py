"""ObjectIds by the hundred: pymongo's own, one at a time, cost a tenth of a backfill."""

from __future__ import annotations

import os
import secrets
import threading
import time

from bson import ObjectId

_COUNTERS = 2**24


class ObjectIds:
    """Makes ObjectIds as the specification has them: seconds, a random part, a counter.

    The random part is this object's own, so that no other maker of ids counts along. Thread-safe.
    """

    def __init__(self) -> None:
        self._random = os.urandom(5)
        self._lock = threading.Lock()
        self._next = secrets.randbelow(_COUNTERS)

    def take(self, count: int) -> list[ObjectId]:
        """Return so many new ids, at most 2**24 in a second."""
        with self._lock:
            first = self._next
            self._next = (first + count) % _COUNTERS
        prefix = int(time.time()).to_bytes(4, "big") + self._random
        return [
            ObjectId(prefix + (number % _COUNTERS).to_bytes(3, "big"))
            for number in range(first, first + count)
        ]
