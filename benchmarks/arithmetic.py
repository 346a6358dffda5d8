"""The arithmetic of docs/scale.md: from stations and years to requests, days, keys and gigabytes.

    python -m benchmarks.arithmetic

Windows, requests and durations come from the product's own plan (`runner.core.plan`); what was
measured (bytes, bytes with indexes) comes from `python -m benchmarks.storage`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.core.intervals import Interval, hour_of
from runner.core.plan import Pace, build_plan
from runner.core.stations import Station

TEN_YEARS = Interval(
    hour_of(datetime(2015, 1, 1, tzinfo=UTC)), hour_of(datetime(2025, 1, 1, tzinfo=UTC))
)
"""3653 days, 87,672 hours."""
BATCH_HOURS = 168
PER_HOUR = 1000
PACE = Pace(3600 / PER_HOUR, PER_HOUR)
"""The whole quota of a key, evenly spread; the default, one request every 4 s, uses 900 of it."""
WEEK_DAYS = 7
BYTES = {"regular": 76.0, "time-series": 9.5}
"""Data and indexes for a reading on disk, as `python -m benchmarks.storage` measured them."""
COMMANDS = 3
"""To MongoDB for a window: look at what is stored, insert, record progress (a test counts them)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a backfill of many stations takes.

    Attributes:
        stations: how many.
        requests: without a fault.
        hours: station-hours; a reading each where a station never paused.
        key_days: days that one key of `PER_HOUR` requests an hour takes.
    """

    stations: int
    requests: int
    hours: int
    key_days: float

    @property
    def week_keys(self) -> int:
        """Keys with which it takes no more than a week."""
        return math.ceil(self.key_days / WEEK_DAYS)

    def windows_per_s(self, keys: int) -> float:
        """Windows answered a second with some keys."""
        return keys * PER_HOUR / 3600

    def gigabytes(self, kind: str) -> float:
        """10^9 bytes on disk, data and indexes, with a reading for every hour."""
        return self.hours * BYTES[kind] / 1e9


def figures(stations: int, wanted: Interval = TEN_YEARS, pace: Pace = PACE) -> Figures:
    """Return what the product's plan says of some stations that were never fetched."""
    plan = build_plan(
        [Station(idx) for idx in range(1, stations + 1)],
        {},
        wanted,
        batch_hours=BATCH_HOURS,
        pace=pace,
    )
    return Figures(stations, plan.requests, plan.hours, plan.duration_s / 86_400)


def lines(stations: int) -> Iterator[str]:
    """Yield the rows of docs/scale.md for some stations, as they stand there."""
    made = figures(stations)
    each = made.requests // stations
    keys = made.week_keys
    windows = made.windows_per_s(keys)
    yield f"| requests | {stations:,} x {each} | {made.requests:,} |"
    yield f"| days with one key | {made.requests:,} / {PER_HOUR:,} / 24 | {made.key_days:,.1f} |"
    yield f"| keys for a week | {made.key_days:,.1f} / {WEEK_DAYS}, rounded up | {keys} |"
    yield f"| readings, at most | {stations:,} x {TEN_YEARS.hours:,} | {made.hours:,} |"
    for kind, size in BYTES.items():
        product = f"{made.hours:,} x {size:g} bytes"
        yield f"| storage, {kind} | {product} | {made.gigabytes(kind):,.1f} GB |"
    yield f"| windows a second | {keys} x {PER_HOUR:,} / 3600 | {windows:.1f} |"
    yield f"| readings a second | {windows:.1f} x {BATCH_HOURS} | {windows * BATCH_HOURS:,.0f} |"
    yield f"| commands a second | {windows:.1f} x {COMMANDS} | {windows * COMMANDS:,.0f} |"


def main() -> int:
    """Print the rows."""
    for stations in (98, 12_000):
        print(f"{stations:,} stations x 10 years")
        print("\n".join(lines(stations)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
