"""What all jobs in one process share: its environment, its stop flag, its secrets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runner.core.errors import RunnerError
from runner.process.secrets import Environment, Redactor
from runner.process.stop import StopFlag

OWNER_ONLY = 0o077
"""The file mode mask of everything that a job writes."""


@dataclass(frozen=True, slots=True)
class Process:
    """What the jobs in one process share; never pickled.

    Attributes:
        environment: settings and secrets of this process.
        stop: stops all of its jobs.
        redact: takes secrets out of text.
    """

    environment: Environment
    stop: StopFlag
    redact: Redactor

    @classmethod
    def here(cls, stop: StopFlag) -> Process:
        """Return this process, with the environment as it is now.

        Raises:
            OSError, ValueError: `.env` cannot be read.
        """
        environment = Environment.read()
        return cls(environment, stop, Redactor(environment))

    def tell(self, error: RunnerError) -> None:
        """Say what went wrong, on standard error."""
        tell(self.redact("\n".join(filter(None, (error.message, error.hint)))))

    @staticmethod
    def in_charge() -> Process | None:
        """Return what runs jobs here; None in a worker that a launcher started."""
        return _processes[-1] if _processes else None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the jobs that Hydra starts in this process belong to it, until the block ends."""
        _processes.append(self)
        try:
            yield
        finally:
            _processes.pop()


_processes: list[Process] = []
"""What runs jobs here; a stack, because a test may call `main` from within a job."""


def tell(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
