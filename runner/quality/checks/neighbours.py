"""Statistics of stations' months against their most correlated neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations

import polars as pl
import structlog

from runner.core.aqi import AQICN_PM25, EPA_PM10, Breakpoints
from runner.core.stations import Station
from runner.quality.checks import alone
from runner.quality.grid import POLLUTANTS, StationData, concentration, month
from runner.quality.scores import SCORES, Rows, rows, with_learned, worst

log = structlog.get_logger()

_OFFSETS = {"pm25": 3.0, "pm10": 6.0, "o3": 3.0, "no2": 3.0, "so2": 3.0, "co": 3.0}
"""Added before the logarithm, ug/m3 of particles and points of the others."""
_TABLES: Mapping[str, Breakpoints] = {"pm25": AQICN_PM25, "pm10": EPA_PM10}
_VARIABLES = (*POLLUTANTS, "t")
_LEAST, _MOST = 3, 6
"""Neighbours that a comparison needs, and that it looks at."""
_FEWEST_OF_A_DAY, _FEWEST_OF_A_MONTH = 8, 8
_CORRELATED, _FAR_KM, _SUBSAMPLE_H, _FEWEST_H = 0.6, 100.0, 6, 336
_LAGS = range(-14, 15)
_SPANS = (10, 30)
"""Days before and after a day whose levels are compared."""
_SPIKE_OFFSET = 20.0
"""ug/m3, added before the logarithm: in clean air a few ug/m3 are no spike."""
_SPIKES = (3, 5)
"""The third and the fifth highest spike of a month are judged: single ones are real everywhere."""
_BURST_H, _AROUND_H = 3, 6
_BESIDE_H, _CONFIRM = 1, 2


class Scores:
    """How unusual the months of all stations are, filled station by station.

    Args:
        budget: false alarms per station-year, of all statistics together.
    """

    def __init__(self, budget: float) -> None:
        self._budget = budget
        self._alone: list[pl.DataFrame] = [SCORES.to_frame()]
        self._hourly: dict[int, pl.DataFrame] = {}
        self._stations: list[Station] = []
        self._hours = pl.DataFrame()
        self._made: pl.DataFrame | None = None
        self._error: Exception | None = None
        self.offset_h = 0

    def look(self, data: StationData) -> None:
        """Score a station's own months, and keep what the comparison needs.

        What breaks it breaks the checks that need the scores, and no others: see `all`.
        """
        try:
            self._alone.append(alone.scores(data))
            self._hourly[data.station.idx] = _compact(data)
        except Exception as error:
            self._error = error
            log.warning("scores.broke", station_idx=data.station.idx, exc_info=True)
            return
        self._stations.append(data.station)
        self._hours = data.hours.select("hour", "day", month())
        self.offset_h = data.scope.offset_h

    def all(self) -> pl.DataFrame:
        """Return SCORES, with `learned`: the limit that the network teaches; null if none."""
        if self._error is not None:
            raise self._error
        if self._made is None:
            parts = [*self._alone, *self._against_neighbours(), *self._twins()]
            self._made = with_learned(pl.concat(parts), self._budget)
        return self._made

    @cache  # noqa: B019 - lives as long as the run's other scores
    def neighbours(self, name: str) -> dict[int, list[int]]:
        """Return the most correlated stations of each within a distance, the best first."""
        wide = self._wide(name)
        by_idx = {one.idx: one for one in self._stations}
        pairs = [
            (one, other)
            for one, other in combinations([int(column) for column in wide.columns], 2)
            if _km(by_idx[one], by_idx[other]) <= _FAR_KM
        ]
        if not pairs:
            return {}
        thin = wide.gather_every(_SUBSAMPLE_H)
        # a clock that is off leaves the values alike, and a level that moved their changes
        both = (thin, thin.select(pl.all().diff()))
        levels, changes = (
            frame.select(
                _correlation(pl.col(str(one)), pl.col(str(other))).alias(f"{one} {other}")
                for one, other in pairs
            ).row(0)
            for frame in both
        )
        found = [max(r or 0.0, change or 0.0) for r, change in zip(levels, changes, strict=True)]
        near: dict[int, list[tuple[float, int]]] = {}
        for (one, other), r in zip(pairs, found, strict=True):
            if r >= _CORRELATED:
                near.setdefault(one, []).append((-r, other))
                near.setdefault(other, []).append((-r, one))
        return {
            idx: [other for _r, other in sorted(others)[:_MOST]]
            for idx, others in near.items()
            if len(others) >= _LEAST
        }

    def is_in_the_air(self, idx: int, hours: Sequence[int], least: float) -> set[int]:
        """Return the hours in which at least two of the neighbours are so high, too.

        Args:
            idx: the station.
            hours: to look at.
            least: index that is high.
        """
        others = self.neighbours("pm25").get(idx, [])
        high: dict[int, int] = {}
        for other in others:
            seen = self._hourly[other].filter(pl.col("aqi") >= least)["hour"].to_list()
            for hour in {at + off for at in seen for off in range(-_BESIDE_H, _BESIDE_H + 1)}:
                high[hour] = high.get(hour, 0) + 1
        return {hour for hour in hours if high.get(hour, 0) >= _CONFIRM}

    def looks_like_ugm3(self, idx: int, name: str, start: int, end: int) -> bool:
        """Whether a station's indices of some hours are the neighbours' concentrations."""
        others = self.neighbours(name).get(idx, []) if name in _TABLES else []
        if not others:
            return False
        inside = self._hourly[idx]["hour"].is_between(start, end - 1)
        usual = [
            (self._hourly[idx][name] - self._hourly[other][name]).filter(~inside).median() or 0.0
            for other in others
        ]
        expected = pl.DataFrame(
            {str(o): self._hourly[o][name].filter(inside) + float(u)  # type: ignore[arg-type]
             for o, u in zip(others, usual, strict=True)}
        ).select(pl.concat_list(pl.all()).list.median().alias("expected"))  # fmt: skip
        measured = pl.col("own").exp() - _OFFSETS[name]
        as_stored = _index(measured, _TABLES[name]) + _OFFSETS[name]
        off = expected.with_columns(self._hourly[idx][name].filter(inside).alias("own")).select(
            (pl.col("own") - pl.col("expected")).alias("line"),
            (as_stored.log() - pl.col("expected")).alias("ugm3"),
        )
        shift, spread = off["ugm3"].median(), off["ugm3"].std()
        spread_of_line = off["line"].std()
        if shift is None or spread is None or spread_of_line is None:
            return False
        return abs(float(shift)) < _UGM3_SHIFT and float(spread) < float(spread_of_line)  # type: ignore[arg-type]

    def _wide(self, name: str) -> pl.DataFrame:
        """Return a column for each station that has a variable, named by its index."""
        columns = {str(one.idx): self._hourly[one.idx][name] for one in self._stations}
        return pl.DataFrame(
            {idx: values for idx, values in columns.items() if values.count() >= _FEWEST_H}
        )

    def _against_neighbours(self) -> Iterator[pl.DataFrame]:
        lags, days = [], []
        for name in _VARIABLES:
            wide, near = self._wide(name), self.neighbours(name)
            for idx in map(int, wide.columns):
                others = near.get(idx, [])
                own = wide[str(idx)]
                names = [f"n{other}" for other in others]
                aligned = [
                    (wide[str(o)] - (wide[str(o)] - own).median()).alias(f"n{o}") for o in others
                ]
                table = self._hours.with_columns(own.alias("own"), *aligned)
                if name in _TABLES:
                    yield rows(idx, _spikes(table, names, name))
                if not others:
                    continue
                who = pl.lit(idx, pl.Int64).alias("station_idx"), pl.lit(name).alias("variable")
                lags.append(_lags(table, names).with_columns(who))
                days.append(_days(table, names).with_columns(who))
        if lags:
            yield from _clock(pl.concat(lags))
            yield from _level(pl.concat(days))

    def _twins(self) -> Iterator[pl.DataFrame]:
        """Yield the hours of stretches of a day or more that stand at another station, too."""
        if len(self._stations) < 2:  # noqa: PLR2004 - a pair
            return
        months = self._hours.group_by("month", maintain_order=True).agg(
            pl.lit(0.0).alias("score"),
            pl.col("hour").min().alias("start"),
            pl.col("hour").max().alias("end"),
        )
        for station in self._stations:
            yield rows(station.idx, [Rows("twin", months)])
        shared = pl.concat([self._equal_hours(name) for name in _TABLES]).unique()
        apart = [
            pl.col("hour").diff() > alone.AGAIN_H,
            pl.col("one").diff() != 0,
            pl.col("other").diff() != 0,
        ]
        pieces = (
            shared.sort("one", "other", "hour")
            .group_by(
                pl.any_horizontal(apart).fill_null(value=True).cum_sum().alias("piece"),
                maintain_order=True,
            )
            .agg(
                pl.col("one", "other").first(),
                (pl.col("hour").min() - alone.AGAIN_H + 1).alias("start"),
                (pl.col("hour").max() + 1).alias("end"),
            )
        )
        begins = dict(self._hours.select("hour", "month").iter_rows())
        pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for one, other, start, end in pieces.select("one", "other", "start", "end").iter_rows():
            pairs.setdefault((one, other), []).append((start, end))
        for (one, other), stretches in pairs.items():
            found = pl.DataFrame(
                [(begins[start], float(end - start), start, end) for start, end in stretches],
                {"month": pl.Date, "score": pl.Float64, "start": pl.Int64, "end": pl.Int64},
                orient="row",
            )
            for copy, original in self._copies(one, other, stretches):
                what = pl.lit(f"as station {original}").alias("what")
                yield rows(copy, [Rows("twin", found.with_columns(what))])

    def _equal_hours(self, name: str) -> pl.DataFrame:
        """Return hours up to which two stations have the same day: hour, one, other."""
        everything = pl.concat(
            self._hourly[one.idx]
            .select(
                "hour",
                pl.col(f"digest_{name}").alias("digest"),
                pl.lit(one.idx, pl.Int64).alias("idx"),
            )
            .drop_nulls()
            for one in self._stations
        )
        shared = everything.filter(pl.struct("hour", "digest").is_duplicated())
        both = shared.join(shared, on=["hour", "digest"], suffix="_2")
        return both.filter(pl.col("idx") < pl.col("idx_2")).select(
            "hour", pl.col("idx").alias("one"), pl.col("idx_2").alias("other")
        )

    def _copies(
        self, one: int, other: int, stretches: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Return (copy, original); the copy fits worse to the hours around it, else it is both."""
        worse = sum(
            self._misfit(one, other, *piece) - self._misfit(other, one, *piece)
            for piece in stretches
        )
        if abs(worse) < _SAME_SEAMS:
            return [(one, other), (other, one)]
        return [(one, other)] if worse > 0 else [(other, one)]

    def _misfit(self, idx: int, twin: int, start: int, end: int) -> float:
        """Return how badly a stretch fits a station: at its ends, and against third stations."""
        return self._seams(idx, start, end) + sum(
            self._off_its_level(name, idx, twin, start, end) for name in _VARIABLES
        )

    def _off_its_level(self, name: str, idx: int, twin: int, start: int, end: int) -> float:
        """Return how far a stretch is from where a station usually is beside third stations."""
        near = self.neighbours(name)
        others = {*near.get(idx, []), *near.get(twin, [])} - {idx, twin}
        inside = self._hourly[idx]["hour"].is_between(start, end - 1)
        off = []
        for other in sorted(others):
            away = self._hourly[idx][name] - self._hourly[other][name]
            here, usual = away.filter(inside).median(), away.filter(~inside).median()
            if isinstance(here, float) and isinstance(usual, float):
                off.append(abs(here - usual))
        scale = _JUMP_OF_T if name == "t" else 1.0
        return sum(off) / len(off) / scale if off else 0.0

    def _seams(self, idx: int, start: int, end: int) -> float:
        """Return how far the ends of a stretch are from the hours beside it."""
        frame, total = self._hourly[idx], 0.0
        begins = int(frame["hour"][0])
        for name in _VARIABLES:
            for inner, outer in ((start, start - 1), (end - 1, end)):
                jump = alone.jump(frame[name], inner - begins, outer - begins)
                scale = _JUMP_OF_T if name == "t" else 1.0
                total += min(_MOST_JUMP, (jump or 0.0) / scale)
        return total


_UGM3_SHIFT = 0.15
_SAME_SEAMS = 0.05
_JUMP_OF_T, _MOST_JUMP = 4.0, 2.0


def _compact(data: StationData) -> pl.DataFrame:
    """Return a station's hours as the comparison needs them: small."""
    logs = {
        name: (
            (concentration(pl.col(name), _TABLES[name]) if name in _TABLES else pl.col(name))
            + offset
        ).log()
        for name, offset in _OFFSETS.items()
    }
    values = {**logs, "t": pl.col("t"), "aqi": pl.col("aqi")}
    return data.hours.select(
        "hour",
        *(value.cast(pl.Float32).alias(name) for name, value in values.items()),
        *(alone.digest(pl.col(name)).alias(f"digest_{name}") for name in _TABLES),
    )


def _index(measured: pl.Expr, table: Breakpoints) -> pl.Expr:
    """Return the index of a concentration on the table's line, unrounded."""
    value = pl.lit(None, pl.Float64)
    for (low, at_low), (high, at_high) in reversed(
        list(zip(table.knots, table.knots[1:], strict=False))
    ):
        line = at_low + (measured - low) / (high - low) * (at_high - at_low)
        is_last = high == table.knots[-1][0]
        value = line if is_last else pl.when(measured <= high).then(line).otherwise(value)
    return value


def _correlation(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """Return the correlation over what both have."""
    both = one.is_not_null() & other.is_not_null()
    return pl.corr(one.filter(both), other.filter(both)).fill_nan(None)


def _km(one: Station, other: Station) -> float:
    """Return how far two stations are apart; 0 if one has no position."""
    if (
        one.latitude is None
        or one.longitude is None
        or other.latitude is None
        or other.longitude is None
    ):
        return 0.0
    north = (one.latitude - other.latitude) * 111.2
    east = (one.longitude - other.longitude) * 111.2 * math.cos(math.radians(one.latitude))
    return math.hypot(north, east)


def _lags(table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
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
        .filter(pl.col("n") >= _FEWEST_H // 2, pl.col("r0").is_finite())
    )


def _clock(lags: pl.DataFrame) -> Iterator[pl.DataFrame]:
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


def _days(table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
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
    median = pl.when(there >= _LEAST).then(pl.concat_list(names).list.median())
    return days.select("day", "month", "start", median.alias("away"))


def _level(days: pl.DataFrame) -> Iterator[pl.DataFrame]:
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
    single = found.filter(pl.col("variable").is_in(list(_TABLES))).with_columns(
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


def _spikes(table: pl.DataFrame, names: Sequence[str], name: str) -> Iterator[Rows]:
    """Yield how far single hours lie outside of both beside them, more than at any neighbour.

    And how far three hours together (`burst`). When neighbours rise, too, it is air; a station
    without any has statistics of its own. Named is the month's highest hour.
    """
    logs = ["own", *names]
    alone = "" if names else "_alone"
    offset = _SPIKE_OFFSET - _OFFSETS[name]
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
