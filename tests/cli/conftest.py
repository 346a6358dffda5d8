"""The command line in this process, in a directory of its own, with nothing of the developer's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.cli.main import main
from tests.product.product import PRIVATE


@dataclass(frozen=True)
class Ran:
    """What a command line came to."""

    code: int
    out: str
    err: str

    def refused(self, *told: str) -> None:
        """Assert that it was refused as the rules have it: exit 2, told in one to five lines."""
        assert self.code == 2, self
        assert 1 <= len(self.err.strip().splitlines()) <= 5, self.err
        assert "Traceback" not in self.err
        assert "Error executing job" not in self.err
        for words in told:
            assert words in self.err


Run = Callable[..., Ran]


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    directory = tmp_path / "cwd"
    directory.mkdir()
    monkeypatch.chdir(directory)
    for name in PRIVATE:
        monkeypatch.delenv(name, raising=False)
    return directory


@pytest.fixture
def run(cwd: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command line in `cwd`."""
    assert cwd.is_dir()

    def run_main(*argv: str) -> Ran:
        capfd.readouterr()
        code = main(argv)
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run_main


@pytest.fixture
def private(tmp_path: Path, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory of private YAML files, set as RUNNER_CONF_DIR."""
    assert cwd.is_dir()
    directory = tmp_path / "private"
    for group in ("profile", "stations", "backfill"):
        (directory / group).mkdir(parents=True)
    monkeypatch.setenv("RUNNER_CONF_DIR", str(directory))
    return directory
