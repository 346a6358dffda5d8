"""Measured concentrations of one station to records in AQICN's shape, by a named scale.

A source that serves concentrations hands over every measured hour of every sensor. For each hour
and pollutant one of them decides: that of the location named first, there that of the newest sensor
(the highest id), because sensors are replaced. Its sub-index is computed, and `aqi` is the largest
sub-index of the hour, as AQICN does. All concentrations are kept, also those that did not decide,
so that the indices can be computed again when a scale changes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.core.aqi import AQICN_PM25, LOWEST_CONCENTRATION, Scale, sub_index
from runner.core.readings import LocalTime

POLLUTANTS = ("pm25", "pm10", "o3", "no2", "so2", "co")
"""Those that AQICN has sub-indices for; OpenAQ gives them the same names."""

FULL_SCALE = 985.0
"""ug/m3. What the monitors of the US posts (Met One BAM) give out at the end of their scale; in
AirNow's own files such hours are flagged Invalid. OpenAQ does not hand that flag on."""

SCALES: Mapping[str, Mapping[str, Scale]] = {"aqicn": {"pm25": AQICN_PM25}}
"""The scales by name: for each pollutant the knots, concentrations in ug/m3."""

_UNITS = {
    "µg/m³": "ug/m3",
    "\N{GREEK SMALL LETTER MU}g/m³": "ug/m3",  # the letter, where others write the micro sign
    "ug/m3": "ug/m3",
    "mg/m³": "mg/m3",
    "mg/m3": "mg/m3",
    "ppm": "ppm",
    "ppb": "ppb",
}


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
        coverage: percent of the hour that was measured; None where it is not said.
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
        scale: names the scale the indices were computed with.
    """

    hour: int
    measured: tuple[Measured, ...]
    deciding: Mapping[str, int]
    scale: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of the concentrations of a window.

    Attributes:
        records: in AQICN's shape, one an hour that has any sub-index, sorted by hour.
        hours: all concentrations, sorted by hour.
    """

    records: list[dict[str, Any]]
    hours: list[MeasuredHour]


def unit_of(text: Any) -> str | None:
    """Return a unit in ASCII; None for one that is no unit of a concentration."""
    return _UNITS.get(text.strip()) if isinstance(text, str) else None


def is_usable(pollutant: str, value: float, unit: str) -> bool:
    """Whether a number can be the concentration of air.

    Instruments measure noise around zero, so small negative values count (down to
    `LOWEST_CONCENTRATION` for particles, a hundredth of that for ppm and mg/m3); fillers such as
    -999 and the end of the instrument's scale do not.
    """
    lowest = LOWEST_CONCENTRATION / (100 if unit in ("ppm", "mg/m3") else 1)
    full = pollutant in ("pm25", "pm10") and unit == "ug/m3" and value == FULL_SCALE
    return math.isfinite(value) and value >= lowest and not full


def settle(measured: Iterable[Measured], locations: Sequence[int], scale: str) -> Settled:
    """Return the records of a window, and everything that was measured.

    Args:
        measured: of one station; at most one of a sensor and hour.
        locations: ids of its locations, the one that decides first.
        scale: a key of SCALES.
    """
    rank = {location: place for place, location in enumerate(locations)}
    by_hour: defaultdict[int, list[Measured]] = defaultdict(list)
    for item in measured:
        by_hour[item.hour].append(item)
    records: list[dict[str, Any]] = []
    hours: list[MeasuredHour] = []
    for hour, found in sorted(by_hour.items()):
        found.sort(key=lambda one: (one.pollutant, rank[one.location], -one.sensor))
        deciding: dict[str, Measured] = {}
        for item in found:
            deciding.setdefault(item.pollutant, item)
        sensors = {pollutant: item.sensor for pollutant, item in deciding.items()}
        hours.append(MeasuredHour(hour, tuple(found), sensors, scale))
        record = record_of(deciding.values(), scale)
        if record is not None:
            records.append(record)
    return Settled(records, hours)


def record_of(deciding: Iterable[Measured], scale: str) -> dict[str, Any] | None:
    """Return the record of one hour; None where the scale knows none of its pollutants."""
    items = sorted(deciding, key=lambda one: POLLUTANTS.index(one.pollutant))
    indices = {one.pollutant: index_of(one, scale) for one in items}
    told = {pollutant: index for pollutant, index in indices.items() if index is not None}
    if not told:
        return None
    return {
        "aqi": max(told.values()),
        "iaqi": {pollutant: {"v": index} for pollutant, index in told.items()},
        "time": {**items[0].local},
    }


def index_of(item: Measured, scale: str) -> int | None:
    """Return the sub-index of a concentration; None where the scale has none for it."""
    knots = SCALES[scale].get(item.pollutant)
    if knots is None or item.unit != "ug/m3":
        return None
    return sub_index(knots, item.value)
