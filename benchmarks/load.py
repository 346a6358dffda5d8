"""The load: from the API into MongoDB, ours beside the plain loop, the ceilings and a peer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

from benchmarks import peers
from benchmarks.figures import Figure
from benchmarks.job import Job
from benchmarks.measure import Cost

Costs = dict[str, list[Cost]]


def measure(work: Job, rounds: int, *, whole: bool) -> list[Figure]:
    """Run every leg once a round, the groups of legs backwards in every other round.

    Args:
        work: what to load.
        rounds: how often.
        whole: with the legs that no target is for, and with dlt, or why it was not measured.
    """
    dlt = peers.dlt_version() if whole else None
    costs: Costs = {}
    seconds: dict[str, list[float]] = {}

    def ours() -> None:
        for kind in ("regular", "time-series"):
            note(f"fresh {kind}", work.fresh(kind))
            note(f"unchanged {kind}", work.unchanged(kind))
            note(f"nothing to do {kind}", work.nothing_to_do(kind))
            if whole:
                seconds.setdefault(f"probe {kind}", []).append(work.probe(kind))
                note(f"changed {kind}", work.changed(kind))

    def plain() -> None:
        note("plain", work.plain())
        note("plain again", work.plain_again())

    def note(name: str, cost: Cost) -> None:
        costs.setdefault(name, []).append(cost)
        sys.stderr.write(f"  {name}: {cost.wall_s:.1f} s, {cost.peak_mb:.0f} MB\n")

    groups: list[Callable[[], None]] = [
        ours,
        plain,
        partial(_ceilings, work, seconds),
        partial(_dlt, work, note, dlt),
    ]
    work.empty()
    for number in range(rounds):
        for group in groups[:: 1 if number % 2 == 0 else -1]:
            group()
        note("empty", work.empty())
    against_plain, *others = _figures(work, costs, seconds)
    return [against_plain, *([against_dlt(work.readings, costs, dlt)] if whole else []), *others]


def _ceilings(work: Job, seconds: dict[str, list[float]]) -> None:
    for kind in ("regular", "time-series"):
        seconds.setdefault(f"insert {kind}", []).append(work.insert(kind))
    seconds.setdefault("drain", []).append(work.drain())


def _dlt(work: Job, note: Callable[[str, Cost], None], version: str | None) -> None:
    for pages in peers.PAGES if version else ():
        note(f"dlt {pages}", work.dlt(pages))


def against_dlt(readings: int, costs: Costs, version: str | None) -> Figure:
    """Return how much faster ours is than the better of dlt's two ways, round by round.

    Args:
        readings: that every leg loads.
        costs: of every leg, by its name, a round each.
        version: of dlt; None where it is not installed.
    """
    name = "fresh load against the best peer leg (dlt, tuned)"
    if version is None:
        return Figure(name, None, target=3.0, detail=peers.NOT_INSTALLED)
    walls = {pages: [cost.wall_s for cost in costs[f"dlt {pages}"]] for pages in peers.PAGES}
    ours = [cost.wall_s for cost in costs["fresh regular"]]
    best = [min(both) for both in zip(*walls.values(), strict=True)]
    rates = (f"{pages} {readings / median(taken):,.0f}/s" for pages, taken in walls.items())
    return Figure(
        name,
        median(theirs / mine for mine, theirs in zip(ours, best, strict=True)),
        target=3.0,
        usual=2.0,
        detail=f"dlt {version}: {', '.join(rates)}",
    )


def _figures(work: Job, costs: Costs, seconds: dict[str, list[float]]) -> Iterator[Figure]:
    def of(name: str) -> list[float]:
        return [cost.wall_s for cost in costs[name]] if name in costs else seconds[name]

    def faster(name: str, than: str) -> float:
        return median(b / a for a, b in zip(of(name), of(than), strict=True))

    def rates(*names: str) -> str:
        measured = [name for name in names if name in costs or name in seconds]
        rated = (f"{name} {work.readings / median(of(name)):,.0f}/s" for name in measured)
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
        usual=0.38,
        detail=rates("insert regular"),
    )
    yield Figure(
        "rerun, checkpoints deleted, against the plain loop's rerun",
        faster("unchanged regular", "plain again"),
        target=4.0,
        usual=2.8,
        detail=rates("unchanged regular", "plain again"),
    )
    if "changed regular" in costs:
        yield Figure(
            "rerun with 1 % changed values, against the plain loop's rerun",
            faster("changed regular", "plain again"),
            detail=rates("changed regular"),
        )
    for kind in ("regular", "time-series"):
        nothing = f"nothing to do {kind}"
        yield Figure(
            f"rerun, nothing to do ({kind}), against an empty run",
            1 / faster(nothing, "empty"),
            target=1.3,
            better="less",
            detail=f"{median(of(nothing)):.2f} s, {median(of('empty')):.2f} s; 0 requests",
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
        usual=0.18,
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
        detail=rates("drain", "probe regular", "probe time-series"),
    )
