"""`ingest_revisions`: values that a source changed, and that the collection could not replace."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b

from pymongo import UpdateOne
from pymongo.database import Database

from runner.core.readings import Reading
from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors
from runner.store.shape import Index, Indexed

NAME = "ingest_revisions"


class Revisions(Indexed):
    """The revisions kept: what is stored, what the source says by now, who met it. Thread-safe.

    Args:
        database: where the collection is, or will be.
    """

    indexes = (Index(("station_idx", "ts"), "station_idx_1_ts_1"),)

    def __init__(self, database: Database[Document]) -> None:
        self._collection = open_collection(database, NAME)

    def keep(
        self,
        run_id: str,
        source: str,
        revisions: Iterable[tuple[Document, Reading]],
        now: datetime,
    ) -> None:
        """Keep revisions; the same values for the same hour are kept once.

        Args:
            run_id: the run that met them.
            source: the name of the source.
            revisions: the stored document, and the reading that would have replaced it.
            now: the present, aware.

        Raises:
            StoreError: MongoDB could not do it.
        """
        upserts = []
        for stored, reading in revisions:
            said = {name: reading[name] for name in ("aqi", "time", "iaqi")}
            idx, ts = reading["meta"]["station_idx"], reading["ts"]
            identity = json.dumps([idx, ts.isoformat(), said], sort_keys=True)
            document = {
                "station_idx": idx,
                "ts": ts,
                "stored": {name: stored.get(name) for name in said},
                "offered": said,
                "source": source,
                "run_id": run_id,
                "first_seen_at": now,
            }
            key = blake2b(identity.encode(), digest_size=16).hexdigest()
            seen = {"last_run_id": run_id, "last_seen_at": now}
            upserts.append(
                UpdateOne({"_id": key}, {"$setOnInsert": document, "$set": seen}, upsert=True)
            )
        if upserts:
            with store_errors(NAME):
                self._collection.bulk_write(upserts, ordered=False)
