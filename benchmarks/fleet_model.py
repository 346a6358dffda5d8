"""A fleet of runs over a fleet of stations, as discrete events: no clock, no network, no database.

What decides in the product decides here: `build_plan` says what a run does, `subtract` what is left
of a station that another run had, `Patience` how long a failed request waits, when it gives up.
Modelled after it are the schedule of permits (`Slots`; a test compares it with `pacing.py`),
the leases (renewed while a run lives, free `lease_s` after the last renewal), and the order of a
run: its stations one after the other, those of other runs once more at the end.

What must never happen is asserted while it runs: a window recorded twice or out of order, two runs
at one station, more requests in any hour than a key has.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tenacity import RetryCallState, Retrying

from runner.core.checkpoint import Checkpoint, Status
from runner.core.errors import Scope, SourceError, ThrottledError
from runner.core.intervals import Interval, split, subtract
from runner.core.plan import Pace, StationPlan, build_plan
from runner.core.stations import Station
from runner.sources.patience import Patience, RetryPolicy, Throttle

HOUR_S = 3600.0
_ROUNDING_S = 1e-4
"""Of a sum of seconds over months, as floats make it."""
RENEWALS = 4
"""Times a lease is renewed before it would expire (`runner.store.leases`)."""
POLICY = RetryPolicy(
    max_attempts=8, max_elapsed_s=900, backoff_s=2, backoff_max_s=120, throttled_max_s=7200
)
"""The defaults of `source.retry`."""


@dataclass(frozen=True, slots=True)
class World:
    """What is simulated.

    Attributes:
        stations: how many.
        wanted: the hours of each.
        batch_hours: of a window.
        workers: runs at the same time; each has one key.
        threads: stations that a run works on at the same time (`backfill.workers`).
        keys: API keys; runs share them in turn.
        pace: of a key.
        latency_s: of an answer, on average; they vary by a half.
        rate_429: share of requests that are throttled; so are the other rates.
        rate_5xx: share answered 5xx.
        rate_timeout: share not answered within `timeout_s`.
        retry_after_s: what a 429 asks to wait.
        timeout_s: until a request counts as not answered.
        kills_per_day: of every run, on average, without a word.
        restart_s: from a run's end to the next one in its place.
        lease_s: seconds after the last renewal that a station is free.
        seed: of everything drawn.
    """

    stations: int
    wanted: Interval
    batch_hours: int = 168
    workers: int = 16
    threads: int = 4
    keys: int = 16
    pace: Pace = field(default_factory=lambda: Pace(3.6, 1000))
    latency_s: float = 0.6
    rate_429: float = 0.0
    rate_5xx: float = 0.0
    rate_timeout: float = 0.0
    retry_after_s: float = 30.0
    timeout_s: float = 30.0
    kills_per_day: float = 0.0
    restart_s: float = 60.0
    lease_s: float = 60.0
    seed: int = 1


@dataclass(slots=True)
class Counts:
    """What happened.

    Attributes:
        requests: permits used.
        windows: recorded as covered.
        throttled: requests answered 429.
        failed: requests answered 5xx, or not at all.
        lost: requests in the air when their run was killed.
        kills: runs killed.
        runs: begun.
        gave_up: stations that failed for good.
        ended_s: when the last window was recorded, seconds.
    """

    requests: int = 0
    windows: int = 0
    throttled: int = 0
    failed: int = 0
    lost: int = 0
    kills: int = 0
    runs: int = 0
    gave_up: int = 0
    ended_s: float = 0.0


class Slots:
    """The schedule of permits of one key, as `runner.sources.pacing.Pacer` hands them out."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._next_s = 0.0
        self._paused_until_s = 0.0
        self._recent: deque[float] = deque(maxlen=pace.max_per_hour or 1)

    def next_s(self, now_s: float) -> float:
        """Return when the next permit is due, as far as is known now."""
        due_s = max(now_s, self._next_s, self._paused_until_s)
        if self._pace.max_per_hour and len(self._recent) == self._pace.max_per_hour:
            due_s = max(due_s, self._recent[0] + HOUR_S)
        return due_s

    def take(self, now_s: float) -> None:
        """Use a permit that is due."""
        self._recent.append(now_s)
        self._next_s = now_s + self._pace.delay_s

    def pause(self, until_s: float) -> None:
        """Hold back every permit; a longer pause already on stays."""
        self._paused_until_s = max(self._paused_until_s, until_s)


class Quota:
    """What the API counts of a key, whatever the schedule says: requests of the last 3600 s."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._arrived: deque[float] = deque()

    def count(self, now_s: float) -> None:
        """Count a request; assert that the key may make it."""
        arrived = self._arrived
        while arrived and now_s - arrived[0] >= HOUR_S - _ROUNDING_S:
            arrived.popleft()
        arrived.append(now_s)
        assert not self._limit or len(arrived) <= self._limit, "over the quota"  # noqa: S101 - what the simulation proves


@dataclass(slots=True, eq=False)
class Key:
    """A key: its schedule, what the API counts of it, and who waits for it, in order."""

    slots: Slots
    quota: Quota
    waiting: deque[Thread] = field(default_factory=deque)
    granting: bool = False


@dataclass(slots=True, eq=False)
class Run:
    """One run: what it has still to do, as `runner.jobs.backfill.engine` orders it."""

    worker: int
    key: Key
    todo: Iterator[StationPlan]
    leased: deque[tuple[StationPlan, float]] = field(default_factory=deque)
    working: int = 0
    alive: bool = True


@dataclass(slots=True, eq=False)
class Thread:
    """A station in the hands of a run."""

    run: Run
    idx: int = 0
    windows: Iterator[Interval] = field(default_factory=lambda: iter(()))
    window: Interval | None = None
    patience: Patience | None = None
    asked_s: float = -1.0


class Fleet:
    """Simulates a world from nothing fetched to everything fetched."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counts = Counts()
        self._draw = random.Random(world.seed)
        random.seed(world.seed)  # tenacity draws its waits from here
        self._stations = [Station(idx) for idx in range(world.stations)]
        self._reached = [world.wanted.start] * world.stations
        self._done = bytearray(world.stations)
        self._holder: list[Run | None] = [None] * world.stations
        self._free_s = [0.0] * world.stations
        self._left = world.stations
        pace = world.pace
        self._keys = [Key(Slots(pace), Quota(pace.max_per_hour)) for _ in range(world.keys)]
        self._events: list[tuple[float, int, str, Any]] = []
        self._number = count()
        self._last: dict[int, Run] = {}

    def run(self) -> Counts:
        """Go through all events until nothing is left to fetch."""
        for worker in range(self.world.workers):
            self._at(0.0, "start", worker)
            if self.world.kills_per_day:
                self._at(self._next_kill_s(0.0), "kill", worker)
        events, pop = self._events, heapq.heappop
        handlers: dict[str, Callable[[float, Any], None]] = {
            "grant": self._grant,
            "answer": self._answer,
            "ask": self._ask,
            "start": self._start,
            "kill": self._kill,
            "again": self._again,
        }
        while self._left:
            now_s, _, what, of_what = pop(events)
            handlers[what](now_s, of_what)
        return self.counts

    def _at(self, when_s: float, what: str, of_what: Any) -> None:
        heapq.heappush(self._events, (when_s, next(self._number), what, of_what))

    # ------------------------------------------------------------ runs and their stations

    def _start(self, now_s: float, worker: int) -> None:
        """Begin a run as a person does: plan what is not covered, then work through it."""
        world = self.world
        checkpoints = {
            idx: Checkpoint(idx, Status.IN_PROGRESS, (Interval(world.wanted.start, reached),))
            for idx, reached in enumerate(self._reached)
            if reached > world.wanted.start and not self._done[idx]
        }
        stations = [item for item in self._stations if not self._done[item.idx]]
        plan = build_plan(
            stations, checkpoints, world.wanted, batch_hours=world.batch_hours, pace=world.pace
        )
        run = Run(worker, self._keys[worker % world.keys], iter(plan.active))
        self._last[worker] = run
        self.counts.runs += 1
        run.working = world.threads
        for _ in range(world.threads):
            self._next_station(now_s, Thread(run))

    def _next_station(self, now_s: float, thread: Thread) -> None:
        """Take the next station that is free; those of other runs are left for the end."""
        run = thread.run
        for entry in run.todo:
            free_s = self._leased_until_s(now_s, entry.station.idx)
            if free_s is not None:
                run.leased.append((entry, free_s))
            elif self._take(now_s, thread, entry):
                return
        if run.leased:
            entry, free_s = run.leased.popleft()
            self._at(max(now_s, free_s), "again", (thread, entry))
            return
        run.working -= 1
        if not run.working:
            self._at(now_s + self.world.restart_s, "start", run.worker)

    def _again(self, now_s: float, of_what: tuple[Thread, StationPlan]) -> None:
        thread, entry = of_what
        if not thread.run.alive:
            return
        leased = self._leased_until_s(now_s, entry.station.idx) is not None
        if leased or not self._take(now_s, thread, entry):
            self._next_station(now_s, thread)

    def _leased_until_s(self, now_s: float, idx: int) -> float | None:
        """Return when a station may be free; None if it is."""
        holder = self._holder[idx]
        if holder is not None and holder.alive:
            return now_s + self.world.lease_s * (1 - self._draw.random() / RENEWALS)
        return self._free_s[idx] if self._free_s[idx] > now_s else None

    def _take(self, now_s: float, thread: Thread, entry: StationPlan) -> bool:
        """Take a free station; False where another run has finished it meanwhile."""
        idx = entry.station.idx
        if self._done[idx]:
            return False
        holder = self._holder[idx]
        assert holder is None or not holder.alive, "two runs at one station"  # noqa: S101 - likewise
        self._holder[idx] = thread.run
        thread.idx = idx
        covered = Interval(self.world.wanted.start, self._reached[idx])
        pieces = subtract(entry.pieces, (covered,) if covered.hours else ())
        thread.windows = split(pieces, self.world.batch_hours)
        self._next_window(now_s, thread)
        return True

    def _next_window(self, now_s: float, thread: Thread) -> None:
        window = next(thread.windows, None)
        if window is None:
            self._finish(now_s, thread)
            return
        thread.window = window
        thread.patience = None
        self._ask(now_s, thread)

    def _finish(self, now_s: float, thread: Thread) -> None:
        self._holder[thread.idx] = None
        self._done[thread.idx] = 1
        self._left -= 1
        self._next_station(now_s, thread)

    def _kill(self, now_s: float, worker: int) -> None:
        """End a run without a word: what is in the air is lost, its stations stay leased."""
        self._at(self._next_kill_s(now_s), "kill", worker)
        run = self._last.get(worker)
        if run is None or not run.alive or not run.working:
            return
        run.alive = False
        self.counts.kills += 1
        free_s = now_s + self.world.lease_s * (1 - self._draw.random() / RENEWALS)
        for idx, holder in enumerate(self._holder):
            if holder is run:
                self._free_s[idx] = free_s
        run.key.waiting = deque(item for item in run.key.waiting if item.run is not run)
        self._at(now_s + self.world.restart_s, "start", worker)

    def _next_kill_s(self, now_s: float) -> float:
        return now_s + self._draw.expovariate(self.world.kills_per_day / 86_400)

    # ------------------------------------------------------------ requests

    def _ask(self, now_s: float, thread: Thread) -> None:
        """Queue for a permit."""
        if not thread.run.alive:
            return
        key = thread.run.key
        key.waiting.append(thread)
        if not key.granting:
            key.granting = True
            self._at(key.slots.next_s(now_s), "grant", key)

    def _grant(self, now_s: float, key: Key) -> None:
        """Give the permit to who waits longest; a pause that began meanwhile moves it."""
        if not key.waiting:
            key.granting = False
            return
        due_s = key.slots.next_s(now_s)
        if due_s <= now_s:
            thread = key.waiting.popleft()
            key.slots.take(now_s)
            key.quota.count(now_s)
            self.counts.requests += 1
            self._send(now_s, thread)
            due_s = key.slots.next_s(now_s)
        if key.waiting:
            self._at(due_s, "grant", key)
        else:
            key.granting = False

    def _send(self, now_s: float, thread: Thread) -> None:
        world, drawn = self.world, self._draw.random()
        thread.asked_s = now_s
        takes_s = world.latency_s * (0.5 + self._draw.random())
        kind = ""
        if drawn < world.rate_429:
            kind = "429"
        elif drawn < world.rate_429 + world.rate_5xx:
            kind = "5xx"
        elif drawn < world.rate_429 + world.rate_5xx + world.rate_timeout:
            kind, takes_s = "timeout", world.timeout_s
        self._at(now_s + takes_s, "answer", (thread, kind))

    def _answer(self, now_s: float, of_what: tuple[Thread, str]) -> None:
        thread, kind = of_what
        counts = self.counts
        if kind == "429":
            counts.throttled += 1
        elif kind:
            counts.failed += 1
        if not thread.run.alive:
            counts.lost += not kind
            return
        if kind:
            self._failed(now_s, thread, kind)
            return
        idx, window = thread.idx, thread.window
        assert window is not None  # noqa: S101 - it was asked for
        assert self._reached[idx] == window.start, "a window twice, or out of order"  # noqa: S101 - likewise
        self._reached[idx] = window.end
        counts.windows += 1
        counts.ended_s = now_s
        self._next_window(now_s, thread)

    def _failed(self, now_s: float, thread: Thread, kind: str) -> None:
        """Wait as the product does, or give the station up."""
        patience = thread.patience = thread.patience or Patience(POLICY, Throttle())
        patience.spent_s += now_s - thread.asked_s
        throttled = kind == "429"
        error = (
            ThrottledError(kind, retry_after_s=self.world.retry_after_s)
            if throttled
            else SourceError(kind, scope=Scope.RETRY)
        )
        state = RetryCallState(_RETRYING, None, (), {})
        state.set_exception((type(error), error, None))
        wait_s = patience.wait(state)
        if patience.is_over(state):
            self.counts.gave_up += 1
            self._finish(now_s, thread)
            return
        if throttled:
            thread.run.key.slots.pause(now_s + wait_s)
        self._at(now_s + wait_s, "ask", thread)


_RETRYING = Retrying()
