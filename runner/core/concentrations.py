"""Measured concentrations of one station to records in AQICN's shape, by a named scale.

A source that serves concentrations hands over every measured hour of every sensor. For each hour
and pollutant one of them decides: that of the location named first, there that of the newest sensor
(the highest id), because sensors are replaced. Sub-indices are computed from those by
`indices_of`. All concentrations are kept, also those that did not decide, so that the
indices can be computed again on another scale.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from runner.core.aqi import LOWEST_CONCENTRATION, SCALES, Breakpoints, nowcast
from runner.core.aqi.breakpoints import converted, unit_name
from runner.core.aqi.scale import HOURS
from runner.core.intervals import Interval
from runner.core.readings import LocalTime, Reason, Reject

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
    indices: dict[str, int] = {}
    for (pollutant, mean), table in chosen.tables.items():
        measured = series.get(pollutant, {})
        if hour not in measured or mean not in _REACH:
            continue
        if measured[hour][0] < 0 and not chosen.takes_below_zero:
            continue
        back = [_in_unit(measured.get(hour - age), table, pollutant) for age in range(_REACH[mean])]
        index = _index(table, _mean(back, mean))
        if index is not None:
            indices[pollutant] = max(index, indices.get(pollutant, 0))
    return chosen.aqi(indices.items()), indices


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


POLLUTANTS = ("pm25", "pm10", "o3", "no2", "so2", "co")
"""Those that AQICN has sub-indices for; OpenAQ gives them the same names."""

OTHER_PARAMETERS = frozenset(
    """
    bc ch4 co2 humidity no nox pm1 pm4 pressure relativehumidity so4 temperature ufp um003 um005
    um010 um025 um050 um100 voc wind_direction wind_speed
    """.split()  # noqa: SIM905 - to be read
)
"""What OpenAQ measures besides: left out, since no index needs it."""

FULL_SCALE = 985.0
"""ug/m3. What the monitors of the US posts (Met One BAM) give out at the end of their scale; in
AirNow's own files such hours are flagged Invalid. OpenAQ does not hand that flag on."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The mean concentration of one hour at one sensor.

    Attributes:
        hour: the hour's label, hours since 1970, UTC: its end, as AQICN and AirNow label hours.
        local: the same label on the wall clock there.
        pollutant: one of POLLUTANTS.
        value: the concentration.
        unit: `ug/m3`, `mg/m3`, `ppm` or `ppb`.
        location: OpenAQ's id of the place.
        sensor: OpenAQ's id of the sensor.
        coverage: percent of the hour that was measured; None if it is not said.
    """

    hour: int
    local: LocalTime
    pollutant: str
    value: float
    unit: str
    location: int
    sensor: int
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class MeasuredHour:
    """All concentrations of one station and hour, the deciding ones marked.

    Attributes:
        hour: as in Measured.
        measured: sorted by pollutant, then in the order in which they decide.
        deciding: pollutant to the sensor whose value counts.
        scale: names the scale the indices were computed with; empty where none were: the hour was
            asked for because later ones depend on it.
    """

    hour: int
    measured: tuple[Measured, ...]
    deciding: Mapping[str, int]
    scale: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """Records and rejects made of the concentrations of a window.

    Attributes:
        records: in AQICN's shape, one an hour that has an index of the air, sorted by hour.
        hours: all concentrations, sorted by hour; also those before the window.
        rejects: hours that were measured and have no index on the scale, or no sub-index for a
            value below zero.
    """

    records: list[dict[str, Any]]
    hours: list[MeasuredHour]
    rejects: list[Reject]


def unit_of(text: Any) -> str | None:
    """Return a unit in ASCII; None for one that is no unit of a concentration."""
    try:
        return unit_name(text) if isinstance(text, str) else None
    except ValueError:
        return None


def is_usable(pollutant: str, value: float, unit: str) -> bool:
    """Whether a number can be the concentration of air.

    Instruments measure noise around zero, so small negative values count (down to
    `LOWEST_CONCENTRATION` for particles, a hundredth of that for ppm and mg/m3); fillers such as
    -999 and the end of the instrument's scale do not.
    """
    lowest = LOWEST_CONCENTRATION / (100 if unit in ("ppm", "mg/m3") else 1)
    full = pollutant in ("pm25", "pm10") and unit == "ug/m3" and value == FULL_SCALE
    return math.isfinite(value) and value >= lowest and not full


def settle(
    measured: Iterable[Measured], locations: Sequence[int], scale: str, window: Interval
) -> Settled:
    """Return the records of a window, and everything that was measured.

    Args:
        measured: of one station, at most one of a sensor and hour; also hours before the window,
            which a scale may need (`runner.core.concentrations.CONTEXT_H`).
        locations: ids of its locations, the one that decides first.
        scale: a key of SCALES.
        window: the hours, by label, that records are wanted of.
    """
    hours = _decided(measured, locations)
    series: Series = defaultdict(dict)
    for one in hours:
        for item in one.measured:
            if one.deciding.get(item.pollutant) == item.sensor:
                series[item.pollutant].setdefault(one.hour, (item.value, item.unit))
    settled = Settled([], [], [])
    for one in hours:
        if not window.start <= one.hour < window.end:
            settled.hours.append(one)
            continue
        settled.hours.append(replace(one, scale=scale))
        record = _record(one, series, scale)
        if isinstance(record, Reject):
            settled.rejects.append(record)
        else:
            settled.records.append(record)
            if left_out := _left_out(one, series, scale, record):
                settled.rejects.append(left_out)
    return settled


def _left_out(
    one: MeasuredHour, series: Series, scale: str, record: Mapping[str, Any]
) -> Reject | None:
    """Return a reject for the values below zero that the scale has no sub-index for, if any."""
    if SCALES[scale].takes_below_zero:
        return None
    values = {
        pollutant: list(series[pollutant][one.hour])
        for pollutant, _mean in SCALES[scale].tables
        if pollutant in one.deciding
        and pollutant not in record["iaqi"]
        and series[pollutant][one.hour][0] < 0
    }
    if not values:
        return None
    return Reject(Reason.SUB_INDEX_UNUSABLE, {"scale": scale, "below_zero": values}, one.hour)


def _decided(measured: Iterable[Measured], locations: Sequence[int]) -> list[MeasuredHour]:
    """Return what was measured by hour, with the sensors that decide."""
    rank = {location: place for place, location in enumerate(locations)}
    by_hour: defaultdict[int, list[Measured]] = defaultdict(list)
    for item in measured:
        by_hour[item.hour].append(item)
    hours: list[MeasuredHour] = []
    for hour, found in sorted(by_hour.items()):
        found.sort(key=lambda one: (one.pollutant, rank[one.location], -one.sensor))
        deciding: dict[str, int] = {}
        for item in found:
            deciding.setdefault(item.pollutant, item.sensor)
        hours.append(MeasuredHour(hour, tuple(found), deciding))
    return hours


def _record(one: MeasuredHour, series: Series, scale: str) -> dict[str, Any] | Reject:
    """Return the record of an hour, or a reject where the scale has no index of the air for it."""
    aqi, indices = indices_of(series, one.hour, scale)
    if aqi is None:
        values = {item.pollutant: [item.value, item.unit] for item in reversed(one.measured)}
        tables = SCALES[scale].tables
        decided = [series[name][one.hour][0] for name, _mean in tables if name in one.deciding]
        below = not SCALES[scale].takes_below_zero and any(value < 0 for value in decided)
        reason = Reason.BELOW_ZERO if below else Reason.NO_INDEX
        return Reject(reason, {"scale": scale, "measured": values}, one.hour)
    iaqi = {
        pollutant: {"v": indices[pollutant]} for pollutant in POLLUTANTS if pollutant in indices
    }
    return {"aqi": aqi, "iaqi": iaqi, "time": {**one.measured[0].local}}
