"""One station as the checks see it: its documents, and the same on a dense grid of hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from runner.core.intervals import Interval, hour_of
from runner.core.stations import Station
from runner.quality.frames import HOUR, HOUR_MS, VALUES, numeric, usable
from runner.quality.ledger import CAUSES, Cause, StationLedger


@dataclass(frozen=True)
class Scope:
    """What is checked, the same for every station.

    Attributes:
        window: the hours asked for, UTC, half-open.
        now: the present, aware.
        offset_h: hours that local time is ahead of UTC.
        active: expect hours from a station's first to its last reading only.
        external: station index to the path of a WAQI daily CSV.
        known: stations in `waqi_stations`; None where that is not known.
    """

    window: Interval
    now: datetime
    offset_h: int = 7
    active: bool = False
    external: tuple[tuple[int, str], ...] = ()
    known: frozenset[int] | None = None


@dataclass(frozen=True)
class StationData:
    """One station.

    Attributes:
        station: the station.
        documents: its readings as extracted, see `runner.quality.frames`.
        ledger: what the ledger knows of it.
        scope: of the checks.
        keys_before: its `iaqi` keys in the previous run; None without one.
    """

    station: Station
    documents: pl.DataFrame
    ledger: StationLedger
    scope: Scope
    keys_before: frozenset[str] | None = None

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The documents with null for what is no number, `hour`, and `station_idx`."""
        return numeric(self.documents).select(
            pl.lit(self.station.idx, pl.Int64).alias("station_idx"),
            HOUR.alias("hour"),
            pl.all(),
            (pl.col("ts") >= int(self.scope.now.timestamp() * 1000)).alias("future"),
        )

    @cached_property
    def hours(self) -> pl.DataFrame:
        """Every hour of the window: a row each, whether or not there is a reading.

        hour; local: hours since 1970 on the local clock; day: local days since 1970; hod: local
        hour 0..23; present: whether aqi is a usable number; expected; cause: index in CAUSES, for
        hours that are not present; and the usable values.
        """
        window = self.scope.window
        grid = pl.DataFrame(
            {
                "hour": pl.int_range(window.start, window.end, eager=True),
                "cause": pl.Series(self.ledger.causes(window), dtype=pl.UInt8),
            }
        )
        inside = (
            self.rows.select("ts", "hour", *map(usable, VALUES))
            .filter(pl.col("hour").is_between(window.start, window.end - 1))
            .sort("ts", maintain_order=True)
            .filter(pl.col("hour").ne_missing(pl.col("hour").shift(1)))  # the first of its hour
            .drop("ts")
        )
        local = pl.col("hour") + self.scope.offset_h
        dense = grid.join(inside, on="hour", how="left", maintain_order="left").with_columns(
            local.alias("local"),
            (local // 24).cast(pl.Int32).alias("day"),
            (local % 24).cast(pl.Int8).alias("hod"),
            pl.col("aqi").is_not_null().alias("present"),
        )
        if not self.scope.active:
            return dense.with_columns(pl.lit(value=True).alias("expected"))
        held = dense["hour"].filter(dense["present"])
        first, last = (held[0], held[-1]) if held.len() else (1, 0)
        return dense.with_columns(pl.col("hour").is_between(first, last).alias("expected"))

    @cached_property
    def held(self) -> pl.Series:
        """The hours that have a reading, rising."""
        return self.hours["hour"].filter(self.hours["present"])

    @property
    def expected(self) -> int:
        """Hours the station should have."""
        return int(self.hours["expected"].sum())

    @property
    def readings(self) -> int:
        """Hours it has."""
        return self.held.len()

    @property
    def capture(self) -> float | None:
        """Share of the expected hours that are there; None where none is expected."""
        return self.readings / self.expected if self.expected else None

    @cached_property
    def gaps(self) -> pl.DataFrame:
        """The gaps: runs of expected hours without a reading.

        station_idx; start, end: hours, half-open; hours; cause: the most frequent; and a column of
        hours for every cause.
        """
        missing = self.hours.filter("expected", ~pl.col("present"))
        counts = [
            (pl.col("cause") == index).sum().cast(pl.Int64).alias(str(cause))
            for index, cause in enumerate(CAUSES)
        ]
        most = pl.concat_list(*map(str, CAUSES)).list.arg_max()
        return (
            missing.with_columns((pl.col("hour") - pl.int_range(pl.len())).alias("run"))
            .group_by("run", maintain_order=True)
            .agg(
                pl.col("hour").min().alias("start"),
                (pl.col("hour").max() + 1).alias("end"),
                pl.len().cast(pl.Int64).alias("hours"),
                *counts,
            )
            .select(
                pl.lit(self.station.idx, pl.Int64).alias("station_idx"),
                "start",
                "end",
                "hours",
                most.replace_strict(
                    list(range(len(CAUSES))), list(map(str, CAUSES)), return_dtype=pl.String
                ).alias("cause"),
                *map(str, CAUSES),
            )
        )

    @property
    def silent_h(self) -> int:
        """Hours at the end of the window without a reading."""
        last = int(self.held[-1]) if self.held.len() else self.scope.window.start - 1
        return self.scope.window.end - 1 - last

    @property
    def now_hour(self) -> int:
        """The present hour."""
        return hour_of(self.scope.now)


def month() -> pl.Expr:
    """Return the first day of the local month of `day`: a key that is quick to group by."""
    return pl.col("day").cast(pl.Date).dt.month_start().alias("month")


def month_text() -> pl.Expr:
    """Return `month` as text: 2024-05."""
    return pl.col("month").dt.strftime("%Y-%m")


def utc(name: str, to: str = "") -> pl.Expr:
    """Return a column of hours as UTC datetimes."""
    return (pl.col(name) * HOUR_MS).cast(pl.Datetime("ms", "UTC")).alias(to or name)


__all__ = ["CAUSES", "Cause", "Scope", "StationData", "month", "month_text", "utc"]
