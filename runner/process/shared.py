"""What all jobs in one process share: its environment, its stop flag, its secrets."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.core.errors import RunnerError
from runner.process.secrets import Environment, Keys, Redactor
from runner.process.stop import StopFlag

OWNER_ONLY = 0o077
"""The file mode mask of everything that a job writes."""


LOG_FORMAT = "LOG_FORMAT"
"""The environment variable that decides how standard error looks where no setting does."""


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
    def here(cls, stop: StopFlag, keys: Keys) -> Process:
        """Return this process, with the environment as it is now.

        Args:
            stop: stops all of its jobs.
            keys: returns the variables that hold keys of sources, see `Environment`.

        Raises:
            OSError, ValueError: `.env` cannot be read.
        """
        environment = Environment.read(keys)
        return cls(environment, stop, Redactor(environment))

    def tell(self, error: RunnerError | str) -> None:
        """Print what went wrong to standard error; as a JSON line with LOG_FORMAT=json."""
        words = (error,) if isinstance(error, str) else (error.message, error.hint)
        text = self.redact("\n".join(filter(None, words)))
        if self.environment.get(LOG_FORMAT) == "json":
            now = datetime.now(UTC).isoformat()
            line = {"event": "command.refused", "level": "error", "error": text, "timestamp": now}
            text = json.dumps(line, ensure_ascii=False)
        tell(text)


def tell(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
