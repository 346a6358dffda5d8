"""For which hours, and in what portions: `backfill=NAME`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import model_validator

from runner.config.section import Section, setting
from runner.core.plan import Mode

RANGE_KEYS = ("start_date", "years", "days")
"""Settings that say where the range begins; the first that is given counts."""
_LAST = re.compile(r"(\d{1,6}) (year|day)s?")


class Backfill(Section):
    """Which hours, and in what portions."""

    start_date: str | None = setting(
        None,
        "first hour, `2022-01-01` or `2022-01-01T05:00+07:00` (else UTC); beats `years` and `days`",
    )
    end_date: str | None = setting(
        None, "the hour after the last one; empty: the newest hour allowed"
    )
    years: int | None = setting(
        None, "calendar years back from the end", ge=1, le=100, unit="calendar years"
    )
    days: int | None = setting(
        None,
        "days of 24 hours back from the end, in place of `years`",
        ge=1,
        le=36_600,
        unit="days",
    )
    last: str | None = setting(
        "2 years",
        "the range unless `start_date`, `years` or `days` says another: `2 years` or `30 days`",
    )
    batch_size: int = setting(168, "hours in one request", ge=1, le=8784, unit="hours")
    workers: int = setting(
        4, "stations worked on at the same time", ge=1, le=64, unit="stations at a time"
    )
    lag_hours: int = setting(
        1, "newest full hours left to the live job", ge=0, le=8784, unit="hours"
    )
    mode: Mode = setting(
        Mode.RESUME,
        "`resume`: hours not covered; `gaps`: covered without a reading; `missing`: both; "
        "`refetch`: all",
    )
    lookback_hours: int = setting(
        0,
        "hours before the covered end that are read again, for late corrections",
        ge=0,
        le=8784,
        unit="hours",
    )
    recheck_empty_after_days: int = setting(
        30,
        "days after which hours the source had nothing for count as gaps again",
        ge=0,
        le=36_600,
        unit="days",
    )
    lease_s: float = setting(
        60.0,
        "seconds after which the stations of a killed run are free for another run",
        ge=1,
        le=86_400,
        unit="seconds",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_last(cls, given: Any) -> Any:
        """Turn `last` into years or days if nothing else says where the range begins."""
        if not isinstance(given, dict) or not isinstance(given.get("last"), str):
            return given
        found = _LAST.fullmatch(given["last"].strip())
        if found is None or any(given.get(key) is not None for key in RANGE_KEYS):
            return given
        return {**given, f"{found[2]}s": int(found[1])}

    @property
    def is_default_range(self) -> bool:
        """Whether the range is that of the default of `last`."""
        default = type(self).model_fields["last"].default
        return (
            self.last == default
            and f"{self.years} years" == default
            and {self.start_date, self.end_date, self.days} == {None}
        )

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule that is broken."""
        if self.last is not None and not _LAST.fullmatch(self.last.strip()):
            yield f"backfill.last={self.last}: write 2 years or 30 days"
        if self.years is not None and self.days is not None and self.start_date is None:
            yield (
                f"backfill.years={self.years} and backfill.days={self.days} exclude each other; "
                "leave one out"
            )


def keep_typed(backfill: dict[str, Any], typed: frozenset[str]) -> dict[str, Any]:
    """Return the section without what says where to begin, if the command line says another.

    Args:
        backfill: the composed section.
        typed: dotted keys of the command line.
    """
    says = [key for key in (*RANGE_KEYS, "last") if backfill.get(key) is not None]
    wins = [key for key in says if f"backfill.{key}" in typed]
    if not wins:
        return backfill
    return {**backfill, **{key: None for key in says if key not in wins}}
