"""Exit codes of the process, and which of several counts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


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
