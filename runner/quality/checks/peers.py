"""Checks of stations against each other: copies of a feed (X03), shifts of level (T04)."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import polars as pl

from runner.quality.catalogue import Found, Params, nothing, run_check
from runner.quality.ledger import RunData

_WHOLE_DAY_H = 18
_ALIKE = 0.2
"""Share of common days that are equal in every hour, from which two stations are compared hour by
hour. With 95 % of the hours equal, 0.95**24 = 29 % of the days are."""
_NOISE = 5.0
"""A shift must exceed the usual wandering of the other stations by this number of deviations."""
_MAD_TO_DEVIATION = 1.4826
MANY = 30
"""With more stations than this, one of them does not move the median of all: it need not be left
out, and the work grows with their number, not with its square."""


@run_check("X03", "Two stations with one series", dimension="consistency", unit="stations")
def copies(run: RunData, params: Params) -> Found:
    """Pairs that say the same in almost all of their common hours: one feed under two numbers.

    Both are blamed: nothing here says which is the copy.
    """
    ids = run.ids
    if len(ids) < 2:  # noqa: PLR2004 - a pair
        return nothing("one station has no other to be compared with")
    rows = []
    for first, second in _candidates(run.days):
        both = run.series(first).join(run.series(second), on="hour", suffix="_2")
        share = float((both["aqi"] == both["aqi_2"]).mean() or 0.0)  # type: ignore[arg-type]
        if both.height >= params["hours"] and share >= params["share"]:
            rows.append((first, second, both.height, share))
    schema = {"station_idx": pl.Int64, "copy_of": pl.Int64, "hours": pl.Int64, "share": pl.Float64}
    swapped = [(second, first, hours, share) for first, second, hours, share in rows]
    found = pl.DataFrame([*swapped, *rows], schema, orient="row")
    return Found(len(ids), found, looked=dict.fromkeys(ids, 1))


def _candidates(days: pl.DataFrame) -> list[tuple[int, int]]:
    """Return the pairs with many equal days, from the days' digests; never all pairs."""
    whole = days.filter(pl.col("n") >= _WHOLE_DAY_H)
    total = dict(whole.group_by("station_idx").len().iter_rows())
    shared = (
        whole.group_by("day", "hash")
        .agg(pl.col("station_idx").sort())
        .filter(pl.col("station_idx").list.len() > 1)["station_idx"]
    )
    equal = Counter(pair for group in shared for pair in combinations(group.to_list(), 2))
    return sorted(
        pair for pair, count in equal.items() if count >= _ALIKE * min(total[idx] for idx in pair)
    )


@run_check("T04", "Level shifts against the other stations", dimension="accuracy", unit="stations")
def level_shifts(run: RunData, params: Params) -> Found:
    """The median of `days` days after a day is `factor` times that before it, relative to peers.

    Relative: log of the daily median, less the median of the same over the other stations (left out
    itself, else it pulls its own reference along). The shift must also stand out of what the
    other stations do: 5 deviations (1.4826 * MAD) of theirs, or more.
    """
    days = run.days.filter(pl.col("median") > 0, pl.col("n") >= _WHOLE_DAY_H)
    wide = days.with_columns(pl.col("median").log()).pivot(
        "station_idx", index="day", values="median"
    )
    names = [name for name in wide.columns if name != "day"]
    if len(names) <= params["peers"]:
        return nothing(f"fewer than {params['peers']} other stations")
    first, last = int(wide["day"].min()), int(wide["day"].max())  # type: ignore[arg-type]
    dense = pl.DataFrame({"day": pl.int_range(first, last + 1, dtype=pl.Int32, eager=True)})
    wide = dense.join(wide, on="day", how="left", maintain_order="left")
    many = len(names) > MANY
    everyone = [pl.concat_list(names).list.median().alias("reference")] if many else []
    wide = wide.with_columns(everyone)
    shifts = {name: _shifts(wide, name, names, params) for name in names}
    wandering = _deviation([*shifts.values()]) if many else 0.0
    looked, rows = {}, []
    for name in names:
        largest = shifts[name].abs().max()
        if largest is None:
            continue
        looked[int(name)] = 1
        others = [] if many else [shifts[other] for other in names if other != name]
        usual = wandering if many else _deviation(others)
        bound = max(math.log(params["factor"]), _NOISE * usual)
        if float(largest) > bound:  # type: ignore[arg-type]
            at = shifts[name].abs().arg_max() or 0
            rows.append((int(name), int(wide["day"][at]), math.exp(float(shifts[name][at]))))
    schema = {"station_idx": pl.Int64, "day": pl.Int32, "factor": pl.Float64}
    found = pl.DataFrame(rows, schema, orient="row")
    return Found(len(looked), found.with_columns(pl.col("day").cast(pl.Date)), looked=looked)


def _deviation(shifts: list[pl.Series]) -> float:
    """Return how far shifts usually go, as a standard deviation."""
    return _MAD_TO_DEVIATION * float(pl.concat(shifts).drop_nulls().abs().median() or 0.0)  # type: ignore[arg-type]


def _shifts(wide: pl.DataFrame, name: str, names: list[str], params: Params) -> pl.Series:
    """Return for every day the change of the relative level from before it to after it."""
    others = [other for other in names if other != name]
    if "reference" in wide.columns:
        relative = pl.col(name) - pl.col("reference")
    else:
        there = pl.sum_horizontal(pl.col(other).is_not_null() for other in others)
        reference = pl.concat_list(others).list.median()
        relative = pl.when(there >= params["peers"]).then(pl.col(name) - reference)
    span = params["days"]
    median = relative.rolling_median(span, min_samples=span // 2)
    return wide.select((median.shift(-(span - 1)) - median.shift(1)).alias(name))[name]
