"""A run ends with a verdict: files, summary, exit code."""

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.values import Record
from tests.product.product import FAST, SHARED, Runner
from tests.quality.test_files import validate

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

CHECKED = [*FAST, "quality=standard"]
MONTH = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-02-01")
ANYTIME = ("source=sandbox", "stations.ids=[1584,13658]", *CHECKED)
ASK = (*ANYTIME, *MONTH)
AIRNOW = SHARED / "data" / "airnow"


def quality(runner: Runner) -> dict[str, Any]:
    return runner.last_json("quality/quality.json")


def status(made: dict[str, Any], check_id: str) -> str:
    return str(next(item["status"] for item in made["checks"] if item["id"] == check_id))


def test_a_backfill_ends_with_a_valid_verdict_and_validate_says_the_same(
    runner: Runner, sandbox_database: Mongo
) -> None:
    done = runner(*ASK)
    assert "Quality: " in done.stdout
    first = quality(runner)
    validate(first)
    totals = runner.last_json("outcome.json")["totals"]
    assert first["counts"]["readings"] == totals["inserted"]
    assert first["ledger"]["windows"]["planned"] == first["ledger"]["windows"]["ok"] == 10
    assert [status(first, name) for name in ("R01", "R02", "R03", "R04")] == ["pass"] * 4
    assert status(first, "D01") == "not_evaluated"
    before = list(sandbox_database["waqi_station_readings"].find())
    runner("job=validate", *ASK)
    again = quality(runner)
    validate(again)
    assert [(one["station_idx"], one["source"]) for one in again["origin"]["stations"]] == [
        (1584, "sandbox"), (13658, "sandbox"),
    ]  # fmt: skip
    assert again["compare"]["with"] == first["run_id"]
    assert [status(again, name) for name in ("D01", "D02", "D03", "D04")] == ["pass"] * 4
    assert again["counts"]["readings"] == first["counts"]["readings"]
    assert list(sandbox_database["waqi_station_readings"].find()) == before
    made = [path for path in runner.directory.rglob("*") if path.exists()]
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_lost_readings_fail_the_gate_and_fail_on_decides(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*ASK)
    readings = sandbox_database["waqi_station_readings"]
    victims = [item["_id"] for item in readings.find({"meta.station_idx": 1584}).limit(30)]
    readings.delete_many({"_id": {"$in": victims}})
    done = runner("job=validate", *ASK, expect=3)
    assert "FAIL  R04" in done.stdout
    made = quality(runner)
    assert made["gaps"]["hours_missing"]["lost"] == 30
    assert status(made, "D01") == "fail"
    command = next(item["command"] for item in made["actions"] if item["kind"] == "gaps")
    assert "backfill.mode=gaps" in command
    assert "job=backfill" in command  # to check once more would bring nothing back
    accept = next(item["command"] for item in made["actions"] if item["kind"] == "accept")
    runner(*shlex.split(accept)[3:])  # as printed: what failed does no more
    accepted = quality(runner)
    assert accepted["exit_code"] == 0
    known = {one["id"]: one["accepted"] for one in accepted["checks"] if one["accepted"]}
    assert {"R04", "D01"} <= set(known)
    assert {one["station_idx"] for found in known.values() for one in found} == {1584}
    # without a range: the hours that the stations cover, not the last two years
    runner("job=validate", *ANYTIME, "quality.fail_on=never", "quality.compare=none")
    assert runner.last_json("outcome.json")["quality"]["status"] == "fail"
    made = quality(runner)
    window = (made["window"]["start"], made["window"]["end"])
    assert window == ("2023-01-01T00:00:00Z", "2023-02-01T00:00:00Z")
    command = next(item["command"] for item in made["actions"] if item["kind"] == "gaps")
    runner(*shlex.split(command)[3:])  # as printed: it asks for hours of that range
    assert quality(runner)["gaps"]["hours_missing"]["lost"] == 0
    runner("job=validate", *ASK, "quality.fail_on=warn", "quality.checks.C00.warn=99.9%", expect=3)


def test_a_station_that_fails_is_incomplete_rather_than_of_poor_quality(
    runner: Runner, database: Mongo
) -> None:
    assert database.name
    with Sandbox({1584: "Da Nang"}, Climatology(1)) as api:
        ask = (f"source.base_url={api.url}", "stations=da_nang", *MONTH, *CHECKED)
        runner(*ask, expect=4, AQICN_API_KEY="anything")
    made = quality(runner)
    validate(made)
    assert made["exit_code"] == 3
    assert made["ledger"]["windows"] == {
        "planned": 10, "ok": 5, "empty": 0, "not_asked": 0, "failed": 1, "not_attempted": 4,
    }  # fmt: skip
    assert made["gaps"]["hours_missing"]["not_asked"] == 31 * 24
    failed = next(item for item in made["stations"] if item["station_idx"] == 13658)
    assert failed["checkpoint"] == "failed"
    assert made["actions"][0]["kind"] == "retry"


def test_validate_judges_by_a_run_only_what_that_run_was_asked_for(
    runner: Runner, database: Mongo
) -> None:
    assert database.name
    of_runs = ("R01", "R02", "R03", "R05")
    with Sandbox({1584: "Da Nang"}, Climatology(1)) as api:  # it does not know 13658
        ask = (f"source.base_url={api.url}", *MONTH, *CHECKED, "quality.fail_on=never")
        runner(*ask, "stations=da_nang", expect=4, AQICN_API_KEY="anything")

    def judged(*words: str) -> dict[str, Any]:
        runner("job=validate", *ask, *words)
        made = quality(runner)
        validate(made)
        return {one["id"]: one for one in made["checks"] if one["id"] in of_runs} | {"": made}

    whole = judged("stations=da_nang")
    assert [whole[one]["status"] for one in of_runs] == ["fail", "fail", "pass", "fail"]
    part = judged("stations.ids=[1584]")  # what failed was the other one's
    assert [part[one]["status"] for one in of_runs] == ["pass", "pass", "pass", "not_evaluated"]
    assert part[""]["ledger"]["windows"]["planned"] == part[""]["ledger"]["windows"]["ok"] == 5
    assert "more stations" in part["R05"]["message"]
    inside = judged("stations.ids=[1584]", "backfill.end_date=2023-01-15")
    assert [inside[one]["status"] for one in of_runs] == ["pass", "pass", "pass", "not_evaluated"]
    doubtful = judged("stations=da_nang", "backfill.end_date=2023-01-15")
    assert [doubtful[one]["status"] for one in of_runs] == [
        "not_evaluated",
        "not_evaluated",
        "pass",
        "not_evaluated",
    ]
    assert "more hours" in doubtful["R01"]["message"]
    for words in ("backfill.end_date=2023-02-02", "stations.ids=[1584,1583]"):
        other = judged("stations=da_nang", words)
        assert {other[one]["status"] for one in of_runs} == {"not_evaluated"}
        assert "no recorded run" in other["R01"]["message"]
        assert other[""]["ledger"] is None


GONE = "mongodb://127.0.0.1:1/"


def test_what_a_run_kept_is_judged_again_with_the_database_gone(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*ASK, "quality.compare=none")
    kept = runner.run_dirs()[-1]
    first = quality(runner)
    sandbox_database["waqi_station_readings"].drop()
    again = ["job=validate", f"quality.run_dir={kept}", "rate_limit=unlimited", "report=none"]
    runner(*again, MONGO_URI=GONE)
    made = quality(runner)
    validate(made)
    assert made["run_id"] != first["run_id"]
    assert made["compare"]["with"] == first["run_id"]
    same = ("window", "database", "source", "counts", "ledger", "gaps", "actions")
    for name in same:
        wanted = first[name]
        if name == "counts":
            made[name].pop("checks")  # D was skipped then: there was no run before
            wanted.pop("checks")
        assert made[name] == wanted, name
    for one in first["checks"]:
        if one["id"][0] != "D":
            now = next(item for item in made["checks"] if item["id"] == one["id"])
            told = ("status", "observed", "n_evaluated", "stations", "samples", "message")
            assert [now[name] for name in told] == [one[name] for name in told], one["id"]
    # by other thresholds, of one station, from the directory just made
    copy = f"quality.run_dir={runner.run_dirs()[-1]}"
    strict = (*again, copy, "stations.ids=[1584]", "quality.checks.C00.fail=99.9%")
    strict = (*strict, "quality.checks.C00.warn=99.95%")
    assert "FAIL  C00" in runner(*strict, expect=3, MONGO_URI=GONE).stdout
    assert [one["station_idx"] for one in quality(runner)["stations"]] == [1584]


def test_what_a_run_has_not_kept_is_not_judged(runner: Runner, sandbox_database: Mongo) -> None:
    assert sandbox_database.name
    runner(*ASK, "quality.compare=none")
    kept = runner.run_dirs()[-1]
    again = ["job=validate", f"quality.run_dir={kept}", "report=none"]
    assert "7777" in runner(*again, "stations.ids=[7777]", expect=2, MONGO_URI=GONE).stderr
    victim = next((kept / "quality" / "readings").glob("1584-*.parquet"))
    victim.unlink()
    done = runner(*again, expect=1, MONGO_URI=GONE)
    assert "station 1584 are not those the run extracted" in done.stdout
    (kept / "quality" / "ledger.json").unlink()
    assert "ledger.json" in runner(*again, expect=2, MONGO_URI=GONE).stderr


def test_every_record_is_accounted_for_however_odd(runner: Runner, database: Mongo) -> None:
    class Odd(Climatology):
        def records(self, station_idx: int, window: Interval) -> list[Record]:
            found = super().records(station_idx, window)
            spoiled = [{**item, "current_iaqi": {"pm25": {"v": "?"}}} for item in found[5:8]]
            changed = [{**item, "current_aqi": 400} for item in found[2:4]]
            return [*found[:5], *spoiled, *found[8:], *found[:2], *changed, {"time": 5}]

    assert database.name
    with Sandbox({1584: "Da Nang"}, Odd(1)) as api:
        ask = (f"source.base_url={api.url}", "stations.ids=[1584]", *MONTH, *CHECKED)
        runner(*ask, "quality.fail_on=never", AQICN_API_KEY="anything")
    made = quality(runner)
    account = made["ledger"]["readings"]
    assert account["partial"] == 15
    assert account["repeated"] == 10
    assert status(made, "R03") == "pass"


def test_unknown_checks_and_senseless_bounds_are_refused_before_work_starts(
    runner: Runner,
) -> None:
    for words, told in (
        ("+quality.checks.C1.warn=1", "did you mean C01?"),
        ("quality.checks.C01.warn=120%", "share"),
        ("quality.checks.C01.fail=many", "never"),
        ("+quality.checks.C01.params.capure=0.5", "capture"),
        ("quality.accepted=[{check: C05, until: soon, reason: x}]", "2026-01-31"),
        ("quality.compare=/no/such/run", "previous"),
    ):
        done = runner("job=validate", words, expect=2)
        assert told in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) <= 5


@pytest.mark.skipif(not AIRNOW.is_dir(), reason=f"the AirNow files are not at {AIRNOW}")
def test_measured_data_has_the_gaps_of_its_files_and_no_false_flat_line(
    runner: Runner, database: Mongo
) -> None:
    assert database.name
    ask = ("source=airnow", f"source.path={AIRNOW}", "stations.ids=[8641,8767]", *CHECKED)
    runner(*ask, "backfill.start_date=2016-01-01", "backfill.end_date=2020-01-01", expect=3)
    made = quality(runner)
    directory: Path = runner.run_dirs()[-1] / "quality"
    with (directory / "gaps.csv").open(encoding="utf-8", newline="") as file:
        gaps = [row for row in csv.DictReader(file) if row["station_idx"] == "8641"]
    assert (gaps[0]["start"], gaps[0]["end"]) == ("2019-04-30T16:00:00Z", "2019-10-07T14:00:00Z")
    # No file at hand has rows of those months, so nobody was asked for them.
    assert (gaps[0]["cause"], gaps[0]["not_asked_h"]) == ("not_asked", gaps[0]["hours"])
    assert {row["lost_h"] for row in gaps} == {row["unknown_h"] for row in gaps} == {"0"}
    in_2018 = [row for row in gaps if "2017-12-31T18" <= row["start"] < "2018-12-31T18"]
    assert {row["not_asked_h"] for row in in_2018} == {"0"}
    assert sum(int(row["empty_h"]) for row in in_2018) == 421
    assert sum(int(row["rejected_h"]) for row in in_2018) == 145 + 196 + 1  # one is below zero
    flat = next(item for item in made["checks"] if item["id"] == "T01")
    # The file says 59.0 ug/m3 for 95 hours on end from 3 March 2016, 14:00 local: truly stuck.
    assert [
        (item["start"], item["score"])
        for item in flat["samples"]
        if item["statistic"] == "run.pm25"
    ] == [("2016-03-03T07:00:00Z", 93)]
    assert json.dumps(made, ensure_ascii=False).count("Đại sứ quán Mỹ") >= 1
