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
from benchmarks.measure import Cost, best_cost, clean_environment, cost_of, machine
from runner.config.backfill import Backfill
from runner.config.read import date_range
from runner.core.intervals import Interval, hour_of
from runner.store.embedded import embedded

YEARS = 10
TEN_YEARS = Interval(
    hour_of(datetime(2015, 1, 1, tzinfo=UTC)), hour_of(datetime(2025, 1, 1, tzinfo=UTC))
)
MOST_S = 3.0
MOST_MB = 300.0
"""What a plan of 12,000 stations and ten years may cost on the machine of docs/scale.md."""
BUSY = 1.5
"""Times its processor time that `import hydra` takes where others use the machine, too."""


def main() -> int:
    """Print what the plan costs; return 1 where it is more than it may be on a free machine."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    words.add_argument("--stations", type=int, nargs="+", default=[98, 12_000])
    words.add_argument("--runs", type=int, default=5, help="of which the best counts")
    words.add_argument("--fetch", action="store_true", help="also fetch a day of all stations")
    asked = words.parse_args()
    print(machine())
    over = busy = False
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as place:
        directory = Path(place)
        with embedded(directory / "mongodb") as uri:
            for stations in asked.stations:
                cost, yardstick = _plan(directory, uri, stations, asked.runs)
                busy |= yardstick.wall_s > BUSY * yardstick.cpu_s
                over |= cost.wall_s > MOST_S or cost.peak_mb > MOST_MB
                print(
                    f"job=plan, {stations:,} stations x {YEARS} years: {cost}; "
                    f"{cost.wall_s / yardstick.wall_s:.1f} x the time and "
                    f"{cost.peak_mb / yardstick.peak_mb:.1f} x the memory of `import hydra` "
                    f"({yardstick})"
                )
                print(f"  {_totals(directory)}")
                if asked.fetch:
                    print(f"  a day fetched from the sandbox: {_fetch(directory, uri, stations)}")
    judged = "MISSED" if over else "held"
    if over and busy:
        judged = "not judged, because the machine is busy: even `import hydra` had to wait"
    print(f"allowed: {MOST_S:g} s, {MOST_MB:g} MB: {judged}")
    return int(over and not busy)


def _plan(directory: Path, uri: str, stations: int, runs: int) -> tuple[Cost, Cost]:
    """Return what the plan costs, and what `import hydra` does, measured in turn."""
    name = f"plan_{stations}"
    with MongoClient[Document](uri, tz_aware=True) as client:
        wanted = date_range(Backfill(years=YEARS), datetime.now(UTC))
        populate(client[name], stations, wanted)
        server = client.server_info()["version"]
    print(f"MongoDB {server}, best of {runs} runs")
    environment = clean_environment(MONGO_URI=uri, MONGO_DB=name)
    command = [sys.executable, "-m", "runner", "job=plan", f"backfill.years={YEARS}"]
    hydra = [sys.executable, "-c", "import hydra"]
    costs, yardsticks = [], []
    for _ in range(runs):
        yardsticks.append(cost_of(hydra, directory, environment))
        costs.append(cost_of(command, directory, environment))
    return best_cost(costs), best_cost(yardsticks)


def _fetch(directory: Path, uri: str, stations: int) -> Cost:
    """Return what a backfill of one day costs: a window for every station, and no checks.

    The sandbox that serves it runs in the same process, and its making up of readings counts.
    """
    name = f"fetch_{stations}"
    with MongoClient[Document](uri, tz_aware=True) as client:
        database = client[f"{name}_sandbox"]
        populate(database, stations, TEN_YEARS)
        database.drop_collection("ingest_checkpoints")
    day = ("backfill.start_date=2024-12-31", "backfill.end_date=2025-01-01")
    quick = ("rate_limit=unlimited", "quality=off", "report=none")
    command = [sys.executable, "-m", "runner", "source=sandbox", *day, *quick]
    environment = clean_environment(MONGO_URI=uri, MONGO_DB=name)
    return cost_of(command, directory, environment)


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
