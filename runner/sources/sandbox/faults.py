"""Faults by rate, repeatable: they depend on the question and on how often it was asked."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from runner.core.errors import ConfigError
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
    SERVER_ERROR = "rate_5xx"
    TIMEOUT = "rate_timeout"
    TRUNCATED = "rate_truncated"
    OVER_QUOTA = "rate_over_quota"
    WRONG = "rate_wrong"


@dataclass(frozen=True, slots=True)
class Faults:
    """How badly the sandbox behaves. A rate is the share of requests that end that way, 0 to 1.

    A request has at most one fault, so the rates add up to at most 1.

    Attributes:
        rate_429: HTTP 429; Retry-After in seconds, as an HTTP date, or absent, a third each.
        rate_5xx: HTTP 500, 502 or 503 with an HTML page.
        rate_timeout: no answer for `hold_s`, then the connection is closed without one.
        rate_truncated: half a body; either Content-Length says so (broken JSON), or the connection
            is closed before the promised length.
        rate_over_quota: HTTP 200 whose body says "Over quota".
        rate_wrong: HTTP 200 with something else than was asked for, see `sandbox/wrong.py`.
        latency_ms: milliseconds before every answer.
        hold_s: seconds a timeout holds back; longer than the client's read timeout.
        retry_after_s: whole seconds that a 429 by rate asks to wait.
        quota_per_hour: requests answered in any 3600 s, further ones get 429; 0 for no quota.
        seed: another seed, other requests fail.

    Raises:
        ConfigError: a value is out of range.
    """

    rate_429: float = 0.0
    rate_5xx: float = 0.0
    rate_timeout: float = 0.0
    rate_truncated: float = 0.0
    rate_over_quota: float = 0.0
    rate_wrong: float = 0.0
    latency_ms: float = 0.0
    hold_s: float = 60.0
    retry_after_s: int = 1
    quota_per_hour: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            largest = 1.0 if field.name.startswith("rate_") else math.inf
            if field.name != "seed" and not (math.isfinite(value) and 0 <= value <= largest):
                allowed = "0 to 1" if largest == 1.0 else "0 or more"
                raise ConfigError(
                    f"sandbox.faults.{field.name}: {value} is not possible (allowed: {allowed})"
                )
        total = sum(self.rate(fault) for fault in Fault)
        if total > 1 + 1e-9:
            raise ConfigError(
                f"sandbox.faults: the rates add up to {total:g}, and no more than every request "
                "can fail (allowed: at most 1)",
                hint="Lower some of " + ", ".join(Fault),
            )

    def rate(self, fault: Fault) -> float:
        """Return the share of requests that end with a fault."""
        rate: float = getattr(self, fault.value)
        return rate


class FaultPlan:
    """Decides which requests fail, and how. Thread-safe.

    The n-th request for a key fails or not, whatever other keys were asked in between.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._asked: Counter[tuple[object, ...]] = Counter()
        self._lock = threading.Lock()

    def next(self, *key: object) -> tuple[Fault | None, float]:
        """Return the fault of one more request for a key, and a number in [0, 1) for its form."""
        with self._lock:
            self._asked[key] += 1
            attempt = self._asked[key]
        draw = uniform("fault", self._faults.seed, *key, attempt)
        form = uniform("form", self._faults.seed, *key, attempt)
        for fault in Fault:
            draw -= self._faults.rate(fault)
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
