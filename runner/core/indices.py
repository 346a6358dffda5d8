"""Sub-indices of an hour from hourly concentrations, each by the mean that its scale is made for.

    1h        the hour itself
    nowcast   `runner.core.aqi.nowcast` of the hour and the eleven before
    8h        the mean of the hour and the seven before, of which six are there (EPA-454/B-18-007
              asks for three quarters)

Where a scale has several tables for a pollutant (ozone of one hour and of eight), the larger index
counts. Means of 24 hours are not of an hour and are left out. `aqicn` looks at the hour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TypeAlias

from runner.core.aqi import SCALES, Breakpoints, nowcast
from runner.core.aqi.nowcast import HOURS
from runner.core.aqi.units import converted

Series: TypeAlias = MutableMapping[str, dict[int, tuple[float, str]]]
"""Pollutant to hour to (concentration, unit)."""

_EIGHT, _NEEDED = 8, 6
_REACH = {"1h": 1, "8h": _EIGHT, "nowcast": HOURS}
"""How many hours a mean is made of, that of the index included."""


def context_hours(scale: str) -> int:
    """Return how many hours before an hour its indices on a scale depend on."""
    return max(_REACH.get(mean, 1) for _pollutant, mean in SCALES[scale].tables) - 1


CONTEXT_H = max(map(context_hours, SCALES))
"""Hours before a window that a source asks for and keeps, whatever its scale: indices on any other
one can be computed later. They fit into the page of OpenAQ that the window is on."""


def indices_of(
    series: Mapping[str, Mapping[int, tuple[float, str]]], hour: int, scale: str
) -> tuple[int | None, dict[str, int]]:
    """Return the index of the air and the sub-indices of an hour.

    Only pollutants measured in the hour itself have one: no mean stands for an hour that is
    missing.

    Args:
        series: the concentrations.
        hour: the hour.
        scale: a key of SCALES.

    Returns:
        None, where the scale has no index of the air (VN_AQI without particles); by pollutant.
    """
    chosen = SCALES[scale]
    told: dict[str, int] = {}
    for (pollutant, mean), table in chosen.tables.items():
        measured = series.get(pollutant, {})
        if hour not in measured or mean not in _REACH:
            continue
        if measured[hour][0] < 0 and not chosen.takes_below_zero:
            continue
        back = [_in_unit(measured.get(hour - age), table, pollutant) for age in range(_REACH[mean])]
        index = _index(table, _mean(back, mean))
        if index is not None:
            told[pollutant] = max(index, told.get(pollutant, 0))
    return chosen.aqi(told.items()), told


def _in_unit(
    measured: tuple[float, str] | None, table: Breakpoints, pollutant: str
) -> float | None:
    if measured is None:
        return None
    try:
        return converted(*measured, table.unit, pollutant)
    except ValueError:  # particles counted in ppb, or the like
        return None


def _mean(back: list[float | None], mean: str) -> float | None:
    """Return the mean of an hour and those before it, the newest first."""
    if mean == "nowcast":
        return nowcast(back)
    there = [value for value in back if value is not None]
    if mean == "8h":
        return sum(there) / len(there) if len(there) >= _NEEDED else None
    return back[0]


def _index(table: Breakpoints, value: float | None) -> int | None:
    return None if value is None or value < table.lowest else table.index(value)
