"""The files of the contract: valid, complete, the same for the same input, harmless."""

import csv
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from runner.config.files import standard_checks
from runner.config.quality import Accepted, CheckRule, Quality
from runner.core.causes import MISSING
from runner.core.intervals import Interval
from runner.core.stations import Station
from runner.core.text import harmless
from runner.quality import catalogue
from runner.quality.catalogue import Params
from runner.quality.checks import checks
from runner.quality.console import summary_lines
from runner.quality.files import read_spreadsheet_safe, spreadsheet_safe
from runner.quality.policy import policy_of
from tests.quality.faults import FAULTS, MIDDLE, between, hours
from tests.quality.world import HOUR_MS, KNOWN, NOW, check, fired, world

SCHEMA = Path(catalogue.__file__).with_name("schema.json")


def validate(made: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(made, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("check_id", ["C03", "D02", "R06", "V03", "T01", "X03"])
def test_quality_json_is_valid_whatever_was_found(tmp_path: Path, check_id: str) -> None:
    faulty = world(tmp_path)
    FAULTS[check_id].inject(faulty)
    validate(faulty.check())


def test_no_reading_at_all_is_a_verdict_not_a_crash(tmp_path: Path) -> None:
    empty = world(tmp_path, stations=(KNOWN,))
    empty.frames[KNOWN] = empty.frames[KNOWN].clear()
    made = empty.check()
    validate(made)
    assert made["counts"]["capture"] == 0
    assert made["counts"]["checks"]["error"] == 0
    assert made["status"] == "fail"
    assert made["exit_code"] == 3


def test_the_same_input_gives_the_same_files(tmp_path: Path) -> None:
    first, second = world(tmp_path / "a"), world(tmp_path / "b")
    for one in (first, second):
        FAULTS["C01"].inject(one)
        FAULTS["X02"].inject(one)
    documents = []
    for one in (first, second):
        made = one.check()
        for item in made["checks"]:
            item["duration_s"] = 0
        documents.append(made)
    assert documents[0] == documents[1]
    for name in ("day", "month", "stations", "hour", "diurnal", "category"):
        paths = [tmp_path / run / "quality" / "agg" / f"{name}.parquet" for run in "ab"]
        assert pl.read_parquet(paths[0]).equals(pl.read_parquet(paths[1]))
    gaps = [(tmp_path / run / "quality" / "gaps.csv").read_bytes() for run in "ab"]
    assert gaps[0] == gaps[1]


def test_a_gap_says_why_hour_by_hour(tmp_path: Path) -> None:
    one = world(tmp_path, stations=(KNOWN,))
    one.lose(hours(MIDDLE, 10))
    one.lose(hours(MIDDLE + 10, 4), fetched=False)
    one.lose(hours(MIDDLE + 14, 3))
    one.note(rejected=(Interval(MIDDLE + 14, MIDDLE + 17),))
    known = one.ledgers[KNOWN].progress
    one.lose(hours(MIDDLE + 100, 2))
    one.lose(hours(MIDDLE + 102, 1))
    one.note(empty=known.empty, unknown=(Interval(MIDDLE + 102, MIDDLE + 103),))
    dash = (pl.col("ts") // HOUR_MS).is_between(MIDDLE + 200, MIDDLE + 204)
    one.change(dash, aqi=None, aqi_type=pl.lit("string"))
    made = one.check()
    with (tmp_path / "quality" / "gaps.csv").open(encoding="utf-8", newline="") as file:
        longest, theirs, other = csv.DictReader(file)
    parts = ("hours", "cause", *(f"{cause}_h" for cause in MISSING))
    assert [longest[part] for part in parts] == ["17", "empty", "4", "0", "0", "0", "3", "10"]
    assert [theirs[part] for part in parts] == ["5", "kept", "0", "0", "0", "5", "0", "0"]
    assert [other[part] for part in parts] == ["3", "lost", "0", "1", "2", "0", "0", "0"]
    missing = {"not_asked": 4, "unknown": 1, "lost": 2, "kept": 5, "rejected": 3, "empty": 10}
    assert made["gaps"]["hours_missing"] == missing
    assert made["gaps"]["rejected_by_reason"] == {"not_kept": 3}
    assert check(made, "R04")["n_failed"] == 2
    shown = pl.read_parquet(tmp_path / "quality" / "agg" / "cause.parquet")
    assert shown["cause"].to_list() == ["empty", "not_asked", "rejected", "lost", "unknown", "kept"]


@pytest.mark.parametrize(
    "text",
    [
        "=HYPERLINK(1)",
        "+1+cmd|' /C calc'!A0",
        "-1-1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "  =1",
        "\uff1d1",
        "'=1",
    ],
)
def test_no_cell_of_gaps_csv_is_a_formula_and_the_report_shows_the_text_as_it_is(
    tmp_path: Path, text: str
) -> None:
    one = world(tmp_path, stations=(KNOWN,))
    one.names[KNOWN] = text
    one.lose(hours(MIDDLE, 10))
    one.ledgers[KNOWN] = replace(one.ledgers[KNOWN], error=text)
    one.check()
    path = tmp_path / "quality" / "gaps.csv"
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    cell = harmless(text)  # control characters are gone by then
    assert (row["name"], row["detail"]) == (f"'{cell}", f"'{cell}")
    assert not any(re.match("[\\s=+@\uff1d-]", cell) for cell in row.values())
    shown = read_spreadsheet_safe(path, {}).row(0, named=True)
    assert (shown["name"], shown["detail"]) == (cell, cell)


@pytest.mark.parametrize("text", ["-12", "+3.5", "Hà Nội", "'quoted'", "a = b", "x-y", ""])
def test_numbers_and_plain_text_are_written_as_they_are(text: str) -> None:
    frame = pl.DataFrame({"name": [text], "hours": [-3], "detail": [None]})
    assert spreadsheet_safe(frame).equals(frame)


def test_readings_lost_together_with_their_checkpoint_are_found_by_the_account_of_the_run(
    tmp_path: Path,
) -> None:
    one = world(tmp_path, stations=(KNOWN,))
    stored = one.frames[KNOWN].height
    one.lose(hours(MIDDLE, 7), fetched=False)  # the checkpoint knows nothing of these hours
    assert check(one.check(), "R04")["status"] == "pass"
    one.ledgers[KNOWN] = replace(one.ledgers[KNOWN], stored=stored)
    found = check(one.check(), "R04")
    assert (found["n_failed"], found["n_evaluated"]) == (7, stored)
    one.note(covered=(), unknown=())  # nor of any other
    assert check(one.check(), "R04")["n_failed"] == 7


def test_a_check_that_breaks_is_an_error_of_its_own_and_fails_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_params: Params) -> pl.Expr:
        return pl.col("no such column")

    monkeypatch.setitem(catalogue.REGISTRY, "V03", replace(checks()["V03"], look=broken))
    made = world(tmp_path).check()
    validate(made)
    assert fired(made) == {"V03": "error"}
    assert "no such column" in check(made, "V03")["message"]
    assert (made["status"], made["exit_code"]) == ("fail", 3)
    assert any("V03" in line for line in summary_lines(made, tmp_path))


@pytest.mark.parametrize(
    ("until", "station", "status"),
    [("2023-07-10", KNOWN, "pass"), ("2023-07-09", KNOWN, "warn"), ("2023-07-10", 8767, "warn"),
     ("2030-01-01", None, "pass")],
)  # fmt: skip
def test_an_accepted_finding_stays_visible_and_counts_again_after_its_day(
    tmp_path: Path, until: str, station: int | None, status: str
) -> None:
    settings = Quality(
        accepted=[Accepted(check="C04", until=until, reason="under repair", station=station)]
    )
    faulty = world(tmp_path)
    FAULTS["C04"].inject(faulty)
    made = faulty.check(policy_of(settings, standard_checks(), NOW.date()))
    found = check(made, "C04")
    assert found["status"] == status
    assert found["samples_total"] == 1
    assert found["accepted"][0]["expired"] is (until < "2023-07-10")
    assert found["accepted"][0]["reason"] == "under repair"
    validate(made)


def test_rules_say_only_what_they_change(tmp_path: Path) -> None:
    rules = {"C04": CheckRule(fail="0"), "T01": CheckRule(enabled=False)}
    faulty = world(tmp_path)
    FAULTS["C04"].inject(faulty)
    policy = policy_of(Quality(checks=rules), standard_checks(), date(2023, 7, 10))
    made = faulty.check(policy)
    assert fired(made) == {"C04": "fail"}
    assert "T01" not in {item["id"] for item in made["checks"]}
    assert policy.rules["C04"].warn is not None


def test_the_worst_station_and_its_worst_finding_come_first(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    for idx, weeks in ((1583, (8,)), (KNOWN, (2, 9, 1)), (8767, (1,) * 5)):
        for number, length in enumerate(weeks):
            faulty.lose(hours(MIDDLE - 1400 + 400 * number, 168 * length), idx)
    made = faulty.check()
    found = check(made, "C04")
    assert found["stations"] == [8767, KNOWN, 1583]
    at = [(one["station_idx"], one["hours"]) for one in found["samples"]]
    assert at[:5] == [(8767, 168)] * 5
    assert at[5:] == [(KNOWN, 9 * 168), (KNOWN, 2 * 168), (1583, 8 * 168)]


@pytest.mark.parametrize("most", [0, 2, 5000])
def test_no_station_crowds_out_what_was_found_at_another(tmp_path: Path, most: int) -> None:
    faulty = world(tmp_path)
    for idx in sorted(faulty.frames):
        faulty.known = idx
        faulty.change(between(MIDDLE, 3), pm25=pl.lit(-5.0))
    policy = policy_of(Quality(most_failures=most, samples=4), standard_checks(), NOW.date())
    found = check(faulty.check(policy), "V01")
    assert found["samples_total"] == 15
    assert len(found["samples"]) == min(4, 2 * most)
    if most:
        kept = pl.read_parquet(tmp_path / "quality" / "failures" / "V01.parquet")
        assert kept["station_idx"].unique().len() == 5
        assert kept.height == (10 if most == 2 else 15)  # two of each station, or all


@pytest.mark.parametrize(
    ("check_id", "fail_on", "code"),
    [("C03", "fail", 3), ("C03", "never", 0), ("C04", "fail", 0), ("C04", "warn", 3)],
)
def test_the_gate_follows_fail_on(tmp_path: Path, check_id: str, fail_on: str, code: int) -> None:
    faulty = world(tmp_path)
    FAULTS[check_id].inject(faulty)
    assert faulty.check(fail_on=fail_on)["exit_code"] == code


def test_the_console_summary_has_at_most_25_lines(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    for check_id, fault in FAULTS.items():
        if check_id[0] not in "DE":
            fault.inject(faulty)
    lines = summary_lines(faulty.check(), tmp_path)
    assert len(lines) <= 25
    assert lines[0].startswith("Quality: FAIL")
    assert str(Station(KNOWN)) in "\n".join(lines)
