"""The settings of the quality checks; a part of `runner.config.settings`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from runner.config.files import standard_checks
from runner.core.verdict import NEVER, threshold

_NO_RUN = ("previous", "none")


def broken_quality_rules(quality: Quality) -> Iterator[str]:
    """Yield a line for every value that is not possible: key, value, what is allowed."""
    standard = standard_checks()
    for check_id, rule in quality.checks.items():
        key = f"quality.checks.{check_id}"
        if check_id in standard:
            yield from _rule(key, rule, standard[check_id].get("params", {}))
        else:
            yield f"{key}: {no_such_check(check_id, standard)}"
    for number, item in enumerate(quality.accepted):
        yield from _accepted(f"quality.accepted[{number}]", item, standard)
    if quality.compare not in _NO_RUN and not (Path(quality.compare) / "quality").is_dir():
        yield (
            f"quality.compare={quality.compare}: allowed are previous, none, and the directory of "
            "a run with a folder quality"
        )
    chosen = quality.run_dir
    if chosen is not None and not (Path(chosen) / "quality" / "quality.json").is_file():
        yield f"quality.run_dir={chosen}: allowed is a run's directory, with quality/quality.json"
    for idx, path in quality.external.items():
        if not Path(path).is_file():
            yield f"quality.external: {idx}: there is no such file: {path}"


def no_such_check(check_id: str, standard: Mapping[str, Any]) -> str:
    """Return what to tell about a check that does not exist."""
    close = difflib.get_close_matches(check_id.upper(), standard, n=1, cutoff=0.6)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"there is no such check{meant} (conf/quality/standard.yaml has all)"


def _rule(key: str, rule: CheckRule, params: Mapping[str, Any]) -> Iterator[str]:
    for name, text in (("warn", rule.warn), ("fail", rule.fail)):
        try:
            if text is not None:
                threshold(text)
        except ValueError:
            yield f"{key}.{name}={text}: write a count (5), a share (0.5%, up to 100%), or {NEVER}"
    for name, value in rule.params.items():
        if name not in params:
            has = ", ".join(params) or "none"
            yield f"{key}.params: there is no parameter {name}; it has: {has}"
        elif not _is_alike(value, params[name]):
            yield f"{key}.params.{name}={value}: write it as {params[name]}"


def _is_alike(value: Any, model: Any) -> bool:
    """Whether a value has the form of the standard's; null leaves one of several columns out."""
    if isinstance(model, list):
        if value is None:
            return True
        same_length = isinstance(value, list) and (len(model) != 2 or len(value) == len(model))  # noqa: PLR2004 - bounds
        if not same_length:
            return False
        return all(_is_number(item) for item in value) and bool(value)
    return _is_number(value) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9  # noqa: PLR2004 - nan is no number, too


def _accepted(key: str, item: Accepted, standard: Mapping[str, Any]) -> Iterator[str]:
    if item.check not in standard:
        yield f"{key}.check={item.check}: {no_such_check(item.check, standard)}"
    try:
        date.fromisoformat(item.until)
    except ValueError:
        yield f"{key}.until={item.until}: write the last day it counts, as 2026-01-31"
    if not item.reason.strip():
        yield f"{key}.reason: say why the finding is accepted"


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
