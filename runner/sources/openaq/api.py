"""Hourly means from OpenAQ's API v3, of every pollutant that a station's locations measure.

    GET /v3/locations/{id}                  who measured it, and under which licence
    GET /v3/locations/{id}/sensors          one sensor a pollutant, and from when to when
    GET /v3/sensors/{id}/hours?datetime_from=…&datetime_to=…&limit=1000&page=1

The first two are asked once a location and run. The filter is `from < end of the hour <= to`. How
many rows there are is not believed (`found` may be ">100"): the last page is an empty one, or one
with fewer rows than `meta.limit`, which may be less than was asked for.

A sensor is asked for the hours between its first and last measurement, and some days around them.
Hours that no sensor was asked for are no empty ones: the answer names them (`not_asked`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any

import structlog

from runner.core.concentrations import CONTEXT_H, OTHER_PARAMETERS, POLLUTANTS, Measured, settle
from runner.core.errors import Scope
from runner.core.intervals import Interval, Intervals, hour_of, intersect, iso, split, subtract
from runner.core.readings import Answer, Reason, Reject
from runner.core.stations import Station
from runner.core.text import harmless, shortened
from runner.sources.http import HttpClient
from runner.sources.openaq.answers import (
    MOST_ROWS,
    OpenAqError,
    OpenAqReader,
    OpenAqTimeoutError,
    Page,
    pages,
)
from runner.sources.openaq.rows import KeepMeasured, Sensor, Terms, instant, measured_of, terms_of
from runner.sources.provider import Source

log = structlog.get_logger()

PAGE = MOST_ROWS
LONGEST_FRAME_H = 8760
"""Hours of one question: OpenAQ advises to ask for a year at most."""
SHORTEST_FRAME_H = 24
"""Hours below which a question is not cut any further."""
LOOK_UPS = 2
"""Requests for a location before its first hours: itself, and its sensors."""
_MARGIN_H = 24 * 14
"""Hours around a sensor's first and last that are asked for nevertheless: those may be out of date
by the time that they are used."""
_MOST_SHOWN = 10
_LONGEST_SHOWN = 200


class OpenAqSource(Source):
    """Answers windows from OpenAQ, in the shape of AQICN.

    `aqi` and `iaqi` are sub-indices of the one-hour concentrations, see
    `runner.core.concentrations`. Hours that are null, flagged, badly covered, or no concentration
    of air become rejects. Thread-safe.

    Args:
        client: to the API, which sends the key.
        reader: of its answers.
        locations: station index to OpenAQ locations, the one that decides first.
        scale: names the scale of the sub-indices.
        terms: what an hour has to be to count.
        keep: is given all concentrations of an answer, before it is returned; None to keep none.
    """

    name = "openaq"

    def __init__(
        self,
        client: HttpClient,
        reader: OpenAqReader,
        locations: Mapping[int, Sequence[int]],
        *,
        scale: str,
        terms: Terms,
        keep: KeepMeasured | None = None,
    ) -> None:
        self._client = client
        self._reader = reader
        self._locations = locations
        self._scale = scale
        self._terms = terms
        self._keep = keep
        self._asking = {location: Lock() for some in locations.values() for location in some}
        self._sensors: dict[int, list[Sensor]] = {}
        self._attributions: dict[int, dict[str, Any]] = {}

    def attributions(self) -> list[dict[str, Any]]:
        """Return who measured, under which licence, and the scale of the indices, by location."""
        known = sorted(self._attributions.copy().items())
        return [{**terms, "scale": self._scale} for _location, terms in known]

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return the records of a window, what was refused, and the hours nobody was asked for.

        Raises:
            OpenAqError: OpenAQ could not answer; the scope says for whom.
            StoreError: the concentrations could not be kept.
            StoppedError: a stop was asked for while waiting.
        """
        locations = self._locations.get(station.idx, ())
        asked = Interval(window.start - CONTEXT_H, window.end)
        measured: list[Measured] = []
        rejects: list[Reject] = []
        answered: list[Interval] = []
        for location in locations:
            for sensor in self._sensors_of(location, station):
                for piece in _may_have(sensor, asked):
                    found, refused = self._hours(sensor, station, piece)
                    measured += found
                    rejects += [one for one in refused if _concerns(one, asked, window)]
                    answered.append(piece)
        settled = settle(measured, locations, self._scale, window)
        if self._keep and settled.hours:
            self._keep(station, settled.hours)
        return Answer(
            settled.records,
            [*rejects, *settled.rejects],
            not_asked=subtract((window,), answered),
        )

    def _hours(
        self, sensor: Sensor, station: Station, window: Interval
    ) -> tuple[list[Measured], list[Reject]]:
        """Return the hours of one sensor, at most one of a label, and what was refused."""
        found: dict[int, tuple[Measured, Any]] = {}
        rejects: list[Reject] = []
        for frame in split((window,), LONGEST_FRAME_H):
            for row in self._rows(sensor, station, frame):
                read = measured_of(row, sensor, window, self._terms)
                if isinstance(read, Reject):
                    rejects.append(read)
                    continue
                earlier = found.get(read.hour)
                if earlier is not None and earlier[0] != read:
                    rejects.append(Reject(Reason.DUPLICATE_HOUR, earlier[1], read.hour))
                found[read.hour] = (read, row)
        return [read for read, _row in found.values()], rejects

    def _rows(self, sensor: Sensor, station: Station, frame: Interval) -> list[Any]:
        """Return the rows of a time frame; asks for halves of it where it was too much."""
        try:
            return list(self._pages(sensor, station, frame))
        except OpenAqTimeoutError as error:
            if error.scope is not Scope.STATION or frame.hours <= SHORTEST_FRAME_H:
                raise
        halves = split((frame,), -(-frame.hours // 2))
        return [row for half in halves for row in self._rows(sensor, station, half)]

    def _pages(self, sensor: Sensor, station: Station, frame: Interval) -> Iterator[Any]:
        path = f"/v3/sensors/{sensor.id}/hours"

        def ask(number: int) -> Page:
            return self._ask(
                path,
                station,
                {
                    "datetime_from": iso(frame.start - 1),  # not included
                    "datetime_to": iso(frame.end - 1),  # included
                    "limit": str(PAGE),
                    "page": str(number),
                },
                divisible=frame.hours > SHORTEST_FRAME_H,
                window=str(frame),
            )

        try:
            for rows in pages(ask, frame.hours):
                yield from rows
        except OpenAqError as error:
            raise _with_path(error, path) from None

    def _sensors_of(self, location: int, station: Station) -> list[Sensor]:
        """Return the sensors of pollutants of a location; asks once a run."""
        with self._asking[location]:
            if location not in self._sensors:
                rows = self._ask(f"/v3/locations/{location}", station).rows
                self._attributions[location] = terms_of(location, station.idx, rows)
                rows = self._ask(f"/v3/locations/{location}/sensors", station).rows
                found = [_sensor(location, row) for row in rows]
                self._sensors[location] = [sensor for sensor in found if sensor]
                strange = [_shown(row) for row in rows if _is_strange(row)]
                if strange:
                    log.warning(
                        "openaq.sensors_not_read",
                        location=location,
                        station_idx=station.idx,
                        sensors=strange[:_MOST_SHOWN],
                        count=len(strange),
                    )
                log.info(
                    "openaq.location",
                    location=location,
                    station_idx=station.idx,
                    sensors={str(one.id): one.pollutant for one in self._sensors[location]},
                    not_pollutants=len(rows) - len(self._sensors[location]),
                )
            return self._sensors[location]

    def _ask(
        self,
        path: str,
        station: Station,
        params: Mapping[str, str] | None = None,
        *,
        divisible: bool = False,
        **context: object,
    ) -> Page:
        read = partial(self._reader.page, divisible=divisible)
        try:
            return self._client.get(
                path, params or {}, {}, read, station_idx=station.idx, asked=path, **context
            )
        except OpenAqError as error:
            raise _with_path(error, path) from None


def _with_path(error: OpenAqError, path: str) -> OpenAqError:
    """Return an error that names the address, where it is about one station."""
    if error.scope is Scope.STATION and path not in error.message:
        error.message = f"{path}: {error.message}"
        error.args = (error.message,)
    return error


def requests_for(hours: int) -> int:
    """Return how many requests a window takes of one sensor that measured in every hour.

    Args:
        hours: of the window; those before it are asked for as well.
    """
    frames = split((Interval(0, hours + CONTEXT_H),), LONGEST_FRAME_H)
    return sum(frame.hours // PAGE + 1 for frame in frames)  # the page that is not full is the last


def _sensor(location: int, row: Any) -> Sensor | None:
    """Return a sensor of a pollutant; None for others, such as those of weather."""
    name, number = _parameter_of(row), row.get("id") if isinstance(row, dict) else None
    if name not in POLLUTANTS or type(number) is not int:
        return None
    return Sensor(number, location, name, str(row["parameter"].get("units")), _hours_of(row))


def _parameter_of(row: Any) -> str:
    parameter = row.get("parameter") if isinstance(row, dict) else None
    name = parameter.get("name") if isinstance(parameter, dict) else None
    return name if isinstance(name, str) else ""


def _is_strange(row: Any) -> bool:
    """Whether a row is neither a sensor of a pollutant nor one of what is known besides."""
    return _parameter_of(row) not in OTHER_PARAMETERS and _sensor(0, row) is None


def _shown(row: Any) -> str:
    return shortened(harmless(str(row)), _LONGEST_SHOWN)


def _hours_of(row: Mapping[str, Any]) -> Interval | None:
    ends = (row.get("datetimeFirst"), row.get("datetimeLast"))
    first, last = (instant(end.get("utc")) if isinstance(end, dict) else None for end in ends)
    if first is None or last is None or last < first:
        return None
    return Interval(hour_of(first), hour_of(last) + 1)


def _concerns(reject: Reject, asked: Interval, window: Interval) -> bool:
    """Whether a refusal is about the window, rather than about hours asked for besides."""
    hour = reject.hour
    return hour is None or not asked.start <= hour < asked.end or hour >= window.start


def _may_have(sensor: Sensor, window: Interval) -> Intervals:
    """Return the hours of a window that a sensor may have measured; asked for are those alone."""
    if sensor.hours is None:
        return (window,)
    near = Interval(sensor.hours.start - _MARGIN_H, sensor.hours.end + _MARGIN_H)
    return intersect((near,), (window,))
