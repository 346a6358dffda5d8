"""Indices of whole columns, with polars; the same numbers as `Breakpoints.index` and `nowcast`.

Nothing here raises for a bad value: what is null, not finite or below `lowest` becomes null, and
so does what the table has no index for.
"""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from runner.core.aqi.breakpoints import FLOAT_PLACES, Breakpoints
from runner.core.aqi.scale import HOURS, NEEDED, NEWEST, SMALLEST_WEIGHT


def index_of(concentration: pl.Expr, table: Breakpoints) -> pl.Expr:
    """Return the sub-indices (Int64) of concentrations in the table's unit."""
    value = concentration.cast(pl.Float64)
    at = value
    if table.decimals is not None:
        step = 10**table.decimals
        at = (value * step).round(FLOAT_PLACES).cast(pl.Int64, strict=False) / step
    at = at.clip(lower_bound=0.0)
    last, highest = table.knots[-1]
    line = at
    for (x0, y0), (x1, y1) in reversed(list(pairwise(table.knots))):
        piece = (at - x0) / (x1 - x0) * (y1 - y0) + y0
        line = piece if x1 == last else pl.when(at < x1).then(piece).otherwise(line)
    line = line.round(FLOAT_PLACES)
    index = line.ceil() if table.rounding == "up" else (line + 0.5).floor()
    if table.beyond != "extend":
        top = highest if table.beyond == "cap" else None
        index = pl.when(at <= last).then(index).otherwise(top)
    usable = value.is_finite() & (value >= table.lowest) & (at >= table.knots[0][0])
    return pl.when(usable).then(index).cast(pl.Int64, strict=False)


def nowcast_of(hours: pl.Expr) -> pl.Expr:
    """Return the NowCast of every hour of a column.

    The frame has a row for every hour, oldest first and none left out; a missing hour is null.
    Several stations: add `.over("station_idx")`.
    """
    aged = [hours.shift(age) for age in range(HOURS)]
    largest, smallest = pl.max_horizontal(aged), pl.min_horizontal(aged)
    ratio = (smallest / largest).clip(lower_bound=SMALLEST_WEIGHT)
    weight = pl.when(largest > 0).then(ratio).otherwise(1.0)
    weights = [weight.pow(age) for age in range(HOURS)]
    above = pl.sum_horizontal(hour * w for hour, w in zip(aged, weights, strict=True))
    below = pl.sum_horizontal(
        pl.when(hour.is_not_null()).then(w) for hour, w in zip(aged, weights, strict=True)
    )
    enough = pl.sum_horizontal(hour.is_not_null().cast(pl.Int8) for hour in aged[:NEWEST])
    return pl.when(enough >= NEEDED).then(above / below)
