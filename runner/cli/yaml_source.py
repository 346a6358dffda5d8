"""Private YAML files as Hydra reads them: with a byte order mark, without a key twice."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from runner.config.files import load_yaml

_PACKAGE = re.compile(r"\s*#\s*@package\s+(\S+)\s*(?:\n|$)")


class PrivateYaml(ConfigSource):
    """A directory of YAML files, `private://DIR` in Hydra's search path.

    Hydra's own `file://` does not see the `# @package` line behind the byte order mark that Windows
    editors write, and takes the second of two equal keys that are numbers, as station ids are.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, unquote(path))

    @staticmethod
    def scheme() -> str:
        """Return what the search path calls such directories."""
        return "private"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file.

        Raises:
            ConfigLoadError: there is no such file.
            yaml.YAMLError: it is no YAML, or has a key twice.
        """
        path = self._file(config_path)
        if not path.is_file():
            raise ConfigLoadError(f"there is no {path}")
        with path.open(encoding="utf-8-sig") as file:
            package = _PACKAGE.match(file.read())
            file.seek(0)
            load_yaml(file)  # for what it refuses
            file.seek(0)
            content = OmegaConf.load(file)
        header = {"package": package[1] if package else None}
        return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", content, header)

    def available(self) -> bool:
        """Whether the directory exists."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Whether a folder of that name exists."""
        return Path(self.path, config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether a file of that name exists."""
        return self._file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of the files and folders in a folder."""
        names: list[str] = []
        for path in sorted(Path(self.path, config_path).iterdir()):
            inside = str(Path(config_path, path.name))
            self._list_add_result(names, inside, path.name, results_filter)
        return sorted(set(names))

    def _file(self, config_path: str) -> Path:
        return Path(self.path, self._normalize_file_name(config_path))
