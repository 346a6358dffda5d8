"""How long to try again: the bounds, the waits, and the words when it comes to nothing."""

from __future__ import annotations

import random
import time
from threading import Lock
from typing import NoReturn

from runner.config.source import Retry
from runner.core.errors import Scope, SourceError, ThrottledError

_UNREACHABLE = "Nothing is lost: run the same command again once it can be reached"


class FailedTries:
    """How many tries of requests came to nothing. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.failed = 0
        self.throttled = 0

    def count(self, error: SourceError) -> None:
        """Count a try that ended in an error, by what it was."""
        with self._lock:
            if isinstance(error, ThrottledError):
                self.throttled += 1
            else:
                self.failed += 1


class Throttle:
    """Since when nobody got an answer because of throttling. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._since: float | None = None

    def over(self) -> None:
        """Note that somebody got an answer."""
        with self._lock:
            self._since = None

    def lasts_s(self) -> float:
        """Note that somebody was throttled; return for how many seconds that has gone on."""
        now = time.monotonic()
        with self._lock:
            self._since = now if self._since is None else self._since
            return now - self._since


class Patience:
    """Decides for one request how long to wait before the next try, and when to give up."""

    def __init__(self, policy: Retry, throttle: Throttle) -> None:
        self._policy = policy
        self._throttle = throttle
        self._failures = 0
        self._refusals = 0
        self.spent_s = 0.0

    @property
    def tries(self) -> int:
        """Tries that came to nothing."""
        return self._failures + self._refusals

    def wait_s(self, error: SourceError) -> float:
        """Count a failed try; return the seconds to wait before the next.

        Raises:
            SourceError: no further try; for the station, or for the run if everyone is throttled.
        """
        throttled = isinstance(error, ThrottledError)
        self._failures += not throttled
        self._refusals += throttled
        tries = self._refusals if throttled else self._failures
        policy = self._policy
        # Full jitter; the exponent is bounded, since 2**1100 is no float.
        longest_s = min(policy.backoff_s * 2.0 ** min(tries - 1, 60), policy.backoff_max_s)
        wait_s = random.uniform(0, longest_s)  # noqa: S311 - no secret
        if isinstance(error, ThrottledError):
            asked_s = error.retry_after_s
            least_s = wait_s if asked_s is None else asked_s
            if self._throttle.lasts_s() + least_s > policy.throttled_max_s:
                self._give_up(error)
            # Not all at the same instant.
            return wait_s if asked_s is None else asked_s + min(wait_s, 1.0)
        self.spent_s += wait_s
        if self._failures >= policy.max_attempts or self.spent_s > policy.max_elapsed_s:
            self._give_up(error)
        return wait_s

    def _give_up(self, error: SourceError) -> NoReturn:
        """Raise the last error, with the number of tries and what to do."""
        if isinstance(error, ThrottledError):
            error.scope = Scope.RUN
            error.hint = (
                "Run the same command again later; or lower the pace (rate_limit=gentle), "
                "or wait longer (source.retry.throttled_max_s)"
            )
            asked = error.retry_after_s
            wait = "" if asked is None else f", and asks to wait {asked:,.0f} s"
            error.message = (
                f"throttled{wait}: {error.message}; "
                f"source.retry.throttled_max_s={self._policy.throttled_max_s:g} s is used up"
            )
        else:
            tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
            error.message = f"{error.message} (given up after {tries})"
            error.scope = Scope.RUN if error.unreachable else Scope.STATION
            error.hint = error.hint or (_UNREACHABLE if error.unreachable else "")
        error.args = (error.message,)
        raise error
