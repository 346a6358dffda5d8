"""The columns of extracted readings, and what becomes of their values before they are checked.

    ts            ms since 1970-01-01T00:00Z; null where `ts` is no date
    ts_type, idx_type, aqi_type     BSON types: date, int, long, double, string, null, missing, ...
    aqi           a number, null where it is none
    s, tz         local wall clock and offset as stored
    pm25 ... w    `iaqi.*.v`, null where there is none
    unknown       other keys in `iaqi`, joined by a comma; null without

One row for each stored document, doubles included, in the order of `ts`.
"""

from __future__ import annotations

import polars as pl

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
