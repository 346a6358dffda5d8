"""A named scale: the tables of its pollutants, and the index of the air."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.core.aqi.breakpoints import Breakpoints


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
class Band:
    """A range of the index.

    Attributes:
        label: as in agg/category.parquet.
        highest: the highest index in it.
        name: EPA's word for it.
        vietnamese: VN_AQI's word for it.
        colour: the official one, `#rrggbb`.
    """

    label: str
    highest: float
    name: str
    vietnamese: str
    colour: str

    @property
    def title(self) -> str:
        """Both words: `Good · Tốt`."""
        return f"{self.name.capitalize()} · {self.vietnamese}"


BANDS = (
    Band("0-50", 50, "good", "Tốt", "#00e400"),
    Band("51-100", 100, "moderate", "Trung bình", "#ffff00"),
    Band("101-150", 150, "unhealthy for sensitive groups", "Kém", "#ff7e00"),
    Band("151-200", 200, "unhealthy", "Xấu", "#ff0000"),
    Band("201-300", 300, "very unhealthy", "Rất xấu", "#8f3f97"),
    Band("301+", math.inf, "hazardous", "Nguy hại", "#7e0023"),
)
"""The bands that all scales share, the lowest first: 40 CFR 58, appendix G, table 1
(EPA-454/B-24-002, tables 1 and 2), and table 1 of decision 1459/QD-TCMT."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How one authority turns concentrations into an index.

    Attributes:
        name: under which it is stored and chosen.
        title: in words.
        source: the document it follows, and what of it is not certain.
        tables: by (pollutant, averaging). Pollutants are named as in AQICN's `iaqi`; averaging is
            the kind of mean that belongs in the table: `1h`, `8h`, `24h` or `nowcast`.
        needs_particles: there is no index of the air without PM2.5 or PM10.
        takes_below_zero: whether an hour a little below zero (noise) has index 0, or none.
    """

    name: str
    title: str
    source: str
    tables: Mapping[tuple[str, str], Breakpoints]
    needs_particles: bool = False
    takes_below_zero: bool = True

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
