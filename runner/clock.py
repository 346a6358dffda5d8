"""One clock for everything that must still hold after a machine slept."""

from __future__ import annotations

import time


def elapsed_s() -> float:
    """Return seconds of a clock that goes on while the machine sleeps, and never jumps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
