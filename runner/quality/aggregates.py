"""What a page needs of a station, small: by day, by month, by hour of the day, by category."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import polars as pl

from runner.core.aqi import BANDS
from runner.core.intervals import iso
from runner.core.text import harmless
from runner.quality.checks.rows import keys_of
from runner.quality.grid import MISSING, StationData, month, month_text, ugm3, utc

LONG_GAP_H = 24

_PRIME = 2_147_483_647


def _digest() -> pl.Expr:
    """Return a number that changes when an hour's aqi or pm25 changes, or moves.

    Plain integer arithmetic, so that it is the same with every version of polars. It is no
    cryptographic one.
    """
    tenths = [(pl.col(name) * 10).round().cast(pl.Int64).fill_null(-1) for name in ("aqi", "pm25")]
    word = (tenths[0] * 10_007 + tenths[1]) % _PRIME
    mixed = (word * word + 7 * word + 13) % _PRIME
    weighted = (mixed * (pl.col("hod").cast(pl.Int64) * 7919 + 104_729)) % _PRIME
    return weighted.filter("present").sum()


def by_day(data: StationData) -> pl.DataFrame:
    """Return a row for every local day of the window."""
    return data.hours.group_by("day", maintain_order=True).agg(
        pl.lit(data.station.idx, pl.Int64).alias("station_idx"),
        pl.col("expected").sum().cast(pl.Int64),
        pl.col("present").sum().cast(pl.Int64).alias("n"),
        pl.col("aqi").sum().alias("sum_aqi"),
        pl.col("aqi").median().alias("median"),
        pl.col("aqi").max().alias("max"),
        pl.col("pm25").count().cast(pl.Int64).alias("pm25_n"),
        ugm3(data.ledger.scale, "pm25").mean(),
        _digest().alias("hash"),
    )


def by_month(data: StationData) -> pl.DataFrame:
    """Return a row for every local month: expected, present, and missing hours by cause."""
    lacking = pl.col("expected") & ~pl.col("present")
    causes = [
        (lacking & (pl.col("cause") == index)).sum().cast(pl.Int64).alias(str(cause))
        for index, cause in enumerate(MISSING)
    ]
    return (
        data.hours.group_by(month(), maintain_order=True)
        .agg(
            pl.lit(data.station.idx, pl.Int64).alias("station_idx"),
            pl.col("expected").sum().cast(pl.Int64),
            (pl.col("expected") & pl.col("present")).sum().cast(pl.Int64).alias("readings"),
            *causes,
        )
        .with_columns(
            month_text(),
            pl.when(pl.col("expected") > 0)
            .then(pl.col("readings") / pl.col("expected"))
            .alias("capture"),
        )
    )


def by_hour_of_day(data: StationData) -> pl.DataFrame:
    """Return the daily course: 24 rows with n, quartiles and median of aqi."""
    value = pl.col("aqi")
    hours = pl.DataFrame({"hod": pl.int_range(1, 25, dtype=pl.Int8, eager=True)})
    course = data.hours.group_by("hod").agg(
        value.count().cast(pl.Int64).alias("n"),
        value.quantile(0.25, "linear").alias("q1"),
        value.median().alias("median"),
        value.quantile(0.75, "linear").alias("q3"),
        pl.col("t").mean().alias("t_mean"),
    )
    idx = pl.lit(data.station.idx, pl.Int64).alias("station_idx")
    return hours.join(course, on="hod", how="left", maintain_order="left").with_columns(idx)


def by_category(data: StationData) -> pl.DataFrame:
    """Return the hours in every band of the index: six rows."""
    held = data.hours["aqi"].filter(data.hours["present"])
    edges = [-1.0, *(band.highest for band in BANDS)]
    counts = [int(((held > low) & (held <= high)).sum()) for low, high in pairwise(edges)]
    return pl.DataFrame(
        {
            "station_idx": [data.station.idx] * len(BANDS),
            "category": [band.label for band in BANDS],
            "hours": counts,
        },
        {"station_idx": pl.Int64, "category": pl.String, "hours": pl.Int64},
    )


def hour_grid(data: StationData) -> pl.DataFrame:
    """Return every hour of the window, for an image of hours by days."""
    causes = pl.col("cause").replace_strict(
        list(range(len(MISSING))), list(map(str, MISSING)), return_dtype=pl.String
    )
    return data.hours.select(
        pl.lit(data.station.idx, pl.Int64).alias("station_idx"),
        utc("hour", "ts"),
        pl.col("day").cast(pl.Date),
        "hod",
        pl.col("aqi").cast(pl.Float32),
        pl.when(pl.col("expected") & ~pl.col("present")).then(causes).alias("cause"),
    )


STATION_SCHEMA: dict[str, type[pl.DataType]] = {
    "station_idx": pl.Int64,
    "name": pl.String,
    "latitude": pl.Float64,
    "longitude": pl.Float64,
    "checkpoint": pl.String,
    "error": pl.String,
    "documents": pl.Int64,
    "expected": pl.Int64,
    "readings": pl.Int64,
    "capture": pl.Float64,
    "first": pl.String,
    "last": pl.String,
    "silent_h": pl.Int64,
    "longest_gap_h": pl.Int64,
    "gaps_ge_24h": pl.Int64,
    **{f"{cause}_h": pl.Int64 for cause in MISSING},
    "settled_h": pl.Int64,
    "standing_h": pl.Int64,
    "rejected_by_reason": pl.String,
    "keys": pl.String,
    "scale": pl.String,
}


def summary(data: StationData) -> dict[str, Any]:
    """Return the station's row in agg/stations.parquet."""
    held = data.held
    gaps = data.gaps
    return {
        "station_idx": data.station.idx,
        "name": harmless(data.station.name),
        "latitude": data.station.latitude,
        "longitude": data.station.longitude,
        "checkpoint": data.ledger.status or None,
        "error": harmless(data.ledger.error) or None,
        "documents": data.documents.height,
        "expected": data.expected,
        "readings": data.readings,
        "capture": data.capture,
        "first": iso(held[0]) if held.len() else None,
        "last": iso(held[-1]) if held.len() else None,
        "silent_h": data.silent_h,
        "longest_gap_h": max(gaps["hours"].to_list(), default=0),
        "gaps_ge_24h": gaps.filter(pl.col("hours") >= LONG_GAP_H).height,
        **{f"{cause}_h": int(gaps[str(cause)].sum()) for cause in MISSING},
        "settled_h": data.settled_h,
        "standing_h": int(gaps["standing"].sum()),
        "rejected_by_reason": json.dumps(data.rejected_by_reason),
        "keys": ",".join(sorted(keys_of(data))) or None,
        "scale": data.ledger.scale,
    }
