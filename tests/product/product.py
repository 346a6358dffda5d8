"""The product as a person runs it: a real process, a real MongoDB, a real API on loopback."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database

from tests.product import forked
from tests.product.forked import REPOSITORY

SHARED = REPOSITORY.parent / "shared"
PRIVATE = (
    "AQICN_API_KEY",
    "OPENAQ_API_KEY",
    "MONGO_URI",
    "MONGO_DB",
    "RUNNER_CONF_DIR",
    "LOG_FORMAT",
    "HYDRA_FULL_ERROR",
)
"""Variables that a developer may have set for the product."""

LONGEST_S = 240
FAST = (
    "rate_limit=unlimited",
    "source.retry.backoff_s=0.02",
    "source.retry.backoff_max_s=0.2",
    "quality=off",
    "report=none",  # tests/product/test_report_process.py asks for it
)


def without_private() -> dict[str, str]:
    """Return the environment without what a developer may have set for the product or Python."""
    return {
        name: text
        for name, text in os.environ.items()
        if name not in PRIVATE and not name.startswith("PYTHON")
    }


@dataclass(frozen=True)
class Runner:
    """Starts `python -m runner` in a directory of its own, against one database."""

    directory: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, *arguments: str, expect: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        told = {**self.environment, **environment}
        if forked.can_run(told):
            with tempfile.TemporaryDirectory() as output:
                done = forked.run(arguments, self.directory, told, Path(output), LONGEST_S)
        else:
            process = self.start(*arguments, **environment)
            out, err = process.communicate(timeout=LONGEST_S)
            done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        if expect is not None:
            found = f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == expect, found
        return done

    def run_dirs(self) -> list[Path]:
        return sorted((self.directory / "runs").glob("*/*"))

    def last_json(self, name: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((self.run_dirs()[-1] / name).read_text("utf-8"))
        return made


def readings_of(database: Database[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all readings without `_id`, in a fixed order."""
    found = database["waqi_station_readings"].find({}, {"_id": 0})
    return sorted(found, key=lambda item: (item["meta"]["station_idx"], item["ts"]))


def wait_for(what: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.02)
    msg = "it did not happen in time"
    raise AssertionError(msg)


def stop(process: subprocess.Popen[str], signum: int = signal.SIGINT) -> tuple[int, str, str]:
    """Send a signal, wait for the end; return exit code and both outputs."""
    process.send_signal(signum)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err
