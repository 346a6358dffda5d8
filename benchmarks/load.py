"""The load: from the API into MongoDB, ours beside the plain loop and beside the ceilings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure
from benchmarks.job import Job
from benchmarks.measure import Cost

Costs = dict[str, list[Cost]]


def measure(work: Job, rounds: int) -> list[Figure]:
    """Run every leg once a round, the groups of legs backwards in every other round."""
    costs: Costs = {}
    seconds: dict[str, list[float]] = {}

    def ours() -> None:
        for kind in ("regular", "time-series"):
            note(f"fresh {kind}", work.fresh(kind))
            note(f"unchanged {kind}", work.unchanged(kind))
            if kind == "regular":
                note("nothing to do", work.nothing_to_do())
            seconds.setdefault("probe", []).append(work.probe())
            note(f"changed {kind}", work.changed(kind))

    def plain() -> None:
        note("plain", work.plain())
        note("plain again", work.plain_again())

    def ceilings() -> None:
        for kind in ("regular", "time-series"):
            seconds.setdefault(f"insert {kind}", []).append(work.insert(kind))
        seconds.setdefault("drain", []).append(work.drain())

    def note(name: str, cost: Cost) -> None:
        costs.setdefault(name, []).append(cost)
        sys.stderr.write(f"  {name}: {cost.wall_s:.1f} s, {cost.peak_mb:.0f} MB\n")

    work.empty()
    for number in range(rounds):
        for group in [ours, plain, ceilings][:: 1 if number % 2 == 0 else -1]:
            group()
        note("empty", work.empty())
    return list(_figures(work, costs, seconds))


def _figures(work: Job, costs: Costs, seconds: dict[str, list[float]]) -> Iterator[Figure]:
    def of(name: str) -> list[float]:
        return [cost.wall_s for cost in costs[name]] if name in costs else seconds[name]

    def faster(name: str, than: str) -> float:
        return median(b / a for a, b in zip(of(name), of(than), strict=True))

    def rates(*names: str) -> str:
        rated = (f"{name} {work.readings / median(of(name)):,.0f}/s" for name in names)
        return ", ".join(rated)

    yield Figure(
        "fresh load, whole process, against the plain loop",
        faster("fresh regular", "plain"),
        target=2.5,
        detail=rates("fresh regular", "plain"),
    )
    yield Figure(
        "fresh load against `insert_many` of the same documents",
        faster("fresh regular", "insert regular"),
        target=0.85,
        detail=rates("insert regular"),
    )
    yield Figure(
        "rerun, checkpoints deleted, against the plain loop's rerun",
        faster("unchanged regular", "plain again"),
        target=4.0,
        detail=rates("unchanged regular", "plain again"),
    )
    yield Figure(
        "rerun with 1 % changed values, against the plain loop's rerun",
        faster("changed regular", "plain again"),
        detail=rates("changed regular"),
    )
    yield Figure(
        "rerun, nothing to do, against an empty run",
        1 / faster("nothing to do", "empty"),
        target=1.3,
        better="less",
        detail=f"{median(of('nothing to do')):.2f} s, {median(of('empty')):.2f} s; 0 requests",
    )
    yield Figure(
        "peak memory of a fresh load",
        max(cost.peak_mb for cost in costs["fresh regular"]),
        "MB",
        target=120,
        better="less",
        detail=f"plain loop {max(cost.peak_mb for cost in costs['plain']):.0f} MB",
    )
    yield Figure(
        "time-series: fresh load against its `insert_many`",
        faster("fresh time-series", "insert time-series"),
        target=0.8,
        detail=rates("fresh time-series", "insert time-series"),
    )
    yield Figure(
        "time-series: rerun, checkpoints deleted, against the fresh load",
        faster("unchanged time-series", "fresh time-series"),
        detail=rates("unchanged time-series", "changed time-series"),
    )
    yield Figure(
        "processor time of a reading, ours against the plain loop",
        median(
            ours.cpu_s / plain.cpu_s
            for ours, plain in zip(costs["fresh regular"], costs["plain"], strict=True)
        ),
        better="less",
        detail=rates("drain", "probe"),
    )
