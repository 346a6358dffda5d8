"""The settings of flaws in the sandbox's readings; a part of `runner.settings`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FlawKind(Enum):
    """What is wrong with the readings; spelt as typed. `runner.sandbox.flaws` makes them."""

    flat_line = "flat_line"
    spike = "spike"
    gap = "gap"
    dash = "dash"
    level = "level"


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
