"""Ten years of 12,000 stations fetched by 16 runs, in seconds: does docs/scale.md compute rightly?

    python -m benchmarks.simulate_fleet

Replays the whole backfill event by event (`benchmarks.fleet_model`), without and with faults, and
prints what came out beside what the arithmetic says. Ends with 1 where they differ by more than
`TOLERANCE`, and with an AssertionError where something happened that must not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.arithmetic import BATCH_HOURS, PACE, PER_HOUR, TEN_YEARS, figures
from benchmarks.fleet_model import Counts, Fleet, World

TOLERANCE = 0.02
"""Share by which simulated and computed may differ."""
MEAN_EXTRA_S = 0.75
"""Seconds a throttled run adds to what the server asks for, on average: a draw from 0 to 2 s, of
which at most 1 s counts (`runner.sources.patience`)."""

PERFECT = World(12_000, TEN_YEARS, BATCH_HOURS, pace=PACE)
FAULTY = replace(PERFECT, rate_429=0.005, rate_5xx=0.02, rate_timeout=0.005, kills_per_day=1.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, simulated and computed.

    Attributes:
        what: the figure.
        simulated: came out of the events.
        computed: by the arithmetic.
    """

    what: str
    simulated: float
    computed: float

    @property
    def is_close(self) -> bool:
        """Whether the two differ by no more than they may."""
        return abs(self.simulated - self.computed) <= TOLERANCE * max(self.computed, 1e-9)


def compare(world: World, counts: Counts) -> Iterator[Line]:
    """Yield the figures of a world: what happened, and what should have.

    Requests: a window takes 1/(1 - p) of them where a share p comes to nothing, and every killed
    run loses what is in the air, `requests a second x latency`. Days: requests at the pace of all
    keys, for every 429 the pause of its key, less the time to the next permit, and for every
    killed run the time until the next one.
    """
    windows = figures(world.stations, world.wanted, world.pace).requests
    faults = world.rate_429 + world.rate_5xx + world.rate_timeout
    a_second = world.keys / world.pace.delay_s
    in_the_air = a_second / world.workers * world.latency_s
    requests = windows / (1 - faults) + counts.kills * in_the_air
    pause_s = world.latency_s + world.retry_after_s + MEAN_EXTRA_S - world.pace.delay_s
    seconds = requests / a_second + requests * world.rate_429 * max(0.0, pause_s) / world.keys
    seconds += counts.kills * world.restart_s / world.workers
    yield Line("windows", counts.windows, windows)
    yield Line("requests", counts.requests, requests)
    yield Line("days", counts.ended_s / 86_400, seconds / 86_400)
    used = counts.requests * 86_400 / counts.ended_s / world.keys
    yield Line("requests a day and key", used, requests * 86_400 / seconds / world.keys)
    wasted = counts.throttled + counts.failed + counts.lost
    if faults:
        share = (requests - windows) / requests
        yield Line("share of requests wasted, %", 100 * wasted / counts.requests, 100 * share)


def check(counts: Counts) -> None:
    """Assert that every request is accounted for."""
    answered = counts.windows + counts.throttled + counts.failed + counts.lost
    in_the_air = counts.requests - answered  # when the last window was recorded
    assert in_the_air == 0, f"{in_the_air} requests are not accounted for"  # noqa: S101 - what the simulation proves


def report(name: str, world: World) -> bool:
    """Simulate a world, print it; return whether the arithmetic holds."""
    began = time.perf_counter()
    counts = Fleet(world).run()
    took_s = time.perf_counter() - began
    check(counts)
    print(
        f"{name}: {world.stations:,} stations, {world.workers} runs, {world.keys} keys of "
        f"{world.pace.max_per_hour:,} an hour; simulated in {took_s:.0f} s"
    )
    print(
        f"  429: {world.rate_429:.1%}, 5xx: {world.rate_5xx:.1%}, timeouts: "
        f"{world.rate_timeout:.1%}; {counts.kills:,} runs killed, {counts.runs:,} begun, "
        f"{counts.lost:,} requests lost in the air, {counts.gave_up:,} stations given up"
    )
    holds = True
    for line in compare(world, counts):
        told = "" if line.is_close else "  <- DIFFERS"
        print(f"  {line.what:<28} {line.simulated:>14,.2f} {line.computed:>14,.2f}{told}")
        holds &= line.is_close
    return holds


def main() -> int:
    """Simulate without and with faults; return 1 where the arithmetic does not hold."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.simulate_fleet", description=__doc__)
    words.add_argument("--stations", type=int, default=12_000)
    words.add_argument("--workers", type=int, default=16)
    words.add_argument("--keys", type=int, default=16)
    asked = words.parse_args()
    print(f"{'':30} {'simulated':>14} {'computed':>14}   ({PER_HOUR:,} requests an hour and key)")
    holds = True
    for name, world in (("no faults", PERFECT), ("faults", FAULTY)):
        size = {"stations": asked.stations, "workers": asked.workers, "keys": asked.keys}
        holds &= report(name, replace(world, **size))
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
