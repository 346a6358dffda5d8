"""A small world to check: synthetic stations without a flaw, and everything a fault may change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from runner.config.files import standard_checks
from runner.config.quality import Quality
from runner.core.checkpoint import Empty, Progress
from runner.core.intervals import Interval, hour_of, subtract, union
from runner.core.stations import Station
from runner.quality.assess import assess
from runner.quality.document import Identity
from runner.quality.files import find_previous
from runner.quality.grid import POLLUTANTS, WEATHER, Scope, StationData
from runner.quality.inputs import frame
from runner.quality.ledger import Previous, StationLedger, run_ledger
from runner.quality.policy import Policy, policy_of
from runner.sources.sandbox.climatology import Climatology

STATIONS = (8641, 8767, 1583, -476599, 30012)
"""All but 8767 stand in Hanoi."""
KNOWN = 8641
"""The station that faults are injected into, if no test names another."""
WINDOW = Interval(
    hour_of(datetime(2023, 3, 1, tzinfo=UTC)), hour_of(datetime(2023, 7, 1, tzinfo=UTC))
)
NOW = datetime(2023, 7, 10, tzinfo=UTC)
HOUR_MS = 3_600_000


def document_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of the sandbox as the extraction gives its stored reading."""
    local = datetime.fromisoformat(record["time"]["s"]).replace(tzinfo=UTC)
    values = {key: float(item["v"]) for key, item in record["current_iaqi"].items()}
    return {
        "ts": int((local - timedelta(hours=7)).timestamp() * 1000),
        "ts_type": "date",
        "idx_type": "int",
        "aqi_type": "int",
        "aqi": float(record["current_aqi"]),
        "s": record["time"]["s"],
        "tz": record["time"]["tz"],
        **{key: values.get(key) for key in (*POLLUTANTS, *WEATHER)},
        "unknown": None,
    }


@cache
def clean(seed: int, station_idx: int, window: Interval = WINDOW) -> pl.DataFrame:
    """Return the readings of a station without gaps."""
    records = Climatology(seed, missing_rate=0, dash_rate=0).records(station_idx, window)
    return frame([document_of(record) for record in records])


def outcome(windows: int = 100) -> dict[str, Any]:
    """Return the outcome of a run without a flaw."""
    return {
        "run_id": "run-1",
        "windows": {
            "planned": windows,
            "ok": windows,
            "empty": 0,
            "failed": 0,
            "not_attempted": 0,
        },
        "totals": {"records": 1000, "inserted": 900, "updated": 60, "unchanged": 30, "rejects": 10},
        "requests": windows,
        "failed_requests": 0,
        "throttled_requests": 0,
    }


@dataclass
class World:
    """Everything that checks look at."""

    frames: dict[int, pl.DataFrame]
    scope: Scope
    ledgers: dict[int, StationLedger] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=outcome)
    previous: Previous | None = None
    directory: Path = Path()
    names: dict[int, str] = field(default_factory=dict)
    known: int = KNOWN
    """The station that faults are injected into."""

    @property
    def readings(self) -> pl.DataFrame:
        """The readings of the known station."""
        return self.frames[self.known]

    @readings.setter
    def readings(self, rows: pl.DataFrame) -> None:
        self.frames[self.known] = rows

    def change(self, at: pl.Expr, **values: Any) -> None:
        """Set columns of the known station's readings where an expression over them is true."""
        self.readings = self.readings.with_columns(
            pl.when(at).then(value).otherwise(pl.col(name)).alias(name)
            for name, value in values.items()
        )

    def lose(
        self, hours: set[int], station_idx: int | None = None, *, fetched: bool = True
    ) -> None:
        """Take readings out; the ledger says that the source had nothing, or was not asked."""
        station_idx = self.known if station_idx is None else station_idx
        rows = self.frames[station_idx]
        kept = ~(pl.col("ts") // HOUR_MS).is_in(sorted(hours))
        self.frames[station_idx] = rows.filter(kept)
        progress = self.ledgers[station_idx].progress
        pieces = union(Interval(hour, hour + 1) for hour in hours)
        if fetched:
            empty = (*progress.empty, *(Empty(*piece, 0) for piece in pieces))
            self.note(station_idx, empty=empty)
        else:
            self.note(station_idx, covered=subtract(progress.covered, pieces))

    def note(self, station_idx: int | None = None, **changes: Any) -> None:
        """Change what the checkpoint knows of a station's hours."""
        station_idx = self.known if station_idx is None else station_idx
        ledger = self.ledgers[station_idx]
        progress = ledger.progress._replace(**changes)
        self.ledgers[station_idx] = replace(ledger, progress=progress)

    def check(self, policy: Policy | None = None, fail_on: str = "fail") -> dict[str, Any]:
        """Write all files and return quality.json."""
        target = self.directory / "quality"
        target.mkdir(parents=True, exist_ok=True)
        keys = self.previous.keys() if self.previous else {}

        def load(station: Station) -> StationData:
            idx = station.idx
            return StationData(
                station, self.frames[idx], self.ledgers[idx], self.scope, keys.get(idx)
            )

        made = assess(
            target,
            [Station(idx, self.names.get(idx, f"Station {idx}")) for idx in sorted(self.frames)],
            load,
            self.scope,
            policy or policy_of(Quality(), standard_checks(), NOW.date()),
            Identity(
                run_id="run-1",
                job="backfill",
                command="python -m runner",
                fingerprint="f",
                subject={"range": "r"},
                database="test",
                source="sandbox",
                versions={"runner": "0", "polars": pl.__version__},
                resume_command="python -m runner",
                retry_command="python -m runner job=retry",
                accept_command="python -m runner job=validate 'quality.accepted=[ACCEPTED]'",
                active_command="python -m runner job=validate quality.expected=active",
            ),
            fail_on=fail_on,
            ledger=run_ledger(self.outcome),
            previous=self.previous,
            redact=str,
        )
        assert made == json.loads((target / "quality.json").read_text("utf-8"))
        return made

    def as_previous(self) -> Previous:
        """Return what this world would leave, as the run before."""
        kept = self.directory
        self.directory = kept / "before"
        self.check()
        found = find_previous(str(self.directory), kept, "another", "f", "test")
        self.directory = kept
        assert found is not None
        return found


def world(directory: Path, seed: int = 1, stations: tuple[int, ...] = STATIONS) -> World:
    """Return a world without a flaw."""
    scope = Scope(WINDOW, NOW, known=frozenset(stations))
    covered = StationLedger("completed", progress=Progress((WINDOW,)))
    return World(
        {idx: clean(seed, idx) for idx in stations},
        scope,
        dict.fromkeys(stations, covered),
        directory=directory,
    )


def fired(made: dict[str, Any]) -> dict[str, str]:
    """Return the checks that found something, with their statuses."""
    return {
        item["id"]: item["status"]
        for item in made["checks"]
        if item["status"] not in ("pass", "not_evaluated")
    }


def check(made: dict[str, Any], check_id: str) -> dict[str, Any]:
    """Return what is said of one check."""
    found: dict[str, Any] = next(item for item in made["checks"] if item["id"] == check_id)
    return found
