"""Readings from a directory of AirNow files: hourly PM2.5 of US embassies and consulates."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import defaultdict
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import structlog

from runner.core.aqi import AQICN_PM25, sub_index
from runner.core.errors import ConfigError
from runner.core.intervals import Interval, subtract, to_datetime, union
from runner.core.readings import Answer, Reason, Reject
from runner.core.stations import site_of
from runner.core.text import counted
from runner.sources.airnow.files import AirNowFileError, MeasurementFile, read_file
from runner.sources.airnow.settings import Sites
from runner.sources.provider import Access, Prepared, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.core.intervals import Intervals
    from runner.core.stations import Site, Station
    from runner.process.job import Job

log = structlog.get_logger()

_HINT = (
    "source.path=DIR names a directory of AirNow Department of State hourly PM2.5 CSV files, as "
    "published on airnow.gov (US Embassies and Consulates), such as Hanoi_PM2.5_2018_YTD.csv"
)


class _Row(NamedTuple):
    hour: int
    value: float
    reason: str | None
    repaired: bool
    file: int
    position: int
    offset: int


class _Archive(NamedTuple):
    """All files, merged: by station its rows, sorted by hour, and the hours that files span."""

    files: list[MeasurementFile]
    rows: dict[int, list[_Row]]
    spans: dict[int, Intervals]


def prepared(job: Job, stations: Sequence[Station]) -> Prepared:
    """Return the AirNow files of `source.path`.

    Raises:
        AirNowFileError: a file is not understood.
        ConfigError: the files have none of the stations.
    """
    source = job.config.source
    own = job.config.section("source", Sites).sites
    files = AirNowSource(Path(source.path or ""), own)
    if not any(files.offers(station.idx) for station in stations):
        sites = (site_of(name, value).station for name, value in own.items())
        offered = sorted({idx for idx in sites if files.offers(idx)})
        raise ConfigError(
            f"source={job.source}: the files in {source.path} speak of none of the "
            f"{counted(len(stations), 'chosen stations')}",
            hint=f"They speak of: 'stations.ids=[{','.join(map(str, offered))}]'",
        )

    @contextmanager
    def open_files(_access: Access) -> Iterator[AirNowSource]:
        with closing(files):
            yield files

    return Prepared(open_files, files.offers, paced=False)


class AirNowSource(Source):
    """Answers windows from AirNow files, in the shape and on the scale of AQICN.

    `aqi` and `iaqi.pm25.v` are the index of the raw one-hour concentration on the scale
    `runner.core.aqi.AQICN_PM25`: AQICN's own arithmetic, checked against its answers. The NowCast
    columns of the files are not used. Rows that quality control did not pass, and concentrations
    that are none (-999) or below zero, become rejects. Sites and parameters that were not asked for
    are ignored. A file speaks of the hours from the first row of a site to its last one; the others
    were not asked for.

    Files may overlap. Rows that say the same of an hour (value, unit, duration, quality control)
    count once, whatever the other columns say. Where files differ, the later publication decides,
    also where it withdraws a value: the file that reaches furthest in time, then the one with more
    rows (year before month), then the name that sorts last. Within one file a usable row comes
    before an unusable one, then the later line. Usable rows that lose are rejects with reason
    `duplicate_hour`.

    The directory is read once, at the first question. Thread-safe.

    Args:
        directory: the files, `*.csv`.
        sites: site name in the files -> what `runner.core.stations.site_of` reads, e.g.
            {"Hanoi": 8641}.
    """

    name = "airnow"

    def __init__(self, directory: Path, sites: Mapping[str, Any]) -> None:
        self._directory = directory
        self._sites = {name: site_of(name, value) for name, value in sites.items()}
        self._lock = Lock()
        self._archive: _Archive | None = None

    def offers(self, station_idx: int) -> bool:
        """Tell whether any file speaks of a station.

        Raises:
            AirNowFileError: the directory is missing or empty, or a file is not understood.
        """
        return station_idx in self._read().rows

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return what the files say of a window, and the hours that no file is at hand for.

        Raises:
            AirNowFileError: the directory is missing or empty, or a file is not understood.
        """
        archive = self._read()
        rows = archive.rows.get(station.idx, [])
        first = bisect_left(rows, window.start, key=lambda row: row.hour)
        end = bisect_left(rows, window.end, key=lambda row: row.hour)
        answer = Answer(
            [],
            repaired=sum(row.repaired for row in rows[first:end]),
            not_asked=subtract((window,), archive.spans.get(station.idx, ())),
        )
        for row in rows[first:end]:
            if row.reason is None:
                answer.records.append(_record(row))
            else:
                raw = archive.files[row.file].raw(row.position)
                answer.rejects.append(Reject(Reason(row.reason), raw, row.hour))
        return answer

    def measured(self, station_idx: int, window: Interval) -> list[tuple[int, float]]:
        """Return (hour, ug/m3) of a window's measurements, sorted; also of those below zero.

        Raises:
            AirNowFileError: the directory is missing or empty, or a file is not understood.
        """
        rows = self._read().rows.get(station_idx, [])
        first = bisect_left(rows, window.start, key=lambda row: row.hour)
        end = bisect_left(rows, window.end, key=lambda row: row.hour)
        decisive: dict[int, _Row] = {}
        for row in rows[first:end]:
            decisive.setdefault(row.hour, row)
        measured = (None, Reason.BELOW_ZERO)
        return [(row.hour, row.value) for row in decisive.values() if row.reason in measured]

    def close(self) -> None:
        """Forget what was read."""
        with self._lock:
            self._archive = None

    def _read(self) -> _Archive:
        with self._lock:
            if self._archive is None:
                self._archive = self._read_directory()
            return self._archive

    def _read_directory(self) -> _Archive:
        began = time.monotonic()
        try:
            paths = sorted(
                path for path in self._directory.iterdir() if path.suffix.lower() == ".csv"
            )
        except OSError as error:
            raise AirNowFileError(
                f"AirNow files: {self._directory}: {error.strerror}", hint=_HINT
            ) from error
        if not paths:
            raise AirNowFileError(f"AirNow files: no *.csv file in {self._directory}", hint=_HINT)
        offsets = {name: site.utc_offset_h for name, site in self._sites.items()}
        read = (read_file(path, offsets) for path in paths)
        files = sorted(read, key=lambda file: (file.last_hour, file.rows.height))
        merged = _merge(files, self._sites)
        rows = {
            int(idx): [_Row._make(row) for row in part.select(_Row._fields).iter_rows()]
            for (idx,), part in merged.partition_by("idx", as_dict=True).items()
        }
        log.info(
            "airnow.read",
            files=len(files),
            rows=sum(file.rows.height for file in files),
            kept={str(idx): len(kept) for idx, kept in rows.items()},
            elapsed_ms=round((time.monotonic() - began) * 1000),
        )
        return _Archive(files, rows, _spans(files, self._sites))


def _spans(files: list[MeasurementFile], sites: Mapping[str, Site]) -> dict[int, Intervals]:
    """Return by station the hours from the first to the last row of each file."""
    found: defaultdict[int, list[Interval]] = defaultdict(list)
    timed = pl.col("reason").ne_missing(Reason.TIME_UNPARSEABLE.value)
    hour = pl.col("hour")
    for file in files:
        ends = file.rows.filter(timed).group_by("site").agg(hour.min(), hour.max().alias("last"))
        for site, first, last in ends.iter_rows():
            if site in sites:
                found[sites[site].station].append(Interval(first, last + 1))
    return {idx: union(pieces) for idx, pieces in found.items()}


def _merge(files: list[MeasurementFile], sites: Mapping[str, Site]) -> pl.DataFrame:
    """Return the distinct rows of known sites by hour, in the order they decide an hour.

    Args:
        files: in order of publication, the earliest first.
        sites: by name.
    """
    numbers = pl.DataFrame(
        [(name, *site) for name, site in sites.items()],
        {"site": pl.String, "idx": pl.Int64, "offset": pl.Int64},
        orient="row",
    )
    everything = pl.concat(
        file.rows.with_columns(file=pl.lit(number, pl.Int64)) for number, file in enumerate(files)
    )
    mistimed = pl.col("reason").eq_missing(Reason.TIME_UNPARSEABLE.value)
    distinct = (
        everything.join(numbers, on="site")
        .sort(
            pl.col("hour"),
            mistimed,
            -pl.col("file"),
            pl.col("reason").is_not_null(),
            -pl.col("position"),
        )
        .unique(["idx", "hour", "said", "reason"], keep="first", maintain_order=True)
    )
    decides = pl.struct("idx", "hour").is_first_distinct()
    return distinct.with_columns(
        pl.when(pl.col("reason").is_null() & ~decides)
        .then(pl.lit(Reason.DUPLICATE_HOUR.value))
        .otherwise(pl.col("reason"))
        .alias("reason"),
        pl.col("value").fill_null(math.nan),
    )


def _record(row: _Row) -> dict[str, Any]:
    index = sub_index(AQICN_PM25, row.value)
    wall = to_datetime(row.hour + row.offset)
    return {
        "aqi": index,
        "iaqi": {"pm25": {"v": index}},
        "time": {"s": f"{wall:%Y-%m-%d %H:%M:%S}", "tz": f"{row.offset:+03}:00"},
    }
