"""An API that means harm: console, log, files and database stay what they are."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.readings import MOST_SUB_INDICES
from runner.store.rejects import LONGEST_RAW
from tests.product.product import FAST, Runner, readings_of
from tests.sources.loopback import Loopback, Scripted, answer, says

pytestmark = pytest.mark.slow

ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m"
BIDI = "\u202egnp.exe\u2066"
HTML = "<script>alert(1)</script>[bold red]x[/]"
EVIL = f"{ESCAPE}{BIDI}{HTML}\r\n\x00{{$where}}"
LONG = "x" * 1_000_000
LONGEST_LINE = 20_000
ASK = (
    "stations.ids=[9001]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-01-02",
    "limits.reject_share=1",
    *FAST,
)


def record(hour: int, **changes: Any) -> dict[str, Any]:
    whole = {
        "current_aqi": 45,
        "time": {"s": f"2023-01-01 {hour:02}:00:00", "tz": "Z"},
        "current_iaqi": {"pm25": {"v": 45}},
    }
    return {**whole, **changes}


IAQI = {
    "pm25": {"v": 45},
    **{name: {"v": 1} for name in ("$where", "a.b", "\x00", EVIL, LONG, "__proto__")},
    **{f"n{number}": {"v": 1} for number in range(500)},
}
RECORDS = [
    record(0, current_iaqi=IAQI),
    record(1, **{"$set": {"aqi": 1}, "_id": 1, EVIL: EVIL, "city": LONG}),
    record(2, current_aqi=EVIL),
    record(3, current_aqi=LONG),
    record(4, current_aqi={"$gt": 0}),
    record(5, time={"s": EVIL, "tz": EVIL}),
    record(6, idx={"$ne": 1}),
    record(7, time={"s": "2023-01-01 07:00:00\n", "tz": f"Z{' ' * 100_000}"}),
    EVIL,
    {"$where": "1"},
]


def known(database: Database[dict[str, Any]], name: str) -> None:
    database["waqi_stations"].insert_one({"_id": 9001, "city": {"name": name}})


def run(runner: Runner, reply: Scripted, *arguments: str, expect: int) -> str:
    """Run against one reply, and return what the person saw."""
    with Loopback(reply) as api:
        address = f"source.base_url={api.url}"
        done = runner(*ASK, address, *arguments, expect=expect, AQICN_API_KEY="a-fine-key")
    return done.stdout + done.stderr


def check_console(shown: str) -> None:
    assert bad_characters(shown) == set()
    assert max(map(len, shown.splitlines())) < 1000


def bad_characters(text: str) -> set[str]:
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}


def check_files(directory: Path) -> None:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {"backfill.log", "outcome.json", "plan.json"} <= {path.name for path in files}
    for path in files:
        text = path.read_bytes().decode("utf-8")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), path
        assert len(text) < 200_000, path
        if path.suffix == ".json":
            json.loads(text)
    for line in next(directory.rglob("backfill.log")).read_text("utf-8").split("\n")[:-1]:
        assert isinstance(json.loads(line), dict)
        assert len(line) < LONGEST_LINE


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_records_full_of_traps_become_clean_readings_and_bounded_rejects(
    runner: Runner, database: Database[dict[str, Any]], level: str
) -> None:
    known(database, EVIL + LONG)
    shown = run(runner, says({"status": "ok", "data": RECORDS}), f"log_level={level}", expect=0)
    check_console(shown)
    check_files(runner.directory)
    readings = readings_of(database)
    assert [reading["ts"].hour for reading in readings] == [0, 1, 7]
    for reading in readings:
        assert set(reading) == {"ts", "meta", "aqi", "time", "iaqi"}
        assert set(reading["time"]) == {"s", "tz"}
        assert reading["time"]["tz"] == "Z"
        assert 0 < len(reading["iaqi"]) <= MOST_SUB_INDICES
        assert all(re.fullmatch(r"[a-z]\w*", name) for name in reading["iaqi"])
    rejects = list(database["ingest_rejects"].find())
    assert len(rejects) == 8
    for reject in rejects:
        assert set(reject) == {
            *("_id", "station_idx", "reason", "ts", "raw", "raw_form", "source", "window"),
            *("run_id", "first_seen_at", "last_run_id", "last_seen_at"),
        }
        assert len(json.dumps(reject["raw"])) < 2 * LONGEST_RAW
    check_console(run(runner, says({}), "job=rejects", expect=0))
    check_console(run(runner, says({}), "job=status", expect=0))


@pytest.mark.parametrize(
    "reply",
    [
        says({"status": "error", "data": EVIL}),
        says({"status": "error", "data": f"Unknown station {EVIL}"}),
        says({"status": "ok", "data": {"status": "error", "msg": f"Unknown ID {LONG}"}}),
        answer(200, b"<html>", {"Content-Type": "text/\x1b[31mhtml" + "y" * 3000}),
        answer(400, EVIL.encode()),
    ],
)
def test_words_full_of_traps_are_shown_short_and_plain(
    runner: Runner, database: Database[dict[str, Any]], reply: Scripted
) -> None:
    known(database, EVIL)
    shown = run(runner, reply, "source.retry.max_attempts=2", "log_level=DEBUG", expect=4)
    check_console(shown)
    check_files(runner.directory)
    check_console(run(runner, reply, "job=status", expect=0))
    (checkpoint,) = database["ingest_checkpoints"].find()
    assert bad_characters(checkpoint["error_message"] or "") == set()


def test_a_station_name_full_of_traps_is_shown_plain_in_plans(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    known(database, EVIL + LONG)
    private = runner.directory / "private" / "stations"
    private.mkdir(parents=True)
    name = json.dumps(EVIL)
    (private / "mine.yaml").write_text(f"# {EVIL!r}\nnamed: {{9002: {name}}}\n", encoding="utf-8")
    place = str(private.parent)
    words = ("stations=[mine,all]", "backfill=last_30_days", "job=plan")
    for more in ([], ["log_level=DEBUG"]):
        done = runner(*words, *more, RUNNER_CONF_DIR=place)
        check_console(done.stdout + done.stderr)
        assert "9002" in done.stdout
    check_console(runner("--help", RUNNER_CONF_DIR=place).stdout)
