"""Fixtures for every room: one real mongod for the whole session, a fresh database for each test."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from pymongo.database import Database


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """The URI of a real mongod of this session's own, reachable by nobody else."""
    spec = importlib.util.find_spec("fiftyone")
    assert spec
    assert spec.submodule_search_locations
    binary = Path(next(iter(spec.submodule_search_locations)), "db/bin/mongod")
    with tempfile.TemporaryDirectory(prefix="airq-tests-") as place:
        socket = f"{place}/mongo.sock"
        args = ["--dbpath", place, "--bind_ip", socket, "--unixSocketPrefix", place]
        args += ["--logpath", f"{place}/log", "--wiredTigerCacheSizeGB", "0.25"]
        with subprocess.Popen([binary, *args], stdout=subprocess.DEVNULL) as process:
            while not os.path.exists(socket) and process.poll() is None:  # noqa: PTH110
                time.sleep(0.05)
            yield f"mongodb://{quote(socket, safe='')}/?directConnection=true"
            process.terminate()
            process.wait(60)


@pytest.fixture
def database(mongo_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """An empty database with a name of its own; dropped afterwards."""
    from pymongo import MongoClient

    with MongoClient[dict[str, Any]](
        mongo_uri, tz_aware=True, uuidRepresentation="standard"
    ) as client:
        name = f"test_{uuid.uuid4().hex}"
        try:
            yield client[name]
        finally:
            client.drop_database(name)
