"""A progress display on a terminal: stations, windows, readings, time left at the pace."""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runner.core.checkpoint import Tally
from runner.core.outcome import StationOutcome, duration_text
from runner.core.plan import Plan

if TYPE_CHECKING:
    from rich.console import Console


class Quiet:
    """Shows nothing: for pipes, files and schedulers. Also the counter behind `Bar`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = Lock()
        self._windows = plan.windows
        self._stations = len(plan.active)
        self.windows_done = 0
        self.stations_done = 0
        self.readings = 0

    def window_done(self, tally: Tally) -> None:
        """Count a window."""
        with self._lock:
            self.windows_done += 1
            self.readings += tally.readings
        self._show()

    def station_done(self, _outcome: StationOutcome) -> None:
        """Count a station."""
        with self._lock:
            self.stations_done += 1
        self._show()

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


class Bar(Quiet):
    """One live line; the estimate of the time left comes from the pace, not from guesses."""

    def __init__(self, plan: Plan, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - only on a terminal

        super().__init__(plan)
        self._progress = Progress(
            TextColumn("{task.fields[stations]}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} windows"),
            TextColumn("{task.fields[readings]:,} readings"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]} left"),
            console=console,
        )
        self._task = self._progress.add_task("", total=self._windows, **self._fields())

    def _fields(self) -> dict[str, Any]:
        seconds_each = self._plan.duration_s / self._windows if self._windows else 0.0
        left = (self._windows - self.windows_done) * seconds_each
        return {
            "stations": f"{self.stations_done}/{self._stations} stations",
            "readings": self.readings,
            "left": duration_text(left),
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


def watch(plan: Plan, console: Console, *, alone: bool = True) -> Quiet:
    """Return a live display on a terminal that nobody else draws on, a silent counter elsewhere."""
    return Bar(plan, console) if console.is_terminal and alone else Quiet(plan)
