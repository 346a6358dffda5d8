"""A standard output or error that is closed, full or without a reader costs nothing."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.product import FAST, Runner, readings_of, wait_for

pytestmark = pytest.mark.slow
ASK = (
    *FAST,
    "source=sandbox",
    "stations.ids=[8641,8767]",
    "backfill.start_date=2024-01-01",
    "backfill.end_date=2024-01-03",
)
COMMANDS = {
    "help": ("--help",),
    "plan": (*ASK, "job=plan"),
    "backfill": ASK,
    "status": ("job=status",),
    "show": ("--cfg", "job"),
    "refused": ("backfill.batch_size=0",),
}
BROKEN = {
    "closed output": ">&- 2>/dev/null",
    "closed error": ">/dev/null 2>&-",
    "both closed": "<&- >&- 2>&-",
    "full output": ">/dev/full 2>/dev/null",
    "both full": ">/dev/full 2>&1",
    "no reader": "2>&1 | true",
    "a reader of one line": "2>&1 | head -1 >/dev/null",
}
WORST = ("both closed", "both full", "no reader")
SLOW_PACE = ("rate_limit.delay_s=0.2", "backfill.batch_size=24", "backfill.end_date=2024-03-01")


def shell(runner: Runner, redirection: str, *arguments: str) -> int:
    command = f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-m", "runner", *arguments],
        cwd=runner.directory,
        env=runner.environment,
        check=False,
        timeout=240,
        capture_output=True,
    )
    return done.returncode


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("backfill", kind) for kind in BROKEN),
        *((name, kind) for name in ("help", "plan", "status") for kind in WORST),
        ("show", "no reader"),
        ("refused", "both closed"),
    ],
)
def test_broken_output_changes_no_exit_code_and_costs_no_reading(
    runner: Runner,
    sandbox_database: Database[dict[str, Any]],
    name: str,
    kind: str,
) -> None:
    assert shell(runner, BROKEN[kind], *COMMANDS[name]) == (2 if name == "refused" else 0)
    if name == "backfill":
        assert len(readings_of(sandbox_database)) == 96
        log = (runner.run_dirs()[-1] / "backfill.log").read_text("utf-8")
        assert '"event": "run.finished"' in log


@pytest.mark.parametrize("kind", WORST)
def test_workers_of_a_sweep_do_not_need_their_output_either(
    runner: Runner, sandbox_database: Database[dict[str, Any]], kind: str
) -> None:
    swept = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "stations.ids=[8641],[8767]")
    others = [word for word in ASK if not word.startswith("stations.")]
    assert shell(runner, BROKEN[kind], *others, *swept) == 0
    assert len(readings_of(sandbox_database)) == 96


@pytest.fixture
def on_a_terminal(runner: Runner) -> Iterator[Callable[..., tuple[int, int]]]:
    """Return a function that starts the product on a terminal; it returns pid and the other end."""
    started: list[int] = []

    def start(*arguments: str, ignore_hangup: bool = False) -> tuple[int, int]:
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(runner.directory)
            if ignore_hangup:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.execve(  # noqa: S606 - no shell is wanted
                sys.executable, [sys.executable, "-m", "runner", *arguments], runner.environment
            )
        started.append(pid)
        return pid, terminal

    yield start
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _progress(directory: Path) -> bool:
    logs = list((directory / "runs").glob("*/*/backfill.log"))
    return bool(logs) and "run.started" in logs[0].read_text("utf-8")


def test_a_terminal_that_closes_stops_the_run_which_saves_what_is_in_hand(
    runner: Runner,
    sandbox_database: Database[dict[str, Any]],
    on_a_terminal: Callable[..., tuple[int, int]],
) -> None:
    pid, terminal = on_a_terminal(*ASK, *SLOW_PACE)
    wait_for(lambda: _progress(runner.directory))
    os.close(terminal)  # the kernel sends SIGHUP, and every write fails from now on
    os.kill(pid, signal.SIGHUP)  # as a shell does besides
    _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    outcome = runner.last_json("outcome.json")
    assert outcome["stopped_by"] == 129
    assert outcome["totals"]["inserted"] == len(readings_of(sandbox_database))


def test_a_run_under_nohup_outlives_its_terminal(
    runner: Runner,
    sandbox_database: Database[dict[str, Any]],
    on_a_terminal: Callable[..., tuple[int, int]],
) -> None:
    pid, terminal = on_a_terminal(*ASK, "rate_limit.delay_s=0.5", ignore_hangup=True)
    wait_for(lambda: _progress(runner.directory))
    os.close(terminal)
    os.kill(pid, signal.SIGHUP)
    _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(readings_of(sandbox_database)) == 96


def test_hanging_up_on_a_sweep_stops_its_workers_and_keeps_their_outcomes(
    runner: Runner,
    sandbox_database: Database[dict[str, Any]],
    on_a_terminal: Callable[..., tuple[int, int]],
) -> None:
    swept = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "stations.ids=[8641],[8767]")
    others = [word for word in ASK if not word.startswith("stations.")]
    pid, terminal = on_a_terminal(*others, *SLOW_PACE, *swept)
    logs = (runner.directory / "multirun").glob
    wait_for(
        lambda: sum("run.started" in log.read_text("utf-8") for log in logs("*/*/*/backfill.log"))
    )
    os.close(terminal)
    os.killpg(pid, signal.SIGHUP)
    _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    outcomes = list((runner.directory / "multirun").glob("*/*/*/outcome.json"))
    assert outcomes
    assert all('"stopped_by": 129' in outcome.read_text("utf-8") for outcome in outcomes)
    assert sandbox_database.name.endswith("_sandbox")


def test_a_stop_before_the_program_is_ready_is_quiet(runner: Runner) -> None:
    for wait_s in (0.0, 0.05, 0.1, 0.2, 0.4, 1.0):
        for signum, code in ((signal.SIGINT, 130), (signal.SIGHUP, 129)):
            process = runner.start(*ASK, *SLOW_PACE)
            wait_for(lambda: _heeds_sigterm(process.pid))  # noqa: B023 - called at once
            with suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
            process.send_signal(signum)
            _out, err = process.communicate(timeout=60)
            assert process.returncode == code, (wait_s, err)
            assert "Traceback" not in err, (wait_s, err)


def _heeds_sigterm(pid: int) -> bool:
    """Return whether our first line has run: Python itself handles SIGINT only."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)
