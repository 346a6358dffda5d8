"""Thresholds of one station or a group, acceptances of a period, and files of older versions."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from runner.config.files import standard_checks
from runner.config.quality import Quality
from runner.core.intervals import Interval
from runner.core.verdict import Threshold
from runner.quality.files import up_to_date
from runner.quality.policy import Policy, policy_of
from runner.quality.report.run_files import RunFiles
from tests.quality.faults import FAULTS, HOUR, MIDDLE, between
from tests.quality.world import KNOWN, NOW, WINDOW, World, check, world

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto" / "quality.md"


def policy(**settings: Any) -> Policy:
    """Return the policy of settings as YAML has them."""
    quality = Quality.model_validate(settings)
    assert list(quality.broken()) == []
    return policy_of(quality, standard_checks(), NOW.date())


def test_the_documented_rules_of_stations_are_valid_and_the_single_station_beats_its_group() -> (
    None
):
    (text,) = re.findall(r"```yaml\n(# @package.*?)```", HOWTO.read_text("utf-8"), re.DOTALL)
    made = policy(**yaml.safe_load(text)["quality"])
    assert made.rule("T02", 8641).warn == Threshold(5, is_share=False)
    assert made.rule("V02", 8641).warn == Threshold(5, is_share=False)
    assert made.rule("V02", 8641).fail is None
    assert made.rule("C04", 8641).warn is made.rule("C04", 1583).warn is None  # both in Hanoi
    assert made.rule("C04", 8767) is made.rules["C04"]
    assert made.rule("T02", 8767).warn == Threshold(3, is_share=False)
    assert made.rule("T02", 8767).params == made.rules["T02"].params  # what it does not name stays
    both = policy(stations={"8641": {"C04": {"warn": 3}}, "hanoi": {"C04": {"warn": "never"}}})
    assert both.rule("C04", 8641).warn == Threshold(3, is_share=False)


def test_a_threshold_of_one_station_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    for idx in (KNOWN, 8767):
        faulty.known = idx
        FAULTS["T02"].inject(faulty)
    found = check(faulty.check(), "T02")
    assert found["n_stations"] == {"not_evaluated": 0, "pass": 3, "warn": 2, "fail": 0}
    own = policy(stations={KNOWN: {"T02": {"warn": "50%"}}})
    made = faulty.check(own)
    found = check(made, "T02")
    assert found["stations"] == [8767]
    assert found["n_stations"]["warn"] == 1
    worse = policy(stations={KNOWN: {"T02": {"fail": 0}}})
    assert check(faulty.check(worse), "T02")["status"] == "fail"
    off = policy(stations={KNOWN: {"T02": {"enabled": False}}})
    made = faulty.check(off)
    assert check(made, "T02")["n_stations"]["not_evaluated"] == 1
    kept = json.loads((tmp_path / "quality" / "stations" / f"{KNOWN}.json").read_text("utf-8"))
    assert kept["judged"]["T02"]["message"] == "switched off for this station"


@pytest.mark.parametrize(
    ("stations", "said"),
    [
        ({"hanoy": {"T02": {"warn": 1}}}, "there is no such group"),
        ({"8641": {"T2": {"warn": 1}}}, "did you mean T02?"),
        ({"8641": {"R01": {"warn": 1}}}, "set quality.checks.R01"),
        ({"8641": {"T04": {"params": {"days": 30}}}}, "set quality.checks.T04.params"),
        ({"8641": {"C01": {"fail": "5%"}}}, "one result per station"),
        ({"8641": {"T02": {"warn": "many"}}}, "stations.8641.T02.warn=many: write a count (5)"),
        ({"8641": {"S02": {"warn": "20%"}}}, "must not be above fail=10%"),
        ({"8641": {"X02": {"params": {"factor": 0}}}}, "allowed are 1 to 1,000 (a factor)"),
    ],
)
def test_rules_of_stations_are_checked_before_work_starts(
    stations: dict[str, Any], said: str
) -> None:
    (line,) = Quality.model_validate({"stations": stations}).broken()
    assert line.startswith("quality.stations.")
    assert said in line


def stuck_twice(directory: Path) -> World:
    """Return a world with a flat line in April and one in May."""
    faulty = world(directory)
    values = {"pm25": pl.lit(80.0), "aqi": pl.lit(80.0), "pm10": pl.lit(60.0)}
    for first in (MIDDLE - 30 * 24, MIDDLE):
        faulty.change(between(first, 40), **values)
    return faulty


def test_an_accepted_period_does_not_mute_what_comes_later(tmp_path: Path) -> None:
    faulty = stuck_twice(tmp_path)
    known = {"check": "T01", "station": KNOWN, "until": "2030-01-01", "reason": "stuck"}
    whole = check(faulty.check(), "T01")
    assert (whole["status"], whole["n_failed"]) == ("warn", 4)
    april = {"from": "2023-04-01", "to": "2023-04-30"}
    found = check(faulty.check(policy(accepted=[{**known, **april}])), "T01")
    assert (found["status"], found["n_failed"], found["stations"]) == ("warn", 2, [KNOWN])
    (accepted,) = found["accepted"]
    assert (accepted["from"], accepted["to"], accepted["n_failed"]) == (*april.values(), 2)
    for period in ({}, {"from": "2023-04-01"}, {"to": "2023-05-31"}):
        found = check(faulty.check(policy(accepted=[{**known, **period}])), "T01")
        assert (found["status"], found["n_failed"]) == ("pass", 0), period
    half = {"from": "2023-05-01", "to": "2023-05-31"}
    both = check(faulty.check(policy(accepted=[{**known, **april}, {**known, **half}])), "T01")
    assert both["status"] == "pass"


@pytest.mark.parametrize("check_id", ["S02", "C00", "C02", "C04", "C07", "T06", "K01"])
def test_every_kind_of_time_lies_in_a_period(tmp_path: Path, check_id: str) -> None:
    """Rows, gaps, months, seasons and days: accepted in the range, found before and after it."""
    faulty = world(tmp_path)
    FAULTS[check_id].inject(faulty)
    known = {"check": check_id, "until": "2030-01-01", "reason": "known"}
    inside = {"from": "2022-01-01", "to": "2024-01-01"}
    assert check(faulty.check(policy(accepted=[{**known, **inside}])), check_id)["status"] == "pass"
    for outside in ({"to": "2022-12-31"}, {"from": "2024-01-01"}):
        found = check(faulty.check(policy(accepted=[{**known, **outside}])), check_id)
        assert found["status"] in ("warn", "fail")
        assert found["accepted"][0]["n_failed"] == 0


@pytest.mark.parametrize("check_id", ["R02", "S01", "K01", "V01", "C03", "D01", "D03"])
def test_every_failure_has_a_step_that_accepts_it_and_no_more(
    tmp_path: Path, check_id: str
) -> None:
    faulty = world(tmp_path)
    FAULTS[check_id].inject(faulty)
    known = {"check": "T06", "until": "2023-01-01", "reason": 'it\'s "known", since March: 5 days'}
    made = faulty.check(policy(accepted=[known]))
    assert made["status"] == "fail"
    (step,) = [one for one in made["actions"] if one["kind"] == "accept"]
    entries = accepted_by(step["command"])
    assert entries[0] == known  # what was accepted before stays
    failing = {one["id"] for one in made["checks"] if one["status"] == "fail"}
    assert {one["check"] for one in entries[1:]} == failing
    assert {one.get("station") for one in entries[1:]} == {None if check_id == "R02" else KNOWN}
    again = faulty.check(policy(accepted=entries))
    assert again["status"] != "fail"
    FAULTS["K03"].inject(faulty)
    assert check(faulty.check(policy(accepted=entries)), "K03")["status"] == "fail"


def accepted_by(command: str) -> list[dict[str, Any]]:
    """Return the acceptances that a printed command has, as Hydra reads them."""
    (override,) = OverridesParser.create().parse_overrides([shlex.split(command)[-1]])
    assert override.key_or_group == "quality.accepted"
    found: list[dict[str, Any]] = json.loads(json.dumps(override.value(), default=str))
    return found


def test_a_station_that_began_late_is_sent_to_the_hours_that_it_reported(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    faulty.readings = faulty.readings.filter(HOUR.ge(MIDDLE + 400))
    faulty.note(covered=(Interval(MIDDLE + 400, WINDOW.end),))
    faulty.note(not_asked=(Interval(WINDOW.start, MIDDLE + 400),))
    made = faulty.check()
    assert check(made, "C00")["status"] == "fail"
    (step,) = [one for one in made["actions"] if one["kind"] == "active"]
    assert (step["stations"], step["command"].split()[-1]) == ([KNOWN], "quality.expected=active")
    faulty.scope = replace(faulty.scope, active=True)
    again = faulty.check()
    assert check(again, "C00")["status"] == "pass"
    assert "active" not in {one["kind"] for one in again["actions"]}


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ({"from": "March"}, "write a local day of the data, as 2016-03-31"),
        ({"from": "2016-04-01", "to": "2016-03-31"}, "must not be after to=2016-03-31"),
        ({"check": "C05", "to": "2016-03-31"}, "findings of C05 have no date"),
    ],
)
def test_a_period_that_means_nothing_is_refused(period: dict[str, str], said: str) -> None:
    item = {"check": "T01", "until": "2030-01-01", "reason": "known", **period}
    (line,) = Quality.model_validate({"accepted": [item]}).broken()
    assert line.startswith("quality.accepted[0]")
    assert said in line


def test_a_verdict_of_schema_2_is_read_with_todays_words(tmp_path: Path) -> None:
    made = world(tmp_path, stations=(KNOWN,)).check()
    path = tmp_path / "quality" / "quality.json"
    old = json.loads(path.read_text("utf-8").replace('"not_evaluated"', '"skip"'))
    old["schema_version"] = 2
    for one in old["checks"]:
        del one["n_stations"], one["worst"]
    path.write_text(json.dumps(old), encoding="utf-8")
    read = RunFiles.of(tmp_path).document
    assert read["counts"]["checks"] == made["counts"]["checks"]
    assert [one["status"] for one in read["checks"]] == [one["status"] for one in made["checks"]]
    assert {one["n_stations"] for one in read["checks"]} == {None}
    assert up_to_date(json.loads(json.dumps(made))) == made


def test_a_station_that_cannot_be_compared_says_so(tmp_path: Path) -> None:
    young = world(tmp_path)
    young.readings = young.readings.filter(HOUR.ge(WINDOW.end - 100))
    found = check(young.check(), "T04")
    assert found["n_stations"] == {"not_evaluated": 1, "pass": 4, "warn": 0, "fail": 0}
    kept = json.loads((tmp_path / "quality" / "stations" / f"{KNOWN}.json").read_text("utf-8"))
    assert kept["judged"]["T04"]["status"] == "not_evaluated"
    assert "too few hours" in kept["judged"]["T04"]["message"]
    assert "T04" in kept["checks"]["not_evaluated"]


def test_a_reason_stands_beside_every_check_that_was_not_evaluated(tmp_path: Path) -> None:
    bare = world(tmp_path, stations=(KNOWN,))
    bare.change(HOUR.ge(0), pm10=None, pm25=None, t=None)
    made = bare.check()
    idle = [one for one in made["checks"] if one["status"] == "not_evaluated"]
    assert {"X01", "X02", "T01", "T04", "T05", "X03", "D01", "E01"} <= {one["id"] for one in idle}
    assert all(one["message"] for one in idle)
    assert {one["id"] for one in idle if one["level"] != "run"} == set(
        made["stations"][0]["checks"]["not_evaluated"]
    )
