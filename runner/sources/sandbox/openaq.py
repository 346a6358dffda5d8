"""What OpenAQ's API v3 answers, as JSON values: the shapes of recorded answers, no HTTP.

The same hours as AQICN's side of the sandbox, as concentrations. A station with two locations has
its hours up to November 2016 at the first and later ones at the second, as the two posts of the US
have at OpenAQ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

from runner.core.aqi import AQICN_PM25, EPA_PM10, concentration_of
from runner.core.intervals import Interval, hour_of, to_datetime
from runner.sources.sandbox.values import Values, position_of

Json: TypeAlias = dict[str, Any]
Hours: TypeAlias = Callable[[int, Interval], Mapping[str, Sequence[tuple[int, float]]]]
"""Given a station's index and a window: pollutant to (hour label, ug/m3), sorted by hour."""

MOVED = hour_of(datetime(2016, 11, 9, 17, tzinfo=UTC))
"""The first hour of the second location of a station."""
_BEGAN = hour_of(datetime(2015, 1, 1, tzinfo=UTC))
_SCALES = {"pm25": AQICN_PM25, "pm10": EPA_PM10}
_PARAMETER_IDS = {"pm10": 1, "pm25": 2}
_RECORDED_SENSORS = {2539: 5049, 7441: 21632, 2446: 4681, 7440: 21631}
"""Of the real locations; what they measure is PM2.5."""
_MOST_ROWS = 1000
_DEFAULT_ROWS = 100
_VIETNAM = timezone(timedelta(hours=7))


class Reply(NamedTuple):
    """A status and the content that goes with it."""

    status: HTTPStatus
    content: Any


class _Place(NamedTuple):
    """One location: whose hours it has, and which."""

    id: int
    station_idx: int
    hours: Interval


class OpenAqAnswers:
    """Answers questions about the locations of some stations.

    Args:
        locations: station index to location ids, in order of time.
        names: station index to name.
        hours: the concentrations.
        clock: the present, aware; nothing after it is answered.
        synthetic: whether they are made up; the names then say so.
    """

    def __init__(
        self,
        locations: Mapping[int, Sequence[int]],
        names: Mapping[int, str],
        hours: Hours,
        clock: Callable[[], datetime],
        *,
        synthetic: bool,
    ) -> None:
        self._names = names
        self._hours = hours
        self._clock = clock
        self._synthetic = synthetic
        self._places = {
            place.id: place for idx, ids in locations.items() for place in _places(idx, ids)
        }

    def answer(self, path: str, query: Mapping[str, str]) -> Reply:
        """Return what the API says to a question.

        Args:
            path: with its leading `/v3/`.
            query: the parameters.
        """
        for pattern, respond in (
            (r"/v3/locations/?", self._list),
            (r"/v3/locations/(\d{1,12})/?", self._location),
            (r"/v3/locations/(\d{1,12})/sensors/?", self._sensors),
            (r"/v3/sensors/(\d{1,12})/hours/?", self._sensor_hours),
        ):
            match = re.fullmatch(pattern, path)
            if match:
                return respond(query, *map(int, match.groups()))
        return Reply(HTTPStatus.NOT_FOUND, {"detail": "Not Found"})

    def _list(self, query: Mapping[str, str]) -> Reply:
        wanted = query.get("iso", "VN").upper() == "VN"
        found = [self._told(place) for place in self._places.values()] if wanted else []
        return _page(found, query)

    def _location(self, query: Mapping[str, str], location: int) -> Reply:
        place = self._places.get(location)
        if place is None:
            return Reply(HTTPStatus.NOT_FOUND, {"detail": "Location not found"})
        return _page([self._told(place)], query)

    def _sensors(self, query: Mapping[str, str], location: int) -> Reply:
        place = self._places.get(location)
        if place is None:
            return Reply(HTTPStatus.NOT_FOUND, {"detail": "Location not found"})
        sensors = []
        for pollutant in self._pollutants(place):
            first, last = self._ends(place, pollutant)
            ends = {"datetimeFirst": first, "datetimeLast": last}
            sensors.append({**_sensor(place.id, pollutant), **ends, "coverage": None})
        return _page(sensors, query)

    def _sensor_hours(self, query: Mapping[str, str], sensor: int) -> Reply:
        found = {
            _sensor_id(place.id, pollutant): (place, pollutant)
            for place in self._places.values()
            for pollutant in _PARAMETER_IDS
        }
        if sensor not in found:
            return Reply(HTTPStatus.NOT_FOUND, {"detail": "Sensor not found"})
        place, pollutant = found[sensor]
        try:
            after, until = (_moment(query[name]) for name in ("datetime_from", "datetime_to"))
        except (KeyError, ValueError):
            return _senseless("datetime_from and datetime_to: Input should be a valid datetime")
        if after >= until:
            return _senseless("datetime_from must be before datetime_to")
        window = Interval(hour_of(after) + 1, hour_of(until) + 1)  # from < end of the hour <= to
        rows = [_row(hour, value, pollutant) for hour, value in self._of(place, pollutant, window)]
        return _page(rows, query)

    def _of(self, place: _Place, pollutant: str, window: Interval) -> Sequence[tuple[int, float]]:
        start = max(window.start, place.hours.start)
        end = min(window.end, place.hours.end, hour_of(self._clock()) + 1)
        if start >= end:
            return ()
        return self._hours(place.station_idx, Interval(start, end)).get(pollutant, ())

    def _pollutants(self, place: _Place) -> list[str]:
        return (
            ["pm25", "pm10"] if self._synthetic and place.id not in _RECORDED_SENSORS else ["pm25"]
        )

    def _ends(self, place: _Place, pollutant: str) -> tuple[Json | None, Json | None]:
        if self._synthetic:
            ends = [place.hours.start, min(place.hours.end - 1, hour_of(self._clock()))]
        else:
            hours = [hour for hour, _value in self._of(place, pollutant, place.hours)]
            ends = [hours[0], hours[-1]] if hours else []
        return (_instants(ends[0]), _instants(ends[1])) if ends else (None, None)

    def _told(self, place: _Place) -> Json:
        mark = " (synthetic)" if self._synthetic else ""
        latitude, longitude = position_of(place.station_idx)
        first, last = self._ends(place, "pm25")
        licence = {
            "id": 33,
            "name": "US Public Domain",
            "attribution": {"name": "Unknown Governmental Organization", "url": None},
            "dateFrom": "2016-01-30",
            "dateTo": None,
        }
        return {
            "id": place.id,
            "name": f"{self._names.get(place.station_idx, place.station_idx)}{mark}",
            "locality": None,
            "timezone": "Asia/Bangkok",
            "country": {"id": 56, "code": "VN", "name": "Vietnam"},
            "owner": {"id": 4, "name": "Unknown Governmental Organization"},
            "provider": {"id": 1, "name": "Sandbox" if self._synthetic else "AirNow"},
            "isMobile": False,
            "isMonitor": True,
            "instruments": [{"id": 2, "name": "Government Monitor"}],
            "sensors": [_sensor(place.id, pollutant) for pollutant in self._pollutants(place)],
            "coordinates": {"latitude": latitude, "longitude": longitude},
            "licenses": None if self._synthetic else [licence],
            "bounds": [longitude, latitude, longitude, latitude],
            "distance": None,
            "datetimeFirst": first,
            "datetimeLast": last,
        }


def concentrations_of(values: Values) -> Hours:
    """Return the concentrations that have the sub-indices of some values."""

    def hours(station_idx: int, window: Interval) -> Mapping[str, Sequence[tuple[int, float]]]:
        found: dict[str, list[tuple[int, float]]] = {}
        for record in values.records(station_idx, window):
            wall = datetime.fromisoformat(record["time"]["s"] + record["time"]["tz"])
            indices = record.get("current_iaqi") or {}
            for pollutant, scale in _SCALES.items():
                if pollutant in indices:
                    value = concentration_of(scale, indices[pollutant]["v"])
                    found.setdefault(pollutant, []).append((hour_of(wall), value))
        return found

    return hours


def _places(station_idx: int, ids: Sequence[int]) -> list[_Place]:
    always = Interval(_BEGAN, 10**7)
    if len(ids) == 1:
        return [_Place(ids[0], station_idx, always)]
    first, second = Interval(always.start, MOVED), Interval(MOVED, always.end)
    return [
        _Place(ids[0], station_idx, first),
        *(_Place(one, station_idx, second) for one in ids[1:]),
    ]


def _sensor_id(location: int, pollutant: str) -> int:
    if pollutant == "pm25" and location in _RECORDED_SENSORS:
        return _RECORDED_SENSORS[location]
    return location * 10 + _PARAMETER_IDS[pollutant]


def _sensor(location: int, pollutant: str) -> Json:
    return {
        "id": _sensor_id(location, pollutant),
        "name": f"{pollutant} µg/m³",
        "parameter": _parameter(pollutant),
    }


def _parameter(pollutant: str) -> Json:
    return {
        "id": _PARAMETER_IDS[pollutant],
        "name": pollutant,
        "units": "µg/m³",
        "displayName": None,
    }


def _row(hour: int, value: float, pollutant: str) -> Json:
    began, ended = _instants(hour - 1), _instants(hour)
    return {
        "value": value,
        "flagInfo": {"hasFlags": False},
        "parameter": _parameter(pollutant),
        "period": {
            "label": "1hour",
            "interval": "01:00:00",
            "datetimeFrom": began,
            "datetimeTo": ended,
        },
        "coordinates": None,
        "summary": {"min": value, "median": value, "max": value, "avg": value, "sd": None},
        "coverage": {
            "expectedCount": 1,
            "expectedInterval": "01:00:00",
            "observedCount": 1,
            "observedInterval": "01:00:00",
            "percentComplete": 100.0,
            "percentCoverage": 100.0,
            "datetimeFrom": ended,
            "datetimeTo": ended,
        },
    }


def _instants(hour: int) -> Json:
    moment = to_datetime(hour)
    return {
        "utc": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "local": moment.astimezone(_VIETNAM).isoformat(),
    }


def _moment(text: str) -> datetime:
    """Return a moment; without a zone it means the station's own."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=_VIETNAM)


def _page(results: Sequence[Json], query: Mapping[str, str]) -> Reply:
    limit, page = query.get("limit", str(_DEFAULT_ROWS)), query.get("page", "1")
    if not (limit.isdigit() and 1 <= int(limit) <= _MOST_ROWS and page.isdigit() and int(page)):
        return _senseless(f"limit: Input should be less than or equal to {_MOST_ROWS}")
    start = (int(page) - 1) * int(limit)
    rows = results[start : start + int(limit)]
    more = start + len(rows) < len(results)
    meta = {
        "name": "openaq-api",
        "website": "/",
        "page": int(page),
        "limit": int(limit),
        "found": f">{limit}" if more else len(rows),
    }
    return Reply(HTTPStatus.OK, {"meta": meta, "results": [*rows]})


def _senseless(said: str) -> Reply:
    """Return a refusal in the odd form that the API has for it: text that holds a Python list."""
    return Reply(HTTPStatus.UNPROCESSABLE_ENTITY, f"[{{'type': 'value_error', 'msg': '{said}'}}]")
