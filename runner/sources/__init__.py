"""Where readings come from, a folder per source=NAME. May import process, config and core."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

from runner.core.errors import ConfigError
from runner.sources.provider import Provider

if TYPE_CHECKING:
    from runner.process.job import Job

GROUP = "runner.sources"
"""The entry points of packages that bring sources of their own; each names a `PROVIDERS`."""


@cache
def built_in() -> dict[str, Provider]:
    """Return the providers of the folders here, by name.

    Loads what a folder declares (its `PROVIDERS`), not what asks an API.
    """
    found: dict[str, Provider] = {}
    for folder in pkgutil.iter_modules(__path__):
        if folder.ispkg:
            declared = importlib.import_module(f"{__name__}.{folder.name}").PROVIDERS
            found |= {one.name: one for one in declared}
    return found


def providers() -> dict[str, Provider]:
    """Return every provider by name: those here, and those of installed packages.

    Raises:
        ConfigError: a package brings one that cannot be used.
    """
    found, problems = _found()
    if problems:
        raise ConfigError("\n".join(problems), hint="Mend the package, or uninstall it")
    return found


def provider_of(job: Job) -> Provider:
    """Return the provider of the configured source."""
    return providers()[job.source]


def key_names() -> dict[str, tuple[str, ...]]:
    """Return the environment variables that hold keys, each with names that are not read."""
    found, _problems = _found()  # whatever cannot be used: what is redacted must not depend on it
    return {one.key.variable: one.key.misspelt for one in found.values() if one.key}


@cache
def _found() -> tuple[dict[str, Provider], list[str]]:
    """Return the providers that can be used, and what is wrong with the others."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - a tenth of a second

    found, problems = dict(built_in()), []
    for entry in entry_points(group=GROUP):
        where = f"the entry point {entry.name} = {entry.value} of {GROUP}"
        try:
            declared: Any = entry.load()
        except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything
            problems.append(f"{where} cannot be loaded: {type(error).__name__}: {error}")
            continue
        if not isinstance(declared, tuple) or not all(isinstance(o, Provider) for o in declared):
            problems.append(f"{where} is no tuple of {Provider.__module__}.{Provider.__name__}")
            continue
        taken = [one.name for one in declared if one.name in found]
        if taken:
            problems.append(f"{where}: there is a source of the name {', '.join(taken)} already")
            continue
        found |= {one.name: one for one in declared}
    return found, problems
