"""The process around a job: exit codes, sweeps, signals, and leaving everything as it was."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

Run = Callable[..., Any]

REPOSITORY = Path(__file__).resolve().parents[2]


def test_startup_imports_no_heavy_library() -> None:
    heavy = ("pymongo", "requests", "polars", "papermill", "structlog", "rich")
    code = f"import sys, runner.cli.main; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_python_m_runner_exits_with_the_code_of_main(cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "station=hanoi"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "no group or key 'station'; did you mean 'stations'?\n"


def test_help_can_be_printed_where_the_terminal_knows_no_accents(cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "--help"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == b""


def _state_of_the_process() -> tuple[Any, ...]:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    root = logging.getLogger()
    return list(sys.argv), dict(os.environ), handlers, Path.cwd(), list(root.handlers), root.level


def test_main_can_be_called_again_and_again_and_leaks_nothing(run: Run, cwd: Path) -> None:
    before = _state_of_the_process()
    mask = os.umask(0o022)
    try:
        for _ in range(2):
            assert run("--cfg", "job", "stations=hanoi").code == 0
            assert run("--info", "searchpath").code == 0
            run("stations=hanoy").refused()
            run("backfill.years=0").refused()
            run("mongo.database=${oc.env:NOT_SET}").refused()
            assert "dry_run: false" in run("--cfg", "job").out
            assert os.umask(0o022) == 0o022
    finally:
        os.umask(mask)
    assert _state_of_the_process() == before
    assert not GlobalHydra.instance().is_initialized()
    assert list(cwd.iterdir()) == []


def test_hydras_own_flags_work_wherever_they_stand(run: Run) -> None:
    printed = run("stations=hue", "--cfg", "job", "dry_run=true", "--package", "stations").out
    assert yaml.safe_load(printed)["named"] == {12488: "Thừa Thiên Huế/83 Hùng Vương, Vietnam"}
    assert run("--info", "searchpath", "stations=hue").code == 0


@pytest.mark.parametrize("words", [(), ("-m", "log_level=INFO,WARNING")])
def test_a_secret_typed_into_an_override_stands_in_no_file(
    run: Run, cwd: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AQICN_API_KEY", "canary-value-0a1b2c3d")
    out_of_reach = ("job=status", "mongo.timeout_s=0.05")
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1")
    ran = run(*words, *out_of_reach, "discover.file=canary-value-0a1b2c3d")
    files = [path for path in cwd.rglob("*") if path.is_file()]
    assert [path for path in files if path.name == "overrides.yaml"]
    texts = [ran.out, ran.err, *(path.read_text("utf-8") for path in files)]
    assert not [text for text in texts if "canary-value" in text]
    assert not [path for path in cwd.rglob("*") if "canary-value" in path.name]


def test_values_with_accents_need_no_second_quotes(run: Run) -> None:
    assert yaml.safe_load(run("stations.name=Hà Nội", "--cfg", "job").out)["stations"]["name"] == (
        "Hà Nội"
    )


def test_no_key_says_what_to_set_and_what_needs_none(run: Run) -> None:
    run().refused("AQICN_API_KEY", ".env", "make demo", "source=airnow source.path=DIR")


def test_a_job_that_refuses_its_configuration_exits_2(run: Run) -> None:
    run("job=status").refused("MONGO_URI is not set", "mongo=embedded")


@pytest.mark.parametrize("place", ["runs", "mine/here"])
def test_a_run_that_is_refused_leaves_no_file_and_no_directory(
    run: Run, cwd: Path, place: str
) -> None:
    run("job=status", f"hydra.run.dir={place}").refused("MONGO_URI")
    assert [*cwd.iterdir()] == []
    (cwd / place).mkdir(parents=True)
    (cwd / place / "outcome.json").write_text("of an earlier run")
    run("job=status", f"hydra.run.dir={place}").refused("MONGO_URI")
    assert [path for path in (cwd / place).rglob("*") if path.name == "outcome.json"]


def test_a_variable_of_another_name_is_noticed_and_its_value_stands_nowhere(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://user:canary-value@db.example/")
    ran = run("job=status")
    ran.refused("MONGODB_URI is, which nothing reads", "Rename MONGODB_URI to MONGO_URI")
    assert "canary" not in ran.err
    monkeypatch.setenv("AQICN_TOKEN", "canary-value")
    run().refused("AQICN_API_KEY is not set (AQICN_TOKEN is")


def test_with_the_log_as_json_standard_error_is_json_lines_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(run("job=status", "log_format=json").err)["event"] == "job.refused"
    monkeypatch.setenv("LOG_FORMAT", "json")
    for words in (("job=status",), ("--years", "3"), ("stations=nowhere",)):
        lines = [json.loads(line) for line in run(*words).err.splitlines()]
        assert [line["level"] for line in lines] == ["error"], words
    monkeypatch.setenv("LOG_FORMAT", "yaml")
    run("job=status").refused("LOG_FORMAT=yaml", "console and json")


def test_files_of_a_run_are_for_their_owner_and_hold_the_settings(
    run: Run, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1")
    for _ in range(2):
        ran = run("job=status", "mongo.timeout_s=0.05")
        assert ran.code == 1
        assert "Files of this run: runs/" in ran.err
    run_dirs = sorted((cwd / "runs").glob("*/*"))
    assert len(run_dirs) == 2
    for run_dir in run_dirs:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}", "/".join(run_dir.parts[-2:]))
        assert (run_dir / ".hydra" / "overrides.yaml").exists()
        for path in (run_dir, *run_dir.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_settings_of_jobs_may_be_typed_without_their_group(run: Run) -> None:
    done = run("job=prune", "confirm=true", "--cfg", "job")
    assert done.code == 0, done
    assert "\n  confirm: true" in done.out
    run("job=prune", "confirm=perhaps").refused("job.confirm=perhaps", "true and false")


@pytest.mark.parametrize(
    "name", ["a[1]b", "a*b?", "a b  c", "a'b", 'a"b', "a'b\"c", "Đà Nẵng", "a=b,c", "a{b}c", "a(b)"]
)
@pytest.mark.parametrize("key", ["source.path", "mongo.embedded.data_dir", "hydra.run.dir"])
def test_a_path_is_taken_as_it_is_typed(run: Run, tmp_path: Path, key: str, name: str) -> None:
    path = str(tmp_path / name / "x")
    shown = run("--cfg", "hydra" if key.startswith("hydra") else "job", f"{key}={path}")
    found = yaml.safe_load(shown.out)
    for part in key.split("."):
        found = found[part]
    assert found == path


@pytest.mark.parametrize("name", ["a[1]b", "a*b?", "it's", "Đà Nẵng", "a=b,c", "a${b}c", "a%20b#"])
def test_private_files_may_lie_in_a_directory_of_any_name(
    run: Run, tmp_path: Path, name: str
) -> None:
    place = tmp_path / name / "profile"
    place.mkdir(parents=True)
    (place / "mine.yaml").write_text("# @package _global_\n# mine\n# x\nlog_level: DEBUG\n")
    shown = run("--cfg", "job", f"--config-dir={place.parent}", "profile=mine")
    assert yaml.safe_load(shown.out)["log_level"] == "DEBUG"
