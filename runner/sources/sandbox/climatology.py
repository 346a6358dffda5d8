"""Made-up hourly air quality with a Vietnamese climate. Nothing here was measured at its hour.

What is real is the climate: the monthly medians and the daily course of PM2.5 are those of the
AirNow files of the US Embassy in Hanoi and the US Consulate in Ho Chi Minh City, 2017 to 2020.

    concentration (ug/m3) = month's median * hour's factor * station's factor * weather

- Month and hour: tables below; in between, and between the two cities by latitude, interpolated.
- Weather: exp of noise with three time scales (72 h episodes, 6 h, 1 h), which together spread the
  logarithm by about 0.55, as measured. Heavy episodes reach AQI 300, as they do in Hanoi.
- Stations of one city share most of their episodes, as neighbours do: their logarithms correlate
  at about 0.9.
- PM10 follows PM2.5. Temperature, humidity, pressure and wind have simple courses of their own.
- Imperfections: about 2 % of the hours are missing in outages of 1 to 72 hours (most of them one
  hour, most missing hours in long ones); about 0.2 % of the records have the aqi "-".

Every number is a function of (seed, station, hour), so any cut into windows gives the same records.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import cache
from typing import ClassVar, NamedTuple

from runner.core.aqi import AQICN_PM25, EPA_PM10, sub_index
from runner.core.intervals import EPOCH, Interval
from runner.sources.sandbox.values import Record, city_of, position_of, uniform

OFFSET_H = 7
"""Vietnam is seven hours ahead of UTC, all year."""


class _Climate(NamedTuple):
    latitude: float
    pm25_by_month: tuple[float, ...]
    """Medians, ug/m3, January to December."""
    pm25_by_hour: tuple[float, ...]
    """Factors around 1, local hours 0 to 23."""
    warmest_c: float
    coldest_c: float


_NORTH = _Climate(
    latitude=21.0,
    pm25_by_month=(52.0, 50.0, 40.8, 35.9, 27.0, 24.0, 22.0, 23.0, 25.2, 35.0, 50.9, 50.0),
    pm25_by_hour=(
        *(1.00, 1.00, 0.99, 0.96, 0.95, 0.94, 1.00, 1.04, 1.05, 1.08, 1.10, 1.03),
        *(1.02, 0.97, 0.89, 0.86, 0.87, 0.88, 0.96, 1.04, 1.14, 1.14, 1.09, 1.00),
    ),
    warmest_c=30.0,
    coldest_c=17.0,
)
_SOUTH = _Climate(
    latitude=10.8,
    pm25_by_month=(31.0, 24.0, 22.0, 18.0, 21.0, 20.0, 21.0, 18.0, 22.0, 27.0, 34.0, 31.0),
    pm25_by_hour=(
        *(0.93, 0.84, 0.94, 0.93, 0.95, 1.03, 1.11, 1.27, 1.31, 1.23, 1.09, 1.03),
        *(0.94, 0.88, 0.89, 0.89, 0.93, 0.93, 0.95, 0.98, 1.02, 0.98, 0.98, 0.95),
    ),
    warmest_c=29.0,
    coldest_c=26.5,
)

_EPOCH = EPOCH.replace(tzinfo=None)
_AFTERNOON = tuple(math.cos(2 * math.pi * (hour - 14) / 24) for hour in range(24))
"""How warm the hour of the day is, -1 to 1."""

_SHARED = 0.95
"""Of the noise, what all stations of a city have; the variance stays that of one noise."""
_OWN = math.sqrt(1 - _SHARED**2)

_OUTAGE_BLOCK_H = 96
"""Hours per block; at most one outage begins in each, and ends before the next but one."""
_OUTAGE_LENGTHS_H = ((0.60, 1, 1), (0.85, 2, 5), (0.97, 6, 24), (1.00, 25, 72))
"""(cumulative share of the outages, shortest, longest)."""
_MEAN_OUTAGE_H = 0.60 * 1 + 0.25 * 3.5 + 0.12 * 15 + 0.03 * 48.5


class Climatology:
    """Synthetic records, see the module's description.

    Args:
        seed: another seed, another weather.
        missing_rate: share of the hours without a record, 0 to 0.05 (an outage in every block).
        dash_rate: share of the records whose aqi is "-".
    """

    synthetic: ClassVar[bool] = True

    def __init__(
        self, seed: int = 0, *, missing_rate: float = 0.02, dash_rate: float = 0.002
    ) -> None:
        self._seed = seed
        self._outage_rate = missing_rate * _OUTAGE_BLOCK_H / _MEAN_OUTAGE_H
        self._dash_rate = dash_rate

    def records(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the records of a station for the hours of a window, without the missing ones."""
        missing = self._missing(station_idx, window)
        weather = _Weather(self._seed, station_idx)
        return [
            self._record(station_idx, weather, hour)
            for hour in range(window.start, window.end)
            if hour not in missing
        ]

    def _missing(self, station_idx: int, window: Interval) -> set[int]:
        missing: set[int] = set()
        for block in range(window.start // _OUTAGE_BLOCK_H - 1, window.end // _OUTAGE_BLOCK_H + 1):
            key = (self._seed, station_idx, "outage", block)
            if uniform(*key) < self._outage_rate:
                start = block * _OUTAGE_BLOCK_H + int(uniform(*key, "start") * _OUTAGE_BLOCK_H)
                missing.update(range(start, start + _outage_length_h(*key)))
        return missing

    def _record(self, station_idx: int, weather: _Weather, hour: int) -> Record:
        local = _EPOCH + timedelta(hours=hour + OFFSET_H)
        # One draw for both: the jitter is that of the pollutants, which a dash has not.
        draw = uniform(self._seed, station_idx, hour)
        iaqi = weather.at(hour, local, _noise(draw))
        aqi: int | str = max(int(iaqi["pm25"]), int(iaqi["pm10"]))
        if draw < self._dash_rate:
            aqi = "-"
            del iaqi["pm25"], iaqi["pm10"]
        return {
            "current_aqi": aqi,
            "time": {"s": local.isoformat(" "), "tz": f"+{OFFSET_H:02d}:00"},
            "current_iaqi": {name: {"v": value} for name, value in iaqi.items()},
        }


class _Weather:
    """The noise and the values of one station; remembers what many hours share."""

    def __init__(self, seed: int, station_idx: int) -> None:
        self._key = (seed, station_idx)
        self._city = (seed, "city", *city_of(station_idx))
        self._knots: dict[tuple[object, ...], float] = {}
        self._days: dict[int, tuple[float, float, float]] = {}
        latitude = position_of(station_idx).latitude
        share = (latitude - _SOUTH.latitude) / (_NORTH.latitude - _SOUTH.latitude)
        self._north = min(1.0, max(0.0, share))
        self._station_factor = math.exp(0.2 * _noise(uniform(*self._key, "station")))
        self._warmest_c = self._blend(_NORTH.warmest_c, _SOUTH.warmest_c)
        self._coldest_c = self._blend(_NORTH.coldest_c, _SOUTH.coldest_c)

    def at(self, hour: int, local: datetime, jitter: float) -> dict[str, float]:
        """Return sub-indices (pm25, pm10) and weather (h %, p hPa, t °C, w m/s) of an hour."""
        slow = self._smooth("slow", hour, 72)
        fast = self._smooth("fast", hour, 6)
        north, south, summer = self._day(local)
        median = self._blend(
            north * _NORTH.pm25_by_hour[local.hour], south * _SOUTH.pm25_by_hour[local.hour]
        )
        noise = math.exp(0.55 * slow + 0.3 * fast + 0.08 * jitter)
        pm25 = median * self._station_factor * noise
        pm10 = 1.5 * pm25 + 6.0 + 2.0 * fast
        afternoon = _AFTERNOON[local.hour]
        temperature = self._coldest_c + (self._warmest_c - self._coldest_c) * summer
        return {
            "h": round(min(100.0, max(20.0, 77.0 - 14.0 * afternoon + 6.0 * fast)), 1),
            "p": round(1017.0 - 12.0 * summer + 1.5 * slow, 1),
            "pm10": _pm10_index(round(pm10, 1)),
            "pm25": _pm25_index(round(pm25, 1)),
            "t": round(temperature + 3.5 * afternoon + 0.8 * fast, 1),
            "w": round(max(0.1, 2.2 - 0.9 * slow + 0.8 * afternoon), 1),
        }

    def _day(self, local: datetime) -> tuple[float, float, float]:
        """Return the median PM2.5 of north and south, and how much it is summer, 0 to 1."""
        day = local.toordinal()
        if day not in self._days:
            day_of_year = local.timetuple().tm_yday
            before, part = divmod((day_of_year - 15.5) / 30.44, 1)
            now, then = int(before) % 12, int(before + 1) % 12
            north, south = (
                (1 - part) * table[now] + part * table[then]
                for table in (_NORTH.pm25_by_month, _SOUTH.pm25_by_month)
            )
            summer = 0.5 - 0.5 * math.cos(2 * math.pi * (day_of_year - 15) / 365.25)
            self._days[day] = north, south, summer
        return self._days[day]

    def _blend(self, north: float, south: float) -> float:
        return self._north * north + (1 - self._north) * south

    def _smooth(self, scale: str, hour: int, step_h: int) -> float:
        """Return noise of the city and the station, in straight lines between `step_h` hours."""
        knot, passed = divmod(hour, step_h)
        part = passed / step_h
        return (1 - part) * self._knot(scale, knot) + part * self._knot(scale, knot + 1)

    def _knot(self, scale: str, knot: int) -> float:
        key = (scale, knot)
        if key not in self._knots:
            shared, own = _noise(uniform(*self._city, *key)), _noise(uniform(*self._key, *key))
            self._knots[key] = _SHARED * shared + _OWN * own
        return self._knots[key]


@cache  # concentrations have one decimal, so there are a few thousand of them
def _pm25_index(concentration: float) -> int:
    return sub_index(AQICN_PM25, concentration)


@cache
def _pm10_index(concentration: float) -> int:
    return sub_index(EPA_PM10, concentration)


def _noise(draw: float) -> float:
    """Turn a number in [0, 1) into noise with mean 0 and variance 1, within ±1.74."""
    return (draw - 0.5) * math.sqrt(12)


def _outage_length_h(*key: object) -> int:
    draw = uniform(*key, "kind")
    _, shortest, longest = next(row for row in _OUTAGE_LENGTHS_H if draw < row[0])
    return shortest + int(uniform(*key, "length") * (longest - shortest + 1))
