"""Waiting for a database that stopped answering: a restart or failover costs time, not the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

import structlog

from runner.core.errors import StoppedError, StoreUnavailableError
from runner.process.stop import StopFlag

log = structlog.get_logger()

Result = TypeVar("Result")

_BETWEEN_TRIES_S = 1.0


class Outage:
    """Tries an operation again while the database does not answer. Thread-safe.

    The operation must be idempotent: it may have been done although no answer came.

    Args:
        limit_s: seconds without an answer to anyone, after which the error is raised.
        stop: ends the wait at once.
        is_over: whether the server has ended and does not come back; then nobody waits.
    """

    def __init__(
        self, limit_s: float, stop: StopFlag, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._limit_s = limit_s
        self._stop = stop
        self._is_over = is_over
        self._lock = Lock()
        self._since: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether the database does not answer at present."""
        return self._since is not None

    def outlast(self, operation: Callable[[], Result]) -> Result:
        """Return what the operation returns, as soon as the database answers.

        Raises:
            StoreUnavailableError: it did not answer for too long, or a stop was asked for.
            StoreError: anything else that the operation raises.
        """
        while True:
            began = time.monotonic()
            try:
                result = operation()
            except StoreUnavailableError as error:
                self._wait(error, began)
            else:
                self._over()
                return result

    def _wait(self, error: StoreUnavailableError, began: float) -> None:
        with self._lock:
            first = self._since is None
            since = self._since = began if self._since is None else self._since
        if first:
            log.warning("database.waiting", error=error.message, limit_s=self._limit_s)
        if time.monotonic() - since + _BETWEEN_TRIES_S > self._limit_s:
            raise error
        try:
            self._stop.sleep(_BETWEEN_TRIES_S)
        except StoppedError:
            raise error from None
        if self._is_over():
            raise error

    def _over(self) -> None:
        with self._lock:
            if self._since is None:
                return
            waited_s = round(time.monotonic() - self._since, 1)
            self._since = None
        log.warning("database.back", waited_s=waited_s)
