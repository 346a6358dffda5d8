"""Where the sandbox's values come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from runner.core.intervals import Interval

Record = dict[str, Any]
"""One hour in AQICN's shape, see `runner.core.readings`."""


class Values(Protocol):
    """The hourly records of stations."""

    @property
    def synthetic(self) -> bool:
        """Whether the values are made up; the sandbox then says so in every station name."""
        ...

    def records(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the records of a station for the hours of a window (UTC), sorted by hour.

        Must be thread-safe, and give the same records however a range is cut into windows.
        """
        ...


class Replay:
    """Records that someone else holds, such as measured values from AirNow files.

    Args:
        records: given a station's index and a window, returns its records (see `Values.records`).
    """

    synthetic: ClassVar[bool] = False

    def __init__(self, records: Callable[[int, Interval], list[Record]]) -> None:
        self._records = records

    def records(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the held records of a station for the hours of a window."""
        return self._records(station_idx, window)
