"""Measure the load beside its peers and ceilings: python -m benchmarks [--quick] [--rounds N].

`--quick` takes under a minute, and leaves out the peers and what no target is for. It ends with 1
if a figure is not even half as good as its target (or as is usual, where the target is out of
reach). What misses is measured again, up to twice: other work on the machine costs no verdict.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import load, run
from benchmarks.figures import table
from benchmarks.job import job
from benchmarks.performance import machine, versions, write_section
from runner.core.text import counted

_TRIES = 3


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", type=Path, help="file whose section `load` is replaced")
    given = parser.parse_args()
    stations, weeks, rounds = (20, 26, 1) if given.quick else (35, 104, given.rounds)
    with job(stations, weeks) as work:
        for _try in range(_TRIES if given.quick else 1):
            figures = load.measure(work, rounds, whole=not given.quick)
            missed = [figure.name for figure in figures if not figure.keeps(0.5)]
            if not missed:
                break
        if not given.quick:
            figures += [*run.pace(work), *run.memory(work), *run.start(work, 5)]
        carried_by = versions(work.client)
    text = (
        f"{stations} stations x {weeks} weeks = {work.readings:,} readings, "
        f"{counted(rounds, 'rounds')}; {machine()}; {carried_by}\n\n{table(figures)}"
    )
    print(text)
    if given.report:
        write_section(given.report, "load", f"`make bench`: {text}")
    if given.quick and missed:
        sys.stderr.write(f"not even half as good as it should be: {', '.join(missed)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
