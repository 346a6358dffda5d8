"""Progress of a run: counted and logged everywhere, a live line besides on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog

from runner.core.checkpoint import Tally
from runner.core.outcome import StationOutcome, duration_text
from runner.core.plan import Plan

if TYPE_CHECKING:
    from rich.console import Console

log = structlog.get_logger()

_EVERY_S = 60.0
"""Longest time between two `run.progress` lines while something is being worked on."""


class Counter:
    """Counts what is done, and logs it every minute and after every station. Thread-safe.

    Args:
        plan: what is to be done.
        requests: returns the requests made so far.
        waits_for: returns what the next request or write waits for; empty for nothing.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        plan: Plan,
        requests: Callable[[], int] = lambda: 0,
        waits_for: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._requests = requests
        self._waits_for = waits_for
        self._clock = clock
        self._lock = Lock()
        self._entries = {entry.station.idx: entry for entry in plan.active}
        self._windows_of: dict[int, int] = {}
        # Of the present, a station is a single request: a line for each would be a wall.
        self._logs_stations = not any(entry.is_present for entry in plan.active)
        self._began_s = self._logged_s = clock()
        self.windows_done = 0
        self.windows_left = plan.windows
        self.stations_done = 0
        self.readings = 0

    def window_done(self, station_idx: int, tally: Tally) -> None:
        """Count a window of a station."""
        with self._lock:
            self.windows_done += 1
            self.windows_left -= 1
            self._windows_of[station_idx] = self._windows_of.get(station_idx, 0) + 1
            self.readings += tally.readings
        self._show()

    def station_done(self, outcome: StationOutcome) -> None:
        """Count a station; its windows that were not fetched are not waited for any more."""
        idx = outcome.station.idx
        with self._lock:
            entry = self._entries.get(idx)
            planned = self._plan.count_windows_of(entry) if entry else 0
            self.windows_left -= planned - self._windows_of.pop(idx, 0)
            self.stations_done += 1
        self._show()
        if self._logs_stations or self.stations_done == len(self._entries):
            self._log()

    def tick(self) -> None:
        """Log the progress if the last line is a minute old; called all the time."""
        if self._clock() - self._logged_s >= _EVERY_S:
            self._log()

    def left_s(self) -> float:
        """Return the seconds left: as fast as so far, but no faster than the pace allows."""
        if not self._plan.windows:
            return 0.0
        of_window = self._plan.duration_s / self._plan.windows
        if self.windows_done:
            of_window = max(of_window, (self._clock() - self._began_s) / self.windows_done)
        return self.windows_left * of_window

    def facts(self) -> dict[str, Any]:
        """Return how far the run is, as it is logged and recorded."""
        waits_for = self._waits_for()
        planned = self._plan.windows
        return {
            "stations": self.stations_done,
            "of": len(self._entries),
            "percent": round(100 * (1 - self.windows_left / planned), 1) if planned else 100.0,
            "windows": self.windows_done,
            "readings": self.readings,
            "requests": self._requests(),
            "time_left": duration_text(self.left_s()),
            **({"waits_for": str(waits_for)} if waits_for else {}),
        }

    def _log(self) -> None:
        self._logged_s = self._clock()
        log.info("run.progress", **self.facts())

    def _show(self) -> None:
        """Nothing to show."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to take down."""


class Bar(Counter):
    """One live line besides; while it is up, the console leaves `run.progress` out."""

    def __init__(self, console: Console, plan: Plan, **counted: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - only on a terminal

        super().__init__(plan, **counted)
        self._progress = Progress(
            TextColumn("{task.fields[stations]}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} windows"),
            TextColumn("{task.fields[readings]:,} readings"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]} left"),
            console=console,
        )
        self._task = self._progress.add_task("", total=plan.windows, **self._fields())

    def _fields(self) -> dict[str, Any]:
        return {
            "stations": f"{self.stations_done}/{len(self._entries)} stations",
            "readings": self.readings,
            "left": duration_text(self.left_s()),
        }

    def _show(self) -> None:
        self._progress.update(self._task, completed=self.windows_done, **self._fields())

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()


def watch(plan: Plan, console: Console, *, alone: bool = True, **counted: Any) -> Counter:
    """Return a counter; on a terminal that nobody else draws on, one with a live line.

    Args:
        plan: what is to be done.
        console: where a live line would go.
        alone: whether nobody else draws on it.
        counted: see `Counter`.
    """
    is_live = console.is_terminal and not console.is_dumb_terminal and alone
    return Bar(console, plan, **counted) if is_live else Counter(plan, **counted)
