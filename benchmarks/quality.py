"""`python -m benchmarks.quality`: what checks and page of five million readings cost.

In a real mongod of its own, filled with made-up air: one pass of extraction alone, the checks from
the Parquet files it left, and the page made of what the checks found. Every leg has a process of
its own. The legs take turns, because a machine has other work: of several rounds the fastest and
the middle one are told. Memory is the largest resident size of a leg's process or of a kernel it
started (`ru_maxrss`), less that of an interpreter that does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.performance import machine, write_section
from runner.store.embedded import embedded

LEGS = ("extraction", "checks", "page")
MOST_CHECKS_TO_EXTRACTION = 0.35
MOST_MB = 300
MOST_PAGE_MB = 5
_BARE = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
_KB_OF_MAXRSS = 1024 if sys.platform == "darwin" else 1
"""macOS tells bytes, Linux kilobytes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One leg over all rounds.

    Attributes:
        name: of the leg.
        seconds: wall time of each round.
        cpu_s: processor time of each round, of its own processes; mongod's is not in it.
        peak_mb: largest resident size beyond the bare interpreter, of all rounds.
        told: what the last round said besides.
    """

    name: str
    seconds: Sequence[float]
    cpu_s: Sequence[float]
    peak_mb: float
    told: Mapping[str, Any]

    @property
    def fastest(self) -> float:
        """Seconds of the fastest round."""
        return min(self.seconds)

    @property
    def middle(self) -> float:
        """Seconds of the middle round."""
        return statistics.median(self.seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; return 0 if every bound was kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--stations", type=int, default=195, help="stations (195)")
    parser.add_argument("--years", type=int, default=3, help="years of hours each (3)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every leg (3)")
    parser.add_argument("--legs", nargs="+", default=LEGS, choices=LEGS, help="only these")
    parser.add_argument("--keep", type=Path, help="directory to keep readings and files in")
    parser.add_argument("--report", type=Path, help="file whose section `quality` is replaced")
    asked = parser.parse_args(argv)
    with _place(asked.keep) as place, embedded(place / "mongodb") as uri:
        size = (f"--stations={asked.stations}", f"--years={asked.years}")
        leg = (f"--place={place}", f"--uri={uri}", *size)
        filled = _run("fill", *leg)
        print(f"{filled['readings']:,} readings in {filled['seconds']:.0f} s", flush=True)
        bare_kb = _bare_kb()
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in asked.legs}
        for number in range(asked.rounds):
            for name in asked.legs:
                told = _run(name, *leg)
                print(f"round {number + 1} {name}: {json.dumps(told)}", flush=True)
                rounds[name].append(told)
    measured = [_measured(name, told, bare_kb) for name, told in rounds.items()]
    text = table(measured, filled["readings"], asked.stations, asked.years)
    print(text)
    broken = [*broken_bounds(measured)]
    print(*broken, sep="\n")
    if asked.report:
        made = f"`make bench-quality`: {machine()}; rounds: {asked.rounds}."
        write_section(asked.report, "quality", f"{made}\n\n{text}")
    return 1 if broken else 0


@contextmanager
def _place(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="airq-bench-") as made:
        yield Path(made)


def _run(leg: str, *arguments: str) -> dict[str, Any]:
    """Run a leg in a process of its own; return what it tells on its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality_legs", leg, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _bare_kb() -> float:
    """Return the largest resident size of an interpreter that does nothing, kilobytes.

    A shell forks it: started from here it would tell at least the size of this process.
    """
    command = ["/bin/sh", "-c", '"$0" -c "$1"; true', sys.executable, _BARE]
    return int(subprocess.check_output(command)) / _KB_OF_MAXRSS


def _measured(name: str, told: Sequence[Mapping[str, Any]], bare_kb: float) -> Measured:
    largest = max(one["maxrss"] / _KB_OF_MAXRSS for one in told) - bare_kb
    return Measured(
        name,
        [one["seconds"] for one in told],
        [one["cpu_s"] for one in told],
        largest / 1024,
        told[-1],
    )


def ratio(measured: Sequence[Measured]) -> float | None:
    """Return the time of the checks in units of the extraction's, fastest against fastest."""
    by_name = {one.name: one for one in measured}
    if not {"extraction", "checks"} <= set(by_name):
        return None
    return by_name["checks"].fastest / by_name["extraction"].fastest


def cpu_ratio(measured: Sequence[Measured]) -> float | None:
    """Return the same of processor time, which other work on the machine hardly changes.

    What mongod spends on the extraction is not in it.
    """
    by_name = {one.name: one for one in measured}
    if not {"extraction", "checks"} <= set(by_name):
        return None
    return min(by_name["checks"].cpu_s) / min(by_name["extraction"].cpu_s)


def table(measured: Sequence[Measured], readings: int, stations: int, years: int) -> str:
    """Return what was measured, for people and for docs/performance.md."""
    lines = [
        f"{readings:,} readings: {stations} stations, {years} years of hours.",
        "",
        "| leg | fastest, s | middle, s | processor, s | memory beyond the interpreter, MB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {one.fastest:.1f} | {one.middle:.1f} | {min(one.cpu_s):.1f} "
        f"| {one.peak_mb:.0f} |"
        for one in measured
    ]
    lines.append("")
    found, of_cpu = ratio(measured), cpu_ratio(measured)
    if found is not None and of_cpu is not None:
        lines.append(
            f"Checks / extraction: {found:.2f} (at most {MOST_CHECKS_TO_EXTRACTION}); in processor "
            f"time, mongod's left out, {of_cpu:.2f}."
        )
    lines += [
        f"The page: {one.told['page_bytes'] / 1e6:.2f} MB (at most {MOST_PAGE_MB})."
        for one in measured
        if one.name == "page"
    ]
    lines.append(f"Memory: at most {MOST_MB} MB each.")
    return "\n".join(lines)


def broken_bounds(measured: Sequence[Measured]) -> Iterator[str]:
    """Yield the bounds that were not kept, in words."""
    found = ratio(measured)
    if found is not None and found > MOST_CHECKS_TO_EXTRACTION:
        yield f"MISSED: checks / extraction is {found:.2f}"
    for one in measured:
        if one.peak_mb > MOST_MB:
            yield f"MISSED: {one.name} took {one.peak_mb:.0f} MB"
        if one.told.get("page_bytes", 0) > MOST_PAGE_MB * 1e6:
            yield f"MISSED: the page has {one.told['page_bytes']:,} bytes"


if __name__ == "__main__":
    sys.exit(main())
