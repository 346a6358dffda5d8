"""`ingest_runs`: one document a run: what was done, when, and how it went."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
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
_SILENT_S = 120
"""Seconds without a sign of life after which a run counts as lost; it shows one every 15."""
_MOST_LOOKED_AT = 50
"""Runs whose outcome is looked at, the newest first."""


@dataclass(frozen=True, slots=True)
class RunState:
    """A recorded run, as it is now.

    Attributes:
        run_id: names it.
        state: `running`, `stopping`, `lost` (no sign of life for two minutes), or `ended N`, its
            exit code.
        started_at: UTC.
        age_s: seconds since its last sign of life, on the server's clock.
        about: job, source, host, pid, user and command, as recorded.
        progress: stations, of, percent, windows, readings, requests, time_left, waits_for.
        ended_at: ISO 8601; None while it has not ended.
    """

    run_id: str
    state: str
    started_at: datetime
    age_s: float
    about: Mapping[str, Any]
    progress: Mapping[str, Any]
    ended_at: str | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RunState:
        """Return the state that a document of the collection says, with its age."""
        outcome = document.get("outcome")
        age_s = float(document["age_s"])
        if isinstance(outcome, dict):
            state = f"ended {outcome.get('exit_code')}"
        elif age_s > _SILENT_S:
            state = "lost"
        else:
            state = "stopping" if document.get("stop") else "running"
        names = ("job", "source", "host", "pid", "user", "command")
        return cls(
            str(document["_id"]),
            state,
            document["started_at"],
            age_s,
            {name: document.get(name) for name in names},
            document.get("progress") or {},
            outcome.get("ended_at") if isinstance(outcome, dict) else None,
        )

    @property
    def goes_on(self) -> bool:
        """Whether it lives, as far as anybody can see."""
        return self.state in ("running", "stopping")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "run_id": self.run_id,
            "state": self.state,
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at,
            "last_sign_s": round(self.age_s),
            **self.about,
            "progress": {**self.progress},
        }


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

    def beat(self, run_id: str, progress: Mapping[str, Any]) -> bool:
        """Record that a run lives, and how far it is; return whether somebody asked it to stop.

        Raises:
            StoreError: MongoDB could not do it.
        """
        change: list[Document] = [
            {"$set": {"beat_at": "$$NOW", "progress": {"$literal": {**progress}}}}
        ]
        with store_errors(NAME), pymongo.timeout(_PARTING_S):
            found = self._collection.find_one_and_update({"_id": run_id}, change, {"stop": 1})
        return bool(found and found.get("stop"))

    def ask_to_stop(self, run_id: str, by: str) -> bool:
        """Ask a run to stop; return whether it is recorded and has not ended.

        Raises:
            StoreError: MongoDB could not do it.
        """
        going = {"_id": run_id, "outcome": {"$exists": False}}
        asked: list[Document] = [{"$set": {"stop": {"at": "$$NOW", "by": {"$literal": by}}}}]
        with store_errors(NAME):
            return self._collection.update_one(going, asked).matched_count > 0

    def recent(self, limit: int) -> list[RunState]:
        """Return the runs that go on or are lost, then those that ended, the newest first.

        Args:
            limit: of those that ended, how many.

        Raises:
            StoreError: MongoDB could not answer.
        """
        seen = {"$ifNull": ["$beat_at", "$started_at"]}
        age_s = {"$divide": [{"$subtract": ["$$NOW", seen]}, 1000]}
        fields = {"age_s": age_s, **dict.fromkeys(("job", "source", "host", "pid", "user"), 1)}
        fields |= dict.fromkeys(("command", "started_at", "progress", "stop", "planned"), 1)
        fields |= {"outcome.exit_code": 1, "outcome.ended_at": 1}
        found: list[Document] = []
        with store_errors(NAME):
            for has_ended in (False, True):
                look: list[Document] = [
                    {
                        "$match": {
                            "outcome": {"$exists": has_ended},
                            "started_at": {"$type": "date"},
                        }
                    },
                    {"$sort": {"started_at": -1}},
                    {"$limit": limit},
                    {"$project": fields},
                ]
                found += self._collection.aggregate(look)
        return [RunState.of(one) for one in found]

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
