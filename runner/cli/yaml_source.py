"""Private YAML files as Hydra reads them: with a byte order mark, without a key twice or a bomb."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from runner.cli.arguments import literal
from runner.config.files import load_yaml
from runner.core.errors import ConfigError

LARGEST_FILE = 2**20
"""Bytes. The bundled station groups together take 10 KB."""
MOST_NODES = 100_000
"""Values of a file, every use of an anchor counted."""
DEEPEST = 20
"""Levels of nesting; the settings have four."""

_PACKAGE = re.compile(r"\s*#\s*@package\s+(\S+)\s*(?:\n|$)")


class PrivateYaml(ConfigSource):
    """A directory of YAML files, `private://DIR` in Hydra's search path.

    Hydra's own `file://` does not see the `# @package` line behind the byte order mark that Windows
    editors write, and takes the second of two equal keys that are numbers, as station ids are.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        # Hydra stores the path as a setting, and so it comes with every `${` escaped.
        self._root = Path(OmegaConf.create({"path": self.path}).path)

    @staticmethod
    def scheme() -> str:
        """Return what the search path calls such directories."""
        return "private"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file.

        Raises:
            ConfigError: it is too large, or its defaults name a file elsewhere.
            ConfigLoadError: there is no such file.
            yaml.YAMLError: it is no YAML, or has a key twice.
        """
        path = self._file(config_path)
        if not path.is_file():
            raise ConfigLoadError(f"there is no {path}")
        _check_size(path)
        with path.open(encoding="utf-8-sig") as file:
            package = _PACKAGE.match(file.read())
            file.seek(0)
            load_yaml(file)  # for what it refuses
            file.seek(0)
            content = OmegaConf.load(file)
        defaults = content.get("defaults") if isinstance(content, DictConfig) else None
        if ".." in str(defaults):  # Hydra would follow it out of the directory
            raise ConfigError(f"{path}: '..' in defaults is neither a group nor an option")
        header = {"package": package[1] if package else None}
        return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", content, header)

    def available(self) -> bool:
        """Whether the directory exists."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Whether a folder of that name exists."""
        return Path(self._root, config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether a file of that name exists."""
        return self._file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of the files and folders in a folder."""
        names: list[str] = []
        for path in sorted(Path(self._root, config_path).iterdir()):
            inside = str(Path(config_path, path.name))
            self._list_add_result(names, inside, path.name, results_filter)
        return sorted(set(names))

    def _file(self, config_path: str) -> Path:
        return Path(self._root, f"{config_path.removesuffix('.yaml')}.yaml")


class PrivateDirectory(SearchPathPlugin):
    """Adds the private directory to the search path, whatever characters its name has."""

    _directory: ClassVar[Path | None] = None

    @classmethod
    @contextmanager
    def searched(cls, directory: Path | None) -> Iterator[None]:
        """Let Hydra search a directory if it is opened before the block ends."""
        before, cls._directory = cls._directory, directory
        try:
            yield
        finally:
            cls._directory = before

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the directory after the built-in ones."""
        if self._directory is not None:
            search_path.append(
                "command-line", f"{PrivateYaml.scheme()}://{literal(str(self._directory))}"
            )


def _check_size(path: Path) -> None:
    """Refuse a file whose content is larger than a person writes, anchors expanded.

    Raises:
        ConfigError: naming the file.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise ConfigError(f"{path}: larger than {LARGEST_FILE >> 20} MB")
    try:
        with path.open(encoding="utf-8-sig") as file:
            _weigh(yaml.compose(file, Loader=yaml.SafeLoader), {}, DEEPEST)
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error


def _weigh(node: yaml.Node | None, known: dict[int, int], levels: int) -> int:
    """Return the number of values below a node, those of an anchor at every use.

    Raises:
        RecursionError: too deep, in itself, or too many values.
    """
    if levels == 0:
        raise RecursionError
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    key = id(node)
    if key not in known:
        known[key] = MOST_NODES  # until it is known: one that holds itself has no end
        known[key] = 1 + sum(_weigh(child, known, levels - 1) for child in _children(node))
    if known[key] > MOST_NODES:
        raise RecursionError
    return known[key]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for item in node.value:
        if isinstance(item, tuple):
            yield from item
        else:
            yield item


Plugins.instance().register(PrivateYaml)
Plugins.instance().register(PrivateDirectory)
