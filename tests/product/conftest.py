"""Fixtures of the process tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.product import PRIVATE, REPOSITORY, Runner


@pytest.fixture
def runner(tmp_path: Path, mongo_uri: str, database: Database[dict[str, Any]]) -> Runner:
    """Run the product against the test's own database, with nothing of the developer's in it."""
    clean = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    clean |= {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": database.name,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONWARNINGS": "error",
        "NO_COLOR": "1",
    }
    return Runner(tmp_path, clean)


@pytest.fixture
def sandbox_database(database: Database[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """The database that `source=sandbox` writes to in place of the test's own."""
    name = f"{database.name}_sandbox"
    yield database.client[name]
    database.client.drop_database(name)
