"""Runs of many stations and years, written without checking a single reading."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from runner.core.aqi import BANDS
from runner.core.causes import MISSING
from tests.quality.world import World

_SHOWN = 12


def big_run(world: World, stations: int, years: int) -> Path:
    """Blow the run of a small world up to many stations; return its directory."""
    document = world.check()
    chance = random.Random(1)  # noqa: S311 - no secret
    ids = list(range(1001, 1001 + stations))
    document["stations"] = [_station(document["stations"][0], idx, chance) for idx in ids]
    document["counts"] |= {"stations": stations, "readings": 26_000 * stations,
                           "expected_hours": 26_304 * stations}  # fmt: skip
    for check in document["checks"]:
        check["stations"] = ids if check["status"] in ("warn", "fail") else []
    place = world.directory / "quality"
    (place / "quality.json").write_text(json.dumps(document), encoding="utf-8")
    days = [date(2021, 1, 1) + timedelta(days=at) for at in range(365 * years + 1)]
    _write(place, ids, days, chance)
    return world.directory


def _station(like: dict[str, Any], idx: int, chance: random.Random) -> dict[str, Any]:
    return {
        **like,
        "station_idx": idx,
        "name": f"Trạm quan trắc không khí số {idx}, Thành phố Hồ Chí Minh, Việt Nam (synthetic)",
        "capture": chance.random(),
        "status": chance.choice(["pass", "warn", "fail"]),
    }


def _write(place: Path, ids: list[int], days: list[date], chance: random.Random) -> None:
    agg = place / "agg"
    keys = {"station_idx": [idx for idx in ids for _day in days], "day": days * len(ids)}
    total = len(ids) * len(days)
    counts = chance.choices([0, 12, 20, 24], [1, 1, 3, 20], k=total)
    medians = [float(chance.randrange(20, 330)) if count else None for count in counts]
    day = pl.DataFrame({**keys, "expected": [24] * total, "n": counts, "median": medians})
    day.write_parquet(agg / "day.parquet")
    month = pl.col("day").dt.strftime("%Y-%m").alias("month")
    months = day.group_by("station_idx", month, maintain_order=True).agg(
        pl.col("expected").sum(), pl.col("n").sum().alias("readings")
    )
    lacking = pl.col("expected") - pl.col("readings")
    months.with_columns(
        (pl.col("readings") / pl.col("expected")).alias("capture"),
        *(lacking.alias(str(cause)) // 4 for cause in MISSING),
    ).write_parquet(agg / "month.parquet")
    pl.DataFrame(
        [(idx, band.label, chance.randrange(9000)) for idx in ids for band in BANDS],
        ["station_idx", "category", "hours"],
        orient="row",
    ).write_parquet(agg / "category.parquet")
    course = [(idx, hod, 900, 40.0 + hod, 60.0 + hod, 90.0 + idx % 90) for idx in ids
              for hod in range(24)]  # fmt: skip
    names = ["station_idx", "hod", "n", "q1", "median", "q3"]
    pl.DataFrame(course, names, orient="row").write_parquet(agg / "diurnal.parquet")
    _hours(ids[:_SHOWN], days, chance).write_parquet(agg / "hour.parquet")


def _hours(ids: list[int], days: list[date], chance: random.Random) -> pl.DataFrame:
    hours = pl.DataFrame({"hod": pl.int_range(24, dtype=pl.Int8, eager=True)})
    grid = pl.DataFrame({"station_idx": ids}).join(pl.DataFrame({"day": days}), how="cross")
    dense = grid.join(hours, how="cross")
    levels = [float(chance.randrange(20, 330)) for _ in range(dense.height)]
    return dense.with_columns(
        pl.Series("aqi", levels, pl.Float32), pl.lit(None, pl.String).alias("cause")
    )
