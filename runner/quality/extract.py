"""Stored readings to Parquet, once: a file a station and UTC year, a year at a time in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.stations import Station
from runner.files import replacing
from runner.quality.files import readings_path
from runner.quality.frames import SCHEMA


class Documents(Protocol):
    """Flat documents of readings, see `runner.store.flat_readings`."""

    def of(self, station_idx: int, window: Interval) -> Iterator[dict[str, Any]]:
        """Yield those of a window."""
        ...

    def odd(self, station_idx: int, now: datetime) -> Iterator[dict[str, Any]]:
        """Yield those in the future or without a date."""
        ...


def extract(
    stations: Iterable[Station],
    window: Interval,
    documents: Documents,
    directory: Path,
    now: datetime,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Write readings/<station>-<year>.parquet; return how many documents there are.

    What lies in the future or has no date goes into the file of the window's last year. A year
    without a document has no file.

    Args:
        stations: to extract.
        window: hours, UTC.
        documents: the collection.
        directory: of the quality files.
        now: the present, aware.
        check: called for every file; raises where the work is to end.

    Raises:
        StoreError: MongoDB could not answer.
        OSError: a file cannot be written.
    """
    total = 0
    (directory / "readings").mkdir(parents=True, exist_ok=True)
    for station in stations:
        pieces = list(years(window))
        for piece in pieces:
            check()
            found = list(documents.of(station.idx, piece))
            if piece == pieces[-1]:
                found += documents.odd(station.idx, now)
            if not found:
                continue
            total += len(found)
            year = to_datetime(piece.start).year
            with replacing(readings_path(directory, station.idx, year)) as path:
                frame(found).sort("ts").write_parquet(path)
    return total


def years(window: Interval) -> Iterator[Interval]:
    """Yield the parts of a window in each UTC year."""
    start = window.start
    while start < window.end:
        next_year = datetime(to_datetime(start).year + 1, 1, 1, tzinfo=UTC)
        end = min(window.end, hour_of(next_year))
        yield Interval(start, end)
        start = end


def frame(documents: list[dict[str, Any]]) -> pl.DataFrame:
    """Return flat documents as a frame of `runner.quality.frames.SCHEMA`."""
    columns: dict[str, list[Any]] = {
        name: [document.get(name) for document in documents] for name in SCHEMA
    }
    columns["unknown"] = [",".join(sorted(item)) if item else None for item in columns["unknown"]]
    return pl.DataFrame(columns, SCHEMA)
