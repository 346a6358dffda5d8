"""Checks of single readings: form, keys, values, values against each other (S, K, V, X)."""

from __future__ import annotations

from functools import reduce
from operator import or_

import polars as pl

from runner.quality.catalogue import Found, Params, row_check, station_check
from runner.quality.grid import FILLERS, HOUR_MS, NUMBERS, POLLUTANTS, WEATHER, StationData, usable

_INDEX = ("aqi", *POLLUTANTS)
_MINUTE_MS = 60_000
_USUAL_OFFSET, _USUAL_OFFSET_MINUTES = "+07:00", 7 * 60


@row_check("S01", "Fields of the wrong type: ts a date, station an integer, aqi there",
           dimension="validity")  # fmt: skip
def wrong_types(_params: Params) -> pl.Expr:
    """`ts` is a date, `meta.station_idx` an integer, and there is an `aqi` of whatever type."""
    return (
        (pl.col("ts_type") != "date")
        | ~pl.col("idx_type").is_in(("int", "long"))
        | (pl.col("aqi_type") == "missing")
    )


@row_check("S02", "AQI that is no number", dimension="validity")
def no_number(_params: Params) -> pl.Expr:
    """`"-"`, other text, null, NaN. AQICN itself writes "-" (home-assistant/core#97617)."""
    there = pl.col("aqi_type") != "missing"
    return pl.when(there).then(~pl.col("aqi_type").is_in(NUMBERS) | pl.col("aqi").is_null())


@row_check("S03", "AQI that is not whole", dimension="validity")
def not_whole(_params: Params) -> pl.Expr:
    """AQICN's `aqi` is an integer; sub-indices need not be (no2 30.9 is recorded)."""
    return pl.col("aqi") != pl.col("aqi").round()


@row_check("S04", "Local time that says another instant than ts", dimension="timeliness")
def another_instant(_params: Params) -> pl.Expr:
    """`time.s` with `time.tz` is `ts`: the direct test for a time-zone defect.

    Rare spellings are parsed on their own: to try them on every row would be most of the work.
    """
    spaced = _wall_clock(pl.col("s"), " ")
    local = spaced.fill_null(_wall_clock(pl.when(spaced.is_null()).then(pl.col("s")), "T"))
    usual = pl.col("tz") == _USUAL_OFFSET
    parts = pl.when(~usual).then(pl.col("tz")).str.extract_groups(r"^([+-])(\d{2}):?(\d{2})$")
    minutes = parts.struct[1].cast(pl.Int64) * 60 + parts.struct[2].cast(pl.Int64)
    written = pl.when(parts.struct[0] == "-").then(-minutes).otherwise(minutes)
    ahead = pl.when(usual).then(_USUAL_OFFSET_MINUTES).otherwise(written)
    return local.cast(pl.Int64) - ahead * _MINUTE_MS != pl.col("ts")


def _wall_clock(text: pl.Expr, between: str) -> pl.Expr:
    pattern = f"%Y-%m-%d{between}%H:%M:%S"  # no cache: hardly any hour comes twice
    return text.str.to_datetime(pattern, time_unit="ms", strict=False, cache=False)


@station_check("S05", "Sub-indices unknown, or other than in the previous run",
               dimension="validity", unit="keys")  # fmt: skip
def other_keys(data: StationData, _params: Params) -> Found:
    """Keys of `iaqi` never met in AQICN's answers, and keys that came or went since."""
    keys = keys_of(data)
    changes = dict.fromkeys(unknown_keys(data), "unknown")
    if data.keys_before is not None and keys:
        changes |= {key: "new" for key in keys - data.keys_before if key not in changes}
        changes |= dict.fromkeys(data.keys_before - keys, "gone")
    found = sorted(changes.items())
    failures = pl.DataFrame(
        {
            "station_idx": [data.station.idx] * len(found),
            "key": [key for key, _what in found],
            "what": [what for _key, what in found],
        },
        {"station_idx": pl.Int64, "key": pl.String, "what": pl.String},
    )
    return Found(max(len(keys), len(found)), failures)


def keys_of(data: StationData) -> frozenset[str]:
    """Return the keys of `iaqi` that have a value anywhere, unknown ones included."""
    counts = data.rows.select(pl.col(name).count() for name in (*POLLUTANTS, *WEATHER))
    known = {name for name in counts.columns if counts[name][0]}
    return frozenset(known) | unknown_keys(data)


def unknown_keys(data: StationData) -> frozenset[str]:
    """Return the keys of `iaqi` that are none of AQICN's."""
    return frozenset(data.rows["unknown"].drop_nulls().str.split(",").explode().unique())


@row_check("K01", "The same station and time more than once", dimension="uniqueness")
def doubles(_params: Params) -> pl.Expr:
    """Every document but the first of its time."""
    return pl.when(pl.col("ts").is_not_null()).then(~pl.col("ts").is_first_distinct())


@row_check("K02", "Time that is not on the full hour", dimension="timeliness")
def not_on_the_hour(_params: Params) -> pl.Expr:
    """A reading stands for a whole hour."""
    return pl.col("ts") % HOUR_MS != 0


@row_check("K03", "Time in the future", dimension="timeliness")
def in_the_future(_params: Params) -> pl.Expr:
    """No air has been measured after now; seven hours of it are a time-zone defect."""
    return pl.when(pl.col("ts").is_not_null()).then(pl.col("future"))


def _any(expressions: list[pl.Expr]) -> pl.Expr:
    """Return whether one is true; null where all are null."""
    known = reduce(or_, (item.is_not_null() for item in expressions))
    return pl.when(known).then(reduce(or_, (item.fill_null(value=False) for item in expressions)))


@row_check("V01", "AQI or sub-index below zero", dimension="validity")
def negative(_params: Params) -> pl.Expr:
    """An index begins at 0. Fillers are counted by V03 alone."""
    return _any([(pl.col(name) < 0) & ~pl.col(name).is_in(FILLERS) for name in _INDEX])


@row_check("V03", "Fillers in place of values", dimension="validity")
def fillers(params: Params) -> pl.Expr:
    """-999 (AirNow), 999 and 9999 (recorded in AQICN's daily files)."""
    values = [float(value) for value in params["values"]]
    return _any([pl.col(name).is_in(values) for name in _INDEX])


@row_check("V04", "Weather outside what is possible here", dimension="validity")
def weather(params: Params) -> pl.Expr:
    """Bounds for Vietnam, sea level to 2,500 m; a null parameter leaves a value alone."""
    bounds = {name: limits for name, limits in params.items() if limits is not None}
    outside = [~pl.col(name).is_between(low, high) for name, (low, high) in bounds.items()]
    return _any(outside) if outside else pl.lit(None, pl.Boolean)


@row_check("X01", "AQI that is not the largest of its sub-indices", dimension="consistency")
def not_the_largest(params: Params) -> pl.Expr:
    """By definition of the index (40 CFR 58, appendix G)."""
    largest = pl.max_horizontal(*map(usable, POLLUTANTS))
    return (usable("aqi") - largest).abs() > float(params["tolerance"])


@row_check("X02", "PM2.5 above PM10", dimension="consistency")
def finer_above_coarser(params: Params) -> pl.Expr:
    """PM2.5 is part of PM10. Compared as ug/m3: the sub-indices have scales of their own."""
    fine, coarse = pl.col("pm25_ugm3"), pl.col("pm10_ugm3")
    return fine > float(params["factor"]) * coarse + float(params["margin"])
