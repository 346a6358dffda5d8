"""A table of breakpoints: from the concentration of one pollutant to its sub-index, and back."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


MOLAR_VOLUME = 24.45
"""Litres of a mole of an ideal gas at 25 degrees C and 1 atm, as EPA rounds it."""

MOLAR_MASS = {"o3": 48.00, "no2": 46.01, "so2": 64.07, "co": 28.01}
"""g/mol (IUPAC atomic weights: C 12.011, N 14.007, O 15.999, S 32.06), to the hundredth."""

_MASS = {"ug/m3": 1.0, "mg/m3": 1000.0}
"""How many ug/m3."""

_RATIO = {"ppb": 1.0, "ppm": 1000.0}
"""How many ppb."""


def unit_name(text: str) -> str:
    """Return the name used here of a unit as providers write it, e.g. `µg/m³`.

    Raises:
        ValueError: it is none of ug/m3, mg/m3, ppb and ppm.
    """
    name = text.strip().lower()
    for there, here in (("\N{MICRO SIGN}", "u"), ("\N{GREEK SMALL LETTER MU}", "u"), ("³", "3")):
        name = name.replace(there, here)
    if name not in _MASS and name not in _RATIO:
        known = ", ".join([*_MASS, *_RATIO])
        msg = f"{text!r} is no unit of a concentration; known are {known}"
        raise ValueError(msg)
    return name


def converted(value: float, unit: str, to: str, pollutant: str) -> float:
    """Return a concentration in another unit.

    Args:
        value: the concentration.
        unit: its unit, as a provider writes it.
        to: the unit wanted, likewise.
        pollutant: `pm25`, `pm10`, `o3`, `no2`, `so2` or `co`.

    Raises:
        ValueError: a unit is not known, or the pollutant has no molar mass (particles).
    """
    have, want = unit_name(unit), unit_name(to)
    if have == want:
        return value
    if have in _MASS and want in _MASS:
        return value * _MASS[have] / _MASS[want]
    if have in _RATIO and want in _RATIO:
        return value * _RATIO[have] / _RATIO[want]
    if pollutant not in MOLAR_MASS:
        msg = f"{pollutant} cannot be converted from {have} to {want}: it has no molar mass"
        raise ValueError(msg)
    ugm3_of_a_ppb = MOLAR_MASS[pollutant] / MOLAR_VOLUME
    if have in _MASS:
        return value * _MASS[have] / ugm3_of_a_ppb / _RATIO[want]
    return value * _RATIO[have] * ugm3_of_a_ppb / _MASS[want]


LOWEST_CONCENTRATION = -10.0
"""ug/m3. Instruments measure noise around zero, so clean air gives slightly negative hours. EPA
keeps continuous PM2.5 samples down to -10; an index begins at 0, so these hours have index 0.
Below that the value is a fault or a filler such as -999, not air."""

FLOAT_PLACES = 9
"""Decimals kept before truncation and rounding, so that a float error never moves an index."""

_EXACT = Context(prec=400)  # digits of the largest float, and some


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """A piecewise linear line through breakpoints, and what is done before and after it.

    Tables with a step between rows (EPA: 9.0 is 50 and 9.1 is 51) have both ends of every row as
    knots. Concentrations are truncated to that step first, so nothing lies between two rows.

    Attributes:
        name: names the table wherever an index is stored or shown.
        knots: (concentration, index), both strictly rising. The first is (0, 0), or has an index
            above 0: then the table says nothing of lower concentrations.
        unit: of the concentrations, a name of `runner.core.aqi.breakpoints`.
        decimals: decimal places kept of a concentration, the rest is cut off; None: all.
        rounding: of the index: `up`, or `nearest` with halves up.
        beyond: above the last knot: the last line goes on (`extend`), the index stays (`cap`), or
            there is none (`undefined`).
        lowest: smallest value that is a measurement; from there to 0 it counts as 0.
    """

    name: str
    knots: tuple[tuple[float, int], ...]
    unit: str = "ug/m3"
    decimals: int | None = None
    rounding: Literal["up", "nearest"] = "up"
    beyond: Literal["extend", "cap", "undefined"] = "extend"
    lowest: float = LOWEST_CONCENTRATION

    def __post_init__(self) -> None:
        rising = all(low[0] < high[0] and low[1] < high[1] for low, high in pairwise(self.knots))
        begins = self.knots[:1] == ((0, 0),) or (len(self.knots) > 0 and self.knots[0][1] > 0)
        if not rising or not begins or len(self.knots) == 1:
            msg = f"breakpoints {self.name}: knots must rise from (0, 0): {self.knots}"
            raise ValueError(msg)

    def truncated(self, concentration: float) -> float:
        """Return a concentration cut off at the table's decimals, towards zero."""
        if self.decimals is None:
            return concentration
        if not math.isfinite(concentration):
            return concentration
        written = Decimal(repr(round(concentration, FLOAT_PLACES)))
        return float(written.quantize(Decimal(1).scaleb(-self.decimals), ROUND_DOWN, _EXACT))

    def index(self, concentration: float) -> int | None:
        """Return the sub-index of a concentration in `unit`; None if the table has none.

        Raises:
            ValueError: the concentration is not finite (nor its index), or below `lowest`.
        """
        if not math.isfinite(concentration) or concentration < self.lowest:
            raise ValueError(self._is_no_air(concentration))
        at = max(self.truncated(concentration), 0.0)
        if at < self.knots[0][0]:
            return None
        last, highest = self.knots[-1]
        if at > last and self.beyond != "extend":
            return highest if self.beyond == "cap" else None
        exact = round(_interpolate(self.knots, at), FLOAT_PLACES)
        if not math.isfinite(exact):
            raise ValueError(self._is_no_air(concentration))
        return math.ceil(exact) if self.rounding == "up" else math.floor(exact + 0.5)

    def _is_no_air(self, concentration: float) -> str:
        return f"{concentration} {self.unit} is no concentration of air; {self.lowest} or more is"


def stepped(
    highs: Sequence[float],
    indices: Sequence[int],
    decimals: int,
    first: tuple[float, int] = (0.0, 0),
) -> tuple[tuple[float, int], ...]:
    """Return the knots of a table printed in rows, such as 0.0-9.0, 9.1-35.4, ...

    Args:
        highs: the upper ends of the rows.
        indices: the index at each of them; a row begins one above the row before.
        decimals: of the concentrations: a row begins one step above the row before.
        first: the lower end of the first row and its index.
    """
    knots = [first]
    for high, index in zip(highs, indices, strict=True):
        if knots[1:]:
            before, reached = knots[-1]
            knots.append((round(before + 10**-decimals, decimals), reached + 1))
        knots.append((high, index))
    return tuple(knots)


def sub_index(table: Breakpoints, concentration: float) -> int:
    """Return the index of a concentration in the table's unit; from `lowest` up to 0 it is 0.

    Raises:
        ValueError: the concentration is not finite or below `lowest`, or has no index there.
    """
    index = table.index(concentration)
    if index is None:
        msg = f"{table.name} has no index for {concentration} {table.unit}"
        raise ValueError(msg)
    return index


def concentration_of(table: Breakpoints, index: float) -> float:
    """Return the concentration at which the line has an index, in the table's unit.

    With rounding `up` that is the largest concentration with that index.

    Raises:
        ValueError: the index is not finite, or negative.
    """
    if not math.isfinite(index) or index < 0:
        msg = f"{index} is no air-quality index; 0 or more is"
        raise ValueError(msg)
    return _interpolate([(y, x) for x, y in table.knots], index)


def _interpolate(knots: Sequence[tuple[float, float]], at: float) -> float:
    """Return the value at a point on or right of the first knot."""
    segment = min(bisect_right(knots, (at, math.inf)), len(knots) - 1)
    (x0, y0), (x1, y1) = knots[segment - 1], knots[segment]
    return y0 + (at - x0) / (x1 - x0) * (y1 - y0)
