"""Faults by rate, repeatable: they depend on the question and on how often it was asked."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from runner.sources.sandbox.settings import Faults
from runner.sources.sandbox.values import uniform

_PER_MINUTE = 60
_TIMED_OUT = (
    "Connection timed out: Try to provide more specific query parameters or a smaller time frame."
)


def failure_of(fault: Fault) -> tuple[Any, HTTPStatus]:
    """Return what is said, and with which status; "Over quota" is AQICN's, 408 is OpenAQ's own."""
    if fault is Fault.OVER_QUOTA:
        return {"detail": _TIMED_OUT}, HTTPStatus.REQUEST_TIMEOUT
    if fault is Fault.SERVER_ERROR:
        return "Internal Server Error", HTTPStatus.INTERNAL_SERVER_ERROR
    return {"detail": "Too many requests"}, HTTPStatus.TOO_MANY_REQUESTS


def limits(reset_s: int, *, left: int) -> dict[str, str]:
    """Return the headers about the limit; the reset is a number of seconds, no point in time."""
    return {
        "x-ratelimit-limit": str(_PER_MINUTE),
        "x-ratelimit-used": str(_PER_MINUTE - left),
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-reset": str(reset_s),
    }


def spoilt_rows(content: Any) -> Any:
    """Return an answer whose rows have lost their zone, so that nobody can tell their hours."""
    if not isinstance(content, dict) or "results" not in content:
        return content
    rows = [
        {**row, "period": {"datetimeTo": {"utc": row["period"]["datetimeTo"]["utc"][:-1]}}}
        for row in content["results"]
        if "period" in row
    ]
    return {**content, "results": rows or content["results"]}


HOUR = timedelta(hours=1)


class Fault(StrEnum):
    """What can go wrong with an answer; the values are the names of the rates."""

    TOO_MANY_REQUESTS = "rate_429"
    """Retry-After in seconds, as an HTTP date, or absent, a third each."""
    SERVER_ERROR = "rate_5xx"
    """HTTP 500, 502 or 503 with an HTML page."""
    TIMEOUT = "rate_timeout"
    """No answer for `hold_s`, then the connection is closed without one."""
    TRUNCATED = "rate_truncated"
    """Half a body: Content-Length says so (broken JSON), or the connection is closed early."""
    OVER_QUOTA = "rate_over_quota"
    """HTTP 200 whose body says "Over quota"."""
    WRONG = "rate_wrong"
    """HTTP 200 with something else than was asked for, see `sandbox/wrong.py`."""


class FaultPlan:
    """Decides which requests fail, and how. Thread-safe.

    The n-th request for a key fails or not, whatever other keys were asked in between. A request
    has at most one fault, so the rates add up to at most 1.

    Args:
        faults: the rates.
        seed: another seed, other requests fail.
    """

    def __init__(self, faults: Faults, seed: int = 0) -> None:
        self._rates: dict[Fault, float] = {fault: getattr(faults, fault.value) for fault in Fault}
        self._seed = seed
        self._asked: Counter[tuple[object, ...]] = Counter()
        self._lock = threading.Lock()

    def next(self, *key: object) -> tuple[Fault | None, float]:
        """Return the fault of one more request for a key, and a number in [0, 1) for its form."""
        with self._lock:
            self._asked[key] += 1
            attempt = self._asked[key]
        draw = uniform("fault", self._seed, *key, attempt)
        form = uniform("form", self._seed, *key, attempt)
        for fault, rate in self._rates.items():
            draw -= rate
            if draw < 0:
                return fault, form
        return None, form

    def reset(self) -> None:
        """Forget how often anything was asked."""
        with self._lock:
            self._asked.clear()


class Quota:
    """Limit the requests of any hour. Thread-safe.

    Args:
        per_hour: requests allowed in any 3600 s; 0 for no limit.
        clock: the present, aware.
    """

    def __init__(self, per_hour: int, clock: Callable[[], datetime]) -> None:
        self._per_hour = per_hour
        self._clock = clock
        self._taken: deque[datetime] = deque()
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """Take a slot; return None, or the whole seconds (1 or more) until one frees up."""
        if not self._per_hour:
            return None
        with self._lock:
            now = self._clock()
            while self._taken and self._taken[0] <= now - HOUR:
                self._taken.popleft()
            if len(self._taken) < self._per_hour:
                self._taken.append(now)
                return None
            return max(1, math.ceil((self._taken[0] + HOUR - now).total_seconds()))

    def reset(self) -> None:
        """Free all slots."""
        with self._lock:
            self._taken.clear()
