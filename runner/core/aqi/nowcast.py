"""NowCast: a mean of the last twelve hours that leans on the newest when the air changes.

For PM2.5 and PM10 of EPA (EPA-454/B-24-002, "How the NowCast is calculated"; the fact sheet "PM
NowCast") and of Viet Nam (decision 1459/QD-TCMT, 2.2.1 a), which took it over. With c1 the newest
hour and c12 the oldest:

    w = smallest / largest, at least 1/2
    NowCast = sum(w^(i-1) * ci) / sum(w^(i-1)), over the hours that there are

There is none unless two of the newest three hours are there. Hours go in as measured; the NowCast
is truncated when it meets a table of breakpoints.

EPA's NowCast of ozone is another thing, a partial least squares regression over two weeks of a
site, and is not here.

The decision writes the case w = 1/2 as sum((1/2)^i * ci), without dividing. With twelve hours that
is 0.024 % less; with hours missing it would count them as clean air, so the division is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HOURS = 12
"""How many hours count."""

NEWEST, NEEDED = 3, 2
"""Of so many newest hours, so many must be there."""

SMALLEST_WEIGHT = 0.5


def nowcast(hours: Sequence[float | None]) -> float | None:
    """Return the NowCast of hourly means, in their unit; None without enough newest hours.

    Args:
        hours: the newest first, None where an hour is missing; those after the twelfth do not
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
