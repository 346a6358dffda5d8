"""What all jobs in one process share: its environment, its stop flag, its secrets."""

from __future__ import annotations

import sys
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


def tell(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
