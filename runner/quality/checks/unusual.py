"""Checks of what is unusual: scores of station-months above their limits (T, V02, X03)."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from runner.quality.catalogue import Found, Params, nothing, run_check
from runner.quality.grid import day_of, utc
from runner.quality.ledger import RunData

_UNIT = "monthly statistics"
_NO_SCORE = "too few hours, or fewer than three stations within 100 km that go with this one"
_IN_THE_AIR = 0.6
"""Share of the highest index from which on neighbours confirm an hour beyond it."""


@run_check("T01", "Stuck: the same value, or nearly, too long or too often",
           dimension="accuracy", unit=_UNIT)  # fmt: skip
def stuck(run: RunData, params: Params) -> Found:
    """Runs of equal values (`low` near zero), quiet days, shares equal, of tens, at the maximum."""
    return _above(run, params)


@run_check("T02", "Spikes and dips that no neighbour has", dimension="accuracy", unit=_UNIT)
def spikes(run: RunData, params: Params) -> Found:
    """The third and fifth highest hour of a month, against both beside it and the neighbours."""
    return _above(run, params)


@run_check("T03", "Noise: values without the course of air", dimension="accuracy", unit=_UNIT)
def noise(run: RunData, params: Params) -> Found:
    """Von Neumann's ratio of a week (`rough`), changes unlike the neighbours' (`unlike`)."""
    return _above(run, params)


@run_check("T04", "Level against the neighbours", dimension="accuracy", unit=_UNIT)
def level(run: RunData, params: Params) -> Found:
    """Steps over 10 and 30 days, months off their usual level, PM2.5 above PM10 (`finer`)."""
    found = _above(run, params)
    if not found.failures.height or run.scores is None:
        return found
    names = found.failures.select("station_idx", "statistic", "start", "end", "what").rows()
    words = [
        "ug/m3 in place of the index" if _is_ugm3(run, idx, statistic, start, end) else what
        for idx, statistic, start, end, what in names
    ]
    rows = found.failures.with_columns(pl.Series("what", words, pl.String))
    return replace(found, failures=rows)


@run_check("T05", "Clock: hours of the day at the wrong time", dimension="timeliness", unit=_UNIT)
def clock(run: RunData, params: Params) -> Found:
    """Changes that fit the neighbours' better if moved, warmest hours, courses of the day."""
    return _above(run, params)


@run_check("T06", "Repetition: a day or more that stands elsewhere, too",
           dimension="accuracy", unit=_UNIT)  # fmt: skip
def repetition(run: RunData, params: Params) -> Found:
    """At any lag, of any pollutant and of temperature; the later one is blamed."""
    return _above(run, params)


@run_check("X03", "Another station's values", dimension="consistency", unit=_UNIT)
def twins(run: RunData, params: Params) -> Found:
    """A day or more that is another station's; blamed is what fits worse to the hours around it."""
    return _above(run, params)


@run_check("V02", "AQI beyond the index, and the neighbours' is not",
           dimension="validity", unit="readings",
           worst=pl.col("aqi"))  # fmt: skip
def beyond(run: RunData, params: Params) -> Found:
    """Above 500 in at least `hours` of a month: real in heavy smoke, which neighbours share.

    Single such hours are real, too. Fillers are counted by V03 alone.
    """
    highest, rows = float(params["highest"]), []
    for idx in run.days.filter(pl.col("max") > highest)["station_idx"].unique(maintain_order=True):
        hours = run.series(idx).filter(pl.col("aqi") > highest)
        least = _IN_THE_AIR * highest
        air = run.scores.is_in_the_air(idx, hours["hour"].to_list(), least) if run.scores else set()
        alone = hours.filter(~pl.col("hour").is_in(sorted(air)))
        station = pl.lit(idx, pl.Int64).alias("station_idx")
        local = pl.col("hour") + (run.scores.offset_h if run.scores else 0)
        several = pl.len().over(day_of(local).cast(pl.Date).dt.month_start())
        alone = alone.filter(several >= params["hours"])
        rows.append(alone.select(station, utc("hour", "ts"), "aqi"))
    looked = dict(run.stations.select("station_idx", "readings").iter_rows())
    found = pl.concat(rows) if rows else pl.DataFrame()
    return Found(sum(looked.values()), found, looked=looked)


def _above(run: RunData, params: Params) -> Found:
    """Return the months with a score above its limit, the worst first.

    Args:
        run: with the scores of all stations.
        params: kind of statistic, or `kind_variable`, to the bounds of its limit.
    """
    if run.scores is None:
        return nothing("no station was looked at")
    kind = pl.col("statistic").str.split(".").list.first()
    bounds = dict(params)
    exact = pl.col("statistic").str.replace(".", "_", literal=True)
    scores = run.scores.all().filter(kind.is_in([*bounds]) | exact.is_in([*bounds]))
    if scores.is_empty():
        return nothing(_NO_SCORE)
    named = scores.with_columns(
        pl.when(exact.is_in([*bounds])).then(exact).otherwise(kind).alias("key")
    )
    low, high = (
        pl.col("key").replace_strict(
            {key: float(pair[side]) for key, pair in bounds.items()}, return_dtype=pl.Float64
        )
        for side in (0, 1)
    )
    limit = pl.col("learned").fill_null(high).clip(low, high)
    over = named.with_columns(limit.alias("limit")).filter(pl.col("score") > pl.col("limit"))
    over = over.sort(pl.col("score") - pl.col("limit"), descending=True, maintain_order=True)
    counts = dict(scores.group_by("station_idx").len().iter_rows())
    looked = {idx: counts.get(idx, 0) for idx in run.ids}
    return Found(
        sum(looked.values()),
        over.select(
            "station_idx", utc("start"), utc("end"), "statistic",
            pl.col("score", "limit").round(3), "what",
        ),
        note="" if all(looked.values()) else _NO_SCORE,
        looked=looked,
    )  # fmt: skip


def _is_ugm3(run: RunData, idx: int, statistic: str, start: object, end: object) -> bool:
    _kind, _dot, name = statistic.partition(".")
    hours = (int(at.timestamp()) // 3600 for at in (start, end))  # type: ignore[attr-defined]
    return run.scores is not None and run.scores.looks_like_ugm3(idx, name, *hours)
