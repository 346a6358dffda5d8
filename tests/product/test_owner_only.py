"""What a run leaves can be read by its owner only, whatever the umask was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.product.product import Runner

pytestmark = pytest.mark.slow

ASK = ("source=sandbox", "stations.ids=[8641]", "backfill=last_30_days", "rate_limit=unlimited")


@pytest.fixture
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_umask")
@pytest.mark.parametrize("words", [(), ("-m", "backfill.batch_size=24,48")], ids=["run", "sweep"])
def test_files_and_directories_of_a_run_are_its_owners_alone(
    runner: Runner, words: tuple[str, ...]
) -> None:
    runner(*ASK, *words, "mongo=embedded")
    left = [path for path in runner.directory.rglob("*") if not path.is_symlink()]
    assert {path for path in left if open_to_others(path)} == set()
    names = {path.name for path in left}
    assert {"backfill.log", "outcome.json", "plan.json", ".hydra", "mongodb"} <= names
    assert ("multirun.yaml" in names) is bool(words)
    assert any(path.name.startswith("mongod") and path.suffix == ".log" for path in left)


def open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
