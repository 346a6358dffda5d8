"""ObjectIds by the hundred: pymongo's own, one at a time, cost a tenth of a backfill."""

from __future__ import annotations

import os
import secrets
import threading
import time

from bson import ObjectId

from runner.store.collection import Document

_COUNTERS = 2**24


class ObjectIds:
    """Makes ObjectIds as the specification has them: seconds, a random part, a counter.

    The random part is this object's own, so that no other maker of ids counts along. Thread-safe.
    """

    def __init__(self) -> None:
        self._random = os.urandom(5)
        self._lock = threading.Lock()
        self._next = secrets.randbelow(_COUNTERS)

    @property
    def maker(self) -> str:
        """The random part as 10 hexadecimal digits; every id of this object has it."""
        return self._random.hex()

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


def made_by(maker: str) -> Document:
    """Return the expression that is true for documents whose `_id` an `ObjectIds` made.

    Args:
        maker: as `ObjectIds.maker` gave it.
    """
    text = {"$convert": {"input": "$_id", "to": "string", "onError": "", "onNull": ""}}
    return {"$eq": [{"$substrBytes": [text, 8, 10]}, maker]}
