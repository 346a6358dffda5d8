"""One fault for every check. A fault fires its own check, and at most those in `also` besides."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import polars as pl

from runner.core.intervals import to_datetime
from tests.quality.world import HOUR_MS, WINDOW, World

HOUR = pl.col("ts") // HOUR_MS
START, END = WINDOW
MIDDLE = (START + END) // 2
AT = HOUR.eq(MIDDLE)


@dataclass(frozen=True)
class Fault:
    inject: Callable[[World], None]
    also: frozenset[str] = frozenset()
    """Checks that may find it, too."""
    somewhere: bool = True
    """Whether a station is to blame."""


FAULTS: dict[str, Fault] = {}


def fault(
    check_id: str, *also: str, somewhere: bool = True
) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    def register(inject: Callable[[World], None]) -> Callable[[World], None]:
        FAULTS[check_id] = Fault(inject, frozenset(also), somewhere)
        return inject

    return register


def hours(first: int, count: int) -> set[int]:
    return set(range(first, first + count))


def days_of(year: int, month: int, count: int) -> list[int]:
    """Return the first UTC hours of every third local day of a month."""
    first = datetime(year, month, 1) - timedelta(hours=7)  # noqa: DTZ001 - hours since 1970
    start = (first - datetime(1970, 1, 1)) // timedelta(hours=1)  # noqa: DTZ001 - as above
    return [start + 24 * (1 + 3 * day) for day in range(count)]


def between(first: int, count: int) -> pl.Expr:
    return HOUR.is_between(first, first + count - 1)


@fault("R01", somewhere=False)
def a_window_failed(world: World) -> None:
    world.outcome["windows"] |= {"planned": 100, "ok": 99, "failed": 1}


@fault("R02", somewhere=False)
def windows_left(world: World) -> None:
    world.outcome["windows"] |= {"planned": 100, "ok": 98, "not_attempted": 2}


@fault("R03", somewhere=False)
def a_record_nobody_explains(world: World) -> None:
    world.outcome["totals"]["records"] += 1


@fault("R04")
def a_stored_reading_is_gone(world: World) -> None:
    world.readings = world.readings.filter(HOUR.ne(MIDDLE))


@fault("R05", somewhere=False)
def a_bad_network(world: World) -> None:
    world.outcome["failed_requests"] = 5


@fault("R06")
def a_station_nobody_knows(world: World) -> None:
    world.scope = replace(world.scope, known=frozenset(world.frames) - {world.known})


@fault("S01")
def a_station_index_that_is_a_double(world: World) -> None:
    world.change(AT, idx_type=pl.lit("double"))


@fault("S02")
def dashes(world: World) -> None:
    world.change((HOUR % 15).eq(0), aqi_type=pl.lit("string"), aqi=None)


@fault("S03")
def a_broken_number(world: World) -> None:
    world.change(AT, aqi=pl.col("aqi") + 0.5)


@fault("S04")
def another_offset(world: World) -> None:
    world.change(AT, tz=pl.lit("+08:00"))


@fault("S05")
def a_key_nobody_knows(world: World) -> None:
    world.change(AT, unknown=pl.lit("radon"))


@fault("K01")
def a_double(world: World) -> None:
    rows = world.readings
    world.readings = pl.concat([rows, rows.filter(AT)]).sort("ts")


@fault("K02")
def half_past(world: World) -> None:
    later = pl.col("s").str.replace(":00:00", ":30:00", literal=True)
    world.change(AT, s=later, ts=pl.col("ts") + HOUR_MS // 2)


@fault("K03")
def tomorrow(world: World) -> None:
    hour = int(world.scope.now.timestamp()) // 3600 + 7
    wall = f"{to_datetime(hour + 7):%Y-%m-%d %H:%M:%S}"
    row = world.readings.head(1)
    later = row.with_columns(ts=pl.lit(hour * HOUR_MS), s=pl.lit(wall))
    world.readings = pl.concat([world.readings, later])


@fault("V01")
def below_zero(world: World) -> None:
    world.change(AT, pm25=pl.lit(-5.0))


@fault("V02")
def a_fire(world: World) -> None:
    away = (HOUR - MIDDLE).abs().cast(pl.Float64)
    value = (620.0 - 40.0 * away).clip(150.0)
    world.change(away.lt(12), aqi=value, pm25=value, pm10=value)


@fault("V03")
def a_filler(world: World) -> None:
    world.change(AT, pm25=pl.lit(999.0))


@fault("V04", "T03")
def an_oven(world: World) -> None:
    world.change(AT, t=pl.lit(60.0))


@fault("X01")
def aqi_of_something_else(world: World) -> None:
    world.change((HOUR % 8).eq(0), aqi=pl.col("aqi") + 20)


@fault("X02", "T01", "T02", "T03", "T04")
def dust_finer_than_itself(world: World) -> None:
    world.change((HOUR % 3).ne(0), pm10=pl.lit(3.0), aqi=pl.col("pm25"))


@fault("X03")
def one_feed_under_two_numbers(world: World) -> None:
    world.readings = world.frames[8767]


@fault("C00")
def every_eighth_hour_missing(world: World) -> None:
    world.lose({hour for hour in range(START, END) if hour % 8 == 0})


@fault("C01", "C00", "C02", "C06", "C07")
def every_third_hour_missing(world: World) -> None:
    world.lose({hour for hour in range(START, END) if hour % 3 == 0})


@fault("C02")
def a_poor_month(world: World) -> None:
    world.lose({hour for day in days_of(2023, 5, 9) for hour in hours(day, 23)})


@fault("C03")
def a_day_nobody_fetched(world: World) -> None:
    world.lose(hours(MIDDLE, 30), fetched=False)


@fault("C04")
def a_week_the_source_has_not(world: World) -> None:
    world.lose(hours(MIDDLE, 170))


@fault("C05")
def silence_at_the_end(world: World) -> None:
    world.lose(hours(END - 50, 50))


@fault("C06")
def thin_days(world: World) -> None:
    world.lose({hour for day in range(START, END, 8 * 24) for hour in hours(day + 18, 7)})


@fault("C07", "C00", "C02", "C06")
def a_poor_season(world: World) -> None:
    days = [*days_of(2023, 3, 10), *days_of(2023, 4, 10)]
    world.lose({hour for day in days for hour in hours(day, 23)})


@fault("C08")
def a_dead_sensor(world: World) -> None:
    world.change(HOUR.ge(END - 200), pm25=None, aqi=pl.col("pm10"))


@fault("C09")
def dashes_in_a_row(world: World) -> None:
    world.change(between(MIDDLE, 5), aqi_type=pl.lit("string"), aqi=None)


@fault("T01")
def a_stuck_sensor(world: World) -> None:
    world.change(between(MIDDLE, 40), pm25=pl.lit(80.0), aqi=pl.lit(80.0), pm10=pl.lit(60.0))


@fault("T02", "T03")
def spikes(world: World) -> None:
    value = pl.lit(480.0)
    world.change(between(MIDDLE, 240) & (HOUR % 48).eq(0), aqi=value, pm25=value)


@fault("T03")
def hours_in_no_order(world: World) -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable, nothing secret
    here = range(MIDDLE, MIDDLE + 336)
    moved = dict(zip(here, chance.sample(here, 336), strict=True))
    source = world.frames[world.known].select(
        HOUR.replace_strict(moved, default=None, return_dtype=pl.Int64).alias("to"),
        *(pl.col(name).alias(f"{name}_2") for name in ("aqi", "pm25", "pm10")),
    )
    rows = world.frames[world.known].with_columns(HOUR.alias("to"))
    joined = rows.join(source.drop_nulls("to"), on="to", how="left", maintain_order="left")
    world.frames[world.known] = joined.select(
        pl.coalesce(f"{name}_2", name).alias(name) if f"{name}_2" in joined.columns else name
        for name in world.frames[world.known].columns
    )


@fault("T04")
def another_level(world: World) -> None:
    higher = {
        name: (pl.col(name) * 2.3).floor().clip(upper_bound=490) for name in ("aqi", "pm25", "pm10")
    }
    world.change(HOUR.ge(MIDDLE), **higher)


@fault("T05")
def a_clock_seven_hours_off(world: World) -> None:
    world.frames[world.known] = world.frames[world.known].with_columns(pl.col("t").shift(7))


@fault("T06")
def two_days_once_more(world: World) -> None:
    first = MIDDLE - MIDDLE % 24 - 7  # local midnight
    values = {name: pl.col(name).shift(240) for name in ("aqi", "pm25", "pm10")}
    world.change(between(first, 48), **values)


@fault("D01")
def fewer_than_before(world: World) -> None:
    world.previous = world.previous or world.as_previous()
    world.lose({MIDDLE})


@fault("D02")
def other_than_before(world: World) -> None:
    world.previous = world.previous or world.as_previous()
    world.change(AT, aqi=pl.col("aqi") + 1)


@fault("D03", "D01")
def much_fewer_than_before(world: World) -> None:
    world.previous = world.previous or world.as_previous()
    world.lose({hour for hour in range(START, END) if hour % 20 == 0})


@fault("D04", "C04", somewhere=False)
def worse_than_before(world: World) -> None:
    before = world.as_previous()
    world.lose(hours(MIDDLE, 170))
    world.previous = replace(before, days=before.days.clear())


@fault("E01")
def waqi_says_otherwise(world: World) -> None:
    """The file is made up in WAQI's form: no measured daily file is at hand to check against."""
    path = world.directory / "daily.csv"
    days = [date(2023, 5, day) for day in range(1, 31)]
    lines = [f"{day.year}/{day.month}/{day.day}, 500, 20" for day in days]
    path.write_text("\n".join(["date, pm25, pm10", *lines]), encoding="utf-8")
    world.scope = replace(world.scope, external=((world.known, str(path)),))
