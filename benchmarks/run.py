"""A run by itself: how it keeps its pace, what it holds in memory, how long until it begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.figures import Figure
from benchmarks.job import Job
from benchmarks.measure import Cost
from runner.core.text import counted

_PACE_S = 0.05
_REQUESTS = 200
_WORKERS = 4
_LATENCIES_MS = (10, 60, 200)
_YEARS = (1, 3, 10)
_STARTS = {
    "import hydra": ("-c", "import hydra"),
    "--help": ("-m", "runner", "--help"),
    "job=status": ("-m", "runner", "job=status", "stations.ids=[8641]"),
}


def pace(work: Job) -> Iterator[Figure]:
    """Yield how much of an ideal schedule is reached, by the latency of the API."""
    ideal_s = (_REQUESTS - 1) * _PACE_S
    for latency_ms in _LATENCIES_MS:
        span_s = work.paced(latency_ms, _PACE_S, _REQUESTS)
        keeps_up = latency_ms / 1000 < _WORKERS * _PACE_S
        yield Figure(
            f"paced: ideal schedule / time taken, API answers in {latency_ms} ms",
            ideal_s / span_s,
            target=0.99 if keeps_up else None,
            detail=f"{_REQUESTS} requests, one every {_PACE_S * 1000:g} ms, {_WORKERS} workers"
            + ("" if keeps_up else ", who are too few"),
        )


def memory(work: Job) -> Iterator[Figure]:
    """Yield how the memory grows with the years."""
    peaks = {years: work.small(years).peak_mb for years in _YEARS}
    yield Figure(
        f"peak memory, {_YEARS[-1]} years against {_YEARS[0]}",
        peaks[_YEARS[-1]] / peaks[_YEARS[0]],
        target=1.05,
        better="less",
        detail=", ".join(
            f"{counted(years, 'years')}: {peak:.0f} MB" for years, peak in peaks.items()
        ),
    )


def start(work: Job, rounds: int) -> Iterator[Figure]:
    """Yield how long a command takes until it is done with nothing, against `import hydra`."""
    legs: dict[str, Callable[[], Cost]] = {
        name: lambda arguments=arguments: work.command(*arguments)  # type: ignore[misc]
        for name, arguments in _STARTS.items()
    }
    legs["an empty run"] = work.empty
    seconds: dict[str, list[float]] = {name: [] for name in legs}
    for number in range(rounds):
        for name in [*legs][:: 1 if number % 2 == 0 else -1]:
            seconds[name].append(legs[name]().wall_s)
    yardstick = seconds.pop("import hydra")
    for name, taken in seconds.items():
        sys.stderr.write(f"  {name}: {median(taken):.2f} s\n")
        yield Figure(
            f"{name}, against `import hydra`",
            median(mine / other for mine, other in zip(taken, yardstick, strict=True)),
            target=2.2 if name == "--help" else None,
            better="less",
            detail=f"{median(taken):.2f} s against {median(yardstick):.2f} s",
        )
