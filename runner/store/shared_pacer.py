"""Permits from a schedule that every process shares which uses the same key (`ingest_budgets`).

A process reserves a slot, sleeps until it comes, looks whether somebody was throttled meanwhile,
and lets one request through. All that is on the server's clock; the answer to a reservation says
what time it was there at some moment between question and answer. A slot is not used before it
has come even if that moment was the last one possible, and it is given up if it may be over by more
than `Limits.late_s` in case it was the first one: `runner.store.budget` explains why that keeps
every hour. A slot that was not used is given back with the next reservation.

One slot is reserved at a time while the database answers fast. Where a round trip is long, so that
permits come slower than the pace, they are reserved in blocks. Only what is reserved is lost when a
process ends or dies: at most a twentieth of an hour's requests, and 50.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from runner.core.plan import Wait
from runner.process.stop import StopFlag, elapsed_s
from runner.store.budget import Budget, Limits, Reservation
from runner.store.outage import Outage

log = structlog.get_logger()

LARGEST_BLOCK = 50
_LARGEST_SHARE = 20
_ROUND_TRIPS = 20
"""Round trips that a block lasts for, so that they cost a twentieth of the time at most."""
_LOOK_S = 0.25
"""Seconds before a slot at which a pause of others is looked for."""
_FRESH_S, _LONGEST_FRESH_S = 0.5, 5.0
"""Seconds for which what was seen of a pause is believed; the more, the longer looking takes."""
_LATER_S = 1.0
"""Seconds after its turn by the own pace from which on a permit waits for others."""
_LONG_WAIT_S = 30.0
_SAY_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class _Permit:
    """A reserved slot, on the server's clock and on ours.

    Attributes:
        slot: on the server's clock.
        from_s: when it has come for sure.
        until_s: when it may have been over for too long.
    """

    slot: datetime
    from_s: float
    until_s: float


def block_size(round_trip_s: float, interval_s: float, before: int, largest: int) -> int:
    """Return how many slots to reserve at once.

    Args:
        round_trip_s: seconds that the last reservation took.
        interval_s: seconds between two permits, as the pace allows and as they were needed.
        before: the size of the block before; one slow answer does not make a large block.
        largest: the largest allowed.
    """
    most = min(2 * before, largest)
    lasts_s = _ROUND_TRIPS * round_trip_s
    return most if lasts_s >= most * interval_s else max(1, math.ceil(lasts_s / interval_s))


class SharedPacer:
    """Hands out the permits of one process, as `runner.sources.pacing.Pacer` does for a lone one.

    Thread-safe: one thread waits for a slot, the others for their turn.

    Args:
        budget: the schedule.
        limits: how this process wants it kept. Those of others may differ: everybody's delay is
            the distance to the slot before, everybody's limit counts all requests.
        outage: waits while the database does not answer; there are no permits meanwhile.
        stop: ends every wait at once.
        clock: seconds, going on while the machine sleeps.
    """

    def __init__(
        self,
        budget: Budget,
        limits: Limits,
        outage: Outage,
        stop: StopFlag,
        clock: Callable[[], float] = elapsed_s,
    ) -> None:
        self._budget = budget
        self._limits = limits
        self._outage = outage
        self._stop = stop
        self._clock = clock
        self._turn = threading.Lock()
        self._pausing = threading.Lock()
        self._block: deque[_Permit] = deque()
        self._unused: list[datetime] = []
        self._block_size = 1
        self._round_trip_s = 0.0
        self._reserved_s = -math.inf
        self._next_s = -math.inf
        self._held_until_s = -math.inf
        self._paused_until: datetime | None = None
        self._seen_s = -math.inf
        self._said_s = -math.inf
        self._said_of: datetime | None = None
        self._permits = 0
        self._waited_s = 0.0
        self._waits_for = ""
        self._throttled = False

    @property
    def waits_for(self) -> str:
        """What the next request waits for, a `Wait`; empty if none waits."""
        return self._waits_for

    @property
    def permits(self) -> int:
        """How many permits were handed out: the number of requests made."""
        return self._permits

    @property
    def waited_s(self) -> float:
        """Seconds waited longer than the own delay and the own pauses ask for."""
        return self._waited_s

    def acquire(self) -> None:
        """Wait for a slot of the shared schedule.

        Raises:
            StoppedError: a stop was asked for while waiting; no permit was used.
            StoreError: the schedule could not be read or written for longer than is waited for.
        """
        with self._turn:
            self._stop.check()
            due_s = max(self._clock(), self._next_s)
            while not self._use(self._next_permit(due_s), due_s):
                pass
            self._waits_for = ""
            self._permits += 1
            self._waited_s += max(0.0, self._clock() - max(due_s, self._held_until_s))

    def pause(self, seconds: float) -> bool:
        """Hold back every request of every process; a longer pause of ours already on stays.

        Returns:
            Whether this call began or lengthened the pause of this process.

        Raises:
            StoreError: the others could not be informed.
        """
        until_s = self._clock() + seconds
        with self._pausing:
            if until_s <= self._held_until_s:
                return False
            self._held_until_s = until_s
        self._paused_until = self._said_of = self._outage.outlast(
            lambda: self._budget.pause(max(0.0, until_s - self._clock()))
        )
        return True

    def _next_permit(self, due_s: float) -> _Permit:
        self._waits_for = Wait.THROTTLING
        self._sleep_until(lambda: self._held_until_s)  # and reserve nothing meanwhile
        self._waits_for = ""
        if not self._block:
            self._reserve()
            wait_s = self._block[0].from_s - max(due_s, self._clock())
            if wait_s > _LONG_WAIT_S and self._clock() - self._said_s > _SAY_EVERY_S:
                log.info("budget.waiting", wait_s=round(wait_s), used_last_hour=self._used())
                self._said_s = self._clock()
        return self._block.popleft()

    def _reserve(self) -> None:
        began_s = self._clock()
        pace_s = self._limits.delay_ms / 1000
        if self._limits.most:
            pace_s = max(pace_s, self._limits.window_ms / 1000 / self._limits.most)
        interval_s = max(pace_s, (began_s - self._reserved_s) / self._block_size)
        most = self._limits.most // _LARGEST_SHARE if self._limits.most else LARGEST_BLOCK
        largest = max(1, min(most, LARGEST_BLOCK))
        self._block_size = block_size(self._round_trip_s, interval_s, self._block_size, largest)
        self._reserved_s = began_s
        made, asked_s, answered_s = self._outage.outlast(self._ask_for_slots)
        self._round_trip_s = answered_s - asked_s
        self._see(made.paused_until)
        self._say_paused(made)
        for slot in made.slots:
            ahead_s = (slot - made.granted_at).total_seconds()
            until_s = asked_s + ahead_s + self._limits.late_s
            self._block.append(_Permit(slot, answered_s + ahead_s, until_s))

    def _ask_for_slots(self) -> tuple[Reservation, float, float]:
        """Return what was reserved, and our time before and after."""
        unused, self._unused = self._unused, []  # at the first try only
        asked_s = self._clock()
        made = self._budget.reserve(self._limits, self._block_size, unused)
        return made, asked_s, self._clock()

    def _use(self, permit: _Permit, due_s: float) -> bool:
        """Wait for a slot; return whether it may still be used by then."""
        slot_s = max(self._clock(), permit.from_s, self._next_s)
        if self._throttled:
            self._waits_for = Wait.THROTTLING
        else:
            self._waits_for = Wait.OTHERS if permit.from_s > due_s + _LATER_S else Wait.PACE
        if not self._is_paused(permit):
            self._sleep_until(lambda: slot_s - _LOOK_S - self._round_trip_s)
            fresh_s = min(_ROUND_TRIPS * self._round_trip_s, _LONGEST_FRESH_S)
            if self._clock() - self._seen_s > max(_FRESH_S, fresh_s):
                self._see(self._outage.outlast(self._budget.paused_until))
            self._sleep_until(lambda: max(slot_s, self._held_until_s))
        self._stop.check()
        if self._is_paused(permit):
            self._unused += [permit.slot, *(other.slot for other in self._block)]
            self._block.clear()
            return False
        if self._clock() > permit.until_s:
            self._unused.append(permit.slot)
            return False
        self._next_s = max(slot_s, self._held_until_s) + self._limits.delay_ms / 1000
        return True

    def _is_paused(self, permit: _Permit) -> bool:
        paused_until = self._paused_until
        return paused_until is not None and permit.slot < paused_until

    def _see(self, paused_until: datetime | None) -> None:
        self._paused_until = paused_until
        self._seen_s = self._clock()

    def _say_paused(self, made: Reservation) -> None:
        until = made.paused_until
        self._throttled = until is not None and until > made.granted_at
        if until is None or not self._throttled or until == self._said_of:
            return
        log.warning("budget.paused", pause_s=round((until - made.granted_at).total_seconds()))
        self._said_of = until

    def _sleep_until(self, moment_s: Callable[[], float]) -> None:
        """Sleep until a moment, which may be put off meanwhile."""
        while (wait_s := moment_s() - self._clock()) > 0:
            self._stop.sleep(wait_s)

    def _used(self) -> int:
        return self._outage.outlast(self._budget.used)
