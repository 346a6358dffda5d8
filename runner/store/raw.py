"""`ingest_raw`: answers of the API as they came, so that they can be read again without asking.

    {_id, source, station_idx, window: {start, end}, answered_at, expires_at, run_id,
     request: {path, ...}, body, size}

`_id` is a digest of source, station and window: the same question asked again replaces the answer.
`body` is compressed by zlib, `size` its bytes before that; the key is not in it, nor in `request`.
MongoDB deletes a document at `expires_at`. Dates are UTC.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from datetime import timedelta
from hashlib import blake2b

from bson import Binary
from pymongo.database import Database

from runner.core.errors import StoreError
from runner.core.intervals import Interval, hour_of, to_datetime, union
from runner.core.kept import Held, KeptAnswer
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors
from runner.store.shape import Index, Indexed

NAME = "ingest_raw"

_SMALLEST = 9
"""The level of zlib that takes longest, a millisecond a window, and leaves least."""


class RawAnswers(Indexed):
    """The kept answers of all stations. Thread-safe.

    Args:
        database: where the collection is, or will be.
    """

    indexes = (
        Index(("station_idx", "window.start"), "station_idx_1_window.start_1"),
        Index(("expires_at",), "expires_at_1", expires_s=0),
    )

    def __init__(self, database: Database[Document]) -> None:
        self._collection = open_collection(database, NAME)

    def keep(self, run_id: str, station_idx: int, answer: KeptAnswer, days: int) -> None:
        """Keep an answer in place of an earlier one to the same question; idempotent.

        Args:
            run_id: the run that got it.
            station_idx: the station that was asked for.
            answer: without the key.
            days: after which it expires.

        Raises:
            StoreError: MongoDB could not do it.
        """
        start, end = answer.window
        identity = f"{answer.source}\n{station_idx}\n{start}\n{end}"
        key = blake2b(identity.encode(), digest_size=16).hexdigest()
        document = {
            "source": answer.source,
            "station_idx": station_idx,
            "window": {"start": to_datetime(start), "end": to_datetime(end)},
            "answered_at": answer.answered_at,
            "expires_at": answer.answered_at + timedelta(days=days),
            "run_id": run_id,
            "request": {**answer.request},
            "body": Binary(zlib.compress(answer.body, _SMALLEST)),
            "size": len(answer.body),
        }
        with store_errors(NAME):
            self._collection.replace_one({"_id": key}, document, upsert=True)

    def held(self, station_ids: Collection[int]) -> Held:
        """Return which hours of some stations the kept answers hold.

        Raises:
            StoreError: MongoDB could not answer.
        """
        windows: dict[int, list[Interval]] = {}
        sources = set()
        fields = {"station_idx": 1, "window": 1, "source": 1}
        with store_errors(NAME):
            for found in self._collection.find({"station_idx": {"$in": [*station_ids]}}, fields):
                windows.setdefault(found["station_idx"], []).append(_window(found))
                sources.add(found["source"])
        hours = {idx: union(parts) for idx, parts in windows.items()}
        return Held(hours, tuple(sorted(sources)))

    def find(self, station_idx: int, window: Interval) -> list[KeptAnswer]:
        """Return the kept answers that hold any hour of a window.

        Raises:
            StoreError: MongoDB could not answer, or a stored body is damaged.
        """
        overlapping = {
            "station_idx": station_idx,
            "window.start": {"$lt": to_datetime(window.end)},
            "window.end": {"$gt": to_datetime(window.start)},
        }
        with store_errors(NAME):
            return [*map(_to_answer, self._collection.find(overlapping))]


def _to_answer(document: Document) -> KeptAnswer:
    window = _window(document)
    try:
        body = zlib.decompress(document["body"])
    except zlib.error as error:
        idx = document["station_idx"]
        raise StoreError(f"{NAME}: station {idx}, {window}: the body is damaged: {error}") from None
    return KeptAnswer(
        window, document["answered_at"], body, document["source"], document["request"]
    )


def _window(document: Document) -> Interval:
    return Interval(hour_of(document["window"]["start"]), hour_of(document["window"]["end"]))
