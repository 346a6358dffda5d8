"""The catalogue: every check registers itself here, with what a person must know about it.

A check is one function. What it needs decides its decorator:

- `row_check`: parameters -> an expression over the readings of a station, true where one fails,
  null where it cannot be told. Null counts as not evaluated.
- `station_check`: one station's readings on a dense grid of hours -> `Found`.
- `run_check`: what was found of all stations, the ledger, the previous run -> `Found`.

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
    from runner.quality.run_data import RunData

Params = Mapping[str, Any]


class Level(StrEnum):
    """What a check looks at, one at a time."""

    ROW = "row"
    STATION = "station"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found.

    Attributes:
        evaluated: how many were looked at; 0 makes the check a skip.
        failures: one row for each failure (or for the first of them), with `station_idx` where a
            station is to blame; columns are the check's own.
        failed: how many failed, in the check's unit; None for the number of rows.
        note: what a person should know, such as why nothing was evaluated.
    """

    evaluated: int
    failures: pl.DataFrame = field(default_factory=pl.DataFrame)
    failed: float | None = None
    note: str = ""

    @property
    def count(self) -> float:
        """How many failed."""
        return self.failures.height if self.failed is None else self.failed


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
        unit: what it counts.
        look: the function.
        from_below: whether it observes a share of which less is worse.
    """

    id: str
    title: str
    dimension: str
    level: Level
    unit: str
    look: Callable[..., Any]
    from_below: bool = False


REGISTRY: dict[str, Check] = {}
"""All checks by id; filled when their modules are imported, see `checks`."""


def row_check(
    check_id: str, title: str, *, dimension: str, unit: str = "readings"
) -> Callable[[RowCheck], RowCheck]:
    """Register a check of single readings."""

    def register(look: RowCheck) -> RowCheck:
        _add(Check(check_id, title, dimension, Level.ROW, unit, look))
        return look

    return register


def station_check(
    check_id: str, title: str, *, dimension: str, unit: str, from_below: bool = False
) -> Callable[[StationCheck], StationCheck]:
    """Register a check of one station at a time."""

    def register(look: StationCheck) -> StationCheck:
        _add(Check(check_id, title, dimension, Level.STATION, unit, look, from_below))
        return look

    return register


def run_check(
    check_id: str, title: str, *, dimension: str, unit: str
) -> Callable[[RunCheck], RunCheck]:
    """Register a check of the whole run."""

    def register(look: RunCheck) -> RunCheck:
        _add(Check(check_id, title, dimension, Level.RUN, unit, look))
        return look

    return register


def _add(check: Check) -> None:
    if check.id in REGISTRY:
        msg = f"two checks are called {check.id}"
        raise ValueError(msg)
    REGISTRY[check.id] = check


def checks() -> dict[str, Check]:
    """Return all checks by id, sorted."""
    from runner.quality import (  # noqa: F401, PLC0415 - they register their checks
        completeness,
        external,
        ledger_checks,
        peers,
        previous_checks,
        rows,
        series,
    )

    return dict(sorted(REGISTRY.items()))
