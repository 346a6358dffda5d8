"""From a composed configuration to a checked Config, and what a job needs besides."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from runner.config.backfill import Backfill, keep_typed
from runner.config.problems import examine
from runner.config.settings import Config
from runner.core.errors import ConfigError
from runner.core.intervals import EPOCH, Interval, hour_of, iso, to_datetime


def read(
    given: Mapping[str, Any],
    now: datetime,
    model: type[Config],
    *,
    typed: frozenset[str] = frozenset(),
    where: Callable[[str], str] = lambda _key: "",
) -> Config:
    """Return the configuration as objects, after checking every value and the range of hours.

    Args:
        given: plain values, as they were composed.
        now: the present, aware.
        model: declares the settings.
        typed: dotted keys of the command line, which beat what files say.
        where: from the dotted key of a wrong setting to `FILE: `; empty if no file says it.

    Raises:
        ConfigError: everything that is wrong, a line each.
    """
    backfill = given.get("backfill")
    if isinstance(backfill, dict):
        given = {**given, "backfill": keep_typed(backfill, typed)}
    config, problems = examine(given, model)
    if problems:
        raise ConfigError("\n".join(where(problem.key) + problem.text for problem in problems))
    date_range(config.backfill, now)
    return config


def date_range(backfill: Backfill, now: datetime) -> Interval:
    """Return the hours asked for.

    The end is `end_date`, at the latest the present hour less `lag_hours`; an end in the lag is
    cut back. The start is `start_date`, else `days` of 24 hours or calendar `years` before the
    end (from 29 February to 28 February where the year has no 29th).

    Args:
        backfill: the settings.
        now: the present, aware.

    Raises:
        ConfigError: a date cannot be read, the range is empty, or it reaches into the future.
    """
    this_hour = hour_of(now)
    end = newest = this_hour - backfill.lag_hours
    if backfill.end_date is not None:
        end = _hour("backfill.end_date", backfill.end_date)
        if end > this_hour:
            raise ConfigError(
                f"backfill.end_date={backfill.end_date} lies in the future: it is "
                f"{now.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
                hint="Leave it out to fetch everything up to now",
            )
        end = min(end, newest)
    if backfill.start_date is not None:
        start = _hour("backfill.start_date", backfill.start_date)
    elif backfill.days is not None:
        start = end - 24 * backfill.days
    elif backfill.years is not None:
        start = _years_before(end, backfill.years)
    else:
        raise ConfigError(
            "backfill: where to start is not said",
            hint="Set backfill.start_date=2022-01-01, backfill.years=2 or backfill.days=30",
        )
    if start < 0:
        raise ConfigError(f"backfill: the range starts before {EPOCH:%Y-%m-%d}, at {iso(start)}")
    if start >= newest:
        raise ConfigError(
            f"backfill.start_date={backfill.start_date} is too late: the newest hour fetched ends "
            f"at {iso(newest)} (now, less backfill.lag_hours={backfill.lag_hours})",
            hint="The future cannot be fetched",
        )
    if start >= end:
        raise ConfigError(
            f"backfill: the start, {iso(start)}, is not before the end, {iso(end)}",
            hint="The start is included, the end is not",
        )
    return Interval(start, end)


def _hour(key: str, text: str) -> int:
    """Return the hour that an ISO date or datetime names; UTC if it names no zone."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        hour = hour_of(moment.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{key}={text} is not a date: {error}",
            hint="Write 2022-01-01, 2022-01-01T05:00 (UTC), or 2022-01-01T12:00+07:00",
        ) from None
    if to_datetime(hour) != moment:
        raise ConfigError(
            f"{key}={text} is not a full hour of UTC", hint=f"The hour begins at {iso(hour)}"
        )
    return hour


def _years_before(end: int, years: int) -> int:
    moment = to_datetime(end)
    year = moment.year - years
    if year < EPOCH.year:
        raise ConfigError(f"backfill.years={years} reaches back before {EPOCH:%Y-%m-%d}")
    day = min(moment.day, calendar.monthrange(year, moment.month)[1])
    return hour_of(moment.replace(year=year, day=day))
