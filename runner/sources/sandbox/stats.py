"""Counts of what was asked and answered."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from enum import StrEnum
from typing import Any

from runner.core.intervals import Interval, iso
from runner.sources.sandbox.faults import Fault


class Route(StrEnum):
    """What a request is about."""

    HISTORY = "history"
    FEED = "feed"
    SEARCH = "search"
    BOUNDS = "bounds"
    OPENAQ = "openaq"
    UNKNOWN = "unknown"


OK, QUOTA, ERROR = "ok", "quota", "error"
OUTCOMES = (OK, *Fault, QUOTA, ERROR)
"""How a request can end; `error` is a refusal by the API itself (key, station, route, query)."""


class Stats:
    """Counts requests by route and by outcome, and the windows that were served. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin again at zero."""
        with self._lock:
            self._routes: Counter[str] = Counter()
            self._outcomes: Counter[str] = Counter()
            self._windows: defaultdict[int, Counter[Interval]] = defaultdict(Counter)

    def count(self, route: Route, outcome: str) -> None:
        """Count a request; called before its answer leaves, so that a client sees itself."""
        with self._lock:
            self._routes[route.value] += 1
            self._outcomes[outcome] += 1

    def served(self, station_idx: int, window: Interval) -> None:
        """Count a window whose records were answered in full."""
        with self._lock:
            self._windows[station_idx][window] += 1

    def snapshot(self) -> dict[str, Any]:
        """Return the counts as JSON values.

        Returns:
            {"requests": total, "routes": {route: count}, "outcomes": {outcome: count},
            "windows": {station idx as text: [[start, end, count], …] sorted, UTC}}; routes and
            outcomes that never occurred are there with 0.
        """
        with self._lock:
            return {
                "requests": self._routes.total(),
                "routes": {route.value: self._routes[route.value] for route in Route},
                "outcomes": {str(outcome): self._outcomes[outcome] for outcome in OUTCOMES},
                "windows": {
                    str(idx): [
                        [iso(window.start), iso(window.end), count]
                        for window, count in sorted(windows.items())
                    ]
                    for idx, windows in sorted(self._windows.items())
                },
            }
