"""A named scale: the tables of its pollutants, and the index of the air."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.core.aqi.breakpoints import converted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.core.aqi.breakpoints import Breakpoints
if TYPE_CHECKING:
    from collections.abc import Sequence


HOURS = 12
"""How many hours count."""

NEWEST, NEEDED = 3, 2
"""Number of the newest hours looked at, and how many of them must be there."""

SMALLEST_WEIGHT = 0.5


def nowcast(hours: Sequence[float | None]) -> float | None:
    """Return the NowCast of hourly means, in their unit; None without enough newest hours.

    Args:
        hours: the newest first, None if an hour is missing; those after the twelfth do not
            count. Slightly negative hours (noise around zero) are taken as they are.
    """
    there = [(age, hour) for age, hour in enumerate(hours[:HOURS]) if hour is not None]
    if sum(age < NEWEST for age, _ in there) < NEEDED:
        return None
    weight = weight_factor(min(hour for _, hour in there), max(hour for _, hour in there))
    total = sum(weight**age for age, _ in there)
    return sum(weight**age * hour for age, hour in there) / total


def weight_factor(smallest: float, largest: float) -> float:
    """Return the weight an hour has relative to the next newer one, from 1/2 to 1.

    Where nothing is above zero, the ratio means nothing: the hours count alike (our choice).
    """
    if largest <= 0:
        return 1.0
    return max(smallest / largest, SMALLEST_WEIGHT)


PARTICLES = ("pm25", "pm10")


@dataclass(frozen=True, slots=True)
class Category:
    """A range of the index.

    Attributes:
        highest: the highest index in it.
        name: the scale's own word for it.
        colour: the official one, `#rrggbb`.
    """

    highest: float
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Scale:
    """How one authority turns concentrations into an index.

    Attributes:
        name: under which it is stored and chosen.
        title: in words.
        source: the document it follows, and what of it is not certain.
        tables: by (pollutant, averaging). Pollutants are named as in AQICN's `iaqi`; averaging is
            the kind of mean that belongs in the table: `1h`, `8h`, `24h` or `nowcast`.
        categories: the lowest first; they meet.
        needs_particles: there is no index of the air without PM2.5 or PM10.
        takes_below_zero: whether an hour a little below zero (noise) has index 0, or none.
    """

    name: str
    title: str
    source: str
    tables: Mapping[tuple[str, str], Breakpoints]
    categories: tuple[Category, ...]
    needs_particles: bool = False
    takes_below_zero: bool = True

    def table(self, pollutant: str, averaging: str) -> Breakpoints:
        """Return the table of a pollutant and a kind of mean.

        Raises:
            ValueError: the scale has none; says which it has.
        """
        try:
            return self.tables[pollutant, averaging]
        except KeyError:
            known = ", ".join(f"{name} {mean}" for name, mean in self.tables)
            msg = f"scale {self.name} has no {pollutant} {averaging}; it has {known}"
            raise ValueError(msg) from None

    def sub_index(self, pollutant: str, value: float, unit: str, averaging: str) -> int | None:
        """Return the sub-index of a concentration; None if the scale defines none for it.

        Args:
            pollutant: `pm25`, `pm10`, `o3`, `no2`, `so2` or `co`.
            value: the concentration.
            unit: its unit, such as `ug/m3` or `ppm`; converted where the table has another.
            averaging: what kind of mean it is: `1h`, `8h`, `24h`, `nowcast`.

        Raises:
            ValueError: no such table, no such unit, or no concentration of air (not finite, or
                further below zero than noise is).
        """
        table = self.table(pollutant, averaging)
        return table.index(converted(value, unit, table.unit, pollutant))

    def concentrations(
        self, pollutant: str, index: int, unit: str, averaging: str
    ) -> tuple[float, float] | None:
        """Return the bounds of the concentrations with a sub-index, as `Breakpoints` does.

        Raises:
            ValueError: no such table, no such unit, or a negative index.
        """
        table = self.table(pollutant, averaging)
        bounds = table.concentrations(index)
        if bounds is None:
            return None
        low, high = (converted(bound, table.unit, unit, pollutant) for bound in bounds)
        return low, high

    def aqi(self, sub_indices: Iterable[tuple[str, int | None]]) -> int | None:
        """Return the index of the air, the largest sub-index; None if there is none.

        Args:
            sub_indices: (pollutant, sub-index); a pollutant may come more than once (ozone of one
                hour and of eight).
        """
        there = [(pollutant, index) for pollutant, index in sub_indices if index is not None]
        if self.needs_particles and not any(pollutant in PARTICLES for pollutant, _ in there):
            return None
        return max((index for _, index in there), default=None)

    def category(self, index: float) -> Category:
        """Return the category of an index.

        Raises:
            ValueError: the index is not finite, or negative.
        """
        if not math.isfinite(index) or index < 0:
            msg = f"{index} is no air-quality index; 0 or more is"
            raise ValueError(msg)
        return next(each for each in self.categories if math.ceil(index) <= each.highest)
