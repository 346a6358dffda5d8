"""Composing configurations without a process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hydra import compose, initialize_config_dir

from runner.cli.reading import read_job
from runner.config.files import builtin_dir
from runner.config.settings import Config

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)

Compose = Callable[..., Config]


@pytest.fixture
def composed() -> Compose:
    """Return a function from overrides to the checked configuration, as on 15 June 2025."""

    def compose_and_read(*overrides: str) -> Config:
        with initialize_config_dir(str(builtin_dir()), version_base="1.3"):
            return read_job(compose("config", overrides=list(overrides)), overrides, now=NOW)

    return compose_and_read
