"""Statistics of a station's months against its neighbours: levels, clock, spikes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from runner.quality.scores import Rows, worst

OFFSETS = {"pm25": 3.0, "pm10": 6.0, "o3": 3.0, "no2": 3.0, "so2": 3.0, "co": 3.0}
"""Added before the logarithm, ug/m3 of particles and points of the others."""
PARTICLES = ("pm25", "pm10")
LEAST = 3
"""Neighbours that a comparison needs."""
FEWEST_H = 336
"""Values that a station must have to be compared, and twice those of a month."""
_FEWEST_OF_A_DAY, _FEWEST_OF_A_MONTH = 8, 8
_LAGS = range(-14, 15)
_SPANS = (10, 30)
"""Days before and after a day whose levels are compared."""
_SPIKE_OFFSET = 20.0
"""ug/m3, added before the logarithm: in clean air a few ug/m3 are no spike."""
_SPIKES = (3, 5)
"""The third and the fifth highest spike of a month are judged: single ones are real everywhere."""
_BURST_H, _AROUND_H = 3, 6


def lags(table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return by month the correlations of hourly differences with the neighbours' at every lag.

    Differences have a mean of zero, and one that is missing adds nothing to a sum of products.
    """
    diffs = table.select(
        "hour", "month", pl.col("own").diff().alias("own"),
        pl.mean_horizontal(pl.col(name).diff() for name in names).alias("others"),
    )  # fmt: skip
    there = pl.col("own").is_not_null()
    own, others = pl.col("own"), pl.col("others")
    norm = (own.pow(2).sum() * others.filter(there).pow(2).sum()).sqrt()
    return (
        diffs.with_columns((own * others.shift(lag)).alias(f"r{lag}") for lag in _LAGS)
        .group_by("month", maintain_order=True)
        .agg(
            pl.col("hour").min().alias("start"),
            (pl.col("hour").max() + 1).alias("end"),
            (own * others).count().alias("n"),
            *(pl.col(f"r{lag}").sum() / norm for lag in _LAGS),
        )
        .filter(pl.col("n") >= FEWEST_H // 2, pl.col("r0").is_finite())
    )


def clock(lags: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield how much better than as they stand differences go with the neighbours' if moved.

    And how much worse as they stand than usually at this station (`unlike`).
    """
    others = [f"r{lag}" for lag in _LAGS if lag]
    own = ("station_idx", "variable")
    gains = lags.with_columns((pl.col("r0").median().over(own) - pl.col("r0")).alias("unlike"))
    gains = gains.with_columns(pl.col(name) - pl.col("r0") for name in others)
    together = (
        gains.group_by("station_idx", "month", maintain_order=True)
        .agg(pl.col("start", "end").first(), pl.col("unlike", *others).mean(), pl.len().alias("n"))
        .filter(pl.col("n") > 1)
        .with_columns(pl.lit("all").alias("variable"))
    )
    names = ("station_idx", "variable", "month", "start", "end", "unlike", *others)
    both = pl.concat([gains.select(names), together.select(names)])
    hours = pl.Series([lag for lag in _LAGS if lag])
    best = pl.concat_list(others).list.arg_max()
    words = [f"{abs(lag)} h {'late' if lag > 0 else 'early'}" for lag in hours]
    moved = both.with_columns(
        pl.max_horizontal(others).alias("lag"),
        best.replace_strict(list(range(len(words))), words, return_dtype=pl.String).alias("what"),
    )
    yield _scored(moved, "lag")
    yield _scored(moved.with_columns(pl.lit(None, pl.String).alias("what")), "unlike")


def days(table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return by day how far a station is from its neighbours: the median of them and of hours."""
    away = {name: pl.col("own") - pl.col(name) for name in names}
    days = table.group_by("day", maintain_order=True).agg(
        pl.col("month").first(),
        pl.col("hour").first().alias("start"),
        *(
            pl.when(one.count() >= _FEWEST_OF_A_DAY).then(one.median()).alias(name)
            for name, one in away.items()
        ),
    )
    there = pl.sum_horizontal(pl.col(name).is_not_null() for name in names)
    median = pl.when(there >= LEAST).then(pl.concat_list(names).list.median())
    return days.select("day", "month", "start", median.alias("away"))


def level(days: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield steps of the level, and how far months are from the station's usual level."""
    own = ("station_idx", "variable")
    for span in _SPANS:
        median = pl.col("away").rolling_median(span, min_samples=span // 2)
        off = (median.shift(-(span - 1)) - median.shift(1)).over(own).alias("off")
        until = (pl.col("start") + 24 * span).alias("end")
        yield _of_levels(days.with_columns(off, until), f"step{span}")
    months = (
        days.group_by(*own, "month", maintain_order=True)
        .agg(
            pl.col("away").median(),
            pl.col("away").count().alias("n"),
            pl.col("start").min(),
            (pl.col("start").max() + 24).alias("end"),
        )
        .filter(pl.col("n") >= _FEWEST_OF_A_MONTH)
    )
    off = (pl.col("away") - pl.col("away").median().over(own)).alias("off")
    yield _of_levels(months.with_columns(off), "level")


def _of_levels(found: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Return the largest of each month, of particles and of all variables together.

    Together: the root of the mean square, each in units of what is usual in the network.
    """
    found = found.filter(pl.col("off").is_finite())
    usual = pl.col("off").abs().median().over("variable")
    together = (
        found.with_columns((pl.col("off") / usual).alias("z"))
        .filter(pl.col("z").is_finite())
        .group_by("station_idx", "start", maintain_order=True)
        .agg(
            pl.col("month", "end").first(),
            (pl.col("z") ** 2).mean().sqrt().alias(kind),
            pl.len().alias("n"),
        )
        .filter(pl.col("n") > 1)
        .with_columns(pl.lit("all").alias("variable"), pl.lit(None, pl.String).alias("what"))
    )
    single = found.filter(pl.col("variable").is_in(PARTICLES)).with_columns(
        pl.col("off").abs().alias(kind),
        pl.format("x{}", pl.col("off").exp().round(2)).alias("what"),
    )
    names = ("station_idx", "variable", "month", "start", "end", kind, "what")
    both = pl.concat([single.select(names), together.select(names)])
    most = pl.col(kind).arg_max()
    return _scored(
        both.group_by("station_idx", "variable", "month", maintain_order=True).agg(
            pl.col("start", "end", kind, "what").get(most)
        ),
        kind,
    )


def _scored(found: pl.DataFrame, kind: str) -> pl.DataFrame:
    return found.select(
        "station_idx",
        (pl.lit(f"{kind}.") + pl.col("variable")).alias("statistic"),
        "month",
        pl.col(kind).cast(pl.Float64).alias("score"),
        pl.col("start", "end").cast(pl.Int64),
        "what",
    ).filter(pl.col("score").is_finite())


def spikes(table: pl.DataFrame, names: Sequence[str], name: str) -> Iterator[Rows]:
    """Yield how far single hours lie outside of both beside them, more than at any neighbour.

    And how far three hours together (`burst`). When neighbours rise, too, it is air; a station
    without any has statistics of its own. Named is the month's highest hour.
    """
    logs = ["own", *names]
    alone = "" if names else "_alone"
    offset = _SPIKE_OFFSET - OFFSETS[name]
    table = table.select("hour", "month", *((pl.col(one).exp() + offset).log() for one in logs))
    sides = {one: (pl.col(one).shift(1), pl.col(one).shift(-1)) for one in logs}
    heights = {
        "spikes": {one: pl.col(one) - pl.max_horizontal(both) for one, both in sides.items()},
        "dips": {one: pl.min_horizontal(both) - pl.col(one) for one, both in sides.items()},
    }
    bursts = {one: _burst(pl.col(one)) for one in logs}
    shared = pl.max_horizontal(0.0, *(bursts[one] for one in names)).fill_null(0)
    hours = table.select(
        "month",
        (bursts["own"] - shared).alias("score"),
        (pl.col("hour") - _BURST_H + 1).alias("start"),
        (pl.col("hour") + 1).alias("end"),
    )
    yield Rows(f"burst{alone}.{name}", worst(hours, "score"))
    for kind, height in heights.items():
        shared = pl.max_horizontal(0.0, *(height[one] for one in names)).fill_null(0)
        months = (
            table.select("month", "hour", (height["own"] - shared).alias("height"))
            .filter(pl.col("height").is_finite())
            .group_by("month", maintain_order=True)
            .agg(pl.col("hour", "height").top_k_by("height", max(_SPIKES)))
        )
        for which in _SPIKES:
            yield Rows(
                f"{kind}{which}{alone}.{name}",
                months.select(
                    "month",
                    pl.col("height").list.get(which - 1, null_on_oob=True).alias("score"),
                    pl.col("hour").list.first().alias("start"),
                    (pl.col("hour").list.first() + 1).alias("end"),
                ),
            )


def _burst(value: pl.Expr) -> pl.Expr:
    """Return how far the last three hours lie above the six before and the six after them."""
    around = value.rolling_mean(_AROUND_H, min_samples=_BURST_H)
    sides = around.shift(_BURST_H), around.shift(-_AROUND_H)
    return value.rolling_min(_BURST_H) - pl.max_horizontal(sides)
