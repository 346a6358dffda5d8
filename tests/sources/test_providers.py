"""What sources declare about themselves."""

from __future__ import annotations

from runner.config.files import builtin_dir
from runner.sources import providers


def test_every_source_that_can_be_typed_declares_itself() -> None:
    typed = {path.stem for path in (builtin_dir() / "source").glob("*.yaml")}
    assert typed == set(providers())
    assert all(name == one.name for name, one in providers().items())


def test_every_source_but_replay_says_whose_its_readings_are() -> None:
    # Kept answers are of whoever gave them: the record of a run names those.
    assert [name for name, one in providers().items() if not one.credits] == ["replay"]
