"""Sweeps as a person meets them: all jobs checked first, told as one, the worst code last."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.outcome import Outcome
from runner.process.job import Job
from tests.product.product import wait_for

Run = Callable[..., Any]


def summary(cwd: Path) -> dict[str, Any]:
    (path,) = (cwd / "multirun").glob("*/*/summary.json")
    made: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return made


def states(cwd: Path) -> list[tuple[str, int | None]]:
    return [(job["state"], job["exit_code"]) for job in summary(cwd)["jobs"]]


def table_rows(out: str) -> dict[int, str]:
    """Return the rows of the summary's table by job."""
    table = out.partition("SWEEP SUMMARY")[2]
    return {int(row[1]): row[0] for row in re.finditer(r"^ +(\d+)  \w.*$", table, re.MULTILINE)}


def test_a_mistake_in_one_job_is_told_before_any_job_begins(run: Run, cwd: Path) -> None:
    ran = run("-m", "job=reset", "backfill.years=0,1,-1")
    ran.refused(
        "none of the 3 jobs was started",
        "job 0 (backfill.years=0): backfill.years=0: allowed are",
        "job 2 (backfill.years=-1)",
    )
    assert "forget the progress" not in ran.err
    assert list(cwd.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("stations=hanoi,hanoy",), "job 1 (stations=hanoy): stations=hanoy: there is no such"),
        (("dry_run=true,perhaps",), "job 1 (dry_run=perhaps): dry_run=perhaps"),
        (("backfill.start_date=2023-01-01,2199-01-01",), "too late"),
        (("mongo.embedded.binary=/bin/true,'${oc.env:HOME}'", "log_level=TRACE,INFO"), "job 0"),
        (("stations=hanoi,hue", "hydra.sweep.subdir=same"), "several jobs the same directory"),
    ],
)
def test_whatever_is_wrong_with_a_job_is_found_before_the_first(
    run: Run, cwd: Path, words: tuple[str, ...], told: str
) -> None:
    run("-m", "job=status", *words).refused(told)
    assert list(cwd.iterdir()) == []


def test_every_job_is_tried_and_the_worst_code_is_the_sweeps(run: Run, cwd: Path) -> None:
    ran = run("-m", "job=status", "backfill.years=1,2")
    assert ran.code == 2
    assert states(cwd) == [("refused", 2), ("refused", 2)]
    assert [job["label"] for job in summary(cwd)["jobs"]] == [
        "backfill.years=1",
        "backfill.years=2",
    ]
    rows = table_rows(ran.out)
    assert rows[0].split()[:3] == ["0", "backfill.years=1", "refused"]
    assert ran.err.count("MONGO_URI is not set") == 2


def test_a_job_that_breaks_or_calls_exit_hides_no_other(
    run: Run, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(job: Job) -> Outcome:
        if job.config.backfill.years == 1:
            raise SystemExit(0)
        if job.config.backfill.years == 2:
            raise ZeroDivisionError
        return job.outcome()

    monkeypatch.setattr("runner.jobs.status.run", breaks)
    ran = run("-m", "job=status", "backfill.years=1,2,3")
    assert ran.code == 1
    assert states(cwd) == [("could not run", 1), ("could not run", 1), ("done", 0)]
    assert "Traceback" not in ran.err + ran.out
    assert "Jobs: 2 could not run, 1 done" in ran.out


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_sweep_starts_no_further_job_and_says_so(
    run: Run, cwd: Path, signum: int, code: int
) -> None:
    def stop_the_first_job() -> None:
        wait_for(lambda: [*cwd.glob("multirun/*/*/0/.hydra/overrides.yaml")])
        signal.raise_signal(signum)

    thread = threading.Thread(target=stop_the_first_job)
    thread.start()
    ran = run("-m", "job=sandbox", "log_level=INFO,DEBUG")
    thread.join()
    assert ran.code == code
    assert ran.out.count("Sandbox API at") <= 1
    assert states(cwd)[1] == ("not run", None)
    assert "not run" in table_rows(ran.out)[1]
    assert summary(cwd)["stopped_by"] == summary(cwd)["exit_code"] == code
    assert "Go on where the sweep ended: python -m runner -m job=sandbox" in ran.out
    assert not [*(cwd / "multirun").glob("*/*/1")]


@pytest.mark.parametrize("name", ["joblib", "ray"])
def test_a_launcher_that_is_not_installed_names_the_extra(run: Run, name: str) -> None:
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"the extra {name} is installed")
    run("-m", "job=status", f"hydra/launcher={name}").refused(f"backfill-runner[{name}]")
    run("-m", "job=status", "hydra/launcher=no_such").refused("hydra/launcher=no_such")


def test_a_second_sweep_in_the_same_directory_shows_nothing_of_the_first(
    run: Run, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("-m", "job=status", "hydra.sweep.dir=here", "backfill.years=1,2")
    run(*words)
    (cwd / "here" / "summary.json").unlink()
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1")
    run(*words, "mongo.timeout_s=0.01")
    made = json.loads((cwd / "here" / "summary.json").read_text("utf-8"))
    assert "refused" not in {job["state"] for job in made["jobs"]}
