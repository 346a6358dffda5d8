"""One station as the checks see it: its documents, and the same on a dense grid of hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from runner.core.aqi import SCALES, Breakpoints
from runner.core.causes import MISSING, Cause, decide
from runner.core.intervals import Interval, intersect
from runner.core.stations import VIETNAM_H, Station
from runner.quality.ledger import StationLedger

POLLUTANTS = ("pm25", "pm10", "o3", "no2", "so2", "co")
"""Sub-indices on the US-EPA scale, not concentrations."""
WEATHER = ("t", "h", "p", "w")
"""Temperature degC, humidity %, pressure hPa, wind m/s."""
VALUES = ("aqi", *POLLUTANTS, *WEATHER)
KNOWN_KEYS = frozenset((*POLLUTANTS, *WEATHER, "wg", "dew", "r", "wd", "neph", "uvi"))
"""Keys of `iaqi` met in recorded answers of AQICN; others are worth a look."""

SCHEMA: dict[str, type[pl.DataType]] = {
    "ts": pl.Int64,
    "ts_type": pl.String,
    "idx_type": pl.String,
    "aqi_type": pl.String,
    "aqi": pl.Float64,
    "s": pl.String,
    "tz": pl.String,
    **dict.fromkeys((*POLLUTANTS, *WEATHER), pl.Float64),
    "unknown": pl.String,
}

HOUR_MS = 3_600_000
NUMBERS = ("int", "long", "double", "decimal")
"""BSON types that are numbers."""
FILLERS = (-999.0, 999.0, 9999.0)
"""Numbers that instruments write where they have none. V03 counts them."""

HOUR = pl.col("ts") // HOUR_MS
"""Whole hours since 1970, UTC, floored."""


def concentration(index: pl.Expr, scale: Breakpoints) -> pl.Expr:
    """Return the concentration, ug/m3, of a sub-index: `concentration_of`, as an expression."""
    pieces = list(zip(scale.knots, scale.knots[1:], strict=False))
    value = pl.lit(None, pl.Float64)
    for (low, at_low), (high, at_high) in reversed(pieces):
        line = low + (index - at_low) / (at_high - at_low) * (high - low)
        is_last = at_high == scale.knots[-1][1]
        value = line if is_last else pl.when(index <= at_high).then(line).otherwise(value)
    return value


def breakpoints(scale: str, pollutant: str) -> Breakpoints | None:
    """Return the table that a sub-index of single hours is from; None for an unknown scale."""
    tables = SCALES[scale].tables if scale in SCALES else {}
    return next((table for (name, _mean), table in tables.items() if name == pollutant), None)


def ugm3(scale: str, pollutant: str) -> pl.Expr:
    """Return the concentration of a sub-index on a scale; null for an unknown scale."""
    table = breakpoints(scale, pollutant)
    value = pl.lit(None, pl.Float64) if table is None else concentration(usable(pollutant), table)
    return value.alias(f"{pollutant}_ugm3")


def empty() -> pl.DataFrame:
    """Return a frame of readings without a row."""
    return pl.DataFrame(schema=SCHEMA)


def numeric(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the readings with null in place of values that are no finite numbers."""
    aqi = pl.when(pl.col("aqi_type").is_in(NUMBERS)).then(pl.col("aqi"))
    return rows.with_columns(aqi).with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in VALUES
    )


def usable(name: str) -> pl.Expr:
    """Return a value, null where it is a filler or an index below zero."""
    value = pl.col(name)
    bad = value.is_in(FILLERS)
    if name not in WEATHER:
        bad |= value < 0
    return pl.when(~bad).then(value).alias(name)


WHOLE_MONTH = 0.9
"""Share of its hours from which a month is whole: a range in UTC cuts hours off its first one."""

BELOW_ZERO, FILLER = "stored_below_zero", "stored_filler"
"""Reasons of rejected hours in which a stored number stands that is no index."""
NO_REASON_KEPT = "not_kept"
"""The record was refused, and limits.rejects kept it out of `ingest_rejects`."""


_STANDING = (Cause.KEPT, Cause.REJECTED)
"""Causes that a stored document may be."""


@dataclass(frozen=True)
class Scope:
    """What is checked, the same for every station.

    Attributes:
        window: the hours asked for, UTC, half-open.
        now: the present, aware.
        offset_h: hours that local time is ahead of UTC.
        active: expect hours from a station's first to its last reading only.
        external: station index to the path of a WAQI daily CSV.
        known: stations in `waqi_stations`; None if that is not known.
    """

    window: Interval
    now: datetime
    offset_h: int = VIETNAM_H
    active: bool = False
    external: tuple[tuple[int, str], ...] = ()
    known: frozenset[int] | None = None


@dataclass(frozen=True)
class StationData:
    """One station.

    Attributes:
        station: the station.
        documents: its readings as extracted, see `runner.quality.grid`.
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
        """The documents with null for what is no number, `hour`, `station_idx`, and ug/m3."""
        return numeric(self.documents).select(
            pl.lit(self.station.idx, pl.Int64).alias("station_idx"),
            HOUR.alias("hour"),
            pl.all(),
            (pl.col("ts") >= int(self.scope.now.timestamp() * 1000)).alias("future"),
            *(ugm3(self.ledger.scale, name) for name in ("pm25", "pm10")),
        )

    @cached_property
    def hours(self) -> pl.DataFrame:
        """Every hour of the window: a row each, whether or not there is a reading.

        hour; local: hours since 1970 on the local clock; day: local days since 1970, of the hours
        01..24; hod: local hour 1..24; present: whether aqi is a usable number; expected; cause:
        index in MISSING, for hours that are not present; standing: whether a stored document is
        that cause; and the usable values.
        """
        window = self.scope.window
        no_index, no_number = self._standing
        causes = decide(window, self.ledger.progress, no_index=no_index, no_number=no_number)
        grid = pl.DataFrame(
            {
                "hour": pl.int_range(window.start, window.end, eager=True),
                "cause": pl.Series(causes, dtype=pl.UInt8),
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
            day_of(local).alias("day"),
            hour_label(local).alias("hod"),
            pl.col("aqi").is_not_null().alias("present"),
            self._is_standing(no_index, no_number).alias("standing"),
        )
        if not self.scope.active:
            return dense.with_columns(pl.lit(value=True).alias("expected"))
        held = dense["hour"].filter(dense["present"])
        first, last = (held[0], held[-1]) if held.len() else (1, 0)
        return dense.with_columns(pl.col("hour").is_between(first, last).alias("expected"))

    @cached_property
    def _standing(self) -> tuple[dict[int, str], list[int]]:
        """Return the hours with documents and without a reading.

        First those with a stored number that is no index, and why; then those without a number.
        """
        documents = self.rows.select("hour", "aqi", usable("aqi").alias("index"))
        hours = documents.group_by("hour").agg(
            pl.col("index").count().alias("readings"), pl.col("aqi").min().alias("lowest")
        )
        missing = hours.filter(pl.col("readings") == 0, pl.col("hour").is_not_null())
        no_index = missing.filter(pl.col("lowest").is_not_null())
        return {
            hour: BELOW_ZERO if lowest < 0 and lowest not in FILLERS else FILLER
            for hour, lowest in no_index.select("hour", "lowest").iter_rows()
        }, missing.filter(pl.col("lowest").is_null())["hour"].to_list()

    def _is_standing(self, no_index: Collection[int], no_number: Collection[int]) -> pl.Expr:
        """Return whether the cause of a missing hour is a document that stands in it."""
        kept, rejected = (pl.col("cause") == MISSING.index(one) for one in _STANDING)
        here = pl.col("hour").is_in([*no_index]) & ~pl.col("hour").is_in(self._refused_hours)
        return pl.col("aqi").is_null() & (
            (kept & pl.col("hour").is_in([*no_number])) | (rejected & here)
        )

    @cached_property
    def _refused_hours(self) -> list[int]:
        """The hours for which the source gave a record that is no reading."""
        progress = self.ledger.progress
        answered = intersect(intersect(progress.rejected, progress.covered), (self.scope.window,))
        return [hour for piece in answered for hour in range(*piece)]

    @property
    def rejected_by_reason(self) -> dict[str, int]:
        """Return the rejected hours by reason, the most frequent first."""
        rejected = self.hours.filter(
            "expected", ~pl.col("present"), pl.col("cause") == MISSING.index(Cause.REJECTED)
        )
        no_index, _no_number = self._standing
        answered = set(self._refused_hours)
        found = Counter(
            self.ledger.reasons.get(hour, NO_REASON_KEPT)
            if hour in answered
            else no_index.get(hour, NO_REASON_KEPT)
            for hour in rejected["hour"]
        )
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    @property
    def settled_h(self) -> int:
        """Missing hours of cause not_asked that no further run asks for unless gaps are wanted."""
        asked_for = self.hours.filter(
            "expected", ~pl.col("present"), pl.col("cause") == MISSING.index(Cause.NOT_ASKED)
        )["hour"]
        settled = intersect(self.ledger.progress.not_asked, (self.scope.window,))
        return sum(int(asked_for.is_between(start, end - 1).sum()) for start, end in settled)

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
        """Share of the expected hours that are there; None if none is expected."""
        return self.readings / self.expected if self.expected else None

    @cached_property
    def gaps(self) -> pl.DataFrame:
        """The gaps: runs of expected hours without a reading.

        station_idx; start, end: hours, half-open; hours; cause: the most frequent; a column of
        hours for every cause; standing: hours of any cause in which a document stands.
        """
        missing = self.hours.filter("expected", ~pl.col("present"))
        counts = [
            (pl.col("cause") == index).sum().cast(pl.Int64).alias(str(cause))
            for index, cause in enumerate(MISSING)
        ]
        most = pl.concat_list(*map(str, MISSING)).list.arg_max()
        return (
            missing.with_columns((pl.col("hour") - pl.int_range(pl.len())).alias("run"))
            .group_by("run", maintain_order=True)
            .agg(
                pl.col("hour").min().alias("start"),
                (pl.col("hour").max() + 1).alias("end"),
                pl.len().cast(pl.Int64).alias("hours"),
                *counts,
                pl.col("standing").sum().cast(pl.Int64),
            )
            .select(
                pl.lit(self.station.idx, pl.Int64).alias("station_idx"),
                "start",
                "end",
                "hours",
                most.replace_strict(
                    list(range(len(MISSING))), list(map(str, MISSING)), return_dtype=pl.String
                ).alias("cause"),
                *map(str, MISSING),
                "standing",
            )
        )

    @cached_property
    def stretches(self) -> pl.DataFrame:
        """The missing hours in runs of one cause: station_idx, start, end, cause."""
        missing = self.hours.filter("expected", ~pl.col("present")).select("hour", "cause")
        runs = missing.with_columns(
            (pl.col("hour") - pl.int_range(pl.len())).alias("gap"),
            pl.col("cause").rle_id().alias("run"),
        )
        names = dict(enumerate(map(str, MISSING)))
        return (
            runs.group_by("gap", "run", maintain_order=True)
            .agg(
                pl.col("hour").min().alias("start"),
                (pl.col("hour").max() + 1).alias("end"),
                pl.col("cause").first().replace_strict(names, return_dtype=pl.String),
            )
            .select(
                pl.lit(self.station.idx, pl.Int64).alias("station_idx"), "start", "end", "cause"
            )
        )

    @property
    def silent_h(self) -> int:
        """Hours at the end of the window without a reading."""
        last = int(self.held[-1]) if self.held.len() else self.scope.window.start - 1
        return self.scope.window.end - 1 - last


def day_of(local: pl.Expr) -> pl.Expr:
    """Return the local day of hours on the local clock, days since 1970.

    A label names the end of its hour, as EPA's and VN_AQI's days have it: 00:00 is the last hour
    of the day before.
    """
    return ((local - 1) // 24).cast(pl.Int32)


def hour_label(local: pl.Expr) -> pl.Expr:
    """Return the hour of the day, 1..24, of hours on the local clock."""
    return ((local - 1) % 24 + 1).cast(pl.Int8)


def month(day: str = "day") -> pl.Expr:
    """Return the first day of the local month of a day: a key that is quick to group by."""
    return pl.col(day).cast(pl.Date).dt.month_start().alias("month")


def month_text() -> pl.Expr:
    """Return `month` as text: 2024-05."""
    return pl.col("month").dt.strftime("%Y-%m")


def utc(name: str, to: str = "") -> pl.Expr:
    """Return a column of hours as UTC datetimes."""
    return (pl.col(name) * HOUR_MS).cast(pl.Datetime("ms", "UTC")).alias(to or name)


def failed_by_day(data: StationData, hours: pl.DataFrame) -> pl.DataFrame:
    """Return `Found.days` of hours that failed (`hour`: since 1970, UTC)."""
    day = day_of(pl.col("hour") + data.scope.offset_h).alias("day")
    count = pl.len().cast(pl.Int64)
    return hours.group_by(day).agg(count.alias("failed"), pl.lit(0).first().alias("evaluated"))


def first_and_last_day(rows: pl.DataFrame, offset_h: int) -> pl.DataFrame:
    """Return the local days that failures of a check lie in: `first` and `last`, days since 1970.

    Null if they have no time. Their time is `day` (Date), `start` with `end` or `hours`, `ts`, or
    `month` (2024-05).
    """
    types, offset = rows.schema, pl.duration(hours=offset_h) - pl.duration(milliseconds=1)
    first = last = pl.lit(None, pl.Date)
    if types.get("day") == pl.Date:
        first = last = pl.col("day")
    elif isinstance(types.get("start"), pl.Datetime):
        end = pl.col("end") if "end" in types else pl.col("start") + pl.duration(hours="hours")
        first = (pl.col("start") + offset).dt.date()
        last = (end - pl.duration(hours=1) + offset).dt.date()
    elif isinstance(types.get("ts"), pl.Datetime):
        first = last = (pl.col("ts").dt.truncate("1h") + offset).dt.date()
    elif types.get("month") == pl.String:
        first = pl.col("month").str.to_date("%Y-%m")
        last = first.dt.month_end()
    days = (first.cast(pl.Int32).alias("first"), last.cast(pl.Int32).alias("last"))
    return rows.with_row_index("row").select("row", *days).drop("row")


__all__ = [
    "MISSING",
    "Cause",
    "Scope",
    "StationData",
    "first_and_last_day",
    "month",
    "month_text",
    "utc",
]
