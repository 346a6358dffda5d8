"""Flaws in readings, on purpose: when they occur. `runner.sources.sandbox.flaws` makes them.

A flaw is a function of station and hour, as the sandbox's readings are: whenever it is asked, and
however a range is cut into windows, it answers the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.stations import VIETNAM_H

LONGEST_H = 8784
"""Hours of a leap year: the same flaw never overlaps itself."""
_DAY = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)", re.ASCII)
_LEAP_YEAR = 2024


class Kind(StrEnum):
    """What is wrong."""

    FLAT_LINE = "flat_line"
    """The instrument hangs: the values of the first hour again and again."""
    SPIKE = "spike"
    """The index, and that of PM2.5, is a value from nowhere."""
    GAP = "gap"
    """There is no record."""
    DASH = "dash"
    """There is a record, and its index is a dash."""
    LEVEL = "level"
    """Out of calibration: the indices are a multiple of what they should be."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One flaw of one station.

    Attributes:
        station_idx: the station.
        kind: what is wrong.
        day: on which it begins, in Vietnam: `08-20` of every year, or `2024-08-20`.
        hour: at which it begins, 0..23, in Vietnam.
        hours: how long it lasts, 1..LONGEST_H.
        value: the index of a spike, the factor of a level.
    """

    station_idx: int
    kind: Kind
    day: str
    hour: int = 0
    hours: int = 24
    value: float = 0.0

    def within(self, window: Interval) -> list[Interval]:
        """Return when it occurs, whole, of the times that a window (UTC) has a part of."""
        first, last = to_datetime(window.start).year - 2, to_datetime(window.end).year + 1
        found = [self._in(year) for year in range(first, last + 1)]
        return [one for one in found if one and one.start < window.end and window.start < one.end]

    def _in(self, year: int) -> Interval | None:
        """Return when it occurs that begins in a year; None if it does not."""
        begins = _day_in(self.day, year)
        if begins is None:
            return None
        start = hour_of(datetime.combine(begins, time(self.hour), UTC)) - VIETNAM_H
        return Interval(start, start + self.hours)


def is_day(text: str) -> bool:
    """Whether a text is a day as flaws have it; 02-29 is one, of leap years."""
    found = _DAY.fullmatch(text)
    return found is not None and _day_in(text, int(found[1] or _LEAP_YEAR)) is not None


def _day_in(text: str, year: int) -> date | None:
    found = _DAY.fullmatch(text)
    if found is None or (found[1] and int(found[1]) != year):
        return None
    try:
        return date(year, int(found[2]), int(found[3]))
    except ValueError:
        return None
