"""Readings from local copies of OpenAQ's archive: a gzipped CSV file a location and local day.

    records/csv.gz/locationid=7441/year=2018/month=01/location-7441-20180101.csv.gz

    location_id,sensors_id,location,datetime,lat,lon,parameter,units,value
    7441,21632,Hanoi-7441,2023-01-01T01:00:00+07:00,21.021939,105.818806,pm25,µg/m³,71.0

Its rows are measurements as reported, an hour apart or five minutes. Their times are those of the
end, so a day's file runs to midnight of the next. An hour's value is the mean of those that ended
in it, its label is its end, as with `runner.sources.openaq`. How many measurements an hour should
have is not said: it is what most hours of the sensor have on that day.

A day without a file has no measurement: whether OpenAQ has none, or it was not copied, cannot be
told. A location without a folder fails its station.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from runner.core.concentrations import (
    POLLUTANTS,
    Measured,
    is_usable,
    settle,
    unit_of,
)
from runner.core.errors import ArchiveFileError
from runner.core.indices import CONTEXT_H
from runner.core.intervals import ONE_HOUR, Interval, hour_of, to_datetime
from runner.core.readings import Answer, Reason, Reject
from runner.core.stations import Station
from runner.sources.openaq_rows import Keep, instant, wall_clock

COLUMNS = ("location_id", "sensors_id", "datetime", "parameter", "units", "value")
"""Those that are read."""
_WHERE = Path("records", "csv.gz")
_MOST_AHEAD = timedelta(hours=14)
"""The largest offset from UTC: a local day may begin so much earlier."""


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
        hour = hour_of(self.ended)
        return hour if self.ended == to_datetime(hour) else hour + 1


@dataclass(slots=True)
class _Hour:
    """The measurements of one sensor that ended in one hour, by their time."""

    rows: dict[datetime, _Row] = field(default_factory=dict)


class OpenAqArchive:
    """Answers windows from files of the archive. Thread-safe: it remembers only names of places.

    Args:
        directory: holds `records/csv.gz`, or the folders `locationid=…` themselves.
        locations: station index to OpenAQ locations, the one that decides first.
        scale: names the scale of the sub-indices.
        least_coverage: percent of the usual measurements that an hour needs to count.
    """

    name = "openaq_archive"
    paced = False

    def __init__(
        self,
        directory: Path,
        locations: Mapping[int, Sequence[int]],
        *,
        scale: str,
        least_coverage: float,
    ) -> None:
        copied = directory / _WHERE
        self._directory = copied if copied.is_dir() else directory
        self._locations = locations
        self._scale = scale
        self._least_coverage = least_coverage
        self._names: dict[tuple[int, int], str] = {}
        self.keep: Keep | None = None
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

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return what the files say of the hours of a window.

        Raises:
            ArchiveFileError: a location has no folder, or a file is not understood.
            StoreError: the concentrations could not be kept.
        """
        measured: list[Measured] = []
        rejects: list[Reject] = []
        locations = self._locations.get(station.idx, ())
        looked_at = Interval(window.start - CONTEXT_H, window.end)
        for location in locations:
            hours: defaultdict[tuple[int, int], _Hour] = defaultdict(_Hour)
            for raw in self._rows(station, location, looked_at):
                refused = _sorted_in(hours, raw, location)
                if refused and (refused.hour is None or _holds(window, refused.hour)):
                    rejects.append(refused)
            usual = _usual_counts(hours)
            for (sensor, label), hour in sorted(hours.items()):
                if not _holds(looked_at, label):
                    continue
                rows = [hour.rows[ended] for ended in sorted(hour.rows)]
                share = min(100.0, 100.0 * len(rows) / usual[sensor, _day(rows[0])])
                if share >= self._least_coverage:
                    measured.append(_mean(rows, label, location, share))
                elif _holds(window, label):
                    rejects += [Reject(Reason.COVERAGE_LOW, row.raw, label) for row in rows]
        settled = settle(measured, locations, self._scale, window)
        if self.keep and settled.hours:
            self.keep(station, settled.hours)
        return Answer(settled.records, [*rejects, *settled.rejects])

    def _folder(self, location: int) -> Path:
        return self._directory / f"locationid={location}"

    def _rows(self, station: Station, location: int, window: Interval) -> Iterator[dict[str, Any]]:
        """Yield the rows of all days that may have an hour of the window."""
        folder = self._folder(location)
        if not folder.is_dir():
            raise ArchiveFileError(
                f"there is no {folder.name} in {self._directory}",
                hint="Copy it: aws s3 sync --no-sign-request s3://openaq-data-archive/records/"
                f"csv.gz/{folder.name} {folder}",
            )
        first = (to_datetime(window.start - 1) - _MOST_AHEAD).date()
        last = (to_datetime(window.end) + _MOST_AHEAD).date()
        for count in range((last - first).days + 1):
            path = folder / _name_of(location, first + timedelta(days=count))
            for raw in read_file(path) if path.is_file() else ():
                self._names.setdefault((station.idx, location), raw.get("location") or "")
                yield raw


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
            return [{**row, "file": path.name, "line": reader.line_num} for row in reader]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ArchiveFileError(
            f"{path.name}: cannot be read: {getattr(error, 'strerror', None) or error}",
            hint="Copy it again: the archive rewrites files, and a copy may have been cut off",
        ) from error


def _sorted_in(
    hours: dict[tuple[int, int], _Hour], raw: dict[str, Any], location: int
) -> Reject | None:
    """Put a row to its sensor and hour; return what is refused because of it.

    Rows of weather and the like are left out without a word, as sensors of those are.
    """
    if raw["parameter"] not in POLLUTANTS:
        return None
    row = _read(raw, location)
    if isinstance(row, Reject):
        return row
    hour = hours[row.sensor, row.label]
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


def _mean(rows: Sequence[_Row], label: int, location: int, share: float) -> Measured:
    """Return the mean of an hour, exact before it is rounded to a float."""
    one = rows[-1]
    mean = float(sum((Fraction(row.value) for row in rows), Fraction()) / len(rows))
    local = wall_clock(to_datetime(label).astimezone(one.ended.tzinfo))
    return Measured(label, local, one.pollutant, mean, one.unit, location, one.sensor, share)


def _usual_counts(hours: Mapping[tuple[int, int], _Hour]) -> dict[tuple[int, date], int]:
    """Return how many measurements most hours of a sensor and day have; the larger of equals."""
    counts: defaultdict[tuple[int, date], Counter[int]] = defaultdict(Counter)
    for (sensor, _label), hour in hours.items():
        counts[sensor, _day(next(iter(hour.rows.values())))][len(hour.rows)] += 1
    return {key: max(told, key=lambda count: (told[count], count)) for key, told in counts.items()}


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


def _name_of(location: int, day: date) -> Path:
    name = f"location-{location}-{day:%Y%m%d}.csv.gz"
    return Path(f"year={day:%Y}", f"month={day:%m}", name)
