"""Checks against other sources (E): the daily CSV that a person downloads from WAQI.

The file has a line `date, pm25, pm10, ...` and dates as 2021/1/31, unsorted, with blanks. Its pm25
is floor(mean of the hourly indices over the labels 00..23 local): proved on the US Consulate Ho Chi
Minh City, 346 of 355 days of 2020 and 104 of 106 of 2021, and on Hanoi, 201 of 204 of 2020.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from runner.quality.catalogue import Found, Params, nothing, station_check
from runner.quality.grid import StationData

AGREEMENT = pl.Schema(
    {
        "station_idx": pl.Int64,
        "month": pl.String,
        "days": pl.UInt32,
        "equal": pl.UInt32,
        "within": pl.UInt32,
        "mean_difference": pl.Float64,
    }
)
"""A row a station and local month, `2020-01`: days that both have, those whose numbers are equal,
those within the points that E01 allows, and the mean of ours less theirs, in points."""


@station_check("E01", "Days that WAQI's daily file says otherwise",
               dimension="accuracy", unit="station-days",
               worst=(pl.col("pm25") - pl.col("external")).abs())  # fmt: skip
def daily_file(data: StationData, params: Params) -> Found:
    """floor(mean of hourly pm25) of a local day against the file, days with enough hours only."""
    days = _compared(data, params)
    if days is None:
        return nothing("no daily file is named in quality.external")
    off = days.filter((pl.col("pm25") - pl.col("external")).abs() > params["points"])
    idx = pl.lit(data.station.idx, pl.Int64).alias("station_idx")
    rows = off.select(idx, pl.col("day").cast(pl.Date), "pm25", "external", "hours")
    return Found(days.height, rows, note="" if days.height else "the file has none of these days")


def agreement(data: StationData, params: Params) -> pl.DataFrame:
    """Return how often both agree, by month, as AGREEMENT; without a row where there is no file.

    The check reports a file that cannot be read.
    """
    try:
        days = _compared(data, params)
    except (OSError, ValueError, pl.exceptions.PolarsError):
        days = None
    if days is None:
        return AGREEMENT.to_frame()
    off = pl.col("pm25") - pl.col("external")
    return (
        days.group_by(pl.col("day").cast(pl.Date).dt.strftime("%Y-%m").alias("month"))
        .agg(
            pl.lit(data.station.idx, pl.Int64).first().alias("station_idx"),
            pl.len().alias("days"),
            (off == 0).sum().alias("equal"),
            (off.abs() <= params["points"]).sum().alias("within"),
            off.mean().alias("mean_difference"),
        )
        .sort("month")
        .select(pl.col(name).cast(kind) for name, kind in AGREEMENT.items())
    )


def _compared(data: StationData, params: Params) -> pl.DataFrame | None:
    """Return the days that both have: day, pm25 (ours), external, hours; None without a file."""
    path = dict(data.scope.external).get(data.station.idx)
    if path is None:
        return None
    external = read_daily(Path(path))
    return (
        data.hours.group_by(
            (pl.col("local") // 24).cast(pl.Int32).alias("day"), maintain_order=True
        )
        .agg(pl.col("pm25").mean().floor().alias("pm25"), pl.col("pm25").count().alias("hours"))
        .filter(pl.col("hours") >= params["hours"])
        .join(external, on="day")
    )


def read_daily(path: Path) -> pl.DataFrame:
    """Return the days of a WAQI daily CSV: day (days since 1970), external (its pm25).

    Lines without a date of the calendar or without a number are left out; of two for one day the
    first counts. What no day's mean can be (files have a few 828 and 999) is kept as it stands.

    Raises:
        OSError: it cannot be read.
        ValueError: it has no columns `date` and `pm25`.
    """
    text = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True, glob=False)
    text = text.rename({name: name.strip().lower() for name in text.columns})
    if not {"date", "pm25"} <= set(text.columns):
        msg = f"{path} has no columns date and pm25"
        raise ValueError(msg)
    date = pl.col("date").str.strip_chars().str.replace_all("/", "-")
    return (
        text.select(
            date.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).alias("day"),
            pl.col("pm25").str.strip_chars().cast(pl.Float64, strict=False).alias("external"),
        )
        .drop_nulls()
        .filter(pl.col("external").is_finite())
        .unique("day", keep="first", maintain_order=True)
    )
