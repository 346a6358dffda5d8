"""`ingest_runs`: one document a run: what was done, when, and how it went."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pymongo
from pymongo import DESCENDING
from pymongo.database import Database

from runner.store.collection import Document, open_collection
from runner.store.connection import store_errors
from runner.store.shape import Index, Indexed

NAME = "ingest_runs"
_PARTING_S = 5.0
"""A run that ends waits no longer than this for a database that may be gone."""
_MOST_LOOKED_AT = 50
"""Runs whose outcome is looked at, the newest first."""


class Runs(Indexed):
    """The records of runs: `_id` is the run id, `outcome` is there once the run has ended.

    Args:
        database: where the collection is, or will be.
    """

    indexes = (Index(("started_at",), "started_at_1"),)

    def __init__(self, database: Database[Document]) -> None:
        self._collection = open_collection(database, NAME)

    def started(self, run_id: str, document: Mapping[str, Any]) -> None:
        """Record that a run began; `started_at` (aware) is expected in the document.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME):
            self._collection.replace_one({"_id": run_id}, {**document}, upsert=True)

    def outcomes(self, passed_over: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Yield the outcomes of ended runs, the newest first.

        Args:
            passed_over: sources of the present: their runs speak of no range, and there is one
                every hour.

        Raises:
            StoreError: MongoDB could not answer.
        """
        ended = {
            "outcome.windows": {"$exists": True},
            "job": {"$ne": "validate"},
            "source": {"$nin": [*passed_over]},
        }
        with store_errors(NAME):
            found = self._collection.find(
                ended, {"outcome": 1}, sort=[("started_at", DESCENDING)], limit=_MOST_LOOKED_AT
            )
            yield from (one["outcome"] for one in found if isinstance(one["outcome"], dict))

    def sources(self) -> list[str]:
        """Return the sources of all recorded runs that fetched.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            found = self._collection.distinct("source", {"planned": {"$exists": True}})
        return sorted(map(str, found))

    def origins(self, station_ids: Collection[int]) -> list[dict[str, Any]]:
        """Return who brought the stored readings of some stations, with the hours asked for.

        Per station and source: station_idx, source, providers, start and end (UTC text).

        Raises:
            StoreError: MongoDB could not answer.
        """
        ids = {"outcome.accounts.station_idx": {"$in": [*station_ids]}}
        stored = [
            {f"outcome.accounts.totals.{name}": {"$gt": 0}} for name in ("inserted", "updated")
        ]
        key = {"station_idx": "$outcome.accounts.station_idx", "source": "$source",
               "providers": "$origin.providers"}  # fmt: skip
        pipeline: list[dict[str, Any]] = [
            {"$match": ids},
            {"$project": {"source": 1, "origin.providers": 1, "outcome.accounts": 1}},
            {"$unwind": "$outcome.accounts"},
            {"$match": {**ids, "$or": stored}},
            {"$group": {"_id": key, "start": {"$min": "$outcome.accounts.start"},
                        "end": {"$max": "$outcome.accounts.end"}}},
        ]  # fmt: skip
        with store_errors(NAME):
            found = [
                {**one["_id"], "providers": one["_id"].get("providers") or [one["_id"]["source"]],
                 "start": one["start"], "end": one["end"]}
                for one in self._collection.aggregate(pipeline)
            ]  # fmt: skip
        return sorted(found, key=lambda one: (one["station_idx"], one["start"], one["source"]))

    def credits(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Return whose readings the recorded runs brought: names, and the places that they named.

        Raises:
            StoreError: MongoDB could not answer.
        """
        with store_errors(NAME):
            names = self._collection.distinct("origin.providers")
            found = self._collection.find(
                {"outcome.attributions": {"$ne": []}, "outcome": {"$exists": True}},
                {"outcome.attributions": 1},
                sort=[("started_at", DESCENDING)],
                limit=_MOST_LOOKED_AT,
            )
            places: dict[Any, dict[str, Any]] = {}
            for run in found:
                for place in run["outcome"].get("attributions") or ():
                    places.setdefault((place.get("station_idx"), place.get("location")), place)
        return sorted(map(str, names)), [*places.values()]

    def finished(self, run_id: str, outcome: Mapping[str, Any]) -> None:
        """Record under `outcome` how a run ended; what was recorded at its start stays.

        Raises:
            StoreError: MongoDB could not do it.
        """
        with store_errors(NAME), pymongo.timeout(_PARTING_S):
            self._collection.update_one(
                {"_id": run_id}, {"$set": {"outcome": {**outcome}}}, upsert=True
            )
