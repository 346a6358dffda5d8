"""From a composed configuration to a checked Config, and what a job needs besides."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from runner.config.rules import broken_rules
from runner.config.settings import Backfill, Config
from runner.core.errors import ConfigError
from runner.core.intervals import EPOCH, Interval, hour_of, iso, to_datetime

_MOST_TOLD = 5
"""Broken rules told at once."""

ConfigStore.instance().store(name="base_schema", node=Config)


def read(cfg: DictConfig, now: datetime) -> Config:
    """Return the configuration as objects, after checking every value and the range of hours.

    Args:
        cfg: as Hydra composed it, unresolved.
        now: the present, aware.

    Raises:
        ConfigError: values out of range; up to five are told at once.
        OmegaConfBaseException: an interpolation or a type does not work out.
    """
    try:
        config = OmegaConf.to_object(cfg)
    except AttributeError as error:  # a key the schema does not have, smuggled in with +
        raise ConfigError(f"unknown setting: {error}") from None
    if not isinstance(config, Config):
        raise ConfigError("the configuration lacks its schema: keep `- base_schema` in config.yaml")
    broken = list(broken_rules(config))
    if not broken:
        date_range(config.backfill, now)
        return config
    more = len(broken) - _MOST_TOLD
    if more > 0:
        broken[_MOST_TOLD - 1 :] = [f"and {more + 1} more settings are not possible"]
    raise ConfigError("\n".join(broken))


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
