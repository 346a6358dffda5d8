"""Private YAML files: found, listed, and every slip in them told with the way to write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.config.files import builtin_dir

Run = Callable[..., Any]

HEAD = "# @package _global_\n"

SLIPS: dict[str, tuple[str, str]] = {
    "no package line": ("dry_run: true\n", "the first line must be\n# @package _global_"),
    "package line second": (f"# mine\n{HEAD}dry_run: true\n", "the first line must be"),
    "empty": ("", "the first line must be"),
    "defaults only, no package line": (
        "defaults:\n  - override /stations: hanoi\n",
        "the first line must be",
    ),
    "override forgotten": (
        f"{HEAD}defaults:\n  - /stations: hanoi\n",
        "instead of\n  - /stations: hanoi\nwrite\n  - override /stations: hanoi",
    ),
    "slash forgotten": (
        f"{HEAD}defaults:\n  - override stations: [hanoi, hue]\n",
        "write\n  - override /stations: [hanoi, hue]",
    ),
    "both forgotten": (f"{HEAD}defaults:\n  - stations: hanoi\n", "override /stations: hanoi"),
    "override misspelt": (
        f"{HEAD}defaults:\n  - overide /stations: hanoi\n",
        "write\n  - override /stations: hanoi",
    ),
    "written with =": (
        f"{HEAD}defaults:\n  - override /stations=hanoi\n",
        "instead of\n  - override /stations=hanoi\nwrite\n  - override /stations: hanoi",
    ),
    "no such group": (
        f"{HEAD}defaults:\n  - override /station: hanoi\n",
        "there is no group 'station'; did you mean stations?",
    ),
    "no such option": (
        f"{HEAD}defaults:\n  - override /stations: hanoy\n",
        "did you mean hanoi?",
    ),
    "defaults no list": (
        f"{HEAD}defaults:\n  override /stations: hanoi\n",
        "defaults is a list",
    ),
    "key misspelt": (f"{HEAD}backfill:\n  yeers: 2\n", "did you mean 'backfill.years'?"),
    "group forgotten": (f"{HEAD}years: 2\n", "did you mean 'backfill.years'?"),
    "wrong type": (f"{HEAD}backfill:\n  years: two\n", "backfill.years=two is not a whole number"),
    "value out of range": (f"{HEAD}backfill:\n  years: 0\n", "backfill.years=0"),
    "no blank after colon": (f"{HEAD}backfill:\n  years:3\n", "'years:3' stands where"),
    "group left empty": (f"{HEAD}backfill:\n", "backfill must have a value"),
    "tab": (f"{HEAD}backfill:\n\tyears: 2\n", "line 3, column 1: broken YAML"),
    "duplicate key": (f"{HEAD}dry_run: true\ndry_run: false\n", "found duplicate key dry_run"),
    "indentation": (f"{HEAD}backfill:\n  years: 2\n workers: 3\n", "check the indentation"),
    "quote left open": (f"{HEAD}log_level: 'DEBUG\n", "broken YAML"),
    "a list": (f"{HEAD}- dry_run\n", "no list"),
    "environment variable": (
        f"{HEAD}mongo:\n  database: ${{oc.env:NOT_SET}}\n",
        "needs the environment variable NOT_SET",
    ),
    "brace left open": (f"{HEAD}mongo:\n  database: ${{oc.env:NOT_SET\n", "lacks its }"),
    "impossible date": (
        f"{HEAD}backfill:\n  start_date: 2022-13-01\n",
        "backfill.start_date=2022-13-01 is not a date",
    ),
}

TOLD_BY_KEY = {
    "no such option",
    "environment variable",
    "brace left open",
    "impossible date",
}
"""Slips that are told by the group or key that is wrong; all others name the file."""


@pytest.mark.parametrize("slip", SLIPS)
def test_slips_in_a_private_profile_are_told_with_the_way_to_write_it(
    run: Run, private: Path, slip: str
) -> None:
    text, told = SLIPS[slip]
    path = private / "profile" / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    ran = run("profile=mine")
    ran.refused(told)
    assert (str(path) in ran.err) is (slip not in TOLD_BY_KEY)


def test_a_sweep_over_profiles_tells_of_the_broken_one(run: Run, private: Path) -> None:
    (private / "profile" / "mine.yaml").write_text("dry_run: true\n", encoding="utf-8")
    run("-m", "profile=none,mine").refused("mine.yaml", "# @package _global_")
    run("-m", "profile=glob(*)").refused("mine.yaml", "# @package _global_")


def test_a_profile_not_chosen_may_be_broken(run: Run, private: Path) -> None:
    (private / "profile" / "mine.yaml").write_text("dry_run: [", encoding="utf-8")
    assert run("--cfg", "job", "profile=dry_run").code == 0


def test_a_file_that_ends_in_yml_is_to_be_renamed(run: Run, private: Path) -> None:
    (private / "profile" / "mine.yml").write_text(HEAD, encoding="utf-8")
    run("profile=mine").refused("mine.yml must end in .yaml")


def test_a_file_that_is_not_utf8_is_named(run: Run, private: Path) -> None:
    (private / "profile" / "mine.yaml").write_bytes(f"{HEAD}# \xe0\n".encode("latin-1"))
    run("profile=mine").refused("mine.yaml is not UTF-8 text")


@pytest.mark.parametrize(
    ("group", "text", "key"),
    [
        ("profile", f"{HEAD}dry_run: true\ndry_run: false\n", "dry_run"),
        ("profile", f"{HEAD}quality:\n  external: {{8641: a.csv, 8641: b.csv}}\n", "8641"),
        ("profile", f"{HEAD}quality: {{checks: {{C04: {{params: {{1.5: 1, 1.5: 2}}}}}}}}\n", "1.5"),
        ("profile", f"{HEAD}true: 1\nyes: 2\n", "yes"),
        ("profile", f"{HEAD}null: 1\n~: 2\n", "~"),
        ("stations", "named:\n  12: One\n  0xC: Two\n", "0xC"),
        ("stations", "named:\n  -12: One\n  12: Two\n  -12: Three\n", "-12"),
    ],
)
def test_a_key_that_stands_twice_is_refused_whatever_its_type(
    run: Run, private: Path, group: str, text: str, key: str
) -> None:
    path = private / group / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    ran = run(f"{group}=mine")
    ran.refused(f"found duplicate key {key}", str(path), "line ")
    run("--cfg", "job", f"{group}=mine").refused(f"found duplicate key {key}", str(path))


def test_a_file_that_begins_with_a_byte_order_mark_is_read(run: Run, private: Path) -> None:
    (private / "stations" / "mine.yaml").write_text("named:\n  12: Mine\n", "utf-8-sig")
    weekly = f"{HEAD}# Weekly\ndefaults:\n  - override /stations: mine\nbackfill:\n  days: 7\n"
    (private / "profile" / "weekly.yaml").write_text(weekly, "utf-8-sig")
    ran = run("--cfg", "job", "profile=weekly")
    assert "days: 7" in ran.out
    assert "12: Mine" in ran.out
    assert "  weekly            Weekly" in run("--help").out
    (private / "profile" / "weekly.yaml").write_text(f"{HEAD}yeers: 7\n", "utf-8-sig")
    run("profile=weekly").refused("weekly.yaml", "no group or key 'yeers'")


def test_a_byte_order_mark_opens_no_way_to_hydra(run: Run, private: Path) -> None:
    text = "# @package hydra\nsweeper: {_target_: os.system}\n"
    (private / "profile" / "mine.yaml").write_text(text, "utf-8-sig")
    run("profile=mine").refused("mine.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("named:\n  '12': Mine\n", "12 must be a number, without quotes"),
        ("named:\n- 12\n", "no list"),
        ("12: Mine\n", "stations has: named, selectors"),
        ("stations:\n  named:\n    12: Mine\n", "leave 'stations:' out"),
        ("selectors:\n  mine: Da Nang\n", "stations.selectors.mine must hold settings"),
        ("selectors:\n  mine:\n    nam: Da Nang\n", "no setting 'stations.selectors.mine.nam'"),
        ("selectors:\n  mine:\n    bbox: [1, 2]\n", "stations.selectors.mine.bbox"),
        ("named:\n  12: Mine: old\n", "line 2"),
    ],
)
def test_slips_in_a_private_station_group_are_told(
    run: Run, private: Path, text: str, told: str
) -> None:
    (private / "stations" / "mine.yaml").write_text(text, encoding="utf-8")
    run("stations=mine").refused(told)


def test_private_files_compose_and_may_state_only_what_they_change(run: Run, private: Path) -> None:
    (private / "backfill" / "mine.yaml").write_text("days: 7\n", encoding="utf-8")
    (private / "stations" / "mine.yaml").write_text("named:\n  12: Mine\n", encoding="utf-8")
    (private / "profile" / "weekly.yaml").write_text(
        f"{HEAD}defaults:\n  - override /backfill: mine\n  - override /stations: [mine, hue]\n",
        encoding="utf-8",
    )
    ran = run("--cfg", "job", "profile=weekly")
    assert ran.code == 0
    for line in ("days: 7", "years: null", "batch_size: 168", "12: Mine", "12488:"):
        assert line in ran.out


DAYS = "backfill:\n  days: 3\n"


@pytest.mark.parametrize(
    ("profile", "typed", "start"),
    [
        (DAYS, [], "2025-01-07"),
        (f"defaults:\n  - override /backfill: three_years\n{DAYS}", [], "2025-01-07"),
        (DAYS, ["backfill.years=1"], "2024-01-10"),
        (DAYS, ["backfill.start_date=2024-05-05"], "2024-05-05"),
        ("backfill:\n  start_date: 2020-01-01\n", ["backfill.days=2"], "2025-01-08"),
        ("defaults:\n  - override /backfill: last_30_days\n", ["backfill.years=2"], "2023-01-10"),
        ("backfill:\n  start_date: 2020-01-01\n", [], "2020-01-01"),
    ],
)
def test_what_is_typed_beats_a_profile_and_a_profile_beats_the_range_of_an_option(
    run: Run, private: Path, profile: str, typed: list[str], start: str
) -> None:
    (private / "profile" / "mine.yaml").write_text(HEAD + profile, encoding="utf-8")
    ran = run(
        *("profile=mine", "job=plan", "output=json", "mongo.use_embedded=true"),
        *("stations.ids=[8641]", "source=sandbox", "backfill.end_date=2025-01-10", *typed),
    )
    assert ran.code == 0, ran
    assert json.loads(ran.out)["range"]["start"].startswith(start)


def test_config_dir_works_like_the_variable_and_comes_first(
    run: Run, private: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "profile").mkdir(parents=True)
    (other / "profile" / "theirs.yaml").write_text(f"{HEAD}dry_run: true\n", encoding="utf-8")
    (private / "profile" / "mine.yaml").write_text(f"{HEAD}dry_run: true\n", encoding="utf-8")
    assert run("--cfg", "job", "profile=mine").code == 0
    assert run("--cfg", "job", "profile=theirs", "--config-dir", str(other)).code == 0
    assert run("--cfg", "job", f"--config-dir={other}", "profile=theirs").code == 0
    run("--cfg", "job", "profile=mine", "--config-dir", str(other)).refused("profile=mine")


def test_the_variable_is_read_from_dotenv_too(
    run: Run, private: Path, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (private / "profile" / "mine.yaml").write_text(f"{HEAD}dry_run: true\n", encoding="utf-8")
    monkeypatch.delenv("RUNNER_CONF_DIR")
    (cwd / ".env").write_text(f"RUNNER_CONF_DIR={private}\n", encoding="utf-8")
    assert run("--cfg", "job", "profile=mine").code == 0


@pytest.mark.parametrize("name", ["stations/hanoi.yaml", "profile/demo.yaml", "config.yaml"])
def test_a_private_name_that_is_built_in_is_refused_naming_both_files(
    run: Run, private: Path, name: str
) -> None:
    (private / name).write_text("named: {12: Mine}\n", encoding="utf-8")
    run("--cfg", "job").refused(str(private / name), str(builtin_dir() / name))


def test_a_variable_that_names_no_directory_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_CONF_DIR", "/no/such/directory")
    run("--cfg", "job").refused("/no/such/directory", "RUNNER_CONF_DIR")


def test_help_lists_private_options(run: Run, private: Path) -> None:
    (private / "stations" / "mine.yaml").write_text("# My own two\nnamed: {}\n", encoding="utf-8")
    ran = run("--help")
    assert ran.code == 0
    assert "mine              My own two" in ran.out
