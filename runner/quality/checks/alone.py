"""Statistics of a station's months from its own values: stuck, rough, repeated, off its clock."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from runner.core.aqi import AQICN_PM25, EPA_PM10
from runner.core.intervals import iso
from runner.quality.grid import POLLUTANTS, StationData, concentration, month
from runner.quality.scores import Rows, rows, worst

AGAIN_H = 24
"""Hours of the shortest stretch that is looked for elsewhere."""
_FEWEST_CHANGES = 10
"""Changes within these hours, from which on they are no flat line, which is T01's."""
_LOG_OFFSET = 10.0
"""Added to an index before its logarithm, so that near zero a point is no great step."""
_LOW = 5
"""Of an index: at or below it instruments of gases stand still in clean air."""
_QUIET_H, _WEEK_H, _FEWEST_H = 72, 168, 100
_WEATHER = ("t",)
_PARTICLES = ("pm25", "pm10")
_ROUGH = (*_PARTICLES, "o3", "t")
_WITH_A_COURSE = ("pm25", "o3", "no2")
_NOON_H, _LEAST_RANGE, _FEWEST_T = 14.5, 2.0, 300
_COURSE_MONTHS, _NO_SHIFT, _NEAR_H = 3, 12, 2


def scores(data: StationData) -> pl.DataFrame:
    """Return the scores of a station's months."""
    hours = data.hours.select("hour", "day", "hod", month(), *POLLUTANTS, *_WEATHER)
    return rows(data.station.idx, _all(hours))


def _all(hours: pl.DataFrame) -> Iterator[Rows]:
    there = [name for name in (*POLLUTANTS, *_WEATHER) if hours[name].count() >= _WEEK_H]
    for name in there:
        one = hours.select("hour", "month", pl.col(name).alias("value"))
        yield _again(one, name)
        yield from _longest_runs(one, name)
        if name in (*_PARTICLES, "t"):
            yield _quietest(one, name)
            yield from _shares(one, name)
        if name in _ROUGH:
            yield _roughest(one, name)
    if set(_PARTICLES) <= set(there):
        yield _finer(hours)
    if "t" in there:
        yield _warmest(hours)
    if courses := [name for name in _WITH_A_COURSE if name in there]:
        yield _course(hours, courses)


def _smooth(name: str) -> pl.Expr:
    """Return values on a scale on which their hourly changes are about as large everywhere."""
    value = pl.col("value")
    return value if name in _WEATHER else (value + _LOG_OFFSET).log()


def _longest_runs(one: pl.DataFrame, name: str) -> Iterator[Rows]:
    """Yield the hours of the longest run of equal values; those near zero apart."""
    here = one.filter(pl.col("value").is_not_null())
    runs = (
        here.with_columns((pl.col("hour") - pl.int_range(pl.len())).alias("piece"))
        .group_by(pl.struct("piece", "value").rle_id().alias("run"), maintain_order=True)
        .agg(
            pl.col("month", "value").first(),
            pl.col("hour").first().alias("start"),
            (pl.col("hour").last() + 1).alias("end"),
        )
        .with_columns((pl.col("end") - pl.col("start")).cast(pl.Float64).alias("n"))
    )
    is_low = pl.lit(value=False) if name in _WEATHER else pl.col("value") <= _LOW
    yield Rows(f"run.{name}", worst(runs.filter(~is_low), "n"))
    yield Rows(f"low.{name}", worst(runs.filter(is_low), "n"))


def _quietest(one: pl.DataFrame, name: str) -> Rows:
    """Return the inverse of the smallest spread of three days, above values near zero."""
    floor = 0.1 if name in _WEATHER else 0.005
    spread = _smooth(name).rolling_std(_QUIET_H, min_samples=48)
    mean = pl.col("value").rolling_mean(_QUIET_H, min_samples=48)
    quiet = 1 / (spread + floor)
    windows = one.select(
        "month",
        (quiet if name in _WEATHER else pl.when(mean > _LOW).then(quiet)).alias("score"),
        (pl.col("hour") - _QUIET_H + 1).alias("start"),
        (pl.col("hour") + 1).alias("end"),
    )
    return Rows(f"quiet.{name}", worst(windows, "score"))


def _shares(one: pl.DataFrame, name: str) -> Iterator[Rows]:
    """Yield shares of a month: hours equal to the one before, multiples of ten, at the maximum."""
    value = pl.col("value")
    found = (
        one.with_columns((value == value.shift(1)).alias("same"))
        .group_by("month", maintain_order=True)
        .agg(
            pl.col("hour").min().alias("start"),
            (pl.col("hour").max() + 1).alias("end"),
            value.count().alias("n"),
            pl.col("same").mean().alias("equal"),
            ((value % 10 == 0) & (value > 0)).mean().alias("tens"),
            ((value == value.max()) & (value.max() > _LOW)).mean().alias("top"),
        )
        .filter(pl.col("n") >= _WEEK_H)
    )
    for kind in ("equal",) if name in _WEATHER else ("equal", "tens", "top"):
        months = found.select("month", pl.col(kind).alias("score"), "start", "end")
        yield Rows(f"{kind}.{name}", months)


def _roughest(one: pl.DataFrame, name: str) -> Rows:
    """Return von Neumann's ratio of a week: near 0 for air, 1 for noise and shuffled hours."""
    value = _smooth(name)
    step = (value.diff() ** 2).rolling_mean(_WEEK_H, min_samples=_FEWEST_H)
    spread = value.rolling_var(_WEEK_H, min_samples=_FEWEST_H)
    weeks = one.select(
        "month",
        (step / (2 * spread + 0.02)).alias("score"),
        (pl.col("hour") - _WEEK_H + 1).alias("start"),
        (pl.col("hour") + 1).alias("end"),
    )
    return Rows(f"rough.{name}", worst(weeks, "score"))


def _finer(hours: pl.DataFrame) -> Rows:
    """Return the share of a month's hours with PM2.5 above PM10, of which it is a part."""
    fine = concentration(pl.col("pm25"), AQICN_PM25)
    coarse = concentration(pl.col("pm10"), EPA_PM10)
    found = hours.group_by("month", maintain_order=True).agg(
        (fine > 1.1 * coarse + 3).mean().alias("score"),
        (fine + coarse).count().alias("n"),
        pl.col("hour").min().alias("start"),
        (pl.col("hour").max() + 1).alias("end"),
    )
    return Rows("finer", found.filter(pl.col("n") >= _WEEK_H))


def _warmest(hours: pl.DataFrame) -> Rows:
    """Return how many hours from 14:30 the mean temperature of a local month peaks.

    Months with less than 2 degC between the warmest and the coldest hour have no peak to speak of.
    """
    by_hour = (
        hours.filter(pl.col("t").is_not_null())
        .group_by("month", "hod", maintain_order=True)
        .agg(
            pl.col("t").mean(),
            pl.len().alias("n"),
            pl.col("hour").min(),
            pl.col("hour").max().alias("last"),
        )
        .sort("month", "hod")
    )
    away = (pl.col("peak") - _NOON_H).abs()
    found = (
        by_hour.group_by("month", maintain_order=True)
        .agg(
            pl.col("n").sum(),
            pl.col("hod").get(pl.col("t").arg_max()).alias("peak"),
            (pl.col("t").max() - pl.col("t").min()).alias("range"),
            pl.col("hour").min().alias("start"),
            (pl.col("last").max() + 1).alias("end"),
        )
        .filter(pl.col("n") >= _FEWEST_T, pl.col("range") >= _LEAST_RANGE)
        .with_columns(
            pl.min_horizontal(away, 24 - away).alias("score"),
            pl.format("warmest at {} h", "peak").alias("what"),
        )
    )
    return Rows("noon", found)


def _course(hours: pl.DataFrame, names: list[str]) -> Rows:
    """Return how much better the daily course of three months goes with the usual one if moved.

    The mean over pollutants of the correlation at the best shift of 3 to 12 hours, less at none.
    """
    logs = [(pl.col(name) + _LOG_OFFSET).log().alias(name) for name in names]
    away = [(pl.col(name) - pl.col(name).mean().over("day")).alias(name) for name in names]
    table = hours.select("hour", "day", "hod", "month", *logs).select("hour", "hod", "month", *away)
    months = table.group_by("month", maintain_order=True).agg(
        pl.col("hour").min().alias("start"), (pl.col("hour").max() + 1).alias("end")
    )
    total: list[list[float]] = [[0.0] * 25 for _month in range(months.height)]
    used = 0
    for name in names:
        sums = (
            table.group_by("month", "hod")
            .agg(pl.col(name).sum().alias("sum"), pl.col(name).count().alias("n"))
            .sort("month", "hod")
        )
        if sums.height != 24 * months.height:
            continue
        used += 1
        profiles = [_pairs(sums, at) for at in range(months.height)]
        usual = _mean(profiles)
        for at in range(months.height):
            recent = _mean(profiles[max(0, at - _COURSE_MONTHS + 1) : at + 1])
            for shift in range(25):
                moved = [recent[(hour + shift - _NO_SHIFT) % 24] for hour in range(24)]
                total[at][shift] += _correlation(usual, moved)
    if not used:
        return Rows("course", months.clear().with_columns(score=pl.lit(0.0)))
    best = [_best_shift(row) for row in total]
    gains = [(row[at] - row[_NO_SHIFT]) / used for row, at in zip(total, best, strict=True)]
    words = [
        f"course {abs(at - _NO_SHIFT)} h {'late' if at > _NO_SHIFT else 'early'}" for at in best
    ]
    return Rows("course", months.with_columns(pl.Series("score", gains), pl.Series("what", words)))


def _best_shift(correlations: list[float]) -> int:
    """Return the place of the highest correlation, those of up to 2 h off left out."""
    far = [at for at in range(len(correlations)) if abs(at - _NO_SHIFT) > _NEAR_H]
    return max(far, key=correlations.__getitem__)


def _pairs(sums: pl.DataFrame, at: int) -> list[tuple[float, int]]:
    return sums.slice(24 * at, 24).select("sum", "n").rows()


def _mean(profiles: list[list[tuple[float, int]]]) -> list[float]:
    return [
        sum(one[hour][0] for one in profiles) / max(1, sum(one[hour][1] for one in profiles))
        for hour in range(24)
    ]


def _correlation(first: list[float], second: list[float]) -> float:
    means = sum(first) / 24, sum(second) / 24
    one, two = ([x - mean for x in xs] for xs, mean in zip((first, second), means, strict=True))
    norm = (sum(x * x for x in one) * sum(y * y for y in two)) ** 0.5
    return sum(x * y for x, y in zip(one, two, strict=True)) / norm if norm else 0.0


def digest(value: pl.Expr) -> pl.Expr:
    """Return a number for the values of the last 24 hours; null if one lacks or few differ."""
    tenths = (value * 10).round().cast(pl.Int64)
    mixed = tenths.cast(pl.UInt64, wrap_numerical=True)
    total = pl.lit(0, pl.UInt64)
    for step in range(AGAIN_H):
        total = total * 1_000_003 + mixed.shift(step)
    changes = (tenths != tenths.shift(1)).cast(pl.Int32).rolling_sum(AGAIN_H)
    return pl.when(changes >= _FEWEST_CHANGES).then(total)


def _again(one: pl.DataFrame, name: str) -> Rows:
    """Return the hours of stretches of a day or more that stand earlier, too."""
    none = one.group_by("month", maintain_order=True).agg(
        pl.lit(0.0).alias("score"), pl.col("hour").min().alias("start"),
        pl.col("hour").max().alias("end"), pl.lit(None, pl.String).first().alias("what"),
    )  # fmt: skip
    hashed = one.select("hour", "month", digest(pl.col("value")).alias("digest")).drop_nulls()
    again = hashed.filter(~pl.col("digest").is_first_distinct())
    if again.is_empty():
        return Rows(f"again.{name}", none)
    first = hashed.unique("digest", keep="first", maintain_order=True)
    pairs = again.join(
        first.select("digest", pl.col("hour").alias("first")), on="digest", maintain_order="left"
    )
    apart = (pl.col("hour").diff() > AGAIN_H).fill_null(value=True)
    pieces = pairs.group_by(apart.cum_sum().alias("piece"), maintain_order=True).agg(
        (pl.col("hour").min() - AGAIN_H + 1).alias("start"),
        (pl.col("hour").max() + 1).alias("end"),
        (pl.col("first").first() - AGAIN_H + 1).alias("as_at"),
    )
    value = one.select(_smooth(name).alias("value"))["value"]
    begins = int(one["hour"][0])
    found = pl.DataFrame(
        [
            _copied(value, start, end, as_at, begins)
            for start, end, as_at in pieces.select("start", "end", "as_at").rows()
        ],
        {"start": pl.Int64, "end": pl.Int64, "what": pl.String},
        orient="row",
    ).with_columns((pl.col("end") - pl.col("start")).cast(pl.Float64).alias("score"))
    months = one.select(pl.col("hour").alias("start"), "month")
    named = found.join(months, on="start").select(none.columns)
    return Rows(f"again.{name}", pl.concat([named, none]))


def _copied(
    value: pl.Series, start: int, end: int, as_at: int, begins: int
) -> tuple[int, int, str]:
    """Return the later stretch, unless the earlier one fits much worse to the hours around it."""
    length = end - start
    pairs = []
    for inner, outer in ((0, -1), (length - 1, length)):
        jumps = [jump(value, at + inner - begins, at + outer - begins) for at in (start, as_at)]
        if None not in jumps:
            pairs.append(jumps)
    late, early = (sum(pair[side] or 0.0 for pair in pairs) for side in (0, 1))
    is_apart = as_at + length <= start
    if is_apart and early > 2 * late + 0.2:
        return as_at, as_at + length, f"as from {iso(start)}"
    return start, end, f"as from {iso(as_at)}"


def jump(value: pl.Series, one: int, other: int) -> float | None:
    """Return how far apart two hours are; None if one is missing."""
    if min(one, other) < 0 or max(one, other) >= value.len():
        return None
    first, second = value[one], value[other]
    return None if first is None or second is None else abs(first - second)
