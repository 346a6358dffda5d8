"""Another station's values: stretches of a day or more that stand at two stations (X03)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from runner.quality.checks import alone
from runner.quality.checks.neighbours import PARTICLES
from runner.quality.scores import Rows, rows

_SAME_SEAMS = 0.05
_JUMP_OF_T, _MOST_JUMP = 4.0, 2.0


class Twins:
    """Looks for them, and for which of the two is the copy.

    Args:
        hourly: by station index, hours on one grid: `hour`, values, and `digest_` of particles.
        hours: the grid: hour, month.
        variables: whose values are compared.
        neighbours: from a variable to the most correlated stations of each.
    """

    def __init__(
        self,
        hourly: Mapping[int, pl.DataFrame],
        hours: pl.DataFrame,
        variables: Sequence[str],
        neighbours: Callable[[str], Mapping[int, list[int]]],
    ) -> None:
        self._hourly = hourly
        self._hours = hours
        self._variables = variables
        self._neighbours = neighbours

    def rows(self) -> Iterator[pl.DataFrame]:
        """Yield the hours of stretches of a day or more that stand at another station, too."""
        if len(self._hourly) < 2:  # noqa: PLR2004 - a pair
            return
        months = self._hours.group_by("month", maintain_order=True).agg(
            pl.lit(0.0).alias("score"),
            pl.col("hour").min().alias("start"),
            pl.col("hour").max().alias("end"),
        )
        for idx in self._hourly:
            yield rows(idx, [Rows("twin", months)])
        shared = pl.concat([self._equal_hours(name) for name in PARTICLES]).unique()
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
            self._hourly[one]
            .select(
                "hour",
                pl.col(f"digest_{name}").alias("digest"),
                pl.lit(one, pl.Int64).alias("idx"),
            )
            .drop_nulls()
            for one in self._hourly
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
            self._off_its_level(name, idx, twin, start, end) for name in self._variables
        )

    def _off_its_level(self, name: str, idx: int, twin: int, start: int, end: int) -> float:
        """Return how far a stretch is from where a station usually is beside third stations."""
        near = self._neighbours(name)
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
        for name in self._variables:
            for inner, outer in ((start, start - 1), (end - 1, end)):
                jump = alone.jump(frame[name], inner - begins, outer - begins)
                scale = _JUMP_OF_T if name == "t" else 1.0
                total += min(_MOST_JUMP, (jump or 0.0) / scale)
        return total
