"""Fixtures for every room: a real mongod for the whole session, a fresh database for each test."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pymongo.database import Database

# The suite starts the product hundreds of times, which is not to compile it anew each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# `make test` draws the same examples on every machine, however slow: it is a promise, no search.
# The search is `make fuzz`; what it finds becomes an @example.
_ON_ANY_MACHINE = settings(
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("promise", _ON_ANY_MACHINE, derandomize=True)
settings.register_profile("search", _ON_ANY_MACHINE, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "promise"))


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """The URI of a real mongod of this session's own, reachable by nobody else."""
    from runner.store.embedded import SERVER_LOCK, embedded, try_lock

    with tempfile.TemporaryDirectory(prefix="airq-tests-") as place:
        data_dir = Path(place, "mongodb")
        with embedded(data_dir) as uri:
            yield uri
        while (lock := try_lock(data_dir / SERVER_LOCK)) is None:  # until the server has ended
            time.sleep(0.05)
        os.close(lock)


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
