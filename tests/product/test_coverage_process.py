"""Coverage, not a watermark: only what is missing is fetched, in every mode."""

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of
from runner.core.stations import Station
from runner.sources.sandbox.climatology import Climatology
from tests.product.product import FAST, Runner, readings_of, stop, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

STATION = 1584
SOURCE = ("source=sandbox", f"stations.ids=[{STATION}]", *FAST)
QUARTER = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-04-01")
BOTH = ("source=sandbox", "stations.ids=[1584,8641]", *QUARTER, *FAST)
COLLECTION = "waqi_station_readings"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def truth(start: str, end: str) -> dict[datetime, int]:
    """Return what the sandbox says of these hours: the first principles, not our own reading."""
    window = Interval(hour_of(day(start)), hour_of(day(end)))
    found = {}
    for record in Climatology(1).records(Station(STATION).idx, window):
        local = datetime.fromisoformat(record["time"]["s"]).replace(tzinfo=UTC)
        aqi = record.get("current_aqi", record.get("aqi"))
        if isinstance(aqi, int):
            found[local - timedelta(hours=7)] = aqi
    return found


def stored(database: Mongo) -> dict[datetime, int]:
    readings = readings_of(database)
    assert len({item["ts"] for item in readings}) == len(readings)
    return {item["ts"]: item["aqi"] for item in readings}


def requests(runner: Runner) -> int:
    return int(runner.last_json("outcome.json")["requests"])


def test_after_two_years_three_cost_the_missing_one_then_the_tail_then_the_hole(
    runner: Runner, sandbox_database: Mongo
) -> None:
    """In weeks: the years 2021 and 2022, then 2020 besides, then a month more, then a hole."""
    end = "backfill.end_date=2023-01-01"
    runner(*SOURCE, "backfill.years=2", end)
    assert requests(runner) == 105
    runner(*SOURCE, "backfill.years=3", end)
    assert requests(runner) == 53  # 366 days
    runner(*SOURCE, "backfill.start_date=2020-01-01", "backfill.end_date=2023-02-01")
    assert requests(runner) == 5  # 31 days
    checkpoints = sandbox_database["ingest_checkpoints"]
    hole = [[day("2020-01-01"), day("2021-03-01")], [day("2021-03-15"), day("2023-02-01")]]
    checkpoints.update_one({"station_idx": STATION}, {"$set": {"covered": hole}})
    runner(*SOURCE, "backfill.start_date=2020-01-01", "backfill.end_date=2023-02-01")
    assert requests(runner) == 2  # 14 days
    assert runner.last_json("outcome.json")["totals"]["unchanged"] > 300
    runner(*SOURCE, "backfill.start_date=2020-01-01", "backfill.end_date=2023-02-01")
    assert requests(runner) == 0
    assert stored(sandbox_database) == truth("2020-01-01", "2023-02-01")


def test_gaps_are_found_in_the_readings_and_fetched_in_as_few_requests_as_possible(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*SOURCE, *QUARTER)
    expected = truth("2023-01-01", "2023-04-01")
    assert stored(sandbox_database) == expected
    lost = [ts for ts in expected if ts.day in (3, 5) and ts.month == 2] + [
        ts for ts in expected if ts.day == 20 and ts.month == 3
    ]
    sandbox_database[COLLECTION].delete_many({"ts": {"$in": lost}})
    plan = runner("job=plan", *SOURCE, *QUARTER, "backfill.mode=gaps")
    assert "gaps: 1" in plan.stdout
    runner(*SOURCE, *QUARTER, "backfill.mode=gaps")
    outcome = runner.last_json("outcome.json")
    assert outcome["requests"] == 2  # 3 to 5 February in one, 20 March in another
    assert outcome["totals"]["inserted"] == len(lost)
    coverage = outcome["coverage"]
    parts = ("readings", "empty", "rejected", "failed", "left", "skipped", "covered_before")
    assert sum(coverage[part] for part in parts) == coverage["total"] == 90 * 24
    assert stored(sandbox_database) == expected
    runner(*SOURCE, *QUARTER, "backfill.mode=gaps")
    assert requests(runner) == 0


def test_hours_the_source_has_nothing_for_are_asked_for_again_only_after_some_days(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*SOURCE, *QUARTER)
    assert runner.last_json("outcome.json")["coverage"]["readings"] < 90 * 24
    runner(*SOURCE, *QUARTER, "backfill.mode=gaps")
    assert requests(runner) == 0
    checkpoints = sandbox_database["ingest_checkpoints"]
    known = checkpoints.find_one({"station_idx": STATION})
    assert known is not None
    long_ago = datetime.now(UTC) - timedelta(days=31)
    older = [[start, end, long_ago] for start, end, _asked in known["empty"]]
    checkpoints.update_one({"station_idx": STATION}, {"$set": {"empty": older}})
    runner(*SOURCE, *QUARTER, "backfill.mode=gaps", "backfill.recheck_empty_after_days=60")
    assert requests(runner) == 0
    runner(*SOURCE, *QUARTER, "backfill.mode=gaps")
    assert requests(runner) > 0
    runner(*SOURCE, *QUARTER, "backfill.mode=gaps")
    assert requests(runner) == 0


def test_a_refetch_updates_what_changed_and_doubles_nothing(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*SOURCE, *QUARTER)
    expected = truth("2023-01-01", "2023-04-01")
    changed = sorted(expected)[100:110]
    sandbox_database[COLLECTION].update_many({"ts": {"$in": changed}}, {"$set": {"aqi": 7777}})
    done = runner(*SOURCE, *QUARTER, "backfill.mode=refetch", "backfill.batch_size=100")
    outcome = runner.last_json("outcome.json")
    assert outcome["requests"] == 22  # 2160 hours by 100
    assert outcome["totals"]["inserted"] == 0
    assert outcome["totals"]["updated"] == len(changed)
    assert "backfill.mode=resume" in done.stdout.partition("resume  ")[2].splitlines()[0]
    assert stored(sandbox_database) == expected


def test_a_lookback_reads_the_last_hours_again(runner: Runner, sandbox_database: Mongo) -> None:
    runner(*SOURCE, *QUARTER)
    expected = truth("2023-01-01", "2023-04-01")
    late = max(expected)
    early = min(expected)
    sandbox_database[COLLECTION].update_many(
        {"ts": {"$in": [early, late]}}, {"$set": {"aqi": 7777}}
    )
    longer = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-04-02")
    runner(*SOURCE, *longer, "backfill.lookback_hours=48")
    outcome = runner.last_json("outcome.json")
    assert (outcome["requests"], outcome["totals"]["updated"]) == (1, 1)
    assert stored(sandbox_database)[early] == 7777
    assert stored(sandbox_database)[late] == expected[late]


def test_a_checkpoint_written_by_hand_is_understood_and_batch_sizes_may_change(
    runner: Runner, sandbox_database: Mongo
) -> None:
    sandbox_database["ingest_checkpoints"].insert_one(
        {
            "station_idx": STATION,
            "status": "in_progress",
            "start_ts": day("2023-01-01"),
            "target_end_ts": day("2023-04-01"),
            "last_processed_ts": day("2023-02-01"),
            "total_readings_inserted": 0,
        }
    )
    runner(*SOURCE, *QUARTER, "backfill.batch_size=24")
    assert requests(runner) == 59  # February and March, day by day
    assert stored(sandbox_database) == truth("2023-02-01", "2023-04-01")
    document = sandbox_database["ingest_checkpoints"].find_one({"station_idx": STATION})
    assert document is not None
    assert document["status"] == "completed"
    assert document["last_processed_ts"] == day("2023-04-01")
    assert "lease" not in document


def test_a_checkpoint_that_cannot_be_read_keeps_no_other_station_from_plan_status_and_run(
    runner: Runner, sandbox_database: Mongo
) -> None:
    checkpoints = sandbox_database["ingest_checkpoints"]
    checkpoints.insert_one({"station_idx": 8641, "covered": "all", "schema": 2})
    plan = runner("job=plan", *BOTH)
    assert "unreadable checkpoint" in plan.stdout
    done = runner(*BOTH, expect=4)
    assert "Completed stations: 1" in done.stdout
    assert "Failed stations: 1" in done.stdout
    assert "`covered` is 'all'" in done.stdout
    assert "job=reset 'stations.ids=[8641]'" in done.stdout
    status = json.loads(runner("job=status", "output=json", "source=sandbox").stdout)
    rows = {row["station_idx"]: row for row in status["stations"]}
    assert rows[8641]["state"] == "unreadable"
    assert "`covered` is 'all'" in rows[8641]["last_error"]
    assert rows[1584]["state"] == "completed"
    fetched = sandbox_database[COLLECTION].distinct("meta.station_idx")
    assert fetched == [1584]
    runner("job=reset", "confirm=true", "source=sandbox", "stations.ids=[8641]")
    runner(*BOTH)
    assert sandbox_database[COLLECTION].distinct("meta.station_idx") == [1584, 8641]


def test_a_station_whose_reading_the_validator_refuses_fails_and_the_others_go_on(
    runner: Runner, sandbox_database: Mongo
) -> None:
    refused = day("2023-02-03") + timedelta(hours=5)
    none_of = {"$nor": [{"meta.station_idx": 8641, "ts": refused}]}
    sandbox_database.create_collection(COLLECTION, validator=none_of)
    done = runner(*BOTH, expect=4)
    assert "Completed stations: 1" in done.stdout
    assert "station 8641, 2023-02-03T05:00Z" in done.stdout
    failed = sandbox_database["ingest_checkpoints"].find_one({"station_idx": 8641})
    assert failed is not None
    assert failed["status"] == "failed"
    assert "2023-02-03T05:00Z" in failed["error_message"]
    assert failed["last_processed_ts"] < refused
    sandbox_database.command("collMod", COLLECTION, validator={})
    runner("job=retry", *BOTH)
    noted = {item["station_idx"]: item for item in sandbox_database["ingest_checkpoints"].find()}
    for idx in (1584, 8641):
        stored = sandbox_database[COLLECTION].count_documents({"meta.station_idx": idx})
        assert noted[idx]["total_readings_inserted"] == stored > 2000
        assert noted[idx]["total_hours_processed"] == 90 * 24
        assert noted[idx]["last_processed_ts"] == noted[idx]["target_end_ts"]
        assert "writer" not in noted[idx]


def test_the_state_counts_readings_once_after_a_refetch_and_a_kill(
    runner: Runner, sandbox_database: Mongo
) -> None:
    slow = ("backfill.batch_size=24", "rate_limit.delay_s=0.05", "backfill.lease_s=2")
    process = runner.start(*SOURCE, *QUARTER, *slow)
    wait_for(lambda: sandbox_database[COLLECTION].estimated_document_count() > 100)
    stop(process, signal.SIGKILL)
    runner(*SOURCE, *QUARTER)
    runner(*SOURCE, *QUARTER, "backfill.mode=refetch")
    stored = sandbox_database[COLLECTION].count_documents({})
    status = json.loads(runner("job=status", "output=json", "source=sandbox").stdout)
    assert status["totals"]["readings_inserted"] == stored
    assert status["totals"]["covered_hours"] == 90 * 24
    document = sandbox_database["ingest_checkpoints"].find_one({"station_idx": STATION})
    assert document is not None
    assert document["total_readings_inserted"] == stored
    assert document["total_hours_processed"] == 90 * 24


def test_a_run_whose_checkpoint_is_deleted_leaves_the_station_and_makes_none(
    runner: Runner, sandbox_database: Mongo
) -> None:
    checkpoints = sandbox_database["ingest_checkpoints"]
    slow = ("backfill.batch_size=24", "rate_limit.delay_s=0.05")
    process = runner.start(*SOURCE, *QUARTER, *slow)
    wait_for(lambda: sandbox_database[COLLECTION].estimated_document_count() > 100)
    checkpoints.delete_many({})
    out, err = process.communicate(timeout=120)
    assert process.returncode == 4, out + err
    assert "Stations left: 1" in out
    assert checkpoints.count_documents({}) == 0
    runner(*SOURCE, *QUARTER)
    assert stored(sandbox_database) == truth("2023-01-01", "2023-04-01")
