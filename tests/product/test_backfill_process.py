"""A full backfill through a real process."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.product import FAST, Runner, readings_of, stop, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

MONTH = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-02-01")
TWO_STATIONS = "stations.ids=[1584,13658]"
SANDBOX = ("source=sandbox", TWO_STATIONS, *MONTH, *FAST)


def test_a_backfill_stores_every_reading_once_and_accounts_for_every_hour(
    runner: Runner, sandbox_database: Mongo
) -> None:
    done = runner(*SANDBOX)
    assert "BACKFILL JOB SUMMARY" in done.stdout
    assert "Success rate: 100.0%" in done.stdout
    outcome = runner.last_json("outcome.json")
    coverage = outcome["coverage"]
    assert coverage["total"] == 2 * 31 * 24
    parts = ("readings", "empty", "rejected", "failed", "left", "skipped", "covered_before")
    assert sum(coverage[part] for part in parts) == coverage["total"]
    readings = readings_of(sandbox_database)
    keys = [(item["meta"]["station_idx"], item["ts"]) for item in readings]
    assert len(keys) == len(set(keys)) == outcome["totals"]["inserted"] == coverage["readings"]
    assert all(set(item) == {"ts", "meta", "aqi", "time", "iaqi"} for item in readings)
    rejects = sandbox_database["ingest_rejects"].count_documents({})
    assert rejects == outcome["totals"]["rejects"]
    record = sandbox_database["ingest_runs"].find_one({"_id": outcome["run_id"]})
    assert record is not None
    assert record["outcome"]["exit_code"] == 0
    names = [item["city"]["name"] for item in sandbox_database["waqi_stations"].find()]
    assert len(names) == 2
    assert all("synthetic" in name for name in names)


def test_requests_predicted_are_requests_made_and_the_resume_command_is_told_first(
    runner: Runner, sandbox_database: Mongo
) -> None:
    plan = runner("job=plan", *SANDBOX)
    assert "new" in plan.stdout
    predicted = runner.last_json("plan.json")["totals"]
    assert predicted["requests"] == 2 * 5
    assert sandbox_database.list_collection_names() == []
    done = runner(*SANDBOX)
    assert runner.last_json("outcome.json")["requests"] == predicted["requests"]
    announced = done.stdout.index("resume    python -m runner source=sandbox")
    assert announced < done.stdout.index("SUMMARY")


def test_a_second_run_fetches_nothing_and_changes_nothing(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*SANDBOX)
    before = readings_of(sandbox_database)
    again = runner(*SANDBOX)
    outcome = runner.last_json("outcome.json")
    assert outcome["requests"] == 0
    assert outcome["counts"] == {"completed": 0, "failed": 0, "skipped": 2, "left": 0}
    assert "covered   all 1,488 station-hours: nothing to fetch" in again.stdout
    assert readings_of(sandbox_database) == before


def test_a_longer_range_fetches_only_what_is_missing(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*SANDBOX)
    runner(*SANDBOX, "backfill.start_date=2022-12-25", "backfill.end_date=2023-02-08")
    outcome = runner.last_json("outcome.json")
    assert outcome["requests"] == 2 * 2
    assert outcome["coverage"]["covered_before"] == 2 * 31 * 24
    assert {item["reason"] for item in runner.last_json("plan.json")["stations"]} == {"extend"}
    covered = sandbox_database["ingest_checkpoints"].find_one({"station_idx": 1584})
    assert covered is not None
    assert len(covered["covered"]) == 1


def test_a_bad_network_costs_retries_but_no_station_and_no_reading(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*SANDBOX, "backfill.batch_size=48")
    faultless = readings_of(sandbox_database)
    sandbox_database.client.drop_database(sandbox_database.name)
    rates = [f"sandbox.faults.rate_{name}=0.1" for name in ("429", "5xx", "timeout", "truncated")]
    runner(
        *SANDBOX,
        "backfill.batch_size=48",
        *rates,
        "sandbox.faults.hold_s=5",
        "sandbox.faults.retry_after_s=0",
        "source.read_timeout_s=0.5",
    )
    outcome = runner.last_json("outcome.json")
    assert outcome["counts"]["failed"] == 0
    assert outcome["requests"] > 2 * 16
    assert readings_of(sandbox_database) == faultless


def test_a_dry_run_fetches_and_validates_and_writes_nothing_at_all(
    runner: Runner, sandbox_database: Mongo
) -> None:
    done = runner(*SANDBOX, "profile=dry_run")
    assert "dry run: nothing was written" in done.stdout
    outcome = runner.last_json("outcome.json")
    assert outcome["requests"] == 10
    assert outcome["totals"]["inserted"] > 1000
    assert sandbox_database.list_collection_names() == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_saves_and_the_next_one_resumes_to_the_same_end(
    runner: Runner, sandbox_database: Mongo, signum: int
) -> None:
    slow = (*SANDBOX, "backfill.batch_size=24", "rate_limit.delay_s=0.1")
    process = runner.start(*slow)
    readings = sandbox_database["waqi_station_readings"]
    wait_for(lambda: readings.estimated_document_count() > 50)
    code, out, _err = stop(process, signum)
    assert code == 128 + signum
    assert "Resume where this run ended: python -m runner source=sandbox" in out
    stored = readings.estimated_document_count()
    made_before = runner.last_json("outcome.json")["requests"]
    runner(*slow, "rate_limit.delay_s=0")
    assert runner.last_json("outcome.json")["requests"] == 2 * 31 - made_before
    resumed = readings_of(sandbox_database)
    assert len(resumed) > stored
    sandbox_database.client.drop_database(sandbox_database.name)
    runner(*SANDBOX)
    assert readings_of(sandbox_database) == resumed


def test_a_killed_run_costs_at_most_the_windows_in_flight(
    runner: Runner, sandbox_database: Mongo
) -> None:
    slow = (
        *(*SANDBOX, "backfill.batch_size=24", "rate_limit.delay_s=0.05"),
        *("backfill.workers=2", "backfill.lease_s=2"),
    )
    process = runner.start(*slow)
    readings = sandbox_database["waqi_station_readings"]
    wait_for(lambda: readings.estimated_document_count() > 50)
    stop(process, signal.SIGKILL)
    windows = sum(item["windows"] for item in sandbox_database["ingest_checkpoints"].find())
    runner(*slow, "rate_limit.delay_s=0")
    outcome = runner.last_json("outcome.json")
    assert outcome["requests"] == 2 * 31 - windows
    keys = [(item["meta"]["station_idx"], item["ts"]) for item in readings_of(sandbox_database)]
    assert len(keys) == len(set(keys))
    assert outcome["totals"]["unchanged"] <= 2 * 24


def test_the_log_is_json_lines_with_the_run_id_in_every_one(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*SANDBOX)
    run_id = runner.last_json("outcome.json")["run_id"]
    log = (runner.run_dirs()[-1] / "backfill.log").read_text("utf-8").splitlines()
    lines = [json.loads(line) for line in log]
    assert {line["run_id"] for line in lines} == {run_id}
    stored = [line for line in lines if line["event"] == "window.stored"]
    assert len(stored) == 10
    assert all({"station_idx", "window", "elapsed_ms", "inserted"} <= set(line) for line in stored)
    assert sandbox_database.name.endswith("_sandbox")


def test_files_of_a_run_are_private(runner: Runner, sandbox_database: Mongo) -> None:
    runner(*SANDBOX)
    assert sandbox_database.list_collection_names()
    made: list[Path] = [item for item in runner.directory.rglob("*") if item.exists()]
    assert made
    assert [item for item in made if item.stat().st_mode & 0o077] == []
