"""`job=plan` for a whole fleet over ten years, as a person runs it: how long, how much memory.

    python -m benchmarks.plan

A MongoDB of its own is filled with the stations and checkpoints of `benchmarks.fleet`. The process
measured is the whole command: start-up, imports, the database, plan.json, the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pymongo import MongoClient

from benchmarks.fleet import Document, populate
from benchmarks.measure import Cost, clean_environment, cost_of, machine, median_cost
from runner.config import date_range
from runner.settings import Backfill
from runner.store.embedded import embedded

YEARS = 10
MOST_S = 3.0
MOST_MB = 300.0
"""What a plan of 12,000 stations and ten years may cost on the machine of docs/scale.md."""


def main() -> int:
    """Print what the plan costs; return 1 where it is more than it may be."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    words.add_argument("--stations", type=int, nargs="+", default=[98, 12_000])
    words.add_argument("--runs", type=int, default=5, help="of which the median counts")
    asked = words.parse_args()
    print(machine())
    over = False
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as place:
        directory = Path(place)
        with embedded(directory / "mongodb") as uri:
            for stations in asked.stations:
                cost, yardstick = _plan(directory, uri, stations, asked.runs)
                over |= cost.wall_s > MOST_S or cost.peak_mb > MOST_MB
                print(
                    f"job=plan, {stations:,} stations x {YEARS} years: {cost}; "
                    f"{cost.wall_s / yardstick.wall_s:.1f} x the time and "
                    f"{cost.peak_mb / yardstick.peak_mb:.1f} x the memory of `import hydra` "
                    f"({yardstick})"
                )
                print(f"  {_totals(directory)}")
    print(f"allowed: {MOST_S:g} s, {MOST_MB:g} MB: {'MISSED' if over else 'held'}")
    return int(over)


def _plan(directory: Path, uri: str, stations: int, runs: int) -> tuple[Cost, Cost]:
    """Return what the plan costs, and what `import hydra` does, measured in turn."""
    name = f"plan_{stations}"
    with MongoClient[Document](uri, tz_aware=True) as client:
        wanted = date_range(Backfill(years=YEARS), datetime.now(UTC))
        populate(client[name], stations, wanted)
        server = client.server_info()["version"]
    print(f"MongoDB {server}, {runs} runs each")
    environment = clean_environment(MONGO_URI=uri, MONGO_DB=name)
    command = [sys.executable, "-m", "runner", "job=plan", f"backfill.years={YEARS}"]
    hydra = [sys.executable, "-c", "import hydra"]
    costs, yardsticks = [], []
    for _ in range(runs):
        yardsticks.append(cost_of(hydra, directory, environment))
        costs.append(cost_of(command, directory, environment))
    return median_cost(costs), median_cost(yardsticks)


def _totals(directory: Path) -> str:
    """Return what the newest plan.json says, in a line."""
    path = max(directory.glob("runs/*/*/plan.json"))
    totals = json.loads(path.read_text("utf-8"))["totals"]
    return (
        f"{totals['hours']:,} station-hours, {totals['windows']:,} windows, "
        f"{totals['active_stations']:,} stations to work on; "
        f"plan.json {path.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
