"""The main job on real measured data."""

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.product import SHARED, Runner, readings_of

FILES = SHARED / "data" / "airnow"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES.is_dir(), reason=f"the AirNow files are not at {FILES}"),
]
ASK = (
    "source=airnow",
    "quality=off",
    "report=none",
    f"source.path={FILES}",
    "stations.ids=[8641,8767]",
    "backfill.start_date=2016-01-01",
    "backfill.end_date=2020-01-01",
)


def valid_hours_of_2018() -> set[datetime]:
    """Count the file with the csv module alone: UTC instants of Valid rows, not below zero."""
    valid = set()
    with (FILES / "Hanoi_PM2.5_2018_YTD.csv").open(encoding="utf-8-sig", newline="") as file:
        march = Counter[str]()
        for row in csv.DictReader(file):
            label = datetime(int(row["Year"]), int(row["Month"]), int(row["Day"]), int(row["Hour"]))  # noqa: DTZ001 - local wall clock, as labelled
            march[row["Date (LT)"]] += 1
            if row["Date (LT)"] == "2018-03-11 03:00 AM" and march[row["Date (LT)"]] == 1:
                label -= timedelta(hours=1)  # the first of the two is really 02:00
            if row["QC Name"] == "Valid" and float(row["Raw Conc."]) >= 0:
                valid.add((label - timedelta(hours=7)).replace(tzinfo=UTC))
    return valid


def test_measured_readings_arrive_exactly_and_a_second_run_changes_nothing(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    done = runner(*ASK)
    assert "Hour labels repaired: 7" in done.stdout
    readings = readings_of(database)
    expected = valid_hours_of_2018()
    first, last = min(expected), max(expected)
    hanoi = [item for item in readings if item["meta"]["station_idx"] == 8641]
    stored = {item["ts"] for item in hanoi if first <= item["ts"] <= last}
    assert stored == expected
    assert len(expected) == 7997
    rejected = Counter(
        item["reason"]
        for item in database["ingest_rejects"].find(
            {"station_idx": 8641, "ts": {"$gte": first, "$lte": last}}
        )
    )
    assert rejected == {"qc_missing": 145, "qc_invalid": 196, "below_zero": 1}

    again = runner(*ASK)
    assert "nothing to fetch" in again.stdout
    assert runner.last_json("outcome.json")["totals"]["inserted"] == 0
    assert readings_of(database) == readings


def test_forgotten_progress_finds_every_measured_reading_unchanged(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    short = (*ASK, "backfill.end_date=2016-04-01")
    runner(*short)
    inserted = runner.last_json("outcome.json")["totals"]["inserted"]
    rejects = database["ingest_rejects"].count_documents({})
    runner("job=reset", "confirm=true", "stations.ids=[8641,8767]")
    runner(*short, "backfill.batch_size=77")
    totals = runner.last_json("outcome.json")["totals"]
    assert (totals["inserted"], totals["updated"], totals["unchanged"]) == (0, 0, inserted)
    assert database["ingest_rejects"].count_documents({}) == rejects
