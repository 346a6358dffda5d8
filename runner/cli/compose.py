"""Hydra, opened on our YAML files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from runner.cli.arguments import Arguments
from runner.config.files import builtin_dir

VERSION_BASE = "1.3"
"""Of Hydra: how its defaults are to be understood."""
CONFIG_NAME = "config"
"""The first YAML file, without its ending."""


@contextmanager
def opened_hydra(arguments: Arguments) -> Iterator[Hydra]:
    """Open Hydra on our configuration files, as `hydra.main` does.

    `hydra.main` itself composes everything twice, the first time only to learn whether it is to
    sweep: a fifth of what an empty run costs.
    """
    version.setbase(VERSION_BASE)
    search_path = create_config_search_path(str(builtin_dir()))
    if arguments.private_dir:
        schema = SearchPathQuery(provider="schema")
        search_path.prepend("command-line", arguments.private_address, schema)
    before = HydraConfig.instance().cfg
    hydra = Hydra.create_main_hydra2("runner", search_path)
    try:
        yield hydra
    finally:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = before
