"""The other jobs, and runs that cannot go on."""

import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from tests.product.product import FAST, Runner, stop, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

WEEK = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-01-08")
BOTH = "stations.ids=[1584,13658]"


def test_a_station_the_api_does_not_know_fails_alone_and_is_retried_on_request(
    runner: Runner, database: Mongo
) -> None:
    with Sandbox({1584: "Da Nang"}, Climatology(1)) as api:
        ask = (f"source.base_url={api.url}", *WEEK, *FAST)
        done = runner("stations=da_nang", *ask, expect=4, AQICN_API_KEY="anything")
        assert "Failed stations: 1" in done.stdout
        place = f"{database.name} on "
        assert f"database  {place}" in done.stdout
        assert f"Database: {place}" in done.stdout
        files = str(runner.run_dirs()[-1].relative_to(runner.directory))
        assert done.stdout.count(files) == 2  # at the start and at the end
        assert "Unknown station" in done.stdout
        assert "job=retry" in done.stdout
        status = runner("job=status")
        assert "1 completed, 1 failed" in status.stdout
        assert f"in {place}" in status.stdout
        again = runner("stations=da_nang", *ask, expect=4, AQICN_API_KEY="anything")
        assert "failed earlier: 1" in again.stdout
        assert runner.last_json("outcome.json")["requests"] == 0
    with Sandbox({1584: "Da Nang", 13658: "Back again"}, Climatology(1)) as api:
        fast = (f"source.base_url={api.url}", "backfill=last_30_days", *FAST)
        runner("job=retry", *fast, AQICN_API_KEY="anything")
        outcome = runner.last_json("outcome.json")
        assert [item["station_idx"] for item in outcome["stations"]] == [13658]
        assert outcome["stations"][0]["start"] == "2023-01-01T00:00:00Z"
        nothing = runner("job=retry", *ask, AQICN_API_KEY="anything")
        assert "nothing to retry" in nothing.stdout
    states = {item["status"] for item in database["ingest_checkpoints"].find()}
    assert states == {"completed"}


def test_reset_forgets_progress_of_the_chosen_stations_and_keeps_the_readings(
    runner: Runner, database: Mongo
) -> None:
    with Sandbox({1584: "Da Nang", 13658: "Da Nang 2"}, Climatology(1)) as api:
        ask = (f"source.base_url={api.url}", *WEEK, *FAST)
        runner(BOTH, *ask, AQICN_API_KEY="anything")
        stored = database["waqi_station_readings"].count_documents({})
        before = runner("job=reset", "stations.ids=[1584]").stdout
        assert "Would forget the progress of 1 of 1 station in" in before
        assert "completed" in before
        assert "confirm=true" in before
        assert not [line for line in before.splitlines() if line != line.rstrip()]
        assert database["ingest_checkpoints"].count_documents({}) == 2
        runner("job=reset", "stations.ids=[1584]", "confirm=true")
        left = [item["station_idx"] for item in database["ingest_checkpoints"].find()]
        assert left == [13658]
        runner(BOTH, *ask, AQICN_API_KEY="anything")
    assert runner.last_json("outcome.json")["totals"]["unchanged"] > 0
    assert database["waqi_station_readings"].count_documents({}) == stored


def test_the_documented_shell_recipes_work_on_our_checkpoints(
    runner: Runner, database: Mongo
) -> None:
    with Sandbox({1584: "Da Nang"}, Climatology(1)) as api:
        ask = (BOTH, f"source.base_url={api.url}", *WEEK, *FAST)
        runner(*ask, expect=4, AQICN_API_KEY="anything")
        checkpoints = database["ingest_checkpoints"]
        group = {"$group": {"_id": "$status", "count": {"$sum": 1}}}
        counts = {item["_id"]: item["count"] for item in checkpoints.aggregate([group])}
        assert counts == {"completed": 1, "failed": 1}
        checkpoints.update_many({"status": "failed"}, {"$set": {"status": "in_progress"}})
        resumed = runner("job=plan", *ask)
        assert "resume" in resumed.stdout
        checkpoints.delete_many({})
        anew = runner("job=plan", *ask)
        assert "new: 2" in anew.stdout


def test_a_refused_key_ends_the_run_at_once_and_leaves_the_stations_resumable(
    runner: Runner, database: Mongo
) -> None:
    with Sandbox({1584: "Da Nang", 13658: "Da Nang 2"}, Climatology(1), token="right") as api:
        ask = (BOTH, f"source.base_url={api.url}", *WEEK, *FAST, "backfill.workers=1")
        done = runner(*ask, expect=1, AQICN_API_KEY="wrong-key")
        assert "AQICN_API_KEY" in done.stdout + done.stderr
        assert api.stats()["requests"] == 1
    assert database["ingest_checkpoints"].count_documents({"status": "failed"}) == 0


def test_an_api_without_history_ends_the_run_at_once_and_names_the_alternatives(
    runner: Runner, database: Mongo
) -> None:
    with Sandbox({1584: "Da Nang", 13658: "Da Nang 2"}, Climatology(1)) as api:
        ask = (BOTH, f"source.base_url={api.url}", "source.history.path=/history/{feed}", *WEEK)
        done = runner(*ask, *FAST, "backfill.workers=1", expect=1, AQICN_API_KEY="anything")
        assert api.stats()["requests"] == 1
    assert "source.history.path" in done.stdout
    assert "source=airnow" in done.stdout
    assert database["waqi_station_readings"].count_documents({}) == 0


def test_a_database_out_of_reach_is_one_clear_message_without_the_password(runner: Runner) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"mongodb://someone:canary-pw@127.0.0.1:{port}/?authSource=admin"
    done = runner("job=status", "mongo.timeout_s=1", expect=1, MONGO_URI=uri)
    assert f"127.0.0.1:{port}" in done.stderr
    assert "MONGO_URI" in done.stderr
    assert "canary-pw" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.strip().splitlines()) <= 5


def test_without_a_key_the_first_call_says_what_to_set_and_what_needs_none(runner: Runner) -> None:
    done = runner(expect=2)
    assert "AQICN_API_KEY" in done.stderr
    assert "make demo" in done.stderr
    assert "source=airnow" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 5


def test_unknown_ids_are_refused_when_nothing_else_is_asked_for(runner: Runner) -> None:
    done = runner("job=plan", "stations.ids=[424242]", expect=2)
    assert "424242" in done.stderr
    told = runner("job=status", "stations.ids=[424242,1584]").stdout
    assert "Unknown station ids: 424242" in told


def test_an_unknown_id_is_fetched_once_it_is_named_as_the_summary_says(runner: Runner) -> None:
    ask = ("source=sandbox", "stations.ids=[424242,1584]", *WEEK, *FAST)
    done = runner(*ask, expect=4)
    assert "Unknown station ids, not fetched: 424242" in done.stdout
    named = next(word for word in done.stdout.split("'") if word.startswith("+stations.named="))
    again = runner(*ask, named.replace("12345", "424242"))
    assert "Unknown station ids" not in again.stdout
    assert "Completed stations: 1" in again.stdout


def test_the_sandbox_serves_until_it_is_stopped(runner: Runner) -> None:
    import requests

    process = runner.start("job=sandbox", PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    first = process.stdout.readline()
    url = first.split()[3]
    answer = requests.get(f"{url}/feed/@1584/?token=x", timeout=30).json()
    assert answer["status"] == "ok"
    assert "synthetic" in answer["data"]["city"]["name"]
    code, _out, err = stop(process, signal.SIGINT)
    assert (code, err) == (0, "")


def test_the_embedded_server_starts_on_demand_and_leaves_no_process(runner: Runner) -> None:
    ask = ("stations.ids=[1584]", "source=sandbox", "mongo=embedded", *WEEK, *FAST)
    runner(*ask)
    runner(*ask)
    assert runner.last_json("outcome.json")["counts"]["skipped"] == 1
    wait_for(lambda: not servers(runner))


def test_a_run_whose_embedded_server_is_killed_ends_at_once_and_the_next_one_goes_on(
    runner: Runner,
) -> None:
    ask = ("stations.ids=[1584]", "source=sandbox", "mongo=embedded", *WEEK, *FAST)
    hours = ("backfill.batch_size=1", "rate_limit.delay_s=0.1", "rate_limit.max_per_hour=0")
    process = runner.start(*ask, *hours, "mongo.outage_limit_s=86400")
    try:
        wait_for(lambda: any('"window.stored"' in log.read_text() for log in logs(runner)))
        for pid in servers(runner):
            os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1, out + err
    assert "Resume where this run ended" in out
    runner(*ask)
    assert runner.last_json("outcome.json")["counts"]["completed"] == 1


def logs(runner: Runner) -> list[Path]:
    return [path / "backfill.log" for path in runner.run_dirs() if (path / "backfill.log").exists()]


def servers(runner: Runner) -> list[int]:
    """Return the processes of the embedded server: guardian and mongod."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # ended meanwhile
            continue
        if str(runner.directory).encode() in command:
            found.append(int(path.parent.name))
    return found


def test_refused_records_are_bounded_counted_and_shown_with_an_example(
    runner: Runner, database: Mongo
) -> None:
    class Minus(Climatology):
        def records(self, station_idx: int, window: Interval) -> list[dict[str, Any]]:
            found = super().records(station_idx, window)
            return [{**record, "current_aqi": -5} for record in found[:6]] + found[6:]

    with Sandbox({1584: "Da Nang \x1b[31m[red]<script>"}, Minus(1)) as api:
        ask = ("stations.ids=[1584]", f"source.base_url={api.url}", *WEEK, *FAST)
        done = runner(*ask, "limits.rejects=4", AQICN_API_KEY="anything")
    assert "of them over limits.rejects, not kept" in done.stdout
    assert database["ingest_rejects"].count_documents({}) == 4
    shown = runner("job=rejects").stdout
    assert "aqi_negative" in shown
    assert "4 records of 1 station rejected" in shown
    assert '"current_aqi": -5' in shown


def test_exact_doubles_are_removed_on_request_and_the_rest_is_reported(
    runner: Runner, database: Mongo
) -> None:
    readings = database["waqi_station_readings"]
    hours = [datetime(2023, 1, 1, hour, tzinfo=UTC) for hour in range(3)]
    for ts, values in zip(hours, ([45], [46, 46, 46], [47, 47, 50]), strict=True):
        for value in values:
            readings.insert_one({"ts": ts, "meta": {"station_idx": 1584}, "aqi": value})
    with Sandbox({1584: "Da Nang"}, Climatology(1)) as api:
        ask = ("stations.ids=[1584]", f"source.base_url={api.url}", *WEEK, *FAST)
        refused = runner(*ask, expect=1, AQICN_API_KEY="anything")
        assert "job=dedupe" in refused.stderr
        looked = runner("job=dedupe")
        assert "3 exact doubles found" in looked.stdout
        assert readings.count_documents({}) == 7
        acted = runner("job=dedupe", "job.confirm=true")
        assert "3 exact doubles removed" in acted.stdout
        assert "aqi 47, 50" in acted.stdout
        assert readings.count_documents({}) == 4
        readings.delete_one({"ts": hours[2], "aqi": 50})
        runner(*ask, AQICN_API_KEY="anything")
