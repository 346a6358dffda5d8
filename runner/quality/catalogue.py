"""The catalogue: every check registers itself here, with what a person must know about it.

A check is one function. What it needs decides its decorator:

- `row_check`: parameters -> an expression over the readings of a station, true where one fails,
  null if unknown. Null counts as not evaluated.
- `station_check`: one station's readings on a dense grid of hours -> `Found`.
- `run_check`: what was found of all stations, the ledger, the previous run -> `Found`.

Rows and stations are judged station by station, a share of rows in every local month, too; so is a
check of the run that says how many it `looked` at per station.

Its thresholds and parameters are one line of `conf/quality/standard.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from runner.quality.grid import StationData
    from runner.quality.ledger import RunData


_LOOK = "Look at these hours before using them"

ADVICE = {
    "R01": "The source did not answer for these hours. Fetch them again: see Next.",
    "R02": "The run ended before it asked for these hours. Go on: see Next.",
    "R03": "The run lost count, which is a defect of the runner. Please report it with the log.",
    "R04": "Readings were stored and no document is there now: deleted, or lost with a database"
           " node. Fetch them again: see Next.",
    "R05": "The source was busy or unwell; each request was tried again. Nothing is missing for it,"
           " unless R01 says so. If it stays, ask more slowly.",
    "R06": "The number may be wrong, or the station too young for the range. Ask the source.",
    "S01": "Another program wrote documents of another form. Find it. Those without an index are"
           " replaced by fetching again: see Next.",
    "S02": "Another program wrote texts in place of numbers. They are no readings; fetching again"
           " replaces them: see Next.",
    "S03": "An index is a whole number: another program, or another scale, wrote these.",
    "S04": "Somebody took local time for UTC, or UTC for local time. Do not use the hours of the"
           " day until it is mended.",
    "S05": "The station measures something new, or stopped to. Nothing to do unless you need it.",
    "K01": "The same hour is stored twice and counts double in every mean. See Next.",
    "K02": "These are no hourly readings. Find out who wrote them.",
    "K03": "A clock is wrong, at the source or here.",
    "V01": "There is no index below zero: a filler or a broken instrument. Leave these out, or"
           " fetch again if Next says so.",
    "V02": "Beyond the index and no neighbour near it: a broken instrument, or a fire next door."
           " Leave these out if nobody knows of one.",
    "V03": "The instrument writes such numbers where it has no value. Leave these out, or fetch"
           " again if Next says so.",
    "V04": "The weather sensor is broken or in other units. Pollutants are not concerned.",
    "X01": "The index is that of its worst pollutant; here one of the two is wrong or missing.",
    "X02": "PM10 includes PM2.5, so one of the two instruments is wrong.",
    "X03": "Two numbers tell one station's readings. Use one of them only.",
    "C00": "Too little for the whole range. The gaps below say why.",
    "C01": "Too little for a mean of these stations. The gaps below say why.",
    "C02": "Too little for a mean of these months. The coverage below shows them.",
    "C03": "Not fetched yet, failed, not asked for, or covered by a checkpoint alone. Ask the"
           " source: see Next.",
    "C04": "The station was off, or its archive has a hole: nothing is left to fetch. Do not take"
           " the days for clean; ask the operator if you need them.",
    "C05": "The station no longer reports, or its feed broke. Ask the operator.",
    "C06": "Too few hours for a mean of these days: leave them out.",
    "C07": "An annual mean would speak of one season only.",
    "C08": "The instrument failed or was taken away. From there on the index tells something else;"
           " use no mean of the pollutant.",
    "C09": "Another program wrote texts or fillers in place of the index, for hours. Find it;"
           " fetching again replaces them if the source has readings: see Next.",
    "T01": f"Air never stands still: the instrument hung, or its numbers were rounded. {_LOOK}, and"
           " leave them out of means.",
    "T02": f"Up or down for an hour, again and again, and no neighbour with it: an instrument's"
           f" hiccup. {_LOOK}; maxima suffer most.",
    "T03": f"Hours in no order, or made-up numbers. {_LOOK}, and leave them out.",
    "T04": "The level changed and its neighbours' did not: the instrument is out of calibration or"
           " was replaced, or another quantity was stored. Do not compare before with after.",
    "T05": "The station's clock is wrong, or its times were converted wrongly. Do not use its hours"
           " of the day until it is mended.",
    "T06": f"The source served hours twice, or somebody filled a gap with them. {_LOOK}; leave the"
           " copy out.",
    "D01": "Fewer usable readings than in the previous run: some are deleted (R04), or overwritten"
           " by what is no index. The causes of the gaps say which.",
    "D02": "The source corrected its values, or another program wrote. Means of these days differ.",
    "D03": "The range is less complete than last time. The gaps below say why.",
    "D04": "See these checks.",
    "E01": "WAQI's own daily file says otherwise: another scale or another day's limits.",
}  # fmt: skip
"""By check id: what it means, and what to do."""


Params = Mapping[str, Any]


class Level(StrEnum):
    """What a check looks at, one at a time."""

    ROW = "row"
    STATION = "station"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found at one station, or in the run.

    Attributes:
        evaluated: how many were looked at; 0 for not evaluated.
        failures: one row per failure (or for the first of them), with `station_idx` if a station
            is to blame; columns are the check's own.
        failed: how many failed, in the check's unit; None for the number of rows.
        note: what a person should know, such as why nothing was evaluated.
        days: failed and evaluated per local day (`day`: days since 1970, null if the time is
            unknown; `station_idx` for a check of the run); None if each row is one failure. Shares
            by month and acceptances of a period are counted with it.
        looked: for a check of the run that judges stations: how many were looked at per station.
    """

    evaluated: int
    failures: pl.DataFrame = field(default_factory=pl.DataFrame)
    failed: float | None = None
    note: str = ""
    days: pl.DataFrame | None = None
    looked: Mapping[int, int] | None = None

    @property
    def count(self) -> float:
        """Return how many failed."""
        return self.failures.height if self.failed is None else self.failed

    def by_station(self) -> dict[int, Found]:
        """Return what a check of the run found at each station that it looked at."""
        found = {}
        for idx, evaluated in (self.looked or {}).items():
            at = pl.col("station_idx") == idx
            rows = self.failures.filter(at) if self.failures.height else self.failures
            days = None if self.days is None else self.days.filter(at)
            failed = None if days is None else max(0.0, float(days["failed"].sum()))
            found[idx] = Found(evaluated, rows, failed, self.note, days)
        return found


def nothing(note: str) -> Found:
    """Return what a check found that had nothing to look at."""
    return Found(0, note=note)


RowCheck = Callable[[Params], pl.Expr]
StationCheck = Callable[["StationData", Params], Found]
RunCheck = Callable[["RunData", Params], Found]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the catalogue.

    Attributes:
        id: letter of the family and a number; names it in settings, files and documents.
        title: what it looks for, in words.
        dimension: of data quality: completeness, validity, uniqueness, consistency, timeliness,
            accuracy or process.
        level: what it looks at.
        unit: what it counts. A check that counts `stations` has one result per station: a share of
            it is a share of the run's stations.
        look: the function.
        from_below: whether it observes a share of which less is worse.
        by_month: whether a share is judged in every local month, too.
        worst: how bad a row of its failures is, the larger the worse; None for in order of time.
    """

    id: str
    title: str
    dimension: str
    level: Level
    unit: str
    look: Callable[..., Any]
    from_below: bool = False
    by_month: bool = False
    worst: pl.Expr | None = field(default=None, compare=False)


REGISTRY: dict[str, Check] = {}
"""All checks by id; filled when their modules are imported, see `checks`."""


def row_check(
    check_id: str,
    title: str,
    *,
    dimension: str,
    unit: str = "readings",
    worst: pl.Expr | None = None,
) -> Callable[[RowCheck], RowCheck]:
    """Register a check of single readings."""

    def register(look: RowCheck) -> RowCheck:
        _add(Check(check_id, title, dimension, Level.ROW, unit, look, by_month=True, worst=worst))
        return look

    return register


def station_check(
    check_id: str,
    title: str,
    *,
    dimension: str,
    unit: str,
    from_below: bool = False,
    worst: pl.Expr | None = None,
) -> Callable[[StationCheck], StationCheck]:
    """Register a check of one station at a time."""

    def register(look: StationCheck) -> StationCheck:
        _add(Check(check_id, title, dimension, Level.STATION, unit, look, from_below, worst=worst))
        return look

    return register


def run_check(
    check_id: str, title: str, *, dimension: str, unit: str, worst: pl.Expr | None = None
) -> Callable[[RunCheck], RunCheck]:
    """Register a check of the whole run."""

    def register(look: RunCheck) -> RunCheck:
        _add(Check(check_id, title, dimension, Level.RUN, unit, look, worst=worst))
        return look

    return register


def _add(check: Check) -> None:
    if check.id in REGISTRY:
        msg = f"two checks are called {check.id}"
        raise ValueError(msg)
    REGISTRY[check.id] = check
