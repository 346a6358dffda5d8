"""Run the product in a process that begins with its modules imported.

Half of what a short run costs is importing, the same every time, and there are hundreds of runs in
this suite. A fork server imports once and forks: everything else is as in `python -m runner`, from
the signal handlers of `__main__` to the functions of `atexit`. Where starting is the subject,
`Runner.start` starts the real command.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error"}
"""What Python is to read from the environment as it starts."""

_SERVER = multiprocessing.get_context("forkserver")
# All that a backfill imports. Without polars, which has threads: a fork would lose them.
_SERVER.set_forkserver_preload(
    [
        "hydra.plugins",
        "runner.cli.command",
        "runner.jobs.backfill.job",
        "runner.jobs.plan",
        "runner.jobs.status",
        "runner.quality.report.page",
        "runner.sources.sandbox.opening",
    ]
)


def can_run(environment: Mapping[str, str]) -> bool:
    """Whether the fork server started as Python would start with this environment."""
    return {name: text for name, text in environment.items() if name.startswith("PYTHON")} == PYTHON


def run(
    arguments: tuple[str, ...],
    directory: Path,
    environment: Mapping[str, str],
    output: Path,
    timeout_s: float,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m runner` and wait for its end.

    Args:
        arguments: of the command line.
        directory: the working directory.
        environment: all of it; `can_run` is true of it.
        output: an empty directory for what it writes to standard output and standard error.
        timeout_s: seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
    """
    out, err = output / "out", output / "err"
    process = _SERVER.Process(
        target=_be_the_product, args=(arguments, str(directory), dict(environment), out, err)
    )
    with pytest.MonkeyPatch.context() as patch:  # the first start starts the server, too
        for name in [name for name in os.environ if name.startswith("PYTHON")]:
            patch.delenv(name)
        for name, text in PYTHON.items():
            patch.setenv(name, text)
        process.start()
    process.join(timeout_s)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_text(), err.read_text())
    process.close()
    said = (out.read_text("utf-8"), err.read_text("utf-8"))
    return subprocess.CompletedProcess(arguments, code, *said)


def _be_the_product(
    arguments: tuple[str, ...], directory: str, environment: dict[str, str], out: Path, err: Path
) -> None:
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["runner", *arguments]
    try:
        runpy.run_module("runner", run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # a forked process ends without them
