"""How readings are checked: `quality=NAME`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from runner.config.files import standard_checks, station_group
from runner.config.section import Section, StationIndex, setting
from runner.core.verdict import NEVER, Threshold, threshold

_NO_RUN = ("previous", "none")
_LESS_IS_WORSE = frozenset({"C00"})
_A_DAY = frozenset({"C06", "E01"})
"""Checks whose parameter `hours` is hours of one day."""
OF_THE_RUN = frozenset({"R01", "R02", "R03", "R05", "D04"})
"""Checks that judge the run as a whole: no station can have a rule of its own."""
OF_NEIGHBOURS = frozenset(
    {"X03", "V02", "T01", "T02", "T03", "T04", "T05", "T06", "D01", "D02", "D03"}
)
"""Checks that compare all stations at once: a station can have bounds of its own, no parameters."""
ONE_PER_STATION = frozenset({"C01", "C05", "R06"})
"""Checks with one result per station: a share is one of the run's stations."""
TIMELESS = frozenset({"C01", "C05", "R06", "S05", *OF_THE_RUN})
"""Checks whose findings have no date: none of them lies in a period."""

_PARAMS: dict[str, tuple[float, float, str]] = {
    "capture": (0, 1, "a share"),
    "factor": (1, 1000, "a factor"),
    "hours": (1, 8784, "hours"),
}
"""Lowest and highest value of checks' parameters, and what they count; others are 0 or more."""

_ANY_NUMBERS = frozenset({"values"})
"""Lists that are no lowest and highest value: of V03."""


class FailOn(Enum):
    """What makes exit code 3; spelt as typed in `quality.fail_on=NAME`."""

    fail = "fail"
    warn = "warn"
    never = "never"


class Expected(Enum):
    """The hours that a station should have; spelt as typed in `quality.expected=NAME`."""

    window = "window"
    active = "active"


_Bound = Annotated[str, WithJsonSchema({"type": ["string", "number"]})]
"""A threshold as text; YAML may have it as a number."""


class CheckRule(Section):
    """How one check is judged; what is None is as in conf/quality/standard.yaml."""

    enabled: bool = setting(True, "make this check")
    warn: _Bound | None = setting(
        None,
        "more than this count, or than this share of what was looked at (`5`, `0.5%`), is a "
        "warning; `never` for none",
    )
    fail: _Bound | None = setting(None, "likewise, a failure")
    params: dict[str, Any] = setting({}, "parameters of the check itself")


class Accepted(Section):
    """A finding that is known: it stays visible, and does not count until its day."""

    from_: str | None = Field(
        default=None,
        alias="from",
        description="first local day of the data it is about; empty: all data",
    )
    to: str | None = setting(None, "last local day of the data, as `2016-03-31`; empty: all data")

    check: str = setting("", "id of the check")
    until: str = setting("", "last day on which it counts, as `2026-01-31`")
    reason: str = setting("", "why the finding is accepted")
    station: int | None = setting(None, "id of the station; empty: all")

    def is_over(self, today: date) -> bool:
        """Whether its last day has passed."""
        return date.fromisoformat(self.until) < today

    def to_json(self, today: date, failed: float) -> dict[str, Any]:
        """Return the form in quality.json, with how much of the finding it is about."""
        return {
            "station_idx": self.station,
            "until": date.fromisoformat(self.until).isoformat(),
            "from": self.from_,
            "to": self.to,
            "reason": self.reason,
            "expired": self.is_over(today),
            "n_failed": failed,
        }

    def period(self) -> tuple[date | None, date | None]:
        """Return the first and the last local day of the data; None for all."""
        first, last = (text and date.fromisoformat(text) for text in (self.from_, self.to))
        return first or None, last or None


class Quality(Section):
    """Checks of the readings after a run."""

    enabled: bool = setting(
        True,
        "check what is stored after a run; `quality=off` does not",
    )
    fail_on: FailOn = setting(
        FailOn.fail, "what makes exit code 3: `fail`, `warn` (a warning, too) or `never`"
    )
    expected: Expected = setting(
        Expected.window,
        "hours a station should have: `window` (all asked for) or `active` (from its first to its "
        "last reading)",
    )
    utc_offset_hours: int = setting(
        7,
        "hours that local time is ahead of UTC, for days and hours of the day",
        ge=-12,
        le=14,
        unit="hours ahead of UTC",
    )
    samples: int = setting(
        10, "examples of each finding in quality.json", ge=0, le=1000, unit="examples"
    )
    most_failures: int = setting(
        5000, "rows kept of each finding in `failures/`", ge=0, le=1_000_000, unit="rows"
    )
    false_alarms_per_station_year: float = setting(
        0.5,
        "warnings in clean data that limits learned from the network may cost: fewer find less",
        ge=0.01,
        le=100,
        unit="warnings per station-year",
    )
    keep_readings: bool = setting(True, "keep the extracted readings after the checks")
    compare: str = setting(
        "previous",
        "with the `previous` run of the same stations and range, with `none`, or with the run in a "
        "directory",
    )
    run_dir: str | None = setting(
        None,
        "`job=validate` judges what the run in this directory extracted, without a database; "
        "empty: what is stored",
    )
    external: dict[int, str] = setting(
        {}, "station id to the path of a WAQI daily CSV, to compare with"
    )
    checks: dict[str, CheckRule] = setting(
        {},
        "check id to `enabled`, `warn`, `fail`, `params`; `conf/quality/standard.yaml` has "
        "them all",
    )
    stations: dict[str, dict[str, CheckRule]] = setting(
        {},
        "rules of single stations: id of a station, name of a group of stations (`hanoi`) or of "
        "`quality.groups`, to rules as in `quality.checks`",
    )
    groups: dict[str, list[StationIndex]] = setting(
        {}, "groups of your own for `quality.stations`: a name, and ids of stations"
    )
    accepted: list[Accepted] = setting(
        [],
        "findings known: `check`, `station` (empty: all), `until` (last day it counts), `from` and "
        "`to` (period of the data; empty: all), `reason`",
    )

    def station_rules(self) -> Iterator[tuple[int, str, CheckRule]]:
        """Yield station, check and rule of `quality.stations`: groups before single stations."""
        for key, rules in sorted(self.stations.items(), key=lambda item: _is_index(item[0])):
            for idx in self._members(key) or ():
                for check_id, rule in rules.items():
                    yield idx, check_id, rule

    def _members(self, key: str) -> Collection[int] | None:
        """Return the stations of a key of `quality.stations`; None if there is no such group."""
        if _is_index(key):
            return [int(key)]
        return self.groups.get(key) or station_group(key)

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule that is broken."""
        standard = standard_checks()
        for check_id, rule in self.checks.items():
            key = f"quality.checks.{check_id}"
            if check_id in standard:
                yield from _rule(key, rule, standard[check_id], check_id)
            else:
                yield f"{key}: {no_such_check(check_id, standard)}"
        for key, rules in self.stations.items():
            yield from self._broken_station(f"quality.stations.{key}", key, rules, standard)
        for number, item in enumerate(self.accepted):
            yield from _accepted(f"quality.accepted[{number}]", item, standard)
        if self.compare not in _NO_RUN and not (Path(self.compare) / "quality").is_dir():
            yield (
                f"quality.compare={self.compare}: allowed are previous, none, and the directory of "
                "a run with a folder quality"
            )
        chosen = self.run_dir
        if chosen is not None and not (Path(chosen) / "quality" / "quality.json").is_file():
            yield (
                f"quality.run_dir={chosen}: allowed is a run's directory, with quality/quality.json"
            )
        for idx, path in self.external.items():
            if not Path(path).is_file():
                yield f"quality.external: {idx}: there is no such file: {path}"

    def _broken_station(
        self,
        where: str,
        key: str,
        rules: Mapping[str, CheckRule],
        standard: Mapping[str, Mapping[str, Any]],
    ) -> Iterator[str]:
        if self._members(key) is None:
            yield (
                f"{where}: there is no such group; allowed are the id of a station, a group of "
                "conf/stations with named stations (hanoi), and a name in quality.groups"
            )
        for check_id, rule in rules.items():
            place = f"{where}.{check_id}"
            if check_id not in standard:
                yield f"{place}: {no_such_check(check_id, standard)}"
            elif check_id in OF_THE_RUN:
                yield f"{place}: it judges the run as a whole; set quality.checks.{check_id}"
            elif rule.params and check_id in OF_NEIGHBOURS:
                yield (
                    f"{place}.params: it compares all stations at once; set "
                    f"quality.checks.{check_id}.params, and here only warn and fail"
                )
            elif check_id in ONE_PER_STATION and "%" in f"{rule.warn}{rule.fail}":
                yield (
                    f"{place}: it has one result per station; write 0 (warn or fail if it finds "
                    f"something) or {NEVER}"
                )
            else:
                yield from _rule(place, rule, self._general(check_id, standard), check_id)

    def _general(
        self, check_id: str, standard: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Return the rule of a check that a station's own changes."""
        base, chosen = standard[check_id], self.checks.get(check_id)
        if chosen is None:
            return base
        bounds = {name: getattr(chosen, name) for name in ("warn", "fail")}
        return {**base, **{name: text for name, text in bounds.items() if text is not None}}


def _is_index(key: str) -> bool:
    return key.removeprefix("-").isdecimal()


def no_such_check(check_id: str, standard: Mapping[str, Any]) -> str:
    """Return what to say about a check that does not exist."""
    close = difflib.get_close_matches(check_id.upper(), standard, n=1, cutoff=0.6)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"there is no such check{meant} (conf/quality/standard.yaml has all)"


def _rule(key: str, rule: CheckRule, standard: Mapping[str, Any], check_id: str) -> Iterator[str]:
    said = {name: getattr(rule, name) for name in ("warn", "fail")}
    texts = {
        name: str(standard.get(name, NEVER) if text is None else text)
        for name, text in said.items()
    }
    bounds: dict[str, Threshold | None] = {}
    for name, text in texts.items():
        try:
            bounds[name] = threshold(text)
        except ValueError:
            yield f"{key}.{name}={text}: write a count (5), a share (0.5%, up to 100%), or {NEVER}"
    less_is_worse = check_id in _LESS_IS_WORSE
    if _is_late(bounds.get("warn"), bounds.get("fail"), less_is_worse=less_is_worse):
        yield (
            f"{key}.warn={texts['warn']}: it must not be {'below' if less_is_worse else 'above'} "
            f"fail={texts['fail']}, or it fails before it warns; change one, or write {NEVER}"
        )
    params = standard.get("params", {})
    for name, value in rule.params.items():
        if name not in params:
            has = ", ".join(params) or "none"
            yield f"{key}.params: there is no parameter {name}; it has: {has}"
        elif not _is_alike(value, params[name]):
            yield f"{key}.params.{name}={value}: write it as {params[name]}"
        else:
            yield from _bounds(f"{key}.params.{name}", check_id, name, value)


def _is_late(warn: Threshold | None, fail: Threshold | None, *, less_is_worse: bool) -> bool:
    """Whether a check would fail before it warns.

    A count and a share are not compared: what the share is of is known only after the run.
    """
    if warn is None or fail is None or warn.is_share is not fail.is_share:
        return False
    return warn.value < fail.value if less_is_worse else warn.value > fail.value


def _bounds(key: str, check_id: str, name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        if name not in _ANY_NUMBERS and value[0] > value[1]:
            yield f"{key}={value}: the lower bound comes first, as [{value[1]}, {value[0]}]"
    elif name in _PARAMS and value is not None:
        lowest, highest, unit = _PARAMS[name]
        if name == "hours" and check_id in _A_DAY:
            highest, unit = 24, "hours of a day"
        if not lowest <= value <= highest:
            yield f"{key}={value}: allowed are {lowest:,} to {highest:,} ({unit})"


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
    days: dict[str, date | None] = {}
    for name, text in (("from", item.from_), ("to", item.to)):
        try:
            days[name] = date.fromisoformat(text) if text else None
        except ValueError:
            yield f"{key}.{name}={text}: write a local day of the data, as 2016-03-31"
    first, last = days.get("from"), days.get("to")
    if first and last and first > last:
        yield f"{key}.from={first}: it must not be after to={last}"
    if (item.from_ or item.to) and item.check in TIMELESS:
        yield f"{key}: findings of {item.check} have no date; leave from and to out"
    if not item.reason.strip():
        yield f"{key}.reason: say why the finding is accepted"
