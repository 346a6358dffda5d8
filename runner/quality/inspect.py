"""The pass over all stations, one at a time: every check is made, what a page needs is summed up.

Memory grows with the largest station, not with the collection: of a station that was looked at only
its days, months and findings are kept.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl
import structlog

from runner.core.stations import Station
from runner.core.verdict import Status
from runner.quality import aggregates
from runner.quality.catalogue import Check, Found, Level
from runner.quality.checks import checks
from runner.quality.checks.external import agreement
from runner.quality.grid import POLLUTANTS, WEATHER, StationData
from runner.quality.ledger import Previous, RunData, RunLedger
from runner.quality.policy import Policy

log = structlog.get_logger()

Load = Callable[[Station], StationData]
Judge = Callable[[Mapping[str, "Tally"]], Mapping[str, Status]]

_SHOWN = ("aqi", "aqi_type", "s", "tz", *POLLUTANTS, *WEATHER)
"""Columns of a reading that failed a check of rows."""


@dataclass(slots=True)
class Tally:
    """What one check found so far.

    Attributes:
        evaluated: how many were looked at.
        failed: how many failed.
        by_station: how many failed, by station; run checks may know no station.
        failures: rows that failed, at most as many as the policy keeps.
        note: what a person should know.
        error: the exception that broke the check, in words; empty if none did.
        duration_s: time spent.
    """

    evaluated: int = 0
    failed: float = 0
    by_station: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    failures: list[pl.DataFrame] = field(default_factory=list)
    note: str = ""
    error: str = ""
    duration_s: float = 0.0
    kept: int = 0

    def add(self, found: Found, most: int, station: int | None = None) -> None:
        """Add what was found of one station, or of the run."""
        self.evaluated += found.evaluated
        self.failed += found.count
        self.note = self.note or found.note
        if found.failures.height:
            piece = found.failures.head(max(0, most - self.kept))
            self.kept += piece.height
            self.failures += [piece] if piece.height else []
        if station is not None:
            if found.count:
                self.by_station[station] += found.count
        elif "station_idx" in found.failures.columns:
            for (idx,), rows in found.failures.group_by("station_idx", maintain_order=True):
                self.by_station[int(idx)] += rows.height

    @property
    def rows(self) -> pl.DataFrame:
        """The rows that failed."""
        return pl.concat(self.failures, how="vertical_relaxed") if self.failures else pl.DataFrame()


@dataclass(frozen=True)
class Inspected:
    """What a pass found.

    Attributes:
        tallies: by check id.
        stations: agg/stations.parquet.
        days: agg/day.parquet; `day` counts local days since 1970.
        months: agg/month.parquet.
        diurnal: agg/diurnal.parquet.
        categories: agg/category.parquet.
        gaps: runs of missing hours, `start` and `end` as hours since 1970.
        stretches: the same in runs of one cause.
        external: how far WAQI's daily files agree, `runner.quality.checks.external.AGREEMENT`.
    """

    tallies: dict[str, Tally]
    stations: pl.DataFrame
    days: pl.DataFrame
    months: pl.DataFrame
    diurnal: pl.DataFrame
    categories: pl.DataFrame
    gaps: pl.DataFrame
    stretches: pl.DataFrame
    external: pl.DataFrame


def inspect(
    stations: Iterable[Station],
    load: Load,
    policy: Policy,
    judge: Judge,
    *,
    ledger: RunLedger | None = None,
    previous: Previous | None = None,
) -> Inspected:
    """Make every enabled check.

    A check that breaks is an error of that check alone.

    Args:
        stations: to look at, in the order of the report.
        load: returns a station's data; called again for a station that looks like a copy.
        policy: which checks, with which parameters.
        judge: returns the statuses of tallies, for the checks about checks.
        ledger: the account of the run.
        previous: the previous run.
    """
    enabled = [check for id_, check in checks().items() if policy.rules[id_].enabled]
    tallies = {check.id: Tally() for check in enabled}
    by_id: dict[int, Station] = {}
    parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
    summaries = []
    for station in stations:
        by_id[station.idx] = station
        data = load(station)
        for check in enabled:
            if check.level is not Level.RUN:
                _look(check, tallies[check.id], policy, data)
        parts["days"].append(aggregates.by_day(data))
        parts["months"].append(aggregates.by_month(data))
        parts["diurnal"].append(aggregates.by_hour_of_day(data))
        parts["categories"].append(aggregates.by_category(data))
        parts["gaps"].append(data.gaps)
        parts["stretches"].append(data.stretches)
        parts["external"].append(agreement(data, policy.rules["E01"].params))
        summaries.append(aggregates.summary(data))
    frames = {name: pl.concat(pieces) for name, pieces in parts.items()}
    station_frame = pl.DataFrame(summaries, aggregates.STATION_SCHEMA)
    run = RunData(
        frames["days"],
        station_frame,
        lambda idx: load(by_id[idx]).hours.filter("present").select("hour", "aqi"),
        ledger,
        previous,
    )
    of_run = [check for check in enabled if check.level is Level.RUN]
    for check in sorted(of_run, key=lambda check: check.id == "D04"):  # about all others: last
        if check.id == "D04":
            run = RunData(run.days, run.stations, run.series, ledger, previous, judge(tallies))
        _look(check, tallies[check.id], policy, run)
    return Inspected(tallies, station_frame, **frames)


def _look(check: Check, tally: Tally, policy: Policy, at: StationData | RunData) -> None:
    """Make one check once; what breaks it is noted."""
    if tally.error:
        return
    began = time.perf_counter()
    station = at.station.idx if isinstance(at, StationData) else None
    try:
        params = policy.rules[check.id].params
        if check.level is Level.ROW and isinstance(at, StationData):
            found = _rows(at, check.look(params), policy.most_failures - tally.kept)
        else:
            found = check.look(at, params)
        tally.add(found, policy.most_failures, station)
    except Exception as error:
        where = f" (station {station})" if station is not None else ""
        tally.error = f"{type(error).__name__}: {error}".partition("\n")[0][:300] + where
        log.warning("check.broke", check=check.id, station_idx=station, exc_info=True)
    tally.duration_s += time.perf_counter() - began


def _rows(data: StationData, failed: pl.Expr, most: int) -> Found:
    """Make a check of rows over one station."""
    flags = data.rows.select(failed.alias("failed"))["failed"]
    count = int(flags.sum() or 0)
    if not count:
        return Found(flags.count())
    ts = pl.col("ts").cast(pl.Datetime("ms", "UTC"))
    rows = data.rows.filter(flags.fill_null(value=False)).head(max(0, most))
    return Found(flags.count(), rows.select("station_idx", ts, *_SHOWN), count)
