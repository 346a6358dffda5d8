"""Fixtures of the process tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.forked import PYTHON
from tests.product.product import Runner, without_private


@pytest.fixture
def runner(tmp_path: Path, mongo_uri: str, database: Database[dict[str, Any]]) -> Runner:
    """Run the product against the test's own database, with nothing of the developer's in it."""
    environment = {
        **without_private(),
        "MONGO_URI": mongo_uri,
        "MONGO_DB": database.name,
        **PYTHON,
        "NO_COLOR": "1",
    }
    return Runner(tmp_path, environment)


@pytest.fixture
def sandbox_database(database: Database[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """The database that `source=sandbox` writes to in place of the test's own."""
    name = f"{database.name}_sandbox"
    yield database.client[name]
    database.client.drop_database(name)
