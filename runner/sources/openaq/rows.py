"""One row of `/v3/sensors/{id}/hours` to a measured hour, or to a reject with its reason.

    {"value": 35.5, "flagInfo": {"hasFlags": false},
     "parameter": {"id": 2, "name": "pm25", "units": "µg/m³"},
     "period": {"interval": "01:00:00",
                "datetimeFrom": {"utc": "2018-01-01T00:00:00Z", "local": "…T07:00:00+07:00"},
                "datetimeTo":   {"utc": "2018-01-01T01:00:00Z", "local": "…T08:00:00+07:00"}},
     "coverage": {"percentComplete": 100.0, …}, …}

Hours. A row is the mean from `datetimeFrom` to `datetimeTo`. Its label is the end, `datetimeTo`:
OpenAQ's times are time-ending, and so are the labels of AirNow's files, whose days run from
01:00 to 24:00, and of AQICN. So the same hour of the same instrument has one `ts` from all three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeGuard

from runner.core.concentrations import Measured, MeasuredHour, is_usable, unit_of
from runner.core.intervals import EPOCH, ONE_HOUR, Interval, hour_of
from runner.core.readings import LocalTime, Reason, Reject
from runner.core.stations import Station

_LONGEST = 200
"""Characters of a name that are kept."""


def terms_of(location: int, station_idx: int, results: Sequence[Any]) -> dict[str, Any]:
    """Return the terms of a location as JSON values.

    Args:
        location: its id.
        station_idx: the station it stands for.
        results: those of `/v3/locations/{id}`, unvalidated.

    Returns:
        {"station_idx", "location", "name", "provider", "owner", "licences": [{"name",
        "attribution", "url", "from", "to"}]}; what OpenAQ does not say is None.
    """
    place = results[0] if results and isinstance(results[0], dict) else {}
    licences = place.get("licenses")
    return {
        "station_idx": station_idx,
        "location": location,
        "name": _text(place.get("name")),
        "provider": _named(place.get("provider")),
        "owner": _named(place.get("owner")),
        "licences": [
            _licence(one)
            for one in (licences if isinstance(licences, list) else ())
            if isinstance(one, dict)
        ],
    }


def _licence(one: dict[str, Any]) -> dict[str, Any]:
    attribution = one.get("attribution")
    url = attribution.get("url") if isinstance(attribution, dict) else None
    return {
        "name": _text(one.get("name")),
        "attribution": _named(attribution),
        "url": _text(url),
        "from": _text(one.get("dateFrom")),
        "to": _text(one.get("dateTo")),
    }


def _named(value: Any) -> str | None:
    return _text(value.get("name")) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) and value.strip() else None


KeepMeasured: TypeAlias = Callable[[Station, Sequence[MeasuredHour]], None]
"""Keeps concentrations; raises StoreError."""

_TOO_LATE = datetime(9999, 1, 1, tzinfo=UTC)
"""From here on a moment may have no name in another zone."""
FULL = 100.0
"""Percent. More is said where a sensor measured more often than expected."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor of a location.

    Attributes:
        id: OpenAQ's.
        location: of the location.
        pollutant: what it measures.
        unit: of its values, as OpenAQ spells it.
        hours: labels of its first hour and the one after its last; None if the API does not say.
    """

    id: int
    location: int
    pollutant: str
    unit: str
    hours: Interval | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What an hour has to be to count.

    Attributes:
        least_coverage: percent of it that was measured.
        accept_flagged: whether a flag of OpenAQ does not matter.
    """

    least_coverage: float = 75.0
    accept_flagged: bool = False


def measured_of(row: Any, sensor: Sensor, window: Interval, terms: Terms) -> Measured | Reject:
    """Return the measured hour that a row tells, or why it tells none.

    Args:
        row: as answered, unvalidated.
        sensor: the one that was asked for.
        window: the hours, by label, that were asked for.
        terms: what it has to be to count.
    """
    if not isinstance(row, dict):
        return Reject(Reason.NOT_AN_OBJECT, row)
    ended = label_of(row.get("period"))
    if ended is None:
        return Reject(Reason.TIME_UNPARSEABLE, row)
    utc, local = ended
    hour = hour_of(utc)
    reason = _not_asked_for(row, utc, sensor, window) or _not_usable(row, sensor, terms)
    if reason is not None:
        return Reject(reason, row, hour)
    unit = unit_of(_parameter(row).get("units", sensor.unit)) or ""
    value, coverage = float(row["value"]), _coverage(row)
    return Measured(
        hour, local, sensor.pollutant, value, unit, sensor.location, sensor.id, coverage
    )


def label_of(period: Any) -> tuple[datetime, LocalTime] | None:
    """Return the end of a period, UTC, and on the wall clock there; None if it cannot be read."""
    ended = period.get("datetimeTo") if isinstance(period, dict) else None
    if not isinstance(ended, dict):
        return None
    utc, local = instant(ended.get("utc")), instant(ended.get("local"))
    if utc is None or local is None or utc != local:
        return None
    return utc.astimezone(UTC), wall_clock(local)


def instant(text: Any) -> datetime | None:
    """Return a moment from 1970 to 9998 that names its zone; None for any other text."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        known = moment is not None and moment.tzinfo is not None and EPOCH <= moment < _TOO_LATE
    except (ValueError, OverflowError):
        return None
    return moment if known else None


def wall_clock(moment: datetime) -> LocalTime:
    """Return an aware moment as readings have it: `2018-01-01 08:00:00` and `+07:00`."""
    offset = f"{moment:%z}"
    return {"s": f"{moment:%Y-%m-%d %H:%M:%S}", "tz": f"{offset[:3]}:{offset[3:5]}"}


def _not_asked_for(
    row: Mapping[str, Any], utc: datetime, sensor: Sensor, window: Interval
) -> Reason | None:
    if not _is_one_hour(row["period"], utc):
        return Reason.TIME_NOT_ON_THE_HOUR
    if _parameter(row).get("name", sensor.pollutant) != sensor.pollutant:
        return Reason.WRONG_SENSOR
    if not window.start <= hour_of(utc) < window.end:
        return Reason.OUTSIDE_WINDOW
    return None


def _not_usable(row: Mapping[str, Any], sensor: Sensor, terms: Terms) -> Reason | None:
    value, coverage, flags = row.get("value"), _coverage(row), row.get("flagInfo")
    if value is None:
        return Reason.VALUE_MISSING
    unit = unit_of(_parameter(row).get("units", sensor.unit))
    if not _is_number(value) or unit is None:
        return Reason.CONCENTRATION_UNUSABLE
    if not is_usable(sensor.pollutant, float(value), unit):
        return Reason.OUTSIDE_SCALE
    if not terms.accept_flagged and isinstance(flags, dict) and flags.get("hasFlags"):
        return Reason.FLAGGED
    if coverage is not None and coverage < terms.least_coverage:
        return Reason.COVERAGE_LOW
    return None


def _is_one_hour(period: Mapping[str, Any], ended: datetime) -> bool:
    began = period.get("datetimeFrom")
    start = instant(began.get("utc")) if isinstance(began, dict) else None
    whole = not (ended.minute or ended.second or ended.microsecond)
    return whole and start is not None and ended - start == ONE_HOUR


def _parameter(row: Mapping[str, Any]) -> Mapping[str, Any]:
    parameter = row.get("parameter")
    return parameter if isinstance(parameter, dict) else {}


def _coverage(row: Mapping[str, Any]) -> float | None:
    """Return percent of the hour, at most FULL; None if the API does not say."""
    coverage = row.get("coverage")
    percent = coverage.get("percentComplete") if isinstance(coverage, dict) else None
    return min(float(percent), FULL) if _is_number(percent) else None


def _is_number(value: Any) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e12 and math.isfinite(value)  # noqa: PLR2004 - beyond it nothing is air
