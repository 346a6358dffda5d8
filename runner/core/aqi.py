"""Concentrations to air-quality indices, by named scales with their sources."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LOWEST_CONCENTRATION = -10.0
"""ug/m3. Instruments measure noise around zero, so clean air gives slightly negative hours. EPA
keeps continuous PM2.5 samples down to -10; an index begins at 0, so these hours have index 0.
Below that the value is a fault or a filler such as -999, not air."""

_DECIMALS = 9
"""Rounding before the ceiling, so that a float error never lifts an exact index by one."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A piecewise linear scale; above its last knot the last slope goes on.

    Attributes:
        name: names the scale wherever an index is stored or shown.
        knots: (concentration in ug/m3, index), both strictly rising, the first (0, 0).
    """

    name: str
    knots: tuple[tuple[float, int], ...]

    def __post_init__(self) -> None:
        rising = all(low[0] < high[0] and low[1] < high[1] for low, high in pairwise(self.knots))
        if not rising or self.knots[:1] != ((0, 0),) or len(self.knots) == 1:
            msg = f"scale {self.name}: knots must rise from (0, 0): {self.knots}"
            raise ValueError(msg)


AQICN_PM25 = Scale(
    "aqicn_pm25",
    (
        (0.0, 0),
        (12.0, 50),
        (35.5, 100),
        (55.5, 150),
        (150.5, 200),
        (250.5, 300),
        (350.5, 400),
        (500.5, 500),
    ),
)
"""How AQICN turns the raw one-hour PM2.5 concentration into the `iaqi.pm25` of that hour.

Source: hours of the US Consulate Ho Chi Minh City (station 8767, 2021) polled from AQICN beside the
concentrations AirNow published: the ceiling of this scale gives 112 of 113. EPA's own rounding with
its 2012 breakpoints (12.1, 35.4, 55.4) gives 95, AirNow's NowCast index 6 of 111. Checked up to
2021 only: EPA moved its breakpoints in May 2024, and whether AQICN followed is not known. That the
last slope goes on above 500 is our reading; that AQICN shows values above 500 is recorded.
"""


EPA_PM10 = Scale(
    "us_epa_pm10",
    (
        (0.0, 0),
        (54.0, 50),
        (154.0, 100),
        (254.0, 150),
        (354.0, 200),
        (424.0, 300),
        (504.0, 400),
        (604.0, 500),
    ),
)
"""The breakpoints of 40 CFR 58, appendix G. Not proved against AQICN's own numbers."""


def sub_index(scale: Scale, concentration: float) -> int:
    """Return the index of a concentration: the ceiling of the linear interpolation.

    Args:
        scale: the scale.
        concentration: ug/m3; from `LOWEST_CONCENTRATION` up to 0 the index is 0.

    Raises:
        ValueError: the concentration is not finite, or below `LOWEST_CONCENTRATION`.
    """
    if not math.isfinite(concentration) or concentration < LOWEST_CONCENTRATION:
        msg = f"{concentration} ug/m3 is no concentration of air; {LOWEST_CONCENTRATION} or more is"
        raise ValueError(msg)
    if concentration <= 0:
        return 0
    return math.ceil(round(_interpolate(scale.knots, concentration), _DECIMALS))


def concentration_of(scale: Scale, index: float) -> float:
    """Return the largest concentration, ug/m3, that has an index: the inverse of `sub_index`.

    Raises:
        ValueError: the index is not finite, or negative.
    """
    if not math.isfinite(index) or index < 0:
        msg = f"{index} is no air-quality index; 0 or more is"
        raise ValueError(msg)
    return _interpolate([(y, x) for x, y in scale.knots], index)


def _interpolate(knots: Sequence[tuple[float, float]], at: float) -> float:
    """Return the value at a point on or right of the first knot."""
    segment = min(bisect_right(knots, (at, math.inf)), len(knots) - 1)
    (x0, y0), (x1, y1) = knots[segment - 1], knots[segment]
    return y0 + (at - x0) / (x1 - x0) * (y1 - y0)
