"""All stations of a run side by side: whose neighbours they are, and the scores of their months."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations

import polars as pl
import structlog

from runner.core.aqi import AQICN_PM25, EPA_PM10, Breakpoints
from runner.core.stations import Station, distance_km
from runner.quality.checks import alone, neighbours
from runner.quality.checks.twins import Twins
from runner.quality.grid import POLLUTANTS, StationData, concentration, month
from runner.quality.scores import SCORES, rows, with_learned

log = structlog.get_logger()

_TABLES: Mapping[str, Breakpoints] = {"pm25": AQICN_PM25, "pm10": EPA_PM10}
_VARIABLES = (*POLLUTANTS, "t")
_MOST = 6
"""Neighbours that a comparison looks at."""
_CORRELATED, _FAR_KM, _SUBSAMPLE_H = 0.6, 100.0, 6
_BESIDE_H, _CONFIRM = 1, 2
_UGM3_SHIFT = 0.15


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
            parts = [*self._alone, *self._against_neighbours(), *self._twins().rows()]
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
            if len(others) >= neighbours.LEAST
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
        measured = pl.col("own").exp() - neighbours.OFFSETS[name]
        as_stored = _index(measured, _TABLES[name]) + neighbours.OFFSETS[name]
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
            {
                idx: values
                for idx, values in columns.items()
                if values.count() >= neighbours.FEWEST_H
            }
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
                    yield rows(idx, neighbours.spikes(table, names, name))
                if not others:
                    continue
                who = pl.lit(idx, pl.Int64).alias("station_idx"), pl.lit(name).alias("variable")
                lags.append(neighbours.lags(table, names).with_columns(who))
                days.append(neighbours.days(table, names).with_columns(who))
        if lags:
            yield from neighbours.clock(pl.concat(lags))
            yield from neighbours.level(pl.concat(days))

    def _twins(self) -> Twins:
        hourly = {one.idx: self._hourly[one.idx] for one in self._stations}
        return Twins(hourly, self._hours, _VARIABLES, self.neighbours)


def _compact(data: StationData) -> pl.DataFrame:
    """Return a station's hours as the comparison needs them: small."""
    logs = {
        name: (
            (concentration(pl.col(name), _TABLES[name]) if name in _TABLES else pl.col(name))
            + offset
        ).log()
        for name, offset in neighbours.OFFSETS.items()
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
    return distance_km(one.latitude, one.longitude, other.latitude, other.longitude)
