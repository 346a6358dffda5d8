"""Show what Hydra composes instead of running it: --cfg, --info and tab completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import DefaultsTreeNode
from hydra.core.plugins import Plugins
from hydra.plugins.completion_plugin import CompletionPlugin
from hydra.types import RunMode
from omegaconf import OmegaConf

from runner.cli.arguments import Arguments
from runner.cli.compose import CONFIG_NAME, compose, expand, is_of_hydra, opened_hydra, settings_of
from runner.core.errors import ConfigError, Exit


def show(arguments: Arguments) -> int:
    """Print what the flags ask for; return the exit code."""
    with opened_hydra(arguments) as loader:
        if arguments.wants == "completion":
            _complete(loader, arguments.value("--shell-completion", "-sc"))
            return Exit.DONE
        jobs: Sequence[Sequence[str]] = [arguments.overrides]
        if arguments.varies:
            of_hydra = [word for word in arguments.overrides if is_of_hydra(word)]
            choices = expand(loader, arguments.overrides)
            jobs = [[*of_hydra, *choice.overrides] for choice in choices]
        for number, overrides in enumerate(jobs):
            if arguments.varies:
                print(f"---\n# job {number}")  # noqa: T201 - the product's own words
            if arguments.wants == "cfg":
                text = _settings(arguments, overrides, number if arguments.varies else None)
            else:
                what = arguments.value("--info", "-i")
                text = "\n\n".join(_facts(loader, arguments, overrides, what))
            print(text)  # noqa: T201 - as above
    return Exit.DONE


def _settings(arguments: Arguments, overrides: Sequence[str], number: int | None) -> str:
    """Return what `--cfg` asks for, as YAML."""
    cfg = compose(arguments, overrides, number)
    part = arguments.value("--cfg", "-c")
    shown = OmegaConf.masked_copy(cfg, "hydra") if part == "hydra" else cfg
    shown = settings_of(cfg) if part == "job" else shown
    package = arguments.value("--package", "-p")
    resolve = "--resolve" in arguments.flags
    if not package:
        return OmegaConf.to_yaml(shown, resolve=resolve).rstrip()
    found = OmegaConf.select(shown, package)
    if found is None:
        raise ConfigError(f"--package {package}: there are no such settings")
    text = OmegaConf.to_yaml(found, resolve=resolve) if OmegaConf.is_config(found) else str(found)
    return f"# @package {package}\n{text.rstrip()}"


def _facts(
    loader: ConfigLoader, arguments: Arguments, overrides: Sequence[str], what: str
) -> Iterator[str]:
    """Yield what `--info` asks for, a block each."""
    facts: dict[str, Callable[[], str]] = {
        "plugins": _plugins,
        "searchpath": lambda: _search_path(loader),
        "defaults": lambda: _defaults(loader, overrides),
        "defaults-tree": lambda: "\n".join(_tree(_listed(loader, overrides).defaults_tree, "")),
        "config": lambda: OmegaConf.to_yaml(compose(arguments, overrides)).rstrip(),
    }
    for name, fact in facts.items():
        if what in (name, "all"):
            yield f"# {name}\n{fact()}"


def _plugins() -> str:
    return "\n".join(sorted(plugin.__name__ for plugin in Plugins.instance().discover()))


def _search_path(loader: ConfigLoader) -> str:
    return "\n".join(
        f"{item.provider}: {item.path}" for item in loader.get_search_path().get_path()
    )


def _listed(loader: ConfigLoader, overrides: Sequence[str]) -> Any:
    return loader.compute_defaults_list(CONFIG_NAME, list(overrides), RunMode.RUN)


def _defaults(loader: ConfigLoader, overrides: Sequence[str]) -> str:
    return "\n".join(
        f"{item.config_path} (package {item.package or '_global_'})"
        for item in _listed(loader, overrides).defaults
    )


def _tree(node: DefaultsTreeNode | Any, indent: str) -> Iterator[str]:
    default: Any = node.node if isinstance(node, DefaultsTreeNode) else node
    name = default.get_config_path() if not default.is_virtual() else "<root>"
    yield f"{indent}{'_self_' if default.is_self() else name}"
    for child in (node.children or ()) if isinstance(node, DefaultsTreeNode) else ():
        yield from _tree(child, f"{indent}  ")


def _complete(loader: ConfigLoader, request: str) -> None:
    """Install, remove or answer tab completion of a shell.

    Raises:
        ConfigError: no such request or shell.
    """
    command, _, shell = request.partition("=")
    plugins = {
        plugin.provides(): plugin
        for plugin in Plugins.instance().discover(CompletionPlugin)
        if issubclass(plugin, CompletionPlugin)
    }
    if command not in ("install", "uninstall", "query") or shell not in plugins:
        raise ConfigError(
            f"--shell-completion {request}: write install=SHELL, uninstall=SHELL or query=SHELL",
            hint=f"Shells: {', '.join(sorted(plugins))}",
        )
    plugin = plugins[shell](loader)
    if command == "query":
        if "COMP_LINE" not in os.environ:
            raise ConfigError("query= is for shells: they put the words typed so far in COMP_LINE")
        plugin.query(config_name=CONFIG_NAME)
    elif command == "install":
        plugin.install()
    else:
        plugin.uninstall()
