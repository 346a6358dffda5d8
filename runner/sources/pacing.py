"""One permit per request, at evenly spaced instants: slow answers do not slow the pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from runner.core.plan import LATE_S, Wait
from runner.process.stop import StopFlag


class Pacing(Protocol):
    """What hands out permits: `Pacer` for one process, `store/shared_pacer.py` for all of a key."""

    @property
    def permits(self) -> int:
        """How many permits were handed out: the number of requests made."""
        ...

    @property
    def waited_s(self) -> float:
        """Seconds waited longer than the own pace asks for, because of others."""
        ...

    @property
    def waits_for(self) -> str:
        """What the next request waits for, a `Wait`; empty if none waits."""
        ...

    def acquire(self) -> None:
        """Wait for a permit to make one request, now.

        Raises:
            StoppedError: a stop was asked for while waiting; no permit was used.
            StoreError: there is no schedule to be had; no permit was used.
        """
        ...

    def pause(self, seconds: float) -> bool:
        """Hold back every request for some seconds; return whether that changed anything."""
        ...


class Pacer:
    """Hands out permits `interval_s` apart.

    An instant is a point in time, not a sleep after each answer: a 600 ms answer does not stretch a
    4 s pace to 4.6 s. Unused instants are not saved up, so there are no bursts. Thread-safe.

    Args:
        interval_s: seconds between two requests; 0 for none.
        stop: ends every wait at once.
        clock: monotonic seconds.
    """

    def __init__(
        self, interval_s: float, stop: StopFlag, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval_s = interval_s
        self._stop = stop
        self._clock = clock
        self._turn = threading.Lock()
        self._pausing = threading.Lock()
        self._next_free = -float("inf")
        self._paused_until = -float("inf")
        self._permits = 0
        self._waits_for = ""

    @property
    def permits(self) -> int:
        """How many permits were handed out: the number of requests made."""
        return self._permits

    @property
    def waits_for(self) -> str:
        """What the next request waits for, a `Wait`; empty if none waits."""
        return self._waits_for

    @property
    def waited_s(self) -> float:
        """No seconds: nobody else uses this schedule."""
        return 0.0

    def acquire(self) -> None:
        """Wait for the next instant; one thread waits for it, the others for their turn.

        Raises:
            StoppedError: a stop was asked for while waiting; no permit was used.
        """
        with self._turn:
            instant = max(self._clock(), self._next_free)
            while True:
                instant = max(instant, self._paused_until)  # a pause may begin while we sleep
                wait_s = instant - self._clock()
                if wait_s <= 0:
                    break
                is_paused = instant == self._paused_until
                self._waits_for = Wait.THROTTLING if is_paused else Wait.PACE
                self._stop.sleep(wait_s)
            self._waits_for = ""
            self._stop.check()
            # Sleeps that last a little too long must not add up; a suspended machine starts anew.
            is_late = -wait_s > LATE_S
            self._next_free = (self._clock() if is_late else instant) + self._interval_s
            self._permits += 1

    def pause(self, seconds: float) -> bool:
        """Hold back every request for some seconds; a longer pause already on stays.

        Returns:
            Whether this call began or lengthened the pause.
        """
        until = self._clock() + seconds
        with self._pausing:
            if until <= self._paused_until:
                return False
            self._paused_until = until
            return True
