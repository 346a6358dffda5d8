"""The settings of the quality checks; a part of `runner.settings`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class FailOn(Enum):
    """What makes exit code 3; spelt as typed in `quality.fail_on=NAME`."""

    fail = "fail"
    warn = "warn"
    never = "never"


class Expected(Enum):
    """The hours that a station should have; spelt as typed in `quality.expected=NAME`."""

    window = "window"
    active = "active"


@dataclass(slots=True)
class CheckRule:
    """How one check is judged; what is None is as in conf/quality/standard.yaml.

    Attributes:
        enabled: whether it is made.
        warn: more than this count, or than this share of what was looked at (`5`, `0.5%`), is a
            warning; `never` for none.
        fail: likewise, a failure.
        params: of the check itself.
    """

    enabled: bool = True
    warn: str | None = None
    fail: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Accepted:
    """A finding that is known: it stays visible, and does not count until its day.

    Attributes:
        check: id of the check.
        until: the last day on which it counts, ISO date.
        reason: why.
        station: the station; None for all.
    """

    check: str = ""
    until: str = ""
    reason: str = ""
    station: int | None = None


@dataclass(slots=True)
class Quality:
    """Checks of the readings after a run.

    Attributes:
        enabled: whether they are made.
        fail_on: what makes exit code 3.
        expected: hours a station should have: all asked for, or from its first to last reading.
        utc_offset_hours: hours that local time is ahead of UTC, for days and hours of the day.
        samples: examples of each finding in quality.json.
        most_failures: rows kept of each finding in failures/.
        keep_readings: keep the extracted readings after the checks.
        compare: `previous`, `none`, or the directory of a run.
        run_dir: `job=validate` judges what the run in this directory extracted; None for the
            database.
        external: station index to a WAQI daily CSV.
        checks: id to rule; standard.yaml states all of them.
        accepted: findings that are known.
    """

    enabled: bool = True
    fail_on: FailOn = FailOn.fail
    expected: Expected = Expected.window
    utc_offset_hours: int = 7
    samples: int = 10
    most_failures: int = 5000
    keep_readings: bool = True
    compare: str = "previous"
    run_dir: str | None = None
    external: dict[int, str] = field(default_factory=dict)
    checks: dict[str, CheckRule] = field(default_factory=dict)
    accepted: list[Accepted] = field(default_factory=list)
