"""Fixtures of the guards: the product as a process, with its work counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.product.forked import REPOSITORY
from tests.product.product import PRIVATE


@dataclass(frozen=True)
class Watched:
    """Runs `tests.robustness.guards.watched` in a directory and against a database of its own."""

    directory: Path
    environment: dict[str, str]
    database: Database[dict[str, Any]]

    def __call__(self, *arguments: str, work: bool = False) -> dict[str, Any]:
        """Return what the process left: see `tests/robustness/guards/watched.py`."""
        file = self.directory / "watched.json"
        file.unlink(missing_ok=True)
        watch = {"WATCH_FILE": str(file)} | ({"WATCH_WORK": "1"} if work else {})
        done = subprocess.run(
            [sys.executable, "-m", "tests.robustness.guards.watched", *arguments],
            cwd=self.directory,
            env=self.environment | watch,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        left: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return left

    def log(self) -> list[str]:
        """Return the lines of the newest run's log."""
        newest = max((self.directory / "runs").glob("*/*/backfill.log"))
        return newest.read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, mongo_uri: str) -> Iterator[Watched]:
    """The product, with nothing of the developer's in it."""
    clean = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    name = f"test_{uuid.uuid4().hex}"
    clean |= {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": name,
        "AQICN_API_KEY": "a-fine-key",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONWARNINGS": "error",
    }
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        yield Watched(tmp_path_factory.mktemp("guards"), clean, client[name])
        client.drop_database(name)
