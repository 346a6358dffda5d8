"""Measure the load beside its peers and ceilings: python -m benchmarks [--quick] [--rounds N].

`--quick` takes under a minute, and ends with 1 if
a figure is not even half as good as its target.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import load
from benchmarks.figures import table
from benchmarks.job import job
from benchmarks.measure import machine


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    stations, weeks, rounds = (20, 26, 1) if given.quick else (35, 104, given.rounds)
    with job(stations, weeks) as work:
        figures = load.measure(work, rounds)
    sys.stdout.write(
        f"{stations} stations x {weeks} weeks = {work.readings:,} readings, {rounds} round(s); "
        f"{machine()}\n\n{table(figures)}\n"
    )
    missed = [figure.name for figure in figures if not figure.reached(0.5)]
    if given.quick and missed:
        sys.stderr.write(f"below half of the target: {', '.join(missed)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
