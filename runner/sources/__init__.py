"""Where readings come from, a folder per source=NAME. May import process, config and core."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from runner.sources.provider import Provider

if TYPE_CHECKING:
    from runner.process.job import Job


@cache
def providers() -> dict[str, Provider]:
    """Return every provider by name.

    Loads what a folder declares (`provider.py`), not what asks an API.
    """
    found: dict[str, Provider] = {}
    for folder in pkgutil.iter_modules(__path__):
        if folder.ispkg:
            declared = importlib.import_module(f"{__name__}.{folder.name}.provider").PROVIDERS
            found |= {one.name: one for one in declared}
    return found


def provider_of(job: Job) -> Provider:
    """Return the provider of the configured source."""
    return providers()[job.source]
