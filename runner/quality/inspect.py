"""The pass over all stations, one at a time: every check is made, what a page needs is summed up.

Memory grows with the largest station, not with the collection: of a station that was looked at only
its days, months and findings are kept.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import polars as pl
import structlog

from runner.core.stations import VIETNAM_H, Station
from runner.quality import aggregates
from runner.quality.catalogue import Check, Found, Level
from runner.quality.checks import checks
from runner.quality.checks.external import agreement
from runner.quality.grid import POLLUTANTS, WEATHER, StationData, day_of
from runner.quality.judge import Tally, judge_station, statuses
from runner.quality.ledger import Previous, RunData, RunLedger
from runner.quality.network import Scores
from runner.quality.policy import Policy

log = structlog.get_logger()

Load = Callable[[Station], StationData]

_SHOWN = ("aqi", "aqi_type", "s", "tz", *POLLUTANTS, *WEATHER)
"""Columns of a reading that failed a check of rows."""


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
    *,
    offset_h: int = VIETNAM_H,
    ledger: RunLedger | None = None,
    previous: Previous | None = None,
) -> Inspected:
    """Make every enabled check, and judge each station as soon as it was looked at.

    A check that breaks is an error of that check alone.

    Args:
        stations: to look at, in the order of the report.
        load: returns a station's data; called again for a station that looks like a copy.
        policy: which checks, with which parameters, and how they are judged.
        offset_h: hours that local time is ahead of UTC.
        ledger: the account of the run.
        previous: the previous run.
    """
    enabled = [check for id_, check in checks().items() if policy.rules[id_].enabled]
    tallies = {check.id: Tally() for check in enabled}
    by_id: dict[int, Station] = {}
    parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
    summaries = []
    scores = Scores(policy.false_alarms)
    for station in stations:
        by_id[station.idx] = station
        data = load(station)
        scores.look(data)
        for check in enabled:
            if check.level is not Level.RUN:
                _look(check, tallies[check.id], policy, offset_h, data)
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
        scores=scores,
    )
    of_run = [check for check in enabled if check.level is Level.RUN]
    for check in sorted(of_run, key=lambda check: check.id == "D04"):  # about all others: last
        if check.id == "D04":
            run = replace(run, statuses=statuses(tallies, policy))
        _look(check, tallies[check.id], policy, offset_h, run)
    return Inspected(tallies, station_frame, **frames)


def _look(
    check: Check, tally: Tally, policy: Policy, offset_h: int, at: StationData | RunData
) -> None:
    """Make one check once, and judge what it found; what breaks it is noted."""
    if tally.error:
        return
    began = time.perf_counter()
    station = at.station.idx if isinstance(at, StationData) else None
    params = policy.rule(check.id, station).params
    try:
        if isinstance(at, RunData):
            found = check.look(at, params)
            pieces = found.by_station() or {None: found}
            if found.looked:  # the others cannot be compared, and say so
                lacking = Found(0, note=found.note or "too little of this station to compare")
                pieces |= dict.fromkeys(set(at.ids) - set(pieces), lacking)
        elif check.level is Level.ROW:
            found = _rows(at, check.look(params))
            pieces = {station: found}
        else:
            found = check.look(at, params)
            pieces = {station: found}
        for idx, piece in pieces.items():
            tally.judged[idx] = judge_station(check, piece, policy, idx, offset_h)
            tally.found += piece.count
        rows = found.failures
        if check.worst is not None and rows.height:
            rows = rows.sort(check.worst, descending=True, nulls_last=True, maintain_order=True)
        tally.keep(rows, policy.most_failures)
    except Exception as error:
        where = f" (station {station})" if station is not None else ""
        tally.error = f"{type(error).__name__}: {error}".partition("\n")[0][:300] + where
        log.warning("check.broke", check=check.id, station_idx=station, exc_info=True)
    tally.duration_s += time.perf_counter() - began


def _rows(data: StationData, failed: pl.Expr) -> Found:
    """Make a check of rows over one station."""
    flags = data.rows.select(failed.alias("failed"))["failed"]
    count = int(flags.sum() or 0)
    if not count:
        return Found(flags.count())
    ts = pl.col("ts").cast(pl.Datetime("ms", "UTC"))
    rows = data.rows.filter(flags.fill_null(value=False))
    day = day_of(pl.col("hour") + data.scope.offset_h).alias("day")
    days = (
        data.rows.select(day, flags.alias("failed"))
        .group_by("day")
        .agg(pl.col("failed").sum(), pl.col("failed").count().alias("evaluated"))
    )
    return Found(flags.count(), rows.select("station_idx", ts, *_SHOWN), count, days=days)
