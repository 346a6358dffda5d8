"""Readings from local copies of OpenAQ's archive: a gzipped CSV file a location and local day.

    records/csv.gz/locationid=7441/year=2018/month=01/location-7441-20180101.csv.gz

    location_id,sensors_id,location,datetime,lat,lon,parameter,units,value
    7441,21632,Hanoi-7441,2023-01-01T01:00:00+07:00,21.021939,105.818806,pm25,µg/m³,71.0

Its rows are measurements as reported, an hour apart or five minutes. Their times are those of the
end, so a day's file runs to midnight of the next. An hour's value is the mean of those that ended
in it, its label is its end, as with `openaq/api.py`. How many measurements an hour should
have is not said: it is what most hours of the sensor have on that day.

Whether OpenAQ has nothing for a day without a file, or it was not copied, cannot be known: the
answer names its hours as not asked for. A location without a folder fails its station, and so does
a folder of a location or a month, or a whole range of hours, without one file of the expected name.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from runner.core.aqi.breakpoints import converted
from runner.core.concentrations import (
    CONTEXT_H,
    OTHER_PARAMETERS,
    POLLUTANTS,
    Measured,
    is_usable,
    settle,
    unit_of,
)
from runner.core.errors import Scope, SourceError
from runner.core.intervals import ONE_HOUR, Interval, hour_of, subtract, to_datetime
from runner.core.readings import Answer, Reason, Reject
from runner.core.stations import Station
from runner.sources.openaq.rows import KeepMeasured, instant, wall_clock
from runner.sources.provider import Source

COLUMNS = ("location_id", "sensors_id", "datetime", "parameter", "units", "value")
"""Those that are read."""
_WHERE = Path("records", "csv.gz")
_MOST_AHEAD = timedelta(hours=14)
"""The largest offset from UTC: a local day may begin so much earlier."""


class ArchiveFileError(SourceError):
    """A file of OpenAQ's archive cannot be read; its hours must not pass for empty ones."""

    def __init__(self, message: str, *, scope: Scope = Scope.STATION, hint: str = "") -> None:
        super().__init__(message, scope=scope, hint=hint)


@dataclass(frozen=True, slots=True)
class _Row:
    """One usable measurement."""

    ended: datetime
    pollutant: str
    unit: str
    sensor: int
    value: float
    raw: Mapping[str, Any]

    @property
    def label(self) -> int:
        """The hour, by its end, that the measurement ended in."""
        return _label(self.ended)


@dataclass(slots=True)
class _Hour:
    """The measurements of one sensor and pollutant that ended in one hour, by their time."""

    rows: dict[datetime, _Row] = field(default_factory=dict)


_Hours: TypeAlias = defaultdict[tuple[int, str, int], _Hour]
"""By sensor, pollutant and label."""


class OpenAqArchive(Source):
    """Answers windows from files of the archive. Thread-safe: it remembers only names of places.

    Args:
        directory: holds `records/csv.gz`, or the folders `locationid=…` themselves.
        locations: station index to OpenAQ locations, the one that decides first.
        scale: names the scale of the sub-indices.
        least_coverage: percent of the usual measurements that an hour needs to count.
        wanted: the hours of the whole run; None if they are not known.
    """

    name = "openaq_archive"

    def __init__(
        self,
        directory: Path,
        locations: Mapping[int, Sequence[int]],
        *,
        scale: str,
        least_coverage: float,
        wanted: Interval | None = None,
    ) -> None:
        copied = directory / _WHERE
        self._directory = copied if copied.is_dir() else directory
        self._locations = locations
        self._scale = scale
        self._least_coverage = least_coverage
        self._wanted = wanted
        self._names: dict[tuple[int, int], str] = {}
        self._have_files: set[int] = set()
        self.keep: KeepMeasured | None = None
        """Is given all concentrations of an answer, before it is returned."""

    def offers(self, station_idx: int) -> bool:
        """Tell whether there is a folder of any location of a station."""
        return any(self._folder(one).is_dir() for one in self._locations.get(station_idx, ()))

    def attributions(self) -> list[dict[str, Any]]:
        """Return the places that measured, as far as the files tell: no owner, no licence."""
        return [
            {
                "station_idx": idx,
                "location": location,
                "name": name,
                "licences": [],
                "scale": self._scale,
            }
            for (idx, location), name in sorted(self._names.copy().items())
        ]

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return what the files say of a window, and the hours that no file is at hand for.

        Raises:
            ArchiveFileError: a folder or its files are missing, or a file is not understood.
            StoreError: the concentrations could not be kept.
        """
        measured: list[Measured] = []
        rejects: list[Reject] = []
        held: list[Interval] = []
        locations = self._locations.get(station.idx, ())
        looked_at = Interval(window.start - CONTEXT_H, window.end)
        for location in locations:
            self._check_folder(location)
        self._check_range(station, window)
        for location in locations:
            files = self._files(station, location, looked_at)
            held += _hours_held(files)
            rows = chain.from_iterable(files.values())
            found, refused = _means(rows, location, looked_at, self._least_coverage)
            measured += found
            rejects += [one for one in refused if one.hour is None or _holds(window, one.hour)]
        settled = settle(measured, locations, self._scale, window)
        if self.keep and settled.hours:
            self.keep(station, settled.hours)
        return Answer(
            settled.records,
            [*rejects, *settled.rejects],
            not_asked=subtract((window,), held),
        )

    def _folder(self, location: int) -> Path:
        return self._directory / f"locationid={location}"

    def _check_folder(self, location: int) -> None:
        """Raise ArchiveFileError if a location has no folder, or a folder without any file."""
        folder = self._folder(location)
        if not folder.is_dir():
            raise ArchiveFileError(
                f"there is no {folder.name} in {self._directory}", hint=self._copy_hint(location)
            )
        if next(folder.glob(f"year=*/month=*/location-{location}-*.csv.gz"), None) is None:
            raise ArchiveFileError(
                f"{folder} holds no file of the archive: expected is "
                f"year=YYYY/month=MM/location-{location}-YYYYMMDD.csv.gz",
                hint=self._copy_hint(location),
            )

    def _check_range(self, station: Station, window: Interval) -> None:
        """Raise ArchiveFileError if a station has no file for any day of the run."""
        if self._wanted is None or station.idx in self._have_files:
            return
        locations = self._locations.get(station.idx, ())
        for wanted in (window, self._wanted):
            days = [*_days(wanted)]
            if any(
                (self._folder(one) / _name_of(one, day)).is_file()
                for one in locations
                for day in days
            ):
                self._have_files.add(station.idx)
                return
        expected = self._folder(locations[-1]) / _name_of(locations[-1], days[len(days) // 2])
        raise ArchiveFileError(
            f"no file for {self._wanted} of {', '.join(map(str, locations))}: "
            f"expected are such as {expected}",
            hint=self._copy_hint(locations[-1]),
        )

    def _files(
        self, station: Station, location: int, window: Interval
    ) -> dict[date, list[dict[str, Any]]]:
        """Return the rows of all days that may have an hour of the window, by day."""
        folder = self._folder(location)
        found: dict[date, list[dict[str, Any]]] = {}
        for day in _days(window):
            path = folder / _name_of(location, day)
            if path.is_file():
                found[day] = read_file(path)
            elif path.parent.is_dir() and not any(path.parent.glob(f"{path.name[:-9]}*.csv.gz")):
                raise ArchiveFileError(
                    f"{path.parent} holds no file of the archive: expected are such as {path.name}",
                    hint=self._copy_hint(location),
                )
        for raw in chain.from_iterable(found.values()):
            self._names.setdefault((station.idx, location), raw.get("location") or "")
        return found

    def _copy_hint(self, location: int) -> str:
        folder = self._folder(location)
        return (
            "Copy it: aws s3 sync --no-sign-request s3://openaq-data-archive/records/"
            f"csv.gz/{folder.name} {folder}"
        )


def read_file(path: Path) -> list[dict[str, Any]]:
    """Return the rows of one file as text, by column, with `file` and `line`.

    Raises:
        ArchiveFileError: it cannot be read, ends early, or lacks a column.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ArchiveFileError(f"{path.name}: the header lacks {', '.join(missing)}")
            return [
                {**_with_cells(row), "file": path.name, "line": reader.line_num} for row in reader
            ]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ArchiveFileError(
            f"{path.name}: cannot be read: {getattr(error, 'strerror', None) or error}",
            hint="Copy it again: the archive rewrites files, and a copy may have been cut off",
        ) from error


def _means(
    raws: Iterable[dict[str, Any]], location: int, window: Interval, least_coverage: float
) -> tuple[list[Measured], list[Reject]]:
    """Return the means of the hours of a window at a location, and what was refused."""
    measured: list[Measured] = []
    hours: _Hours = defaultdict(_Hour)
    sorted_in = [_sorted_in(hours, raw, location) for raw in raws]
    rejects = [refused for refused in sorted_in if refused]
    usual = _usual_counts(hours)
    for (sensor, pollutant, label), hour in sorted(hours.items()):
        if not _holds(window, label):
            continue
        rows = [hour.rows[ended] for ended in sorted(hour.rows)]
        share = min(100.0, 100.0 * len(rows) / usual[sensor, pollutant, _day(rows[0])])
        mean = _mean(rows, label, location, share)
        if share < least_coverage:
            rejects += [Reject(Reason.COVERAGE_LOW, row.raw, label) for row in rows]
        elif mean is None:
            rejects += [Reject(Reason.UNITS_MIXED, row.raw, label) for row in rows]
        else:
            measured.append(mean)
    return measured, rejects


def _with_cells(row: dict[str | Any, Any]) -> dict[str, Any]:
    """Return a row by column; under `cells` those of a row that has too many, or too few."""
    named = {str(name): cell for name, cell in row.items() if name is not None}
    if len(named) == len(row) and None not in named.values():
        return named
    return {**named, "cells": [*named.values(), *row.get(None, ())]}


def _hours_held(files: Mapping[date, Sequence[Mapping[str, Any]]]) -> Iterator[Interval]:
    """Yield the hours that files cover: the local day, on the clock that their rows tell.

    A file without a row that can be read has the clock of the others.
    """
    zones = {day: {zone for raw in rows if (zone := _zone(raw))} for day, rows in files.items()}
    others = set[tzinfo]().union(*zones.values())
    for day, found in zones.items():
        for zone in found or others:
            begins = datetime.combine(day, time(), zone)
            ends = begins + timedelta(days=1)
            last = hour_of(ends) + (ends != to_datetime(hour_of(ends)))
            yield Interval(hour_of(begins) + 1, last + 1)


def _zone(raw: Mapping[str, Any]) -> tzinfo | None:
    moment = instant(raw["datetime"])
    return None if moment is None else moment.tzinfo


def _sorted_in(hours: _Hours, raw: dict[str, Any], location: int) -> Reject | None:
    """Put a row to its sensor and hour; return what is refused because of it.

    Only rows of parameters that are known and not used (weather) are left out.
    """
    if "cells" in raw:
        moments = (instant(cell) for cell in raw["cells"])
        moment = next((found for found in moments if found), None)
        return Reject(Reason.ROW_UNREADABLE, raw, _label(moment) if moment else None)
    if raw["parameter"] in OTHER_PARAMETERS:
        return None
    if raw["parameter"] not in POLLUTANTS:
        moment = instant(raw["datetime"])
        return Reject(Reason.PARAMETER_UNKNOWN, raw, _label(moment) if moment else None)
    row = _read(raw, location)
    if isinstance(row, Reject):
        return row
    hour = hours[row.sensor, row.pollutant, row.label]
    earlier = hour.rows.get(row.ended)
    hour.rows[row.ended] = row
    if earlier is None or (earlier.value, earlier.unit) == (row.value, row.unit):
        return None
    return Reject(Reason.DUPLICATE_HOUR, earlier.raw, row.label)


def _read(raw: dict[str, Any], location: int) -> _Row | Reject:
    ended = instant(raw["datetime"])
    if ended is None or not (raw["sensors_id"] or "").isdecimal():
        return Reject(Reason.TIME_UNPARSEABLE, raw)
    unit, value = unit_of(raw["units"]), _number(raw["value"])
    row = _Row(ended, raw["parameter"], unit or "", int(raw["sensors_id"]), value or 0.0, raw)
    if raw["location_id"] != str(location):
        return Reject(Reason.WRONG_STATION, raw, row.label)
    if not (raw["value"] or "").strip():
        return Reject(Reason.VALUE_MISSING, raw, row.label)
    if value is None or unit is None:
        return Reject(Reason.CONCENTRATION_UNUSABLE, raw, row.label)
    if not is_usable(row.pollutant, value, unit):
        return Reject(Reason.OUTSIDE_SCALE, raw, row.label)
    return row


def _label(ended: datetime) -> int:
    """Return the hour, by its end, that a measurement ended in."""
    hour = hour_of(ended)
    return hour if ended == to_datetime(hour) else hour + 1


def _mean(rows: Sequence[_Row], label: int, location: int, share: float) -> Measured | None:
    """Return the mean of an hour, exact before it is rounded to a float; in the last row's unit.

    None if the rows have units that cannot be converted into that one.
    """
    one = rows[-1]
    try:
        values = [converted(row.value, row.unit, one.unit, row.pollutant) for row in rows]
    except ValueError:  # particles counted in ppb beside ug/m3
        return None
    mean = float(sum(map(Fraction, values), Fraction()) / len(rows))
    local = wall_clock(to_datetime(label).astimezone(one.ended.tzinfo))
    return Measured(label, local, one.pollutant, mean, one.unit, location, one.sensor, share)


def _usual_counts(hours: _Hours) -> dict[tuple[int, str, date], int]:
    """Return how many measurements most hours of a sensor and day have; the larger of equals."""
    counts: defaultdict[tuple[int, str, date], Counter[int]] = defaultdict(Counter)
    for (sensor, pollutant, _), hour in hours.items():
        counts[sensor, pollutant, _day(next(iter(hour.rows.values())))][len(hour.rows)] += 1
    return {
        key: max(count_of, key=lambda count: (count_of[count], count))
        for key, count_of in counts.items()
    }


def _day(row: _Row) -> date:
    """Return the local day that the hour of a row belongs to; midnight ends a day."""
    zone = row.ended.tzinfo or UTC
    return (to_datetime(row.label) - ONE_HOUR).astimezone(zone).date()


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _holds(window: Interval, hour: int) -> bool:
    return window.start <= hour < window.end


def _days(window: Interval) -> Iterator[date]:
    """Yield the local days that may have an hour of a window, wherever the place is."""
    first = (to_datetime(window.start - 1) - _MOST_AHEAD).date()
    last = (to_datetime(window.end) + _MOST_AHEAD).date()
    for count in range((last - first).days + 1):
        yield first + timedelta(days=count)


def _name_of(location: int, day: date) -> Path:
    name = f"location-{location}-{day:%Y%m%d}.csv.gz"
    return Path(f"year={day:%Y}", f"month={day:%m}", name)
