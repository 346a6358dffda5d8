"""The faults: what goes wrong, how, and when. A trial has one or more of them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from subprocess import Popen
from typing import Any, NamedTuple

from tests.chaos.servers import Mongod

Process = Popen[str]
Act = Callable[["Process", Mongod, Random], None]


class Group(NamedTuple):
    """Faults of one group exclude each other in a trial."""

    name: str


PROCESS, DATABASE, API, CLOCK, DISK = map(Group, ("process", "database", "API", "clock", "disk"))


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: as in the report.
        group: at most one of a group is in a trial.
        act: done to the process or the database at a random moment, if not None.
        kill: failpoint in the product's process: when, place, most calls before it.
        clock_s: seconds by which the clock of the product's process jumps.
        api: rates and forms of the sandbox's faults.
        arguments: of every run of the trial.
        at_start: whether the moment is in the start-up rather than in the work.
        kills: how often the fault ends a run without warning: windows in hand are fetched again.
        codes: exit codes a run under it may have.
        says: what the disturbed run has to say on standard error.
        replica_set: whether it needs a replica set.
    """

    name: str
    group: Group
    act: Act | None = None
    kill: tuple[str, str, int] | None = None
    clock_s: float = 0
    api: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    at_start: bool = False
    kills: int = 0
    codes: tuple[int, ...] = (0,)
    says: str = ""
    replica_set: bool = False


def _signals(*signums: signal.Signals) -> Act:
    def act(process: Process, _mongod: Mongod, rng: Random) -> None:
        for number, signum in enumerate(signums):
            if number:
                time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signum)

    return act


def _restart(process: Process, mongod: Mongod, rng: Random) -> None:
    del process
    mongod.kill()
    time.sleep(rng.uniform(0, 2))
    mongod.start()


def _gone(process: Process, mongod: Mongod, rng: Random) -> None:
    del rng
    mongod.kill()
    process.wait(120)
    mongod.start()


def _step_down(process: Process, mongod: Mongod, rng: Random) -> None:
    del process
    mongod.step_down(rng.randint(1, 3))


def _socket_gone(process: Process, mongod: Mongod, rng: Random) -> None:
    """Remove the socket: open connections live on, new ones fail, until the server restarts."""
    mongod.socket.unlink()
    time.sleep(rng.uniform(0, 1))
    _restart(process, mongod, rng)


_STORE = "runner.store"
_RESUMABLE = (0, 1, 4)
_KILLED = (0, -signal.SIGKILL)


def _killed_at(name: str, when: str, place: str, most: int) -> Fault:
    """Return the fault of a process that kills itself around the n-th call of a place."""
    return Fault(name, PROCESS, kill=(when, place, most), kills=1, codes=_KILLED)


FAULTS: tuple[Fault, ...] = (
    Fault("SIGKILL", PROCESS, _signals(signal.SIGKILL), kills=1, codes=_KILLED),
    Fault(
        "SIGKILL in start-up",
        PROCESS,
        _signals(signal.SIGKILL),
        at_start=True,
        kills=1,
        codes=_KILLED,
    ),
    Fault("SIGTERM", PROCESS, _signals(signal.SIGTERM), codes=(0, 143)),
    Fault("SIGINT", PROCESS, _signals(signal.SIGINT), codes=(0, 130)),
    Fault(
        "SIGTERM twice",
        PROCESS,
        _signals(signal.SIGTERM, signal.SIGTERM),
        kills=1,
        codes=(0, 143, -signal.SIGTERM),
    ),
    Fault(
        "SIGINT twice",
        PROCESS,
        _signals(signal.SIGINT, signal.SIGINT),
        kills=1,
        codes=(0, 130, -signal.SIGINT),
    ),
    _killed_at(
        "kill before an index is made",
        "before",
        "pymongo.synchronous.collection:Collection.create_index",
        3,
    ),
    _killed_at(
        "kill after an index is made",
        "after",
        "pymongo.synchronous.collection:Collection.create_index",
        3,
    ),
    _killed_at(
        "kill after a station is taken", "after", f"{_STORE}.checkpoints:Checkpoints.begin", 3
    ),
    _killed_at(
        "kill between rejects and readings", "before", f"{_STORE}.readings:Readings.upsert", 20
    ),
    _killed_at(
        "kill between upsert and checkpoint", "after", f"{_STORE}.readings:Readings.upsert", 20
    ),
    _killed_at("kill after a checkpoint", "after", f"{_STORE}.checkpoints:Checkpoints.advance", 20),
    _killed_at("kill before completion", "before", f"{_STORE}.checkpoints:Checkpoints.complete", 3),
    _killed_at("kill during the summary", "before", "runner.core.outcome:Outcome.summary", 1),
    Fault("mongod killed and restarted", DATABASE, _restart),
    Fault(
        "mongod gone for good",
        DATABASE,
        _gone,
        arguments=("mongo.outage_limit_s=1", "mongo.timeout_s=1"),
        kills=1,
        codes=_RESUMABLE,
    ),
    Fault("stepdown of the primary", DATABASE, _step_down, replica_set=True),
    Fault("socket disappears", DATABASE, _socket_gone),
    Fault("30 % of 429", API, api={"rate_429": 0.3, "retry_after_s": 0}),
    Fault("30 % of 5xx", API, api={"rate_5xx": 0.3}),
    Fault("30 % truncated", API, api={"rate_truncated": 0.3}),
    Fault("30 % over quota in HTTP 200", API, api={"rate_over_quota": 0.3}),
    Fault("30 % hang up without an answer", API, api={"rate_timeout": 0.3, "hold_s": 0}),
    Fault(
        "30 % later than the timeout",
        API,
        api={"rate_timeout": 0.3, "hold_s": 1},
        arguments=("source.read_timeout_s=0.3",),
    ),
    Fault("30 % wrong answers", API, api={"rate_wrong": 0.3}),
    Fault(
        "quota used up",
        API,
        api={"quota_per_hour": 25},
        arguments=("source.retry.throttled_max_s=0.5",),
        codes=(0, 1),
    ),
    Fault("clock set back", CLOCK, clock_s=-3 * 86400),
    Fault("clock set forward", CLOCK, clock_s=+3 * 86400),
    Fault(
        "disk full for the log",
        DISK,
        arguments=("hydra.run.dir={directory}/full",),
        says="cannot be written",
    ),
    Fault(
        "run directory cannot be made",
        DISK,
        arguments=("hydra.run.dir={directory}/none/run",),
        says="cannot use",
    ),
)
BY_NAME = {fault.name: fault for fault in FAULTS}


def draw(rng: Random) -> tuple[Fault, ...]:
    """Return one to three faults, every fault as likely, of different groups."""
    wanted = rng.choice((1, 1, 2, 2, 3))
    drawn: dict[Group, Fault] = {}
    while len(drawn) < wanted:
        fault = rng.choice(FAULTS)
        drawn.setdefault(fault.group, fault)
    return tuple(drawn.values())
