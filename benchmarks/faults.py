"""`python -m benchmarks.faults`: how many injected faults the checks find, and how often they err.

The air is real: three years of eight neighbouring stations in Beijing (UCI Machine Learning
Repository 501, CC BY 4.0), not part of the project. Indices come from the product's own tables.
One fault at a time goes into one station; the product's own `assess` judges all of them, as after
a first load, without an earlier run. Limits were set on the first half of the years (`--half=1`),
the figures in docs/quality.md are of the second.

A fault is found if a check warns or fails, blames its station, and names a time inside it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.fault_kinds import FAULTS, World, stored
from benchmarks.performance import machine, write_section
from runner.config.files import standard_checks
from runner.config.quality import CheckRule, Quality
from runner.core.checkpoint import Empty, Progress
from runner.core.intervals import Interval, hour_of, union
from runner.core.stations import Station
from runner.quality.assess import assess
from runner.quality.document import Identity
from runner.quality.grid import HOUR_MS, Scope, StationData
from runner.quality.ledger import StationLedger
from runner.quality.policy import policy_of

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "beijing"
OFFSET_H = 8
NOW = datetime(2016, 6, 1, tzinfo=UTC)
_CUT = hour_of(datetime(2014, 9, 1, tzinfo=UTC)) - OFFSET_H
HALVES = {
    1: Interval(hour_of(datetime(2013, 3, 1, tzinfo=UTC)) - OFFSET_H, _CUT),
    2: Interval(_CUT, hour_of(datetime(2016, 3, 1, tzinfo=UTC)) - OFFSET_H),
}
_A_YEAR_H = 8766
_ONE_ALARM_H = 31 * 24
"""Findings of one check at one station closer than this are one warning."""
_HERE = {"V04": CheckRule(params={"t": [-25, 45]})}
"""The winter of Beijing is colder than Vietnam's."""
_NAMES = {
    "pm25_ug_m3": "pm25", "pm10_ug_m3": "pm10", "so2_ug_m3": "so2", "no2_ug_m3": "no2",
    "co_ug_m3": "co", "o3_ug_m3": "o3", "temp_c": "t", "pres_hpa": "p", "wind_m_s": "w",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says of one station, with one stretch of hours: [start, end)."""

    check: str
    station: int
    start: int
    end: int
    dimension: str


@dataclass(frozen=True)
class Trial:
    """How one fault went.

    Attributes:
        fault: its name.
        stations: those it was put into.
        within: its hours.
        found_by: checks that name a station and an hour of it.
        others: findings at other stations that clean data does not have.
        seconds: processor time.
    """

    fault: str
    stations: Sequence[int]
    within: Sequence[Interval]
    found_by: Sequence[str]
    others: Sequence[Finding] = ()
    seconds: float = field(default=0.0, compare=False)


@cache
def air(half: int) -> tuple[tuple[Station, ...], dict[int, pl.DataFrame]]:
    """Return the stations, and what was measured at each: hour (UTC), ug/m3, weather."""
    window = HALVES[half]
    places = pl.read_csv(DATA / "stations.csv")
    hours = pl.read_parquet(next(iter(DATA.glob("hourly_*.parquet"))))
    local = pl.col("local_time").dt.epoch("s") // 3600
    # August-Roche-Magnus: relative humidity from temperature and dew point
    dew, temp = pl.col("dewp_c").cast(pl.Float64), pl.col("temp_c").cast(pl.Float64)
    humid = (17.625 * dew / (243.04 + dew) - 17.625 * temp / (243.04 + temp)).exp() * 100
    hours = hours.select(
        "station",
        (local - OFFSET_H).cast(pl.Int64).alias("hour"),
        *(pl.col(old).cast(pl.Float64).round(2).alias(new) for old, new in _NAMES.items()),
        humid.clip(0, 100).round(0).alias("h"),
    ).filter(pl.col("hour").is_between(window.start, window.end - 1))
    stations, frames = [], {}
    for number, (name, latitude, longitude) in enumerate(places.iter_rows()):
        idx = 101 + number
        stations.append(Station(idx, name, latitude, longitude))
        frames[idx] = hours.filter(pl.col("station") == name).drop("station").sort("hour")
    return tuple(stations), frames


@cache
def documents(half: int) -> dict[int, pl.DataFrame]:
    """Return the stored readings of every station, without a fault."""
    return {idx: stored(frame, OFFSET_H) for idx, frame in air(half)[1].items()}


@cache
def ledgers_of(half: int) -> dict[int, StationLedger]:
    """Return what the ledger knows: the source had nothing for the hours without a reading."""
    window, made = HALVES[half], {}
    for idx, rows in documents(half).items():
        there = set((rows["ts"] // HOUR_MS).to_list())
        lacking = union(Interval(at, at + 1) for at in range(*window) if at not in there)
        empty = tuple(Empty(*piece, 0) for piece in lacking)
        made[idx] = StationLedger("completed", progress=Progress((window,), empty))
    return made


def check(frames: dict[int, pl.DataFrame], half: int) -> list[Finding]:
    """Let the product judge stored readings; return what warns or fails."""
    window = HALVES[half]
    stations, _air = air(half)
    scope = Scope(window, NOW, offset_h=OFFSET_H, known=frozenset(frames))
    ledgers = ledgers_of(half)

    def load(station: Station) -> StationData:
        return StationData(station, frames[station.idx], ledgers[station.idx], scope)

    with tempfile.TemporaryDirectory(prefix="airq-faults-") as made:
        document = assess(
            Path(made),
            stations,
            load,
            scope,
            policy_of(Quality(checks=_HERE), standard_checks(), NOW.date()),
            Identity("run-1", "backfill", "", "f", {}, "test", "faults", {}),
            fail_on="fail",
            ledger=None,
            previous=None,
            redact=str,
        )
        return list(_findings(document, Path(made), window))


def _findings(document: dict[str, Any], directory: Path, window: Interval) -> Iterator[Finding]:
    for item in document["checks"]:
        if item["status"] == "error":
            raise RuntimeError(json.dumps(item))
        if item["status"] not in ("warn", "fail") or not item["failures_file"]:
            continue
        rows = pl.read_parquet(directory / item["failures_file"])
        if "station_idx" not in rows.columns:
            continue
        blamed = set(item["stations"])
        for row in rows.iter_rows(named=True):
            if row["station_idx"] in blamed:
                start, end = _when(row, window)
                yield Finding(item["id"], row["station_idx"], start, end, item["dimension"])


def _when(row: dict[str, Any], window: Interval) -> tuple[int, int]:
    """Return the hours a row is about, from whatever columns say when."""
    if row.get("start") is not None:
        start = hour_of(row["start"])
        end = hour_of(row["end"]) if row.get("end") else start + int(row.get("hours") or 1)
        return start, end
    if row.get("ts") is not None:
        start = int(row["ts"].timestamp()) // 3600
        return start, start + 1
    if row.get("day") is not None:
        day = row["day"]
        start = hour_of(datetime(day.year, day.month, day.day, tzinfo=UTC)) - OFFSET_H
        return start, start + 24
    if row.get("month") is not None:
        year, month = map(int, row["month"].split("-"))
        start = hour_of(datetime(year, month, 1, tzinfo=UTC)) - OFFSET_H
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return start, hour_of(after) - OFFSET_H
    return window.start, window.end


def names_a_time_inside(finding: Finding, within: Iterable[Interval]) -> bool:
    """Whether at least half of a finding's hours are the fault's, or a month has a whole fault."""
    length = finding.end - finding.start
    for piece in within:
        shared = min(finding.end, piece.end) - max(finding.start, piece.start)
        whole = shared >= piece.end - piece.start and length <= _ONE_ALARM_H
        if shared > 0 and (2 * shared >= length or whole):
            return True
    return False


def alarms(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each warning that is none of completeness."""
    kept: list[Finding] = []
    last: dict[tuple[str, int], int] = {}
    for one in sorted(findings, key=lambda one: (one.check, one.station, one.start)):
        if one.dimension in ("completeness", "process"):
            continue
        key = (one.check, one.station)
        if one.start > last.get(key, -(10**9)) + _ONE_ALARM_H:
            kept.append(one)
        last[key] = max(one.end, last.get(key, 0))
    return kept


def trial(name: str, seed: int, half: int, clean: frozenset[Finding]) -> Trial:
    """Put one fault into a station that the seed draws, and look."""
    began = time.process_time()
    fault = next(one for one in FAULTS if one.name == name)
    chance = random.Random(f"{fault.name} {seed}")
    world = World(dict(air(half)[1]), dict(documents(half)), HALVES[half], OFFSET_H, chance)
    stations, within = fault.inject(world)
    findings = [one for one in check(world.documents, half) if one not in clean]
    found_by = sorted(
        {
            one.check
            for one in findings
            if one.station in stations and names_a_time_inside(one, within)
        }
    )
    others = [one for one in alarms(findings) if one.station not in stations]
    return Trial(fault.name, stations, within, found_by, others, time.process_time() - began)


def table(trials: Sequence[Trial]) -> str:
    """Return the trials as a Markdown table."""
    lines = ["| fault | found by |", "|---|---|"]
    lines += [f"| {one.fault} | {', '.join(one.found_by) or '**not found**'} |" for one in trials]
    return "\n".join(lines)


def summary(trials: Sequence[Trial], clean: Iterable[Finding], half: int) -> str:
    """Return the three figures."""
    window, stations = HALVES[half], len(air(half)[0])
    years = stations * (window.end - window.start) / _A_YEAR_H
    false = alarms(clean)
    found = sum(bool(one.found_by) for one in trials)
    blamed = sum(bool(one.others) for one in trials)
    by_check = {id_: sum(one.check == id_ for one in false) for id_ in {x.check for x in false}}
    names = ", ".join(f"{id_} {count}" for id_, count in sorted(by_check.items())) or "none"
    return (
        f"Found: {found} of {len(trials)} ({found / len(trials):.0%}). Clean air: {len(false)} "
        f"warnings in {years:.0f} station-years, {len(false) / years:.2f} a year ({names}). "
        f"Another station blamed: {blamed} of {len(trials)} trials."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trials, print what was found; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--half", type=int, default=2, choices=(1, 2), help="of the years (2)")
    parser.add_argument("--seed", type=int, default=1, help="draws stations and dates (1)")
    parser.add_argument("--only", default="", help="only faults whose name has this text")
    parser.add_argument("--verbose", action="store_true", help="show every clean warning")
    parser.add_argument("--report", type=Path, help="file whose section `faults` is replaced")
    asked = parser.parse_args(argv)
    if not DATA.is_dir():
        print(f"nothing measured: there is no {DATA.name} data beside the project (shared/data)")
        return 0
    found = check(dict(documents(asked.half)), asked.half)
    clean = frozenset(found)
    if asked.verbose:
        print(*alarms(found), sep="\n")
    chosen = [fault.name for fault in FAULTS if asked.only in fault.name]
    work = partial(trial, seed=asked.seed, half=asked.half, clean=clean)
    trials = []
    # a forked child would wait for threads of polars that only its parent has
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for one in pool.map(work, chosen):
            trials.append(one)
            others = f"  OTHERS {[(o.check, o.station) for o in one.others]}" if one.others else ""
            print(
                f"{one.seconds:5.1f}s {one.fault}: {', '.join(one.found_by) or '-'}{others}",
                flush=True,
            )
    text = f"{summary(trials, found, asked.half)}"
    print(text)
    if asked.report:
        write_section(asked.report, "faults", f"{text}\n\n{table(trials)}\n\n{machine()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
