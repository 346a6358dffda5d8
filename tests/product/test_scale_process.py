"""Many stations, as a person and as a machine see them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from benchmarks.fleet import populate
from runner.core.intervals import Interval, hour_of, iso
from runner.process.tables import MOST_ROWS
from runner.store.leases import Leases
from tests.product.product import Runner

pytestmark = pytest.mark.slow

STATIONS = MOST_ROWS + 150
END = hour_of(datetime(2025, 1, 1, tzinfo=UTC))
RANGE = Interval(END - 24 * 3653, END)


@pytest.fixture
def fleet(database: Database[dict[str, Any]]) -> Database[dict[str, Any]]:
    populate(database, STATIONS, RANGE)
    return database


def test_standard_output_is_one_json_document_and_words_go_beside_it(
    runner: Runner, fleet: Database[dict[str, Any]]
) -> None:
    working = fleet["ingest_checkpoints"].find_one({"status": "in_progress"})
    dead = fleet["ingest_checkpoints"].find_one({"status": "failed"})
    assert working
    assert dead
    Leases(fleet, "the-night-before", 600).claim(working["station_idx"])
    ended = datetime.now(UTC) - timedelta(minutes=1)
    fleet["ingest_checkpoints"].update_one(
        {"_id": dead["_id"]}, {"$set": {"lease": {"owner": "dead", "expires_at": ended}}}
    )
    done = runner("job=status", "output=json")
    made = json.loads(done.stdout)
    assert (made["version"], made["job"], made["database"]) == (2, "status", fleet.name)
    assert all("readings_inserted" in row for row in made["stations"])  # what made it version 2
    assert made["totals"]["stations"] == len(made["stations"]) == STATIONS
    leased = [row for row in made["stations"] if row["lease"]]
    assert [row["station_idx"] for row in leased] == [working["station_idx"]]
    assert leased[0]["lease"]["run_id"] == "the-night-before"
    failed = [row for row in made["stations"] if row["state"] == "failed"]
    assert len(failed) == made["totals"]["states"]["failed"] > 0
    assert all(row["last_error"] and row["end"] == iso(RANGE.end) for row in failed)
    assert f"{STATIONS} stations in" in done.stderr
    table = runner("job=status").stdout.splitlines()
    assert any("… and 150 more" in line for line in table)

    span = ("backfill.start_date=2015-01-01", "backfill.end_date=2025-01-01")
    planned = runner("job=plan", "output=json", *span)
    assert json.loads(planned.stdout) == runner.last_json("plan.json")
    assert "Plan: 350 stations" in planned.stderr


def test_where_there_is_no_answer_standard_output_stays_empty(runner: Runner) -> None:
    done = runner(
        "job=status",
        "output=json",
        "mongo.timeout_s=1",
        expect=1,
        MONGO_URI="mongodb://127.0.0.1:9/",
    )
    assert done.stdout == ""
    assert "MONGO_URI" in done.stderr
