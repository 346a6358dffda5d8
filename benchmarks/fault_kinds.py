"""Faults that instruments, archives and programs make, to put into readings without one.

Each changes the air a station measured (`World.measure`) or the documents stored of it
(`World.store`), and returns the stations and the hours it is in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from runner.core.aqi import SCALES
from runner.core.aqi.breakpoints import Breakpoints, converted
from runner.core.intervals import Interval
from runner.quality.grid import HOUR_MS, POLLUTANTS, SCHEMA, WEATHER

HOUR = pl.col("hour")
_AT = pl.col("ts") // HOUR_MS
_TABLES: dict[str, Breakpoints] = {
    **{name: SCALES["aqicn"].tables[name, "1h"] for name in ("pm25", "pm10")},
    **{name: SCALES["epa_2012"].tables[name, "1h"] for name in ("no2", "so2")},
    **{name: SCALES["epa_2012"].tables[name, "8h"] for name in ("o3", "co")},
}
"""As AQICN does, the table of a longer mean is used on the hour."""
_DAY_H, _WEEK_H, _MONTH_H = 24, 168, 720
_PARTICLES = ("pm25", "pm10")


def _index(pollutant: str, value: float) -> float | None:
    table = _TABLES[pollutant]
    at = converted(value, "ug/m3", table.unit, pollutant)
    return table.index(at)


def stored(air: pl.DataFrame, offset_h: int) -> pl.DataFrame:
    """Return what a backfill stores of measured air, as the extraction returns it."""
    here = [name for name in POLLUTANTS if name in air.columns]
    indices = air.select(
        HOUR,
        *(pl.col(name).replace_strict(_indices(name, air[name]), return_dtype=pl.Float64)
          for name in here),
        *(pl.col(name) for name in WEATHER if name in air.columns),
    )  # fmt: skip
    local = pl.from_epoch((HOUR + offset_h) * 3600, time_unit="s")
    made = indices.with_columns(pl.max_horizontal(here).alias("aqi")).select(
        (HOUR * HOUR_MS).alias("ts"),
        pl.lit("date").alias("ts_type"),
        pl.lit("int").alias("idx_type"),
        pl.lit("int").alias("aqi_type"),
        local.dt.strftime("%Y-%m-%d %H:%M:%S").alias("s"),
        pl.lit(f"+{offset_h:02d}:00").alias("tz"),
        pl.exclude("hour"),
    )
    return _complete(made.filter(pl.col("aqi").is_not_null()))


def _indices(pollutant: str, values: pl.Series) -> dict[float | None, float | None]:
    return {value: None if value is None else _index(pollutant, value) for value in values.unique()}


def _complete(documents: pl.DataFrame) -> pl.DataFrame:
    lacking = [
        pl.lit(None, kind).alias(name)
        for name, kind in SCHEMA.items()
        if name not in documents.columns
    ]
    return documents.with_columns(lacking).select(
        pl.col(name).cast(kind) for name, kind in SCHEMA.items()
    )


@dataclass
class World:
    """Stations to put a fault into.

    Attributes:
        air: hour, concentrations (ug/m3) and weather of each station.
        documents: what is stored of them.
        window: hours, UTC.
        offset_h: of local time.
        chance: draws stations and times.
    """

    air: dict[int, pl.DataFrame]
    documents: dict[int, pl.DataFrame]
    window: Interval
    offset_h: int
    chance: random.Random

    def station(self, besides: int | None = None) -> int:
        """Draw a station."""
        return self.chance.choice([idx for idx in sorted(self.air) if idx != besides])

    def stretch(self, hours: int) -> Interval:
        """Draw a stretch that neither begins nor ends with the window."""
        first, last = self.window.start + _MONTH_H, self.window.end - _MONTH_H - hours
        start = self.chance.randrange(first, max(first + 1, last))
        return Interval(start, start + hours)

    def since(self, share: float = 0.6) -> Interval:
        """Return the hours from about a share of the window to its end."""
        length = self.window.end - self.window.start
        start = self.window.start + int(length * (share + self.chance.uniform(-0.08, 0.08)))
        return Interval(start, self.window.end)

    def measure(self, idx: int, within: Interval, **values: pl.Expr) -> None:
        """Change what a station measured in some hours, and store it anew."""
        inside = HOUR.is_between(within.start, within.end - 1)
        here = {name: value for name, value in values.items() if name in self.air[idx].columns}
        self.air[idx] = self.air[idx].with_columns(
            pl.when(inside).then(value).otherwise(pl.col(name)).alias(name)
            for name, value in here.items()
        )
        self.documents[idx] = stored(self.air[idx], self.offset_h)

    def store(self, idx: int, within: Interval, **values: Any) -> None:
        """Change what is stored of some hours."""
        inside = _AT.is_between(within.start, within.end - 1)
        self.documents[idx] = self.documents[idx].with_columns(
            pl.when(inside).then(value).otherwise(pl.col(name)).alias(name)
            for name, value in values.items()
        )

    def at_hours(self, idx: int, hours: Sequence[int], **values: Any) -> None:
        """Change what is stored of single hours."""
        self.documents[idx] = self.documents[idx].with_columns(
            pl.when(_AT.is_in(sorted(hours))).then(value).otherwise(pl.col(name)).alias(name)
            for name, value in values.items()
        )

    def hours_of(self, idx: int, within: Interval) -> list[int]:
        """Return the hours with a document."""
        hours = self.documents[idx]["ts"] // HOUR_MS
        return hours.filter(hours.is_between(within.start, within.end - 1)).to_list()

    def take(self, idx: int, within: Interval, rows: pl.DataFrame, names: Sequence[str]) -> None:
        """Put values of other rows (`hour` and `names`) in place of a station's."""
        own = self.documents[idx]
        inside = _AT.is_between(within.start, within.end - 1)
        other = rows.select("hour", *(pl.col(name).alias(f"{name}_2") for name in names))
        joined = own.with_columns(_AT.alias("hour")).join(
            other.with_columns(pl.lit(value=True).alias("there")),
            on="hour",
            how="left",
            maintain_order="left",
        )
        put = inside & pl.col("there").fill_null(value=False)
        self.documents[idx] = joined.select(
            pl.when(put).then(pl.col(f"{name}_2")).otherwise(pl.col(name)).alias(name)
            if name in names
            else pl.col(name)
            for name in SCHEMA
        )


Blame = tuple[Sequence[int], Sequence[Interval]]
Inject = Callable[[World], Blame]


@dataclass(frozen=True)
class Fault:
    """One fault: what it is called, and what puts it into a world."""

    name: str
    inject: Inject


INDICES = ("aqi", *POLLUTANTS)
_STORED = (*INDICES, *WEATHER)


def _one(change: Callable[[World, int], Interval]) -> Inject:
    """Return what puts a fault into one station."""

    def inject(world: World) -> Blame:
        idx = world.station()
        return [idx], [change(world, idx)]

    return inject


def _long(world: World, hours: int | None, share: float = 0.6) -> Interval:
    return world.since(share) if hours is None else world.stretch(hours)


def _factor(by: float, hours: int | None, names: Sequence[str] = _PARTICLES) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = _long(world, hours)
        world.measure(idx, within, **{name: pl.col(name) * by for name in names})
        return within

    return _one(change)


def _last(by: float, hours: int) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = Interval(world.window.end - hours, world.window.end)
        world.measure(idx, within, **{name: pl.col(name) * by for name in _PARTICLES})
        return within

    return _one(change)


def _drift(to: float, hours: int) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = Interval(world.window.end - hours, world.window.end)
        share = (HOUR - within.start) / hours
        grown = {name: pl.col(name) * (math.log(to) * share).exp() for name in _PARTICLES}
        world.measure(idx, within, **grown)
        return within

    return _one(change)


def _ugm3(hours: int | None) -> Inject:
    """Concentrations stand where sub-indices should."""

    def change(world: World, idx: int) -> Interval:
        within = _long(world, hours)
        raw = world.air[idx].with_columns(pl.col("pm25").alias("aqi"))
        world.take(idx, within, raw.filter(pl.col("aqi").is_not_null()), ("aqi", *_PARTICLES))
        return within

    return _one(change)


def _clock(by: int, hours: int | None, names: Sequence[str] = _STORED) -> Inject:
    """Values stand `by` hours late; `hours` None: from a date on."""

    def change(world: World, idx: int) -> Interval:
        within = _long(world, hours)
        late = world.documents[idx].with_columns((_AT + by).alias("hour"))
        world.take(idx, within, late, names)
        return within

    return _one(change)


def _clock_always(by: int, names: Sequence[str] = _STORED) -> Inject:
    def change(world: World, idx: int) -> Interval:
        late = world.documents[idx].with_columns((_AT + by).alias("hour"))
        world.take(idx, world.window, late, names)
        return world.window

    return _one(change)


def _held_at(hours: int, wobble: int, names: Sequence[str], level: float | None = None) -> Inject:
    """Values stay where they are, but for a wobble."""

    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        rows = world.documents[idx].filter(_AT.is_between(within.start, within.end - 1))
        here = [name for name in names if rows[name].count()]
        count = world.documents[idx].height
        values = {}
        for name in here:
            base = level if level is not None else (rows[name].drop_nulls()[0] or 50.0)
            noise = [base + world.chance.randint(-wobble, wobble) for _ in range(count)]
            values[name] = pl.lit(pl.Series(noise, dtype=pl.Float64))
        world.store(idx, within, **values)
        if set(here) & set(POLLUTANTS):
            world.store(idx, within, aqi=pl.max_horizontal(*POLLUTANTS))
        return within

    return _one(change)


def _spikes(count: int, value: pl.Expr, hours: int, *, all_particles: bool = True) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        chosen = world.chance.sample(world.hours_of(idx, within), count)
        names = ("aqi", "pm25", "pm10") if all_particles else ("aqi", "pm25")
        world.at_hours(idx, chosen, **dict.fromkeys(names, value))
        return within

    return _one(change)


def _store(hours: int | None, values: dict[str, Any], share: float = 0.6) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = _long(world, hours, share)
        world.store(idx, within, **values)
        return within

    return _one(change)


def _gone(names: Sequence[str], hours: int | None) -> Inject:
    """Pollutants are gone; the index is that of the others."""

    def change(world: World, idx: int) -> Interval:
        within = _long(world, hours, 0.8)
        world.store(idx, within, **dict.fromkeys(names))
        world.store(idx, within, aqi=pl.max_horizontal(*POLLUTANTS))
        return within

    return _one(change)


def _swapped(hours: int | None) -> Inject:
    def inject(world: World) -> Blame:
        first = world.station()
        second = world.station(besides=first)
        within = _long(world, hours)
        here, there = (
            world.documents[idx].with_columns(_AT.alias("hour")) for idx in (first, second)
        )
        world.take(first, within, there, _STORED)
        world.take(second, within, here, _STORED)
        return [first, second], [within]

    return inject


def _under_another(hours: int | None) -> Inject:
    """One station's values stand under another."""

    def inject(world: World) -> Blame:
        first = world.station()
        second = world.station(besides=first)
        within = _long(world, hours)
        world.take(second, within, world.documents[first].with_columns(_AT.alias("hour")), _STORED)
        return [second], [within]

    return inject


def _again(length: int, step: int, times: int, names: Sequence[str] = INDICES) -> Inject:
    """A stretch stands again, `times` times, `step` hours apart."""

    def inject(world: World) -> Blame:
        idx = world.station()
        whole = world.stretch(step * times + length)
        pieces = []
        original = world.documents[idx]
        for number in range(1, times + 1):
            start = whole.start + step * number
            piece = Interval(start, start + length)
            later = original.with_columns((_AT + step * number).alias("hour"))
            world.take(idx, piece, later, names)
            pieces.append(piece)
        return [idx], pieces

    return inject


def _shuffled(block: int, hours: int) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        order: dict[int, int] = {}
        for start in range(within.start, within.end, block):
            here = world.hours_of(idx, Interval(start, min(start + block, within.end)))
            order |= dict(zip(here, world.chance.sample(here, len(here)), strict=True))
        moved = world.documents[idx].with_columns(
            _AT.replace_strict(order, default=None, return_dtype=pl.Int64).alias("hour")
        )
        world.take(idx, within, moved.filter(HOUR.is_not_null()), _STORED)
        return within

    return _one(change)


def _noise(hours: int) -> Inject:
    """Random numbers of the station's own spread, hour by hour."""

    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        pool = world.documents[idx]["pm25"].drop_nulls().to_list()
        here = world.hours_of(idx, within)
        drawn = {hour: world.chance.choice(pool) for hour in here}
        values = _AT.replace_strict(drawn, default=None, return_dtype=pl.Float64)
        world.store(idx, within, aqi=values, pm25=values, pm10=values)
        return within

    return _one(change)


def _smooth_noise(hours: int) -> Inject:
    """A random walk around the station's median: no daily course, no weather in it."""

    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        middle = float(world.documents[idx]["pm25"].median() or 80.0)  # type: ignore[arg-type]
        at, walk = 0.0, {}
        for hour in range(*within):
            at = 0.97 * at + world.chance.gauss(0, 0.12)
            walk[hour] = float(max(5, round(middle * math.exp(at))))
        values = _AT.replace_strict(walk, default=None, return_dtype=pl.Float64)
        world.store(idx, within, aqi=values, pm25=values, pm10=values)
        return within

    return _one(change)


def _held(every: int, hours: int, round_to: int = 1) -> Inject:
    """A new value only every few hours."""

    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        names = [name for name in POLLUTANTS if world.documents[idx][name].count()]
        group = _AT // every
        values = {
            name: (pl.col(name).first().over(group) / round_to).round() * round_to for name in names
        }
        world.store(idx, within, **values)
        world.store(idx, within, aqi=pl.max_horizontal(*POLLUTANTS))
        return within

    return _one(change)


def _ceiling(quantile: float, hours: int) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        highest = pl.col("pm25").quantile(quantile)
        rows = world.documents[idx].filter(_AT.is_between(within.start, within.end - 1))
        top = float(rows.select(highest).item())
        names = ("aqi", "pm25", "pm10")
        world.store(idx, within, **{name: pl.col(name).clip(upper_bound=top) for name in names})
        return within

    return _one(change)


def _lost(hours: int) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        world.documents[idx] = world.documents[idx].filter(
            ~_AT.is_between(within.start, within.end - 1)
        )
        return within

    return _one(change)


def _doubles(hours: int, minutes: int, plus: float = 0.0) -> Inject:
    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        rows = world.documents[idx]
        twice = rows.filter(_AT.is_between(within.start, within.end - 1)).with_columns(
            pl.col("ts") + minutes * 60_000,
            pl.col("aqi") + plus,
            pl.lit(None, pl.String).alias("s"),
        )
        world.documents[idx] = pl.concat([rows, twice]).sort("ts", maintain_order=True)
        return within

    return _one(change)


def _wrong_clock_text(hours: int) -> Inject:
    """`ts` moved and `time.s` did not."""

    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        late = pl.from_epoch(_AT * 3600, time_unit="s").dt.strftime("%Y-%m-%d %H:%M:%S")
        world.store(idx, within, s=late)
        return within

    return _one(change)


def _from_the_present(hours: int) -> Inject:
    """The newest hours stand in the past, too."""

    def change(world: World, idx: int) -> Interval:
        within = world.stretch(hours)
        back = world.window.end - hours - within.start
        newest = world.documents[idx].with_columns((_AT - back).alias("hour"))
        world.take(idx, within, newest, INDICES)
        return within

    return _one(change)


_PLUS_70 = pl.max_horizontal(*POLLUTANTS) + 70
_SEVEN_MONTHS_H = 5112

FAULTS: tuple[Fault, ...] = tuple(
    Fault(name, inject)
    for name, inject in {
        # the level
        "x2 from a date on": _factor(2, None),
        "x2 for a month": _factor(2, _MONTH_H),
        "x2 for a week": _factor(2, _WEEK_H),
        "x2 the last three weeks": _last(2, 504),
        "x1.5 from a date on": _factor(1.5, None),
        "x1.5 for two months": _factor(1.5, 2 * _MONTH_H),
        "x1.5 of pm25 alone, from a date on": _factor(1.5, None, ("pm25",)),
        "x1.3 from a date on": _factor(1.3, None),
        "x0.6 from a date on": _factor(0.6, None),
        "x0.6 for a month": _factor(0.6, _MONTH_H),
        "x0.5 for ten days": _factor(0.5, 240),
        "x3 for two months": _factor(3, 2 * _MONTH_H),
        "drift to x2 in six months": _drift(2, 6 * _MONTH_H),
        "drift to x0.5 in a year": _drift(0.5, 8766),
        "ug/m3 in place of the index, from a date on": _ugm3(None),
        "ug/m3 in place of the index, for a month": _ugm3(_MONTH_H),
        # the clock
        "7 h late from a date on": _clock(7, None),
        "7 h late from a date on, weather right": _clock(7, None, INDICES),
        "7 h late for a month, weather right": _clock(7, _MONTH_H, INDICES),
        "7 h late always, weather right": _clock_always(7, INDICES),
        "8 h early for two months": _clock(-8, 2 * _MONTH_H),
        "1 h late from a date on": _clock(1, None),
        "1 h late from a date on, weather right": _clock(1, None, INDICES),
        "1 h early for three months": _clock(-1, 3 * _MONTH_H),
        "12 h late, particles only, from a date on": _clock(12, None, ("aqi", *_PARTICLES)),
        "time.s kept while ts moved": _wrong_clock_text(200),
        # other stations
        "two stations swapped from a date on": _swapped(None),
        "two stations swapped for a month": _swapped(_MONTH_H),
        "another station's values for half a year": _under_another(6 * _MONTH_H),
        "another station's values for a week": _under_another(_WEEK_H),
        "another station's values for three days": _under_another(72),
        # again
        "a week over the next": _again(_WEEK_H, _WEEK_H, 1),
        "a day over the next seven": _again(_DAY_H, _DAY_H, 7),
        "a day over eight Mondays": _again(_DAY_H, _WEEK_H, 8),
        "a month over another": _again(_MONTH_H, 6 * _MONTH_H, 1),
        "36 h again 1,000 h later": _again(36, 1000, 1),
        "pm10 alone: a week over the next": _again(_WEEK_H, _WEEK_H, 1, ("pm10",)),
        "temperature alone: a week over the next": _again(_WEEK_H, _WEEK_H, 1, ("t",)),
        "the newest ten days in the past": _from_the_present(240),
        # stuck
        "constant for three weeks": _held_at(504, 0, POLLUTANTS),
        "constant for a day": _held_at(30, 0, _PARTICLES),
        "pm10 constant for two weeks": _held_at(336, 0, ("pm10",)),
        "77 +-1 for three weeks": _held_at(504, 1, _PARTICLES, 77.0),
        "+-3 for a week": _held_at(_WEEK_H, 3, _PARTICLES),
        "zeros for three weeks": _held_at(504, 0, _PARTICLES, 0.0),
        "zeros of all pollutants for four months": _held_at(4 * _MONTH_H, 0, POLLUTANTS, 0.0),
        "temperature constant for two weeks": _held_at(336, 0, ("t",)),
        "temperature constant for two days": _held_at(48, 0, ("t",)),
        "rounded to tens and held 6 h, two months": _held(6, 2 * _MONTH_H, 10),
        "rounded to tens for a month": _held(1, _MONTH_H, 10),
        "held 3 h for a month": _held(3, _MONTH_H),
        "a ceiling at the 80th percentile for two months": _ceiling(0.8, 2 * _MONTH_H),
        "a ceiling at the median for a month": _ceiling(0.5, _MONTH_H),
        "hours shuffled within weeks, three months": _shuffled(_WEEK_H, 3 * _MONTH_H),
        "hours shuffled within days, a month": _shuffled(_DAY_H, _MONTH_H),
        "noise for two weeks": _noise(336),
        "a random walk for two months": _smooth_noise(2 * _MONTH_H),
        # spikes
        "5 spikes of 400 in a month": _spikes(5, pl.lit(400.0), _MONTH_H),
        "5 spikes of 400 in a month, pm25 alone": _spikes(
            5, pl.lit(400.0), _MONTH_H, all_particles=False
        ),
        "100 spikes of 450": _spikes(100, pl.lit(450.0), _SEVEN_MONTHS_H),
        "20 spikes of +70 in a month": _spikes(20, _PLUS_70, _MONTH_H),
        "8 dips to 1 in a month": _spikes(8, pl.lit(1.0), _MONTH_H),
        "3 spikes of 800 in a week": _spikes(3, pl.lit(800.0), _WEEK_H),
        # the values against each other
        "aqi doubled for a week": _store(_WEEK_H, {"aqi": pl.col("aqi") * 2}),
        "aqi doubled for seven months": _store(_SEVEN_MONTHS_H, {"aqi": pl.col("aqi") * 2}),
        "pm10 is 1 from a date on": _store(None, {"pm10": 1.0}, 0.3),
        "aqi -5 for 10 h": _store(10, dict.fromkeys(("aqi", "pm25"), -5.0)),
        "aqi 999 for 5 h": _store(5, dict.fromkeys(("aqi", "pm25"), 999.0)),
        "Fahrenheit from a date on": _store(None, {"t": pl.col("t") * 1.8 + 32}),
        # what is not there
        "pm10 gone for four months": _gone(("pm10",), 4 * _MONTH_H),
        "pm25 gone for four months": _gone(("pm25",), 4 * _MONTH_H),
        "pm25 gone to the end": _gone(("pm25",), None),
        "o3 and no2 gone for two weeks": _gone(("o3", "no2"), 336),
        "no iaqi for 200 h": _store(200, dict.fromkeys((*POLLUTANTS, *WEATHER))),
        "empty iaqi for three months": _store(3 * _MONTH_H, dict.fromkeys((*POLLUTANTS, *WEATHER))),
        "aqi as text for 5 h": _store(5, {"aqi_type": pl.lit("string"), "aqi": None}),
        "aqi null for 30 h": _store(30, {"aqi_type": pl.lit("null"), "aqi": None}),
        "aqi null for five months": _store(5 * _MONTH_H, {"aqi_type": pl.lit("null"), "aqi": None}),
        "a week deleted": _lost(_WEEK_H),
        # keys
        "48 doubles 7 minutes later": _doubles(48, 7),
        "24 doubles with another value": _doubles(24, 0, 3.0),
    }.items()
)
"""Every fault, by name; drawn stations and dates are those of the world's `chance`."""
