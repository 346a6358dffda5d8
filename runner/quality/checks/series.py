"""Checks of the course of one station's values: flat lines, spikes, steps, hours of the day (T).

The tests of EPA-454/B-21-007 and of SaQC, with hours as the unit. Missing hours are gaps, never
bridged: a run of equal values ends at one.
"""

from __future__ import annotations

import polars as pl

from runner.quality.catalogue import Found, Params, nothing, station_check
from runner.quality.grid import POLLUTANTS, StationData, failed_by_day, month, month_text, utc

_DAY_H = 24
_SPIKE_WINDOW_H = 7
_RETURNS_WITHIN_H = 3
_MOST_STEP_FOR_A_RETURN = 0.5
"""A spike has returned when half of its height is gone."""
_FEWEST_DISTINCT = 4
"""A day with fewer distinct values has no pattern that could repeat: T01 checks those."""


def _idx(data: StationData) -> pl.Expr:
    return pl.lit(data.station.idx, pl.Int64).alias("station_idx")


@station_check("T01", "Flat lines: the same value hour after hour",
               dimension="accuracy", unit="readings",
               worst=pl.col("hours"))  # fmt: skip
def flat_lines(data: StationData, params: Params) -> Found:
    """Runs of equal sub-indices of a minimum length in hours, by pollutant.

    `aqi` is not looked at: it is flat with the pollutant that makes it. Counted are the readings
    with an hour of such runs, whatever number of pollutants hangs. An index of 0 is no value of its
    own: everything measured up to 0 ug/m3 has it (US Consulate Ho Chi Minh City, 20 March 2017: 18
    hours of 0, from -4 to 0 ug/m3).
    """
    watched = [name for name in POLLUTANTS if params.get(name)]
    evaluated = data.hours.filter(pl.any_horizontal(pl.col(watched).is_not_null())).height
    if not evaluated:
        return nothing("no sub-index of a pollutant")
    runs = [
        data.hours.select("hour", name)
        .filter(pl.col(name) > 0)
        .with_columns((pl.col("hour") - pl.int_range(pl.len())).alias("piece"))
        .with_columns(pl.struct("piece", name).rle_id().alias("run"))
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("hour").min().alias("start"),
            pl.len().cast(pl.Int64).alias("hours"),
            pl.col(name).first().alias("value"),
        )
        .filter(pl.col("hours") >= params[name])
        .select(_idx(data), "start", "hours", pl.lit(name).alias("pollutant"), "value")
        for name in watched
        if data.hours[name].count()
    ]
    found = pl.concat(runs)
    flat = found.select(pl.int_ranges("start", pl.col("start") + pl.col("hours")).alias("hour"))
    days = failed_by_day(data, flat.explode("hour").unique())
    return Found(
        evaluated, found.with_columns(utc("start")), float(days["failed"].sum()), days=days
    )


@station_check("T02", "Spikes: far from the hours around, and back again",
               dimension="accuracy", unit="readings",
               worst=(pl.col("aqi") - pl.col("median")).abs())  # fmt: skip
def spikes(data: StationData, params: Params) -> Found:
    """Further from the median of 7 hours than max(least, factor * median), and back within 3 hours.

    Heavy haze stays for days and is no spike. An hour is evaluated with five of the seven there.
    """
    value, median = pl.col("aqi"), pl.col("median")
    around = value.rolling_median(_SPIKE_WINDOW_H, min_samples=5, center=True)
    limit = pl.max_horizontal(pl.lit(float(params["least"])), params["factor"] * median)
    seen = data.hours.select(_idx(data), utc("hour", "ts"), "aqi", around.alias("median"))
    seen = seen.with_columns(((value - median).abs() > limit).alias("far"))
    evaluated = int(seen["far"].count())
    if not seen["far"].any():
        return Found(evaluated)
    height = (value - median).abs()
    back = [
        (value.shift(-step) - median).abs() < _MOST_STEP_FOR_A_RETURN * height
        for step in range(1, _RETURNS_WITHIN_H + 1)
    ]
    returned = pl.any_horizontal(*(item.fill_null(value=False) for item in back))
    return Found(evaluated, seen.filter(pl.col("far") & returned).drop("far"))


@station_check("T03", "Steps: a great change within one hour that stays",
               dimension="accuracy", unit="readings",
               worst=pl.col("change").abs())  # fmt: skip
def steps(data: StationData, params: Params) -> Found:
    """A change by more than `step` from one hour to the next, not undone within 3 hours."""
    value = pl.col("aqi")
    change = value - value.shift(1)
    undone = [
        (value.shift(-step) - value.shift(1)).abs() < _MOST_STEP_FOR_A_RETURN * change.abs()
        for step in range(1, _RETURNS_WITHIN_H + 1)
    ]
    # the way back from a spike is no step either: the value is where it was before the spike
    done = [
        (value.shift(step) - value).abs() < _MOST_STEP_FOR_A_RETURN * change.abs()
        for step in range(2, _RETURNS_WITHIN_H + 2)
    ]
    passing = pl.any_horizontal(*(item.fill_null(value=False) for item in (*undone, *done)))
    seen = data.hours.select(
        _idx(data), utc("hour", "ts"), value.shift(1).alias("before"), "aqi",
        change.alias("change"), ((change.abs() > params["step"]) & ~passing).alias("step"),
    )  # fmt: skip
    return Found(int(seen["change"].count()), seen.filter("step").drop("step"))


@station_check("T05", "Warmest hour of the day at the wrong time",
               dimension="timeliness", unit="station-months")  # fmt: skip
def warmest_hour(data: StationData, params: Params) -> Found:
    """The mean temperature of a local month peaks after noon; elsewhere the clock is wrong.

    Months with fewer temperatures than `hours` are not evaluated, nor those with less than 2 degC
    between the warmest and the coldest hour, which have no peak to speak of.
    """
    by_hour = (
        data.hours.select("day", "hod", "t")
        .filter(pl.col("t").is_not_null())
        .group_by(month(), "hod")
        .agg(pl.col("t").mean(), pl.len().alias("n"))
        .sort("month", "hod")
    )
    months = (
        by_hour.group_by("month", maintain_order=True)
        .agg(
            pl.col("n").sum(),
            pl.col("hod").get(pl.col("t").arg_max()).alias("peak_hour"),
            (pl.col("t").max() - pl.col("t").min()).alias("range"),
        )
        .filter(pl.col("n") >= params["hours"], pl.col("range") >= 2)  # noqa: PLR2004 - degC, above
    )
    outside = ~pl.col("peak_hour").is_between(params["from"], params["to"])
    wrong = months.filter(outside).select(_idx(data), month_text(), "peak_hour")
    return Found(months.height, wrong)


@station_check("T06", "Days that repeat the day before, hour by hour",
               dimension="accuracy", unit="station-days")  # fmt: skip
def repeated_days(data: StationData, params: Params) -> Found:
    """Local days with a minimum number of hours equal to the day before: a day served twice."""
    value = pl.col("aqi")
    same = value == value.shift(_DAY_H)
    days = (
        data.hours.select("day", value, same.alias("same"))
        .group_by("day", maintain_order=True)
        .agg(
            pl.col("same").count().alias("compared"),
            pl.col("same").sum().alias("equal"),
            value.n_unique().alias("distinct"),
        )
        .filter(pl.col("compared") >= params["hours"])
    )
    repeated = (pl.col("equal") >= params["hours"]) & (pl.col("distinct") >= _FEWEST_DISTINCT)
    rows = days.filter(repeated).select(_idx(data), pl.col("day").cast(pl.Date), "equal")
    return Found(days.height, rows)
