"""job=doctor: look at everything that a long run needs, before it; a line each. Asks no API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from runner.core.errors import RunnerError
from runner.core.outcome import Outcome
from runner.core.text import counted
from runner.jobs.backfill.database_plan import plan_database
from runner.jobs.opening import api_key
from runner.process.job import Job
from runner.process.secrets import PROXIES
from runner.sources import provider_of
from runner.store import budget, stations
from runner.store.database import Store, open_store

_MOST_APART_S = 5
_LEAST_FREE = 2**30
_OLD_SERVER = "6.0.5"
"""The embedded one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: its name.
        said: what was found.
        todo: what to do; empty if it is fine.
    """

    what: str
    said: str
    todo: str = ""

    def __str__(self) -> str:
        line = f"{'TO DO' if self.todo else 'fine':<5}  {self.what:<9} {self.said}"
        return f"{line}\n{'':17}{self.todo}" if self.todo else line


def run(job: Job) -> Outcome:
    """Print a line for everything that a long run needs; exit code 1 if something is to be done."""
    found = [*_of_the_machine(job)]
    try:
        with open_store(job) as store:
            found += _of_the_database(job, store)
    except RunnerError as error:
        found.append(Finding("database", error.message, error.hint or "See the message"))
    job.tell("\n".join(map(str, found)))
    todo = sum(bool(one.todo) for one in found)
    verdict = f"{counted(todo, 'things')} to do" if todo else ""
    job.tell(verdict or f"Ready to write to {job.place}")
    return replace(job.outcome(), error=verdict)


def _of_the_machine(job: Job) -> Iterator[Finding]:
    key = provider_of(job).key
    try:
        api_key(job)
        said = f"{key.variable} is set" if key else f"source={job.source} wants none"
        yield Finding("key", said)
    except RunnerError as error:
        first, _, rest = error.message.partition("\n")
        yield Finding("key", first, error.hint or rest.partition("\n")[0])
    free = shutil.disk_usage(job.context.run_dir).free
    todo = "Make room, or set hydra.run.dir to another disk" if free < _LEAST_FREE else ""
    yield Finding("disk", f"{free / 2**30:,.1f} GiB free for {job.files}", todo)
    environment = job.context.environment
    for name in PROXIES:
        if address := environment.get(name) or environment.get(name.lower()):
            yield Finding("proxy", f"{name}: requests go through {urlsplit(address).hostname}")


def _of_the_database(job: Job, store: Store) -> Iterator[Finding]:
    version, topology = store.version(), store.topology()
    old = version == _OLD_SERVER and not job.mongo_uri
    demo = "; the embedded server is for demos and tests" if old else ""
    yield Finding("server", f"{job.server}: MongoDB {version}, {topology}{demo}")
    for remark in job.database_remarks:
        yield Finding("database", remark)
    followed = f"; MONGO_URI says {store.overruled_writes}, which is not followed"
    yield Finding("writes", f"w=majority, journaled{followed if store.overruled_writes else ''}")
    apart_s = abs((store.clock() - job.now()).total_seconds())
    todo = "Set the clocks right (NTP)" if apart_s > _MOST_APART_S else ""
    yield Finding("clock", f"{apart_s:.1f} s apart from the server's", todo)
    missing = store.missing_rights(job.config.mongo.indexes.name)
    if missing is None:
        yield Finding("rights", "the server asks for no login")
    else:
        todo = "Grant readWrite on the database, or the actions named" if missing else ""
        yield Finding("rights", f"missing: {', '.join(missing)}" if missing else "enough", todo)
    writes = (store.readings, store.checkpoints, store.rejects, store.revisions, store.runs)
    plan = plan_database(job, store, writes, job.wanted, others=[stations.NAME, budget.NAME])
    if plan.refusal:
        yield Finding("documents", plan.refusal.message, plan.refusal.hint or "See the message")
    indexes = sum(change.index is not None for change in plan.changes)
    made = f"{counted(indexes, 'indexes')} and {counted(len(plan.makes), 'collections')} to make"
    yield Finding("indexes", f"{made} ({job.config.mongo.indexes.name})" if indexes else "there")
    for note in plan.notes:
        what, _, said = note.partition(" ")
        yield Finding(what, said.strip())
