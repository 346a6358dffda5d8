"""The settings of flaws in the sandbox's readings; a part of `runner.config.settings`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from runner.core.flaw import LONGEST_H, is_day


class FlawKind(Enum):
    """What is wrong with the readings; spelt as typed. `sources/sandbox/flaws.py` makes them."""

    flat_line = "flat_line"
    spike = "spike"
    gap = "gap"
    dash = "dash"
    level = "level"


_WITH_VALUE = {
    FlawKind.spike: ("an index, as 480", 0, 10_000),
    FlawKind.level: ("a factor, as 1.8", 0.01, 100),
}


def broken_flaw_rules(flaws: Sequence[Flaw]) -> Iterator[str]:
    """Yield a line for every value that is not possible: key, value, what is allowed."""
    for number, flaw in enumerate(flaws):
        key = f"sandbox.flaws[{number}]"
        if flaw.station == 0:
            yield f"{key}.station: say which station, by its index"
        if not is_day(flaw.day):
            yield f"{key}.day={flaw.day}: write 08-20 for every year, 2024-08-20 for one"
        if not 0 <= flaw.hour <= 23:  # noqa: PLR2004 - of a day
            yield f"{key}.hour={flaw.hour}: allowed are 0 to 23 (hours of the day)"
        if not 1 <= flaw.hours <= LONGEST_H:
            yield f"{key}.hours={flaw.hours}: allowed are 1 to {LONGEST_H:,} (hours)"
        yield from _value(f"{key}.value", flaw)


def _value(key: str, flaw: Flaw) -> Iterator[str]:
    if flaw.kind not in _WITH_VALUE:
        if flaw.value is not None:
            yield f"{key}={flaw.value:g}: a {flaw.kind.name} has no value; leave it out"
        return
    wanted, lowest, highest = _WITH_VALUE[flaw.kind]
    if flaw.value is None:
        yield f"{key}: a {flaw.kind.name} needs {wanted}"
    elif not lowest <= flaw.value <= highest:  # not: nan is never between
        yield f"{key}={flaw.value:g}: allowed are {lowest:,} to {highest:,} ({wanted})"


@dataclass(slots=True)
class Flaw:
    """A fault in the readings that the sandbox serves, on purpose.

    Attributes:
        station: its index.
        kind: flat_line repeats the first hour's values, spike sets the index, gap has no record,
            dash has no index, level multiplies the index.
        day: on which it begins, in Vietnam: `08-20` for every year, `2024-08-20` for one.
        hour: at which it begins, 0..23, in Vietnam.
        hours: how long it lasts.
        value: the index of a spike, the factor of a level; None for the others.
    """

    station: int = 0
    kind: FlawKind = FlawKind.gap
    day: str = ""
    hour: int = 0
    hours: int = 24
    value: float | None = None
