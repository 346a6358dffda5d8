"""The demo, and the sandbox where it plays measured files: what the reader is told is so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.forked import REPOSITORY
from tests.product.product import FAST, Runner
from tests.quality.report.pages import Reader

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

QUICK = (
    "rate_limit=unlimited",
    "sandbox.faults.latency_ms=0",
    "backfill.start_date=2024-03-01",
    "backfill.end_date=2024-09-01",
    "mongo.use_embedded=false",
    "report.station_pages=0",
)
FLAT, SPIKE, GAP = 1584, 13672, 13687


def test_the_demo_finds_its_faults_where_they_are_and_succeeds(
    runner: Runner, sandbox_database: Mongo
) -> None:
    done = runner("profile=demo", *QUICK)
    assert "deliberate (sandbox.flaws): flat line at 1584, spike at 13672, gap at 13687" in (
        done.stdout
    )
    shown = (REPOSITORY / "README.md").read_text("utf-8").partition("and prints:\n\n```\n")[2]
    block = shown.partition("```")[0]
    assert block.startswith("====")
    assert block in done.stdout
    directory = runner.run_dirs()[-1] / "quality"
    assert done.stdout.strip().splitlines()[-1] == f"Report: {directory / 'report.html'}"
    made = json.loads((directory / "quality.json").read_text("utf-8"))
    assert (made["status"], made["exit_code"]) == ("warn", 0)
    found = {one["station_idx"]: one["checks"]["fail"] + one["checks"]["warn"]
             for one in made["stations"]}  # fmt: skip
    assert found == {FLAT: ["T01"], SPIKE: ["T02"], GAP: ["C04"], 13658: [], 12488: []}
    assert made["origin"]["providers"] == ["invented"]
    assert made["versions"]["mongod"] == sandbox_database.client.server_info()["version"]
    by_id = {one["id"]: one for one in made["checks"]}
    flat, gap = by_id["T01"], by_id["C04"]
    longest = next(one for one in flat["samples"] if one["statistic"] == "run.pm25")
    assert (longest["score"], longest["start"]) == (72, "2024-06-04T17:00:00Z")
    assert (gap["samples"][0]["hours"], gap["samples"][0]["start"]) == (168, "2024-08-19T17:00:00Z")
    seen = Reader((directory / "report.html").read_text("utf-8")).texts
    for told in ("SYNTHETIC DATA", "on purpose", "a flat line", "a spike", "a gap"):
        assert told in seen["header"]
    for check_id, day in (("T01", "2024-06-05"), ("T02", "2024-03-18"), ("C04", "2024-08-20")):
        assert day in seen["verdict"]
        assert day in seen["checks"]
        assert f"▲ {check_id} " in seen["calendar"]
        assert f"{check_id} " in seen["stations"]


def test_measured_files_that_the_sandbox_plays_are_not_called_invented(
    runner: Runner, sandbox_database: Mongo
) -> None:
    columns = "Site,Parameter,Date (LT),Year,Month,Day,Hour,NowCast Conc.,AQI,AQI Category"
    columns += ",Raw Conc.,Conc. Unit,Duration,QC Name"
    rows = [
        f"Hanoi,PM2.5 - Principal,2018-01-02 {hour % 12 or 12:02}:00 {'AP'[hour > 11]}M,2018,1,2,"
        f"{hour},40,112,Unhealthy for Sensitive Groups,43,UG/M3,1 Hr,Valid"
        for hour in range(24)
    ]
    files = runner.directory / "airnow"
    files.mkdir()
    (files / "Hanoi_PM2.5_2018_YTD.csv").write_text("\n".join([columns, *rows]) + "\n")
    ask = ("source=sandbox", f"sandbox.replay={files}", "stations.ids=[8641]", *FAST,
           "quality=standard", "backfill.start_date=2018-01-02", "backfill.end_date=2018-01-03",
           "quality.fail_on=never", "mongo.use_embedded=false")  # fmt: skip
    runner(*ask)
    assert sandbox_database["waqi_station_readings"].count_documents({}) > 0
    run = sandbox_database["ingest_runs"].find_one()
    path: Path = runner.run_dirs()[-1] / "quality" / "quality.json"
    made = json.loads(path.read_text("utf-8"))
    assert run is not None
    for origin in (made["origin"], run["origin"]):
        assert origin["providers"] == ["airnow"]
        assert origin["flaws"] == []


def test_make_demo_runs_the_profile_and_nothing_hides_its_exit_code() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    assert "\n\t$(BIN)/python -m runner profile=demo\n" in makefile
