"""`ingest_runs`: one document a run: what was done, when, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database

from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors

NAME = "ingest_runs"


class Runs:
    """The records of runs: `_id` is the run id, `outcome` is there once the run has ended.

    Args:
        database: where the collection is, or will be.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._collection = open_collection(database, NAME)

    def ensure(self) -> None:
        """Make the index that lists runs by `started_at`.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            self._collection.create_index([("started_at", DESCENDING)])

    def started(self, run_id: str, document: Mapping[str, Any]) -> None:
        """Record that a run began; `started_at` (aware) is expected in the document.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            self._collection.replace_one({"_id": run_id}, {**document}, upsert=True)

    def latest_outcome(self) -> dict[str, Any] | None:
        """Return the outcome of the newest run that came to an end; None without one.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            found = self._collection.find_one(
                {"outcome.windows": {"$exists": True}, "job": {"$ne": "validate"}},
                {"outcome": 1},
                sort=[("started_at", DESCENDING)],
            )
        outcome = found.get("outcome") if found else None
        return outcome if isinstance(outcome, dict) else None

    def finished(self, run_id: str, outcome: Mapping[str, Any]) -> None:
        """Record under `outcome` how a run ended; what was recorded at its start stays.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            self._collection.update_one(
                {"_id": run_id}, {"$set": {"outcome": {**outcome}}}, upsert=True
            )
