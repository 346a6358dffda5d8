"""The faults: what goes wrong, how, and when. A trial has one or more of them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from subprocess import Popen, TimeoutExpired
from typing import Any, NamedTuple

from tests.robustness.chaos.servers import Bed, Mongod, ReplicaSet, Server

Process = Popen[str]
Act = Callable[["Process", Any, Random], None]
"""Does something to the process, or to the server of a bed that the fault is for."""


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
        suspends: where the process is suspended for longer than its lease: `anywhere`, or a moment
            of `armed.py`; the source then corrects its values, and another run goes on.
        beds: where it can happen.
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
    suspends: str = ""
    beds: tuple[Bed, ...] = tuple(Bed)


def _signals(*signums: signal.Signals) -> Act:
    def act(process: Process, _server: Server, rng: Random) -> None:
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
    _wait_for_end(process)
    mongod.start()


def _wait_for_end(process: Process) -> None:
    """Wait until the run has given up; one that never does is killed, which is no allowed end."""
    try:
        process.wait(_GIVES_UP_WITHIN_S)
    except TimeoutExpired:
        process.kill()


def _step_down(process: Process, server: Server, rng: Random) -> None:
    del process
    server.step_down(rng.randint(1, 3))


def _elect(process: Process, servers: ReplicaSet, rng: Random) -> None:
    """Kill the primary; it comes back while the run goes on with another one."""
    del process
    primary = servers.primary_index()
    servers.kill(primary)
    time.sleep(rng.uniform(0, 3))
    servers.start(primary)


def _elect_behind(process: Process, servers: ReplicaSet, rng: Random) -> None:
    """Kill a primary whose last writes no other member has; what it acknowledged alone is gone."""
    del process
    primary = servers.primary_index()
    servers.stop_replication()
    time.sleep(rng.uniform(0.1, 4))
    servers.kill(primary)
    servers.resume_replication()


def _roll_back(process: Process, servers: ReplicaSet, rng: Random) -> None:
    """Let the killed primary come back and undo what no other member has."""
    primary = servers.primary_index()
    _elect_behind(process, servers, rng)
    servers.wait_until_writable()
    time.sleep(rng.uniform(0, 1))
    servers.start(primary)


def _freeze(process: Process, servers: ReplicaSet, rng: Random) -> None:
    """Suspend the primary until another is elected: it wakes up believing to be the primary."""
    del process
    primary = servers.primary_index()
    servers.freeze(primary)
    time.sleep(rng.uniform(1, 5))
    servers.wake(primary)


def _secondary_down(process: Process, servers: ReplicaSet, rng: Random) -> None:
    del process
    secondary = rng.choice(servers.secondaries())
    servers.kill(secondary)
    time.sleep(rng.uniform(0, 2))
    if rng.random() < 0.5:
        servers.start(secondary)


def _no_majority(process: Process, servers: ReplicaSet, rng: Random) -> None:
    """Leave one member with data beside the arbiter: there is a primary, but no majority.

    Then the other one is elected: what the run called stored without a majority is lost.
    """
    del rng
    primary, (secondary,) = servers.primary_index(), servers.secondaries()
    servers.kill(secondary)
    _wait_for_end(process)
    servers.kill(primary)
    servers.start(secondary)
    servers.primary_index()


def _elect_the_other(process: Process, servers: ReplicaSet, rng: Random) -> None:
    """Make the member primary that was away while the run wrote; the arbiter votes for it."""
    del process
    primary, (secondary,) = servers.primary_index(), servers.secondaries()
    servers.kill(secondary)
    time.sleep(rng.uniform(0.1, 4))
    servers.kill(primary)
    servers.start(secondary)
    servers.primary_index()
    time.sleep(rng.uniform(0, 1))
    servers.start(primary)


def _socket_gone(process: Process, mongod: Mongod, rng: Random) -> None:
    """Remove the socket: open connections live on, new ones fail, until the server restarts."""
    mongod.socket.unlink()
    time.sleep(rng.uniform(0, 1))
    _restart(process, mongod, rng)


_GIVES_UP_WITHIN_S = 60
_STORE = "runner.store"
_RESUMABLE = (0, 1, 4)
_KILLED = (0, -signal.SIGKILL)
_SINGLE = (Bed.STANDALONE, Bed.ONE)


def _killed_at(name: str, when: str, place: str, most: int) -> Fault:
    """Return the fault of a process that kills itself around the n-th call of a place."""
    return Fault(name, PROCESS, kill=(when, place, most), kills=1, codes=_KILLED)


def _suspended(name: str, moment: str) -> Fault:
    """Return the fault of a process that loses its stations to another run while it sleeps."""
    return Fault(name, PROCESS, suspends=moment, kills=1, codes=(0, 4))


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
    _suspended("suspended anywhere", "anywhere"),
    _suspended("suspended before the look", "look"),
    _suspended("suspended between look and write", "send"),
    _suspended("suspended before the checkpoint", "checkpoint"),
    Fault("mongod killed and restarted", DATABASE, _restart, beds=_SINGLE),
    Fault(
        "mongod gone for good",
        DATABASE,
        _gone,
        arguments=("mongo.outage_limit_s=1", "mongo.timeout_s=1"),
        kills=1,
        codes=_RESUMABLE,
        beds=_SINGLE,
    ),
    Fault("socket disappears", DATABASE, _socket_gone, beds=_SINGLE),
    Fault("stepdown of the primary", DATABASE, _step_down, beds=(Bed.ONE, Bed.THREE, Bed.ARBITER)),
    Fault("primary killed", DATABASE, _elect, beds=(Bed.THREE,)),
    Fault("primary killed, replication held back", DATABASE, _elect_behind, beds=(Bed.THREE,)),
    Fault("primary killed, rolled back", DATABASE, _roll_back, beds=(Bed.THREE,)),
    Fault("primary suspended", DATABASE, _freeze, beds=(Bed.THREE,)),
    Fault("a secondary down", DATABASE, _secondary_down, beds=(Bed.THREE,)),
    Fault(
        "no majority",
        DATABASE,
        _no_majority,
        arguments=("mongo.outage_limit_s=2", "mongo.timeout_s=1"),
        kills=1,
        codes=_RESUMABLE,
        beds=(Bed.ARBITER,),
    ),
    Fault(
        "no majority in start-up",
        DATABASE,
        _no_majority,
        arguments=("mongo.outage_limit_s=2", "mongo.timeout_s=1"),
        at_start=True,
        kills=1,
        codes=_RESUMABLE,
        beds=(Bed.ARBITER,),
    ),
    Fault("the other member elected", DATABASE, _elect_the_other, beds=(Bed.ARBITER,)),
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


def faults_on(bed: Bed) -> list[Fault]:
    """Return the faults that can happen on a bed, those of the database and of sleep first."""
    found = [fault for fault in FAULTS if bed in fault.beds]
    return sorted(found, key=lambda fault: not (fault.suspends or fault.group is DATABASE))


def draw(rng: Random, bed: Bed) -> tuple[Fault, ...]:
    """Return one to three faults of a bed, every fault as likely, of different groups."""
    wanted = rng.choice((1, 1, 2, 2, 3))
    possible = faults_on(bed)
    drawn: dict[Group, Fault] = {}
    while len(drawn) < wanted:
        fault = rng.choice(possible)
        drawn.setdefault(fault.group, fault)
    return tuple(drawn.values())
