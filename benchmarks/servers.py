"""The servers that legs work against: real ones, on loopback, of this benchmark's own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.measure import REPOSITORY, clean_environment
from runner.store.embedded import embedded


@contextmanager
def api(*arguments: str) -> Iterator[str]:
    """Serve the loopback API in a process of its own; yield its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.api", *arguments],
        cwd=REPOSITORY,
        env=clean_environment(),
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
    """Run a mongod; yield its URI and a client."""
    with (
        tempfile.TemporaryDirectory(prefix="airq-bench-") as place,
        embedded(Path(place, "mongodb")) as uri,
        MongoClient[dict[str, Any]](uri, tz_aware=True) as client,
    ):
        yield uri, client
