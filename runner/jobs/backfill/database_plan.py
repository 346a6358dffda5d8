"""What a job makes in the database before it writes, and why it would rather not write at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runner.config.mongo import Indexes
from runner.core.errors import ConfigError, RunnerError, UnsupportedCollectionError
from runner.core.intervals import Interval, hour_of, iso
from runner.core.text import counted
from runner.process.job import Job
from runner.store import (
    budget,
    checkpoint_document,
    concentrations,
    raw,
    readings,
    rejects,
    revisions,
    runs,
    stations,
)
from runner.store.collection import Kind
from runner.store.database import Store
from runner.store.readings import Readings
from runner.store.shape import Change, Expiry, Indexed, Shape

_LONGEST_EXPIRY_S = 10**11
_MADE_BY_WRITING = (readings.NAME, checkpoint_document.NAME, runs.NAME)
"""Collections that a run writes to in any case, also without an index."""

_FORGETS = {
    checkpoint_document.NAME: "what it has stored, and who works on it",
    concentrations.NAME: "on which scale the stored indices are",
    budget.NAME: "when the key's next request may start",
}
"""What the runner would forget with a document of these collections."""
_DATED = (rejects.NAME, revisions.NAME, concentrations.NAME)
"""Collections of which a document is about an hour, its `ts`."""


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """What a job finds and makes in the database.

    Attributes:
        database: its name.
        server: in words, without a user.
        policy: `mongo.indexes`.
        parts: the collections to be written to, each with what it lacks.
        makes: collections that are not there, with the kind that they will have.
        expiries: dates after which MongoDB deletes documents of ours.
        notes: what a person should know besides.
        refusal: why the job must not write; None if it may.
    """

    database: str
    server: str
    policy: Indexes
    parts: tuple[tuple[Indexed, tuple[Change, ...]], ...] = ()
    makes: tuple[tuple[str, Kind], ...] = ()
    expiries: tuple[Expiry, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: RunnerError | None = None

    @property
    def changes(self) -> list[Change]:
        """The indexes, and the collections that are made by a command."""
        return [change for _collection, changes in self.parts for change in changes]

    def make(self) -> None:
        """Make what is missing.

        Raises:
            RunnerError: the refusal, or MongoDB could not do it.
        """
        if self.refusal:
            raise self.refusal
        for collection, changes in self.parts:
            collection.ensure(changes)

    def lines(self, *, dry_run: bool = False) -> list[str]:
        """Return the lines of a plan: which database, and what is made in it."""
        lines = [f"  database  {self.database} on {self.server}"]
        if not (dry_run or self.refusal):
            made = [f"{name} ({kind})" if kind else name for name, kind in self._shown()]
            if made:
                lines.append(f"  makes     {', '.join(made)}")
            indexes = [(one.collection, one.index) for one in self.changes if one.index]
            if indexes:
                names = ", ".join(f"{index} on {name}" for name, index in indexes)
                lines.append(f"  indexes   {names}")
            if any(index.unique for name, index in indexes if name == readings.NAME):
                lines.append(
                    "  unique    from then on MongoDB refuses a second reading of a station and"
                    " hour (error 11000), also one that another program inserts blindly"
                )
        return lines + [f"  {note}" for note in self.notes]

    def _shown(self) -> Iterator[tuple[str, Kind | None]]:
        """Yield what is made; the kind only where there is a choice."""
        for name, kind in self.makes:
            yield name, kind if name == readings.NAME else None

    def to_json(self) -> dict[str, Any]:
        """Return the part of plan.json about the database."""
        return {
            "name": self.database,
            "server": self.server,
            "indexes": self.policy.name,
            "makes_collections": [
                {"collection": name, "kind": str(kind)} for name, kind in self.makes
            ],
            "makes_indexes": [
                {
                    "collection": change.collection,
                    "name": change.index.name,
                    "fields": [*change.index.fields],
                    "unique": change.index.unique,
                    "expire_after_s": change.index.expires_s,
                    "command": change.command,
                }
                for change in self.changes
                if change.index
            ],
            "expires": [
                {
                    "collection": one.collection,
                    "field": one.field,
                    "after_s": one.seconds,
                    "index": one.index,
                    "command": one.command,
                }
                for one in self.expiries
            ],
            "notes": [*self.notes],
            "refused": self.refusal.message if self.refusal else None,
        }


def plan_database(
    job: Job,
    store: Store,
    collections: Sequence[Indexed],
    hours: Interval | None,
    *,
    others: Sequence[str] = (),
    duration_s: float = 0.0,
) -> DatabasePlan:
    """Look at the database, and return what the job makes in it.

    Args:
        job: for its settings.
        store: the database; nothing is written to it.
        collections: those to be written to, the readings first.
        hours: the hours to be written, UTC; None for none.
        others: names of collections to be written to that need no index.
        duration_s: how long the job takes.

    Raises:
        StoreError: MongoDB could not answer.
    """
    policy = job.config.mongo.indexes
    shapes = store.look([*(one.name for one in collections), *others])
    try:
        parts = [
            (one, tuple(one.check(shapes[one.name])))
            for one in collections
            if policy is not Indexes.none or isinstance(one, Readings)
        ]
    except UnsupportedCollectionError as error:
        return DatabasePlan(job.database_name, job.server, policy, refusal=error)
    changes = [change for _one, found in parts for change in found]
    expiries = [one for shape in shapes.values() for one in _expiries(shape)]
    survives = _survivors(expiries, store.clock() if expiries else None, duration_s)
    refused = _expiry_refusal(job, expiries, survives, hours) or _index_refusal(job, changes)
    return DatabasePlan(
        job.database_name,
        job.server,
        policy,
        tuple(parts),
        tuple(_made(shapes, changes, others, policy)),
        tuple(expiries),
        tuple(_notes(store, collections, shapes, expiries)),
        refused,
    )


def _expiries(shape: Shape) -> list[Expiry]:
    """Return when documents of a collection expire, apart from what the runner itself asked for."""
    if shape.name == readings.NAME:
        return [one for one in shape.expiries(readings.FIELDS) if one.field == "ts"]
    if shape.name == stations.NAME:  # no date of ours
        return []
    return [one for one in shape.expiries() if (shape.name, one.field) != (raw.NAME, "expires_at")]


def _survivors(
    expiries: Sequence[Expiry], now: datetime | None, duration_s: float
) -> dict[Expiry, int]:
    """Return the first hour that MongoDB keeps until the job ends, by expiry of an hour."""
    if now is None:
        return {}
    end = now + timedelta(seconds=duration_s)
    return {
        one: _first_kept(end, one.seconds)
        for one in expiries
        if one.field == "ts" and one.collection in (readings.NAME, *_DATED)
    }


def _first_kept(end: datetime, seconds: float) -> int:
    whole_hours = int(min(seconds, _LONGEST_EXPIRY_S) // 3600)
    return hour_of(end) - whole_hours + 1


def _expiry_refusal(
    job: Job, expiries: Sequence[Expiry], survives: Mapping[Expiry, int], hours: Interval | None
) -> ConfigError | None:
    """Return why the job must not write documents that MongoDB deletes behind its back."""
    said: list[str] = []
    commands: list[str] = []
    later: list[int] = []
    for one in expiries:
        what = f"{job.database_name}.{one.collection}"
        rule = f"MongoDB deletes its documents {one.days} after {one.field} ({one.place})"
        if one in survives:
            if hours is None or hours.start >= survives[one]:
                continue
            later.append(survives[one])
            said.append(
                f"{what}: {rule}; of the hours from {iso(hours.start)} on, those before "
                f"{iso(survives[one])} would be gone by the end of this run"
            )
        elif one.collection in _FORGETS:
            said.append(f"{what}: {rule}; the runner would forget {_FORGETS[one.collection]}")
        else:
            continue
        commands.append(one.command)
    if not said:
        return None
    steps = "\n".join(f"  {command}" for command in commands)
    hint = f"In mongosh, on {job.database_name}, end the expiry:\n{steps}"
    if hours and len(later) == len(said) and max(later) < hours.end:
        midnight = -(-max(later) // 24) * 24
        start = midnight if midnight < hours.end else max(later)
        hint += f"\nor load later hours only: backfill.start_date={iso(start)[:16]}"
    return ConfigError("\n".join(said), hint=hint)


def _index_refusal(job: Job, changes: Sequence[Change]) -> ConfigError | None:
    """Return which indexes are missing, if none may be made."""
    if job.config.mongo.indexes is not Indexes.require or not changes:
        return None
    indexes = [f"{one.index} on {one.collection}" for one in changes if one.index]
    commands = "\n".join(f"  {one.command}" for one in changes)
    return ConfigError(
        f"mongo.indexes=require: {job.database_name} lacks {counted(len(indexes), 'indexes')}: "
        f"{', '.join(indexes)}",
        hint=f"Make them in mongosh, on {job.database_name}, or write mongo.indexes=create:\n"
        f"{commands}",
    )


def _made(
    shapes: Mapping[str, Shape],
    changes: Sequence[Change],
    others: Sequence[str],
    policy: Indexes,
) -> Iterator[tuple[str, Kind]]:
    series = {change.collection for change in changes if change.index is None}
    written = (*_MADE_BY_WRITING, *others)
    for name, shape in shapes.items():
        if shape.kind is Kind.ABSENT and (policy is not Indexes.none or name in written):
            yield name, Kind.TIME_SERIES if name in series else Kind.REGULAR


def _notes(
    store: Store,
    collections: Sequence[Indexed],
    shapes: Mapping[str, Shape],
    expiries: Sequence[Expiry],
) -> Iterator[str]:
    for one in expiries:
        yield (
            f"expiry    MongoDB deletes documents of {one.collection} {one.days} after {one.field}"
            f" ({one.place})"
        )
    if not store.readings.refuses_doubles:
        why = (
            "it is a time-series collection" if store.readings.is_timeseries else "no unique index"
        )
        yield (
            f"doubles   {readings.NAME} refuses none ({why}): an hour that another program inserts"
            " at the same moment may be stored twice"
        )
    for collection in collections:
        for name in collection.hidden(shapes[collection.name]):
            command = f"db.{collection.name}.unhideIndex({json.dumps(name)})"
            yield f"hidden    queries do not use the index {name}: {command}"
