"""Permits from the schedule that every process shares which uses the same key (`ingest_budgets`).

A process is granted an instant, sleeps until it comes, looks whether somebody was throttled
meanwhile, and lets one request through. All that is on the server's clock; the answer to a grant
says what time it was there at some moment between question and answer. An instant is not used
before it has come even if that moment was the last one possible, and it is given up if it may be
over by more than `late_s` in case it was the first one: `runner.core.plan` explains why that keeps
every hour. Whoever ends, dies or gives up loses that one instant.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from runner.core.plan import LATE_S, Wait
from runner.process.stop import StopFlag, elapsed_s
from runner.store.budget import Budget, Grant
from runner.store.outage import Outage

log = structlog.get_logger()

_LOOK_AFTER_S = 0.25
"""After a longer wait for an instant, look for a pause that began meanwhile."""
_LATER_S = 1.0
"""Seconds after its turn by the own pace from which on a permit waits for others."""
_LONG_WAIT_S = 30.0
_LOG_EVERY_S = 600.0


class SharedPacer:
    """Hands out the permits of one process, as `runner.sources.pacing.Pacer` does for a lone one.

    Thread-safe: one thread waits for an instant, the others for their turn. So a process gets at
    most one permit per round trip to MongoDB, and holds one instant at a time.

    Args:
        budget: the schedule.
        interval_s: seconds between a permit of this process and the next one of anybody.
        outage: waits while the database does not answer; there are no permits meanwhile.
        stop: ends every wait at once.
        clock: seconds, going on while the machine sleeps.
        late_s: seconds after its instant in which a permit may still be used.
    """

    def __init__(
        self,
        budget: Budget,
        interval_s: float,
        outage: Outage,
        stop: StopFlag,
        clock: Callable[[], float] = elapsed_s,
        late_s: float = LATE_S,
    ) -> None:
        self._budget = budget
        self._interval_s = interval_s
        self._outage = outage
        self._stop = stop
        self._clock = clock
        self._late_s = late_s
        self._turn = threading.Lock()
        self._pausing = threading.Lock()
        self._next_s = -math.inf
        self._held_until_s = -math.inf
        self._logged_s = -math.inf
        self._logged_pause: datetime | None = None
        self._permits = 0
        self._waited_s = 0.0
        self._waits_for = ""

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
        """Seconds waited longer than the own interval and the own pauses ask for."""
        return self._waited_s

    def acquire(self) -> None:
        """Wait for an instant of the shared schedule.

        Raises:
            StoppedError: a stop was asked for while waiting; no permit was used.
            StoreError: the schedule could not be read or written for longer than is waited for.
        """
        with self._turn:
            self._stop.check()
            due_s = max(self._clock(), self._next_s)
            while not self._try_instant(due_s):
                pass
            self._waits_for = ""
            self._permits += 1
            self._waited_s += max(0.0, self._clock() - max(due_s, self._held_until_s))

    def pause(self, seconds: float) -> bool:
        """Hold back every request of every process; a longer pause of ours already on stays.

        Returns:
            Whether this call began or lengthened the pause of this process.

        Raises:
            StoreError: the pause could not be stored for the others.
        """
        until_s = self._clock() + seconds
        with self._pausing:
            if until_s <= self._held_until_s:
                return False
            self._held_until_s = until_s
        self._logged_pause = self._outage.outlast(
            lambda: self._budget.pause(max(0.0, until_s - self._clock()))
        )
        return True

    def _try_instant(self, due_s: float) -> bool:
        """Take an instant and wait for it; return whether it may still be used by then."""
        self._waits_for = Wait.THROTTLING
        self._sleep_until(lambda: self._held_until_s)  # and take no instant meanwhile
        self._waits_for = ""
        grant, asked_s, answered_s = self._outage.outlast(self._ask)
        ahead_s = (grant.instant - grant.granted_at).total_seconds()
        come_s = answered_s + ahead_s
        wait_s = come_s - max(due_s, self._clock())
        self._log_wait(wait_s)
        if self._log_pause(grant):
            self._waits_for = Wait.THROTTLING
        else:
            self._waits_for = Wait.OTHERS if wait_s > _LATER_S else Wait.PACE
        instant_s = max(come_s, self._next_s)
        self._sleep_until(lambda: max(instant_s, self._held_until_s))
        self._stop.check()
        if self._held_until_s > come_s:
            return False
        if ahead_s > _LOOK_AFTER_S:
            paused_until = self._outage.outlast(self._budget.paused_until)
            if paused_until is not None and grant.instant < paused_until:
                return False
        if self._clock() > asked_s + ahead_s + self._late_s:
            return False
        self._next_s = instant_s + self._interval_s
        return True

    def _ask(self) -> tuple[Grant, float, float]:
        """Return what was granted, and our time before and after."""
        asked_s = self._clock()
        return self._budget.grant(self._interval_s), asked_s, self._clock()

    def _log_pause(self, grant: Grant) -> bool:
        """Log a pause that others began; return whether there is one."""
        until = grant.paused_until
        if until is None or until <= grant.granted_at:
            return False
        if until != self._logged_pause:
            log.warning("budget.paused", pause_s=round((until - grant.granted_at).total_seconds()))
            self._logged_pause = until
        return True

    def _log_wait(self, wait_s: float) -> None:
        if wait_s > _LONG_WAIT_S and self._clock() - self._logged_s > _LOG_EVERY_S:
            log.info("budget.waiting", wait_s=round(wait_s))
            self._logged_s = self._clock()

    def _sleep_until(self, moment_s: Callable[[], float]) -> None:
        """Sleep until a moment, which may be put off meanwhile."""
        while (wait_s := moment_s() - self._clock()) > 0:
            self._stop.sleep(wait_s)
