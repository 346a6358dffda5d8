"""The settings of the sandbox: the loopback server that speaks the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path

from runner.config.section import Section, setting
from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.stations import VIETNAM_H

LONGEST_H = 8784
"""Hours of a leap year: the same flaw never overlaps itself."""
_DAY = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)", re.ASCII)
_LEAP_YEAR = 2024


class Kind(StrEnum):
    """What is wrong with readings."""

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


_WITH_VALUE = {
    Kind.SPIKE: ("an index, as 480", 0, 10_000),
    Kind.LEVEL: ("a factor, as 1.8", 0.01, 100),
}


class Flaw(Section):
    """A fault in the readings that the sandbox serves, on purpose."""

    # A function of station and hour, as the sandbox's readings are: whenever it is asked, and
    # however a range is cut into windows, it answers the same.

    station: int = setting(0, "index of the station")
    kind: Kind = setting(
        Kind.GAP,
        "`flat_line` repeats the first hour's values, `spike` sets the index, `gap` has no record, "
        "`dash` has no index, `level` multiplies the index",
    )
    day: str = setting(
        "", "day on which it begins, in Vietnam: `08-20` for every year, `2024-08-20` for one"
    )
    hour: int = setting(
        0, "hour at which it begins, in Vietnam", ge=0, le=23, unit="hours of the day"
    )
    hours: int = setting(24, "how long it lasts", ge=1, le=LONGEST_H, unit="hours")
    value: float | None = setting(
        None, "the index of a spike, the factor of a level; empty for the others"
    )

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


class Faults(Section):
    """What the sandbox does wrong, on purpose."""

    rate_429: float = setting(
        0.0, "share of requests answered 429", ge=0, le=1, unit="share of the requests"
    )
    rate_5xx: float = setting(
        0.0, "share answered 500, 502 or 503", ge=0, le=1, unit="share of the requests"
    )
    rate_timeout: float = setting(
        0.0, "share not answered for `hold_s`", ge=0, le=1, unit="share of the requests"
    )
    rate_truncated: float = setting(
        0.0, "share answered with half a body", ge=0, le=1, unit="share of the requests"
    )
    rate_over_quota: float = setting(
        0.0,
        'share answered 200 with "Over quota" inside',
        ge=0,
        le=1,
        unit="share of the requests",
    )
    rate_wrong: float = setting(
        0.0,
        "share answered 200 with other hours, another station, or no JSON",
        ge=0,
        le=1,
        unit="share of the requests",
    )
    latency_ms: float = setting(
        0.0, "milliseconds before every answer", ge=0, le=3_600_000, unit="milliseconds"
    )
    hold_s: float = setting(60.0, "seconds a timeout lasts", ge=0, le=3600, unit="seconds")
    retry_after_s: int = setting(
        1, "seconds a 429 asks to wait, whole", ge=0, le=3600, unit="seconds"
    )
    quota_per_hour: int = setting(
        0,
        "requests per hour before 429; 0 for no quota",
        ge=0,
        le=10_000_000,
        unit="requests; 0 for no quota",
    )

    def broken(self) -> Iterator[str]:
        """Yield a line if more than every request would go wrong."""
        total = self.rate_429 + self.rate_5xx + self.rate_timeout + self.rate_truncated
        if total + self.rate_over_quota + self.rate_wrong > 1 + 1e-9:
            yield (
                "sandbox.faults: the rates add up to more than 1, that is, to more than every "
                "request"
            )


class Sandbox(Section):
    """The loopback server that speaks the API."""

    seed: int = setting(1, "of the invented readings and the faults")
    replay: str | None = setting(
        None, "directory of AirNow files to serve; empty: invented readings"
    )
    missing_share: float = setting(
        0.02,
        "share of the invented hours without a record",
        ge=0,
        le=0.05,
        unit="share of the hours",
    )
    flaws: list[Flaw] = setting(
        [],
        "what is wrong with the readings, on purpose: `station`, `kind` (`flat_line`, `spike`, "
        "`gap`, `dash`, `level`), `day` (`08-20` every year, or `2024-08-20`; in Vietnam), `hour`, "
        "`hours`, `value` (index of a spike, factor of a level)",
    )
    port: int = setting(
        0,
        "of `job=sandbox` on 127.0.0.1; 0 for any free one",
        ge=0,
        le=65_535,
        unit="a TCP port; 0 for any free one",
    )
    faults: Faults = setting(Faults(), "what is wrong with the answers, on purpose")

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule that is broken."""
        if self.replay is not None and not Path(self.replay).is_dir():
            yield f"sandbox.replay={self.replay}: there is no such directory"
        for number, flaw in enumerate(self.flaws):
            key = f"sandbox.flaws[{number}]"
            if flaw.station == 0:
                yield f"{key}.station: say which station, by its index"
            if not is_day(flaw.day):
                yield f"{key}.day={flaw.day}: write 08-20 for every year, 2024-08-20 for one"
            yield from _value(f"{key}.value", flaw)


def _value(key: str, flaw: Flaw) -> Iterator[str]:
    if flaw.kind not in _WITH_VALUE:
        if flaw.value is not None:
            yield f"{key}={flaw.value:g}: a {flaw.kind} has no value; leave it out"
        return
    wanted, lowest, highest = _WITH_VALUE[flaw.kind]
    if flaw.value is None:
        yield f"{key}: a {flaw.kind} needs {wanted}"
    elif not lowest <= flaw.value <= highest:
        yield f"{key}={flaw.value:g}: allowed are {lowest:,} to {highest:,} ({wanted})"
