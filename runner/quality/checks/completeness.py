"""Checks of completeness: capture, gaps by cause, silence, seasons (C).

A station should have an hour if `expected`; it has it if `aqi` is a usable number. The 75 % of
hours and 18 hours of a day are those of 40 CFR 50 appendix N and of directive 2008/50/EC annex VII,
the 90 % is the directive's data capture.
"""

from __future__ import annotations

import polars as pl

from runner.quality.catalogue import Found, Params, nothing, station_check
from runner.quality.grid import (
    POLLUTANTS,
    WHOLE_MONTH,
    Cause,
    StationData,
    failed_by_day,
    month,
    month_text,
    utc,
)

_WHOLE_DAY_H = 24
_WET_MONTHS = (5, 6, 7, 8, 9, 10)
"""The south-west monsoon, May to October; the other half-year is dry."""


def _one(data: StationData, **columns: object) -> pl.DataFrame:
    return pl.DataFrame({"station_idx": [data.station.idx], **{k: [v] for k, v in columns.items()}})


@station_check("C00", "Capture: station-hours there, of those expected",
               dimension="completeness", unit="station-hours", from_below=True)  # fmt: skip
def capture(data: StationData, _params: Params) -> Found:
    """Readings over expected hours; less is worse."""
    missing = data.expected - data.readings
    rows = _one(data, expected=data.expected, missing=missing) if missing else pl.DataFrame()
    days = failed_by_day(data, data.hours.filter("expected", ~pl.col("present")).select("hour"))
    note = "" if data.expected else "no hour is expected"
    return Found(data.expected, rows, missing, note, days)


@station_check("C01", "Stations with too little capture",
               dimension="completeness", unit="stations")  # fmt: skip
def poor_stations(data: StationData, params: Params) -> Found:
    """Stations below the wanted share of their expected hours."""
    if not data.expected:
        return nothing("no hour is expected")
    share = data.capture or 0.0
    below = share < params["capture"]
    return Found(1, _one(data, capture=share) if below else pl.DataFrame())


@station_check("C02", "Station-months with too little capture",
               dimension="completeness", unit="station-months",
               worst=-pl.col("capture"))  # fmt: skip
def poor_months(data: StationData, params: Params) -> Found:
    """Local months below the wanted share of their expected hours.

    A month that the range cuts short is none: seven hours of it say nothing about the month.
    """
    months = _capture_by(data, month())
    hours = pl.col("month").dt.month_end().dt.day().cast(pl.Int64) * _WHOLE_DAY_H
    months = months.filter(pl.col("expected") >= WHOLE_MONTH * hours)
    if months.is_empty():
        return nothing("the range has no whole local month")
    poor = months.filter(pl.col("capture") < params["capture"])
    return Found(months.height, poor.with_columns(month_text()))


def _capture_by(data: StationData, *keys: pl.Expr) -> pl.DataFrame:
    """Return expected and present hours, and capture, by some keys of the local day."""
    return (
        data.hours.select("day", "expected", "present")
        .filter("expected")
        .group_by(*keys, maintain_order=True)
        .agg(pl.len().alias("expected"), pl.col("present").sum().alias("readings"))
        .with_columns(
            (pl.col("readings") / pl.col("expected")).alias("capture"),
            pl.lit(data.station.idx, pl.Int64).alias("station_idx"),
        )
    )


def _gaps(data: StationData, hours: pl.Expr, least: int) -> Found:
    """Return the gaps of which at least `least` hours have one of some causes."""
    failures = data.gaps.filter(hours >= least)
    shown = failures.with_columns(utc("start"), utc("end"))
    return Found(max(1, data.gaps.height), shown)


@station_check("C03", "Long gaps without an answer of the source",
               dimension="completeness", unit="gaps",
               worst=pl.col("hours"))  # fmt: skip
def gaps_not_asked(data: StationData, params: Params) -> Found:
    """Gaps with at least `hours` that the source was not asked for, or nobody knows whether."""
    return _gaps(data, pl.col(Cause.NOT_ASKED) + pl.col(Cause.UNKNOWN), params["hours"])


@station_check("C04", "Long gaps for which the source had nothing usable",
               dimension="completeness", unit="gaps",
               worst=pl.col("hours"))  # fmt: skip
def gaps_of_the_source(data: StationData, params: Params) -> Found:
    """Gaps with at least `hours` that the source had nothing for, or a record that is no reading.

    Hours in which a stored document stands are left to the checks of its values.
    """
    answered = pl.col(Cause.EMPTY) + pl.col(Cause.REJECTED)
    answered -= pl.col("standing") - pl.col(Cause.KEPT)
    return _gaps(data, answered, params["hours"])


@station_check("C05", "Stations silent at the end of the range",
               dimension="timeliness", unit="stations")  # fmt: skip
def silent(data: StationData, params: Params) -> Found:
    """No reading in the last hours of the range."""
    quiet = data.silent_h > params["hours"]
    return Found(1, _one(data, silent_hours=data.silent_h) if quiet else pl.DataFrame())


@station_check("C06", "Days with too few hours",
               dimension="completeness", unit="station-days",
               worst=-pl.col("readings").cast(pl.Int64))  # fmt: skip
def thin_days(data: StationData, params: Params) -> Found:
    """Whole local days with fewer hours than a daily mean needs (75 % of 24)."""
    days = _capture_by(data, pl.col("day")).filter(pl.col("expected") == _WHOLE_DAY_H)
    thin = days.filter(pl.col("readings") < params["hours"])
    return Found(days.height, thin.with_columns(pl.col("day").cast(pl.Date)).drop("capture"))


@station_check("C07", "Dry or wet seasons with too little capture",
               dimension="completeness", unit="station-seasons",
               worst=-pl.col("capture"))  # fmt: skip
def poor_seasons(data: StationData, params: Params) -> Found:
    """Every half-year must be there, lest an annual mean speaks of one of them only.

    A season of which fewer hours are expected than `hours` is not evaluated.
    """
    date = pl.col("day").cast(pl.Date)
    # the dry season goes from November to April: November 2023 begins that of 2024
    year = (date.dt.year() + (date.dt.month() > max(_WET_MONTHS)).cast(pl.Int32)).alias("year")
    wet = date.dt.month().is_in(_WET_MONTHS)
    season = pl.when(wet).then(pl.lit("wet")).otherwise(pl.lit("dry")).alias("season")
    seasons = _capture_by(data, year, season).filter(pl.col("expected") >= params["hours"])
    is_wet = pl.col("season") == "wet"
    begins = pl.date(pl.col("year") - (~is_wet), pl.when(is_wet).then(5).otherwise(11), 1)
    ends = pl.date(pl.col("year"), pl.when(is_wet).then(11).otherwise(5), 1)
    first_label = pl.duration(hours=1 - data.scope.offset_h)
    start, end = (day.cast(pl.Datetime("ms", "UTC")) + first_label for day in (begins, ends))
    poor = seasons.filter(pl.col("capture") < params["capture"])
    return Found(seasons.height, poor.with_columns(start=start, end=end))


@station_check("C08", "Pollutants that are gone while the station reports",
               dimension="completeness", unit="stretches")  # fmt: skip
def lost_pollutants(data: StationData, params: Params) -> Found:
    """At least `hours` readings in a row lack a pollutant that as many others have."""
    reported = data.hours.filter("present")
    least, evaluated, parts = params["hours"], 0, []
    for name in POLLUTANTS:
        if reported[name].count() < least:
            continue
        evaluated += 1
        runs = (
            reported.select("hour", pl.col(name).is_null().alias("lacks"))
            .group_by(pl.col("lacks").rle_id().alias("run"), maintain_order=True)
            .agg(
                pl.col("lacks").first(),
                pl.col("hour").first().alias("start"),
                (pl.col("hour").last() + 1).alias("end"),
                pl.len().cast(pl.Int64).alias("hours"),
            )
            .filter("lacks", pl.col("hours") >= least)
        )
        idx = pl.lit(data.station.idx, pl.Int64).alias("station_idx")
        what = pl.lit(name).alias("pollutant")
        parts.append(runs.select(idx, what, utc("start"), utc("end"), "hours"))
    if not evaluated:
        return nothing("no pollutant was there for long enough")
    return Found(evaluated, pl.concat(parts))


@station_check("C09", "Hours in a row with a document and without an index",
               dimension="completeness", unit="gaps")  # fmt: skip
def standing(data: StationData, params: Params) -> Found:
    """Gaps with at least `hours` in which a document stands whose `aqi` is no usable number.

    AQICN itself writes a "-" now and then; several in a row are another program, or a fault.
    """
    return _gaps(data, pl.col("standing"), params["hours"])
