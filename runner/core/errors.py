"""Every error the runner raises, and what it means for the work at hand.

    RunnerError                      one message for a person, and a hint what to do next
    ├── ConfigError                  wrong configuration or usage: nothing was attempted (exit 2)
    ├── StoppedError                 a stop was asked for; the work is resumable (exit 130/143/129)
    ├── StoreError                   MongoDB could not do what was asked; `scope` as below
    │   ├── StoreUnavailableError    not reachable within its time limit (exit 1)
    │   ├── LeaseError               another run works on the station
    │   ├── FailedElsewhereError     another run failed on the station since the plan was made
    │   ├── CheckpointChangedError   somebody else changed the checkpoint of a station in hand
    │   └── UnsupportedCollectionError  the collection is of a kind we must not write to (exit 1)
    └── SourceError                  a source could not answer; `scope` says how far that reaches
        └── ThrottledError           everyone who uses the same key has to wait

A folder of sources/ has errors of its own, each a SourceError.

Every error pickles, so it survives a worker process.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import Any


class Exit(IntEnum):
    """Process exit codes (129, 130 and 143 are 128 + signal)."""

    DONE = 0
    COULD_NOT_RUN = 1
    CONFIGURATION = 2
    QUALITY_GATE = 3
    INCOMPLETE = 4
    SIGHUP = 129
    SIGINT = 130
    SIGTERM = 143


_PRECEDENCE = (
    Exit.CONFIGURATION,
    Exit.SIGINT,
    Exit.SIGTERM,
    Exit.SIGHUP,
    Exit.COULD_NOT_RUN,
    Exit.INCOMPLETE,
    Exit.QUALITY_GATE,
)


def worst(codes: Iterable[int]) -> int:
    """Return the code that stands for several: 2, then 130/143/129, then 1, 4, 3, 0."""
    seen = set(codes)
    return next((int(code) for code in _PRECEDENCE if code in seen), max(seen, default=0))


class Scope(Enum):
    """How far a failure reaches."""

    RETRY = "retry"
    """Trying the same request again later may help (timeouts, 5xx, throttling)."""
    STATION = "station"
    """This station cannot be fetched or stored; others can (unknown station, refused document)."""
    RUN = "run"
    """No station can be fetched or stored (refused key, no such endpoint, no database)."""


def _rebuild(cls: type[RunnerError], message: str, state: dict[str, Any]) -> RunnerError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class RunnerError(Exception):
    """Base of all errors meant for a person.

    Attributes:
        message: what went wrong and where, in one to three lines.
        hint: what to do next; may be empty.
        scope: how far the failure reaches.
    """

    scope = Scope.RUN

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


class ConfigError(RunnerError):
    """Wrong configuration or usage; nothing was attempted."""


class StoppedError(RunnerError):
    """A stop signal arrived; what is stored stays, the rest is resumable."""

    def __init__(self, message: str = "stopped by a signal", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)


class StoreError(RunnerError):
    """MongoDB could not do what was asked."""

    def __init__(self, message: str, *, scope: Scope = Scope.RUN, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.scope = scope


class StoreUnavailableError(StoreError):
    """MongoDB is not reachable within the configured time limit."""


class LeaseError(StoreError):
    """Another run works on the station.

    Attributes:
        free_in_s: seconds until its lease ends, unless it is renewed.
    """

    def __init__(self, message: str, *, free_in_s: float = 0.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.free_in_s = free_in_s


class FailedElsewhereError(StoreError):
    """Another run failed on the station since the plan was made; the message says how."""


class CheckpointChangedError(StoreError):
    """Somebody else changed or deleted the checkpoint while this run worked on the station."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, scope=Scope.STATION, hint=hint)


class UnsupportedCollectionError(StoreError):
    """A collection exists in a form that the runner must not write to."""


class SourceError(RunnerError):
    """A source of readings could not answer.

    Attributes:
        unreachable: whether there was not even a connection, which is no station's fault.
    """

    def __init__(self, message: str, *, scope: Scope = Scope.RETRY, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.scope = scope
        self.unreachable = False


class ThrottledError(SourceError):
    """Everyone who uses the same key has to wait.

    Attributes:
        retry_after_s: seconds the server asked us to wait, or None if it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: Scope = Scope.RETRY,
        retry_after_s: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, scope=scope, hint=hint)
        self.retry_after_s = retry_after_s
