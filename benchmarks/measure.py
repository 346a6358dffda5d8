"""Runs legs as processes of their own and says what each cost."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo import MongoClient

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process cost.

    Attributes:
        wall_s: seconds from its start to its end.
        cpu_s: processor seconds, user and system, of it and the children it waited for.
        peak_mb: largest resident set, MiB; never less than this process had when it started it.
        said: what it wrote.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    said: str


def run(
    command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None
) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it did not exit with 0; with what it wrote.
    """
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 - the legs are our own
            [*map(str, command)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{command}: exit {process.returncode}\n{said}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def python(*arguments: str | Path) -> list[str | Path]:
    """Return the command that runs this interpreter."""
    return [sys.executable, *arguments]


@contextmanager
def api(*arguments: str) -> Iterator[str]:
    """Serve the loopback API in a process of its own; yield its URL."""
    process = subprocess.Popen(  # noqa: S603 - our own server
        [sys.executable, "-m", "benchmarks.api", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def mongod() -> Iterator[tuple[str, MongoClient[dict[str, Any]]]]:
    """Run a mongod of this benchmark's own; yield its URI and a client."""
    from pymongo import MongoClient  # noqa: PLC0415 - only legs that need it pay for it

    from runner.store.embedded import embedded  # noqa: PLC0415 - likewise

    with (
        tempfile.TemporaryDirectory(prefix="airq-bench-") as place,
        embedded(Path(place, "mongodb")) as uri,
        MongoClient[dict[str, Any]](uri, tz_aware=True) as client,
    ):
        yield uri, client


def machine() -> str:
    """Return what the figures depend on, in a line."""
    import pymongo  # noqa: PLC0415 - as above

    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"pymongo {pymongo.version}"
    )
