"""One permit per request, from one schedule of slots, so that slow answers do not slow the pace."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from runner.core.plan import Wait
from runner.process.stop import StopFlag

HOUR_S = 3600.0


class Pacing(Protocol):
    """What hands out permits: `Pacer` for one process, `store/shared_pacer.py` for all of a key."""

    @property
    def permits(self) -> int:
        """How many permits were handed out: the number of requests made."""
        ...

    @property
    def waited_s(self) -> float:
        """Seconds waited longer than the own pace asks for, because of others or a full hour."""
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
    """Hands out request slots `delay_s` apart, and at most `max_per_hour` in any 3600 seconds.

    A slot is a point in time, not a sleep after each answer: a 600 ms answer does not stretch a 4 s
    pace to 4.6 s. Unused slots are not saved up, so there are no bursts. Thread-safe.

    Args:
        delay_s: seconds between two requests; 0 for none.
        max_per_hour: requests allowed in any 3600 seconds; 0 for no limit.
        stop: ends every wait at once.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        delay_s: float,
        max_per_hour: int,
        stop: StopFlag,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._delay_s = delay_s
        self._max_per_hour = max_per_hour
        self._stop = stop
        self._clock = clock
        self._turn = threading.Lock()
        self._pausing = threading.Lock()
        self._next_slot = -float("inf")
        self._paused_until = -float("inf")
        self._recent: deque[float] = deque(maxlen=max_per_hour or 1)
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
        """Wait for the next slot; one thread waits for a slot, the others for their turn.

        Raises:
            StoppedError: a stop was asked for while waiting; no permit was used.
        """
        with self._turn:
            slot = max(self._clock(), self._next_slot)
            if self._max_per_hour and len(self._recent) == self._max_per_hour:
                slot = max(slot, self._recent[0] + HOUR_S)
            while True:
                slot = max(slot, self._paused_until)  # a pause may begin while we sleep
                wait_s = slot - self._clock()
                if wait_s <= 0:
                    break
                paused = slot == self._paused_until
                self._waits_for = Wait.THROTTLING if paused else Wait.PACE
                self._stop.sleep(wait_s)
            self._waits_for = ""
            self._stop.check()
            self._next_slot = slot + self._delay_s
            self._recent.append(self._clock())
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
