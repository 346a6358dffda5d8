"""What values the settings of the sandbox's flaws may have; a part of `runner.rules`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.core.flaw import LONGEST_H, is_day
from runner.sandbox_settings import Flaw, FlawKind

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
