"""What the checks of a run look at besides the readings, kept in quality/ledger.json.

With the extracted readings it is all that a verdict needs: `job=validate quality.run_dir=DIR` makes
it again, by other thresholds, without a database.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from runner.core.aqi.aqicn import AQICN
from runner.core.checkpoint import Empty, Progress
from runner.core.errors import ConfigError
from runner.core.intervals import (
    Interval,
    Intervals,
    hour_of,
    intersect,
    subtract,
    to_datetime,
    union,
)
from runner.core.stations import Station
from runner.process.files import replacing, write_text
from runner.process.secrets import masked
from runner.quality.document import Identity
from runner.quality.files import DOCUMENT, READINGS, readings_path
from runner.quality.grid import SCHEMA
from runner.quality.ledger import StationLedger


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
    """Return flat documents as a frame of `runner.quality.grid.SCHEMA`."""
    columns: dict[str, list[Any]] = {
        name: [document.get(name) for document in documents] for name in SCHEMA
    }
    columns["unknown"] = [",".join(sorted(item)) if item else None for item in columns["unknown"]]
    return pl.DataFrame(columns, SCHEMA)


NAME = "ledger.json"
_VERSION = 2
_OF_THE_OUTCOME = (
    *("run_id", "windows", "totals", "requests", "failed_requests", "throttled_requests"),
    *("of_more_hours", "of_more_stations"),
)
_QUERIES = "queries.json"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of the checks, but for the readings.

    Attributes:
        window: hours asked for, UTC.
        now: when the readings were extracted, aware.
        known: stations in `waqi_stations`.
        identity: of the run.
        outcome: the account of the run, as JSON; None if there is none.
        stations: those checked.
        entries: what the ledger knows of each, as JSON: status, error, covered, empty, rejected,
            not_asked, unknown (lists of [start, end), hours since 1970), reasons, stored.
        documents: extracted of each; None if that is not known.
    """

    window: Interval
    now: datetime
    known: frozenset[int]
    identity: Identity
    outcome: Mapping[str, Any] | None
    stations: tuple[Station, ...]
    entries: Mapping[int, Mapping[str, Any]]
    documents: Mapping[int, int] | None = None

    def ledger(self, station_idx: int) -> StationLedger:
        """Return what the ledger knows of a station."""
        entry = self.entries[station_idx]
        progress = Progress(
            covered=_intervals(entry["covered"]),
            empty=tuple(Empty(start, end, 0) for start, end in entry["empty"]),
            rejected=_intervals(entry["rejected"]),
            not_asked=_intervals(entry["not_asked"]),
            unknown=_intervals(entry["unknown"]),
        )
        return StationLedger(
            status=entry["status"],
            error=entry["error"],
            progress=progress,
            reasons={int(hour): reason for hour, reason in entry["reasons"].items()},
            stored=entry["stored"],
            scale=entry.get("scale", AQICN.name),
        )

    def of(self, ids: Collection[int], identity: Identity) -> Inputs:
        """Return the part of some stations, under another identity."""
        kept = tuple(one for one in self.stations if one.idx in ids)
        return replace(self, stations=kept, identity=identity)

    def write(self, directory: Path, redact: Callable[[str], str]) -> None:
        """Write the file.

        Raises:
            OSError: it cannot be written.
        """
        outcome = self.outcome
        content = {
            "version": _VERSION,
            "window": [self.window.start, self.window.end],
            "now": self.now.isoformat(),
            "known": sorted(self.known),
            "identity": asdict(self.identity),
            "outcome": outcome and {k: outcome[k] for k in _OF_THE_OUTCOME if k in outcome},
            "stations": [asdict(one) | dict(self.entries[one.idx]) for one in self.stations],
        }
        write_text(directory / NAME, json.dumps(masked(content, redact), ensure_ascii=False))


def entry_of(known: StationLedger) -> dict[str, Any]:
    """Return what is known of a station besides its readings, as JSON."""
    progress = known.progress
    noted = ("covered", "rejected", "not_asked", "unknown")
    return {
        "status": known.status,
        "error": known.error,
        **{name: [[*piece] for piece in getattr(progress, name)] for name in noted},
        "empty": [[item.start, item.end] for item in progress.empty],
        "reasons": {str(hour): reason for hour, reason in known.reasons.items()},
        "stored": known.stored,
        "scale": known.scale,
    }


def _of_version_1(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry that an older version wrote in the form of this one."""
    covered, empty = _intervals(entry["covered"]), _intervals(entry["empty"])
    rejected = intersect(covered, _intervals(entry["rejected"]))
    unknown = () if entry["accounts"] else subtract(covered, (*empty, *rejected))
    return {
        **entry,
        "empty": [[*piece] for piece in union((*empty, *rejected))],
        "rejected": [[*piece] for piece in rejected],
        "not_asked": [],
        "unknown": [[*piece] for piece in unknown],
        "reasons": {},
        "stored": None,
    }


def read_inputs(run_dir: Path) -> Inputs:
    """Return what a run directory keeps.

    Raises:
        ConfigError: it does not keep its inputs, or no readings.
    """
    directory = run_dir / "quality"
    try:
        kept = json.loads((directory / NAME).read_text(encoding="utf-8"))
        document = json.loads((directory / DOCUMENT).read_text(encoding="utf-8"))
        if kept["version"] not in (1, _VERSION):
            raise ConfigError(f"{directory / NAME} is of another version: {kept['version']}")
        is_old = kept["version"] == 1
        entries = {one["idx"]: _of_version_1(one) if is_old else one for one in kept["stations"]}
        inputs = Inputs(
            window=Interval(*kept["window"]),
            now=datetime.fromisoformat(kept["now"]),
            known=frozenset(kept["known"]),
            identity=Identity(**kept["identity"]),
            outcome=kept["outcome"],
            stations=tuple(
                Station(**{name: one[name] for name in ("idx", "name", "latitude", "longitude")})
                for one in kept["stations"]
            ),
            entries=entries,
            documents={one["station_idx"]: one["documents"] for one in document["stations"]},
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{run_dir} does not hold what checks need: {type(error).__name__}: {error}",
            hint="Name a run directory with quality/ledger.json and quality/quality.json",
        ) from None
    if not (directory / READINGS).is_dir():
        raise ConfigError(
            f"{directory} keeps no readings",
            hint="Runs with quality.keep_readings=false have none: check the database instead",
        )
    return inputs


def bring_readings(run_dir: Path, directory: Path, stations: Sequence[Station]) -> None:
    """Bring what a run extracted of some stations, and the queries' answers, to another one.

    Files are linked where the file system can, and copied elsewhere; nobody changes them.

    Raises:
        OSError: a file cannot be made.
    """
    source = run_dir / "quality"
    (directory / READINGS).mkdir(parents=True, exist_ok=True)
    paths = [
        path
        for one in stations
        for path in sorted((source / READINGS).glob(f"{one.idx}-[0-9][0-9][0-9][0-9].parquet"))
    ]
    queries = source / _QUERIES
    for path in (*paths, *([queries] if queries.is_file() else [])):
        target = directory / path.relative_to(source)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)


def _intervals(pairs: Sequence[Sequence[int]]) -> Intervals:
    return tuple(Interval(start, end) for start, end in pairs)
