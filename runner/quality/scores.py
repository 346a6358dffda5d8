"""Scores: how unusual a station's month is, by one statistic each, and from where on that counts.

There is one mechanism for all statistics. Each gives a score to every station and month, the higher
the stranger, and names the hours that are strangest. Its limit is learned from the other stations'
scores against a budget of false alarms, between two fixed bounds: up to the lower one nothing is a
finding, above the upper one everything is. If nothing can be learned, the upper one counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

SCORES = pl.Schema(
    {
        "station_idx": pl.Int64,
        "statistic": pl.String,
        "month": pl.Date,
        "score": pl.Float64,
        "start": pl.Int64,
        "end": pl.Int64,
        "what": pl.String,
    }
)
"""statistic: `kind` or `kind.variable`; start, end: hours since 1970, half-open; what: in words."""

_FEWEST = 20
"""Months of other stations that a limit is learned from."""
_STATIONS = 4
"""Stations from which on the median of a month says what was in the air of all."""
_HIGH_SHARE = 0.85
_MONTHS = 12
_SAFETY = 1.4
"""Tails are heavier than exponential. Set on the first half of Beijing's years, see
docs/quality.md."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Scores of one statistic at one station: month, score, start, end, and perhaps what."""

    statistic: str
    months: pl.DataFrame


def rows(station_idx: int, parts: Iterable[Rows]) -> pl.DataFrame:
    """Return scores of a station as SCORES."""
    made = [
        one.months.select(
            pl.lit(station_idx, pl.Int64).alias("station_idx"),
            pl.lit(one.statistic).alias("statistic"),
            "month",
            pl.col("score").cast(pl.Float64),
            pl.col("start", "end").cast(pl.Int64),
            pl.col("what")
            if "what" in one.months.columns
            else pl.lit(None, pl.String).alias("what"),
        )
        for one in parts
        if one.months.height
    ]
    return pl.concat(made).filter(pl.col("score").is_finite()) if made else SCORES.to_frame()


def worst(found: pl.DataFrame, score: str) -> pl.DataFrame:
    """Return the row of each month with the highest score: month, score, start, end."""
    return (
        found.filter(pl.col(score).is_finite())
        .group_by("month", maintain_order=True)
        .agg(pl.col(score, "start", "end").get(pl.col(score).arg_max()))
        .select("month", pl.col(score).alias("score"), "start", "end")
    )


def with_learned(scores: pl.DataFrame, budget: float) -> pl.DataFrame:
    """Return scores with `learned`, the limit of each; null if nothing can be learned.

    A limit is the station's usual score (its median, at most the highest of the other stations'),
    plus what the month adds at most stations, plus a distance that the other stations' scores keep
    from their usual ones as often as the budget allows: their tail is taken to fall exponentially
    from the median and the 85th percentile. A station never teaches its own limit.

    Args:
        scores: of all stations.
        budget: false alarms per station-year, of all statistics together.
    """
    count = max(1, scores["statistic"].n_unique())
    allowed = budget / (_MONTHS * count)
    reach = _SAFETY * math.log(0.5 / allowed) / math.log(0.5 / (1 - _HIGH_SHARE))
    at_month = ("statistic", "month")
    added = pl.col("score").median().over(at_month) - pl.col("score").median().over("statistic")
    many = pl.len().over(at_month) >= _STATIONS
    made = scores.with_columns(
        pl.when(many).then(added.clip(lower_bound=0)).otherwise(0.0).alias("added")
    ).with_columns((pl.col("score") - pl.col("added")).alias("own"))
    made = made.with_columns(pl.col("own").median().over("statistic", "station_idx").alias("usual"))
    made = made.with_columns((pl.col("own") - pl.col("usual")).alias("off"))
    learned = pl.concat(
        [
            pl.DataFrame(
                schema={"statistic": pl.String, "station_idx": pl.Int64, "most": pl.Float64}
            ),
            *(_of_others(found, reach) for _key, found in made.group_by("statistic")),
        ]
    )
    return (
        made.join(learned, on=["statistic", "station_idx"], how="left", maintain_order="left")
        .with_columns((pl.col("most") + pl.col("added")).alias("learned"))
        .drop("added", "own", "usual", "off", "most")
    )


def _of_others(found: pl.DataFrame, reach: float) -> pl.DataFrame:
    """Return the limit that the other stations teach each, of one statistic."""
    usual = dict(found.select("station_idx", "usual").unique().iter_rows())
    limits = []
    for idx, own in usual.items():
        others = found["off"].filter(found["station_idx"] != idx)
        if others.len() < _FEWEST:
            continue
        highest = max(value for other, value in usual.items() if other != idx)
        distance = reach * float(others.quantile(_HIGH_SHARE, "linear") or 0.0)
        limits.append((found["statistic"][0], idx, min(own, highest) + distance))
    schema = {"statistic": pl.String, "station_idx": pl.Int64, "most": pl.Float64}
    return pl.DataFrame(limits, schema, orient="row")
