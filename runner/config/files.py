"""The YAML files a person chooses from: the built-in ones and those of a private directory."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import yaml

from runner.core.errors import ConfigError

GROUPS = {
    "job": "what to do",
    "stations": "for which stations",
    "backfill": "for which hours",
    "rate_limit": "how fast",
    "source": "where readings come from",
    "mongo": "where they go",
    "country": "what job=stations keeps to",
    "quality": "how they are checked",
    "report": "what is made of it",
    "profile": "presets for a whole run",
}
"""The groups a person chooses from, and the question each answers."""

SCHEMAS = (*GROUPS, "config")
"""JSON Schemas in conf/schema/: of the files of a group, and of conf/config.yaml."""

PRIVATE_DIR_VARIABLE = "RUNNER_CONF_DIR"
PACKAGE_LINE = "# @package _global_"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""For our own files: in C where PyYAML has it, ten times as fast."""


_ABSENT = object()


@cache
def builtin_dir() -> Path:
    """Return the directory of the built-in files: inside an installed package, else beside it."""
    here = Path(__file__).resolve().parents[1]
    packaged = here / "conf"
    return packaged if packaged.is_dir() else here.parent / "conf"


@cache
def builtin_schema() -> dict[str, Any]:
    """Return the generated schema of all settings: quicker to read than to declare them."""
    text = (builtin_dir() / "schema" / "profile.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@dataclass(frozen=True, slots=True)
class Option:
    """One file to choose: `group=name`.

    Attributes:
        group: its folder.
        name: its name without `.yaml`.
        path: the file.
        description: its first comment line.
    """

    group: str
    name: str
    path: Path
    description: str


def options(directory: Path) -> Iterator[Option]:
    """Yield the options of all groups, in the order of GROUPS and then by name."""
    for group in GROUPS:
        for path in sorted((directory / group).glob("*.yaml")):
            yield Option(group, path.stem, path, _description(path))


def _description(path: Path) -> str:
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            return line.lstrip("# ").strip()
    return ""


@cache
def bundled_stations() -> dict[int, str]:
    """Return every station that the built-in groups name: index to name."""
    found: dict[int, str] = {}
    for path in sorted((builtin_dir() / "stations").glob("*.yaml")):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {}  # noqa: S506 - a safe one
        found.update(content.get("named", {}))
    return found


@cache
def station_group(name: str) -> frozenset[int] | None:
    """Return the stations that a built-in group names; None if there is no such group."""
    path = builtin_dir() / "stations" / f"{name}.yaml"
    if Path(name).name != name or not path.is_file():
        return None
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {}  # noqa: S506 - a safe one
    return frozenset(content.get("named", ())) or None


@cache
def standard_checks() -> dict[str, dict[str, Any]]:
    """Return the rule of every check, as `conf/quality/standard.yaml` has it."""
    text = (builtin_dir() / "quality" / "standard.yaml").read_text(encoding="utf-8")
    checks: dict[str, dict[str, Any]] = yaml.load(text, Loader=_LOADER)["checks"]  # noqa: S506 - a safe one
    return checks


def check_private(directory: Path) -> None:
    """Refuse a private directory that does not exist or whose files would not be used.

    Raises:
        ConfigError: it is missing, or a file has the name of a built-in one, which would win.
    """
    if not directory.is_dir():
        raise ConfigError(
            f"the directory of private YAML files does not exist: {directory}",
            hint=f"It comes from --config-dir or {PRIVATE_DIR_VARIABLE}",
        )
    if directory.resolve() == builtin_dir():
        return
    for group in ("", *(path.name for path in builtin_dir().iterdir() if path.is_dir())):
        for path in sorted((directory / group).glob("*.yaml")):
            builtin = builtin_dir() / group / path.name
            if builtin.exists():
                raise ConfigError(
                    f"{path}\nhas the name of a built-in file, which would be used:\n{builtin}",
                    hint="Rename yours",
                )


def file_that_says(key: str, directory: Path, choices: Mapping[str, str]) -> Path | None:
    """Return the private file that sets a key; None if none of the chosen ones does.

    Args:
        key: dotted.
        directory: of private files.
        choices: option of each group, or several as `[one,other]`.
    """
    for group in reversed(GROUPS):  # a profile comes last, and changes all others
        for name in re.findall(r"[^\s,\[\]]+", choices.get(group, "")):
            path = directory / group / f"{name}.yaml"
            if not path.is_file():
                continue
            text = path.read_text(encoding="utf-8-sig")
            content: Any = load_yaml(text)
            names = key.partition("[")[0].split(".")
            if not text.startswith(PACKAGE_LINE):
                names = names[1:] if names[0] == group else []
            for part in names:
                content = content.get(part, _ABSENT) if isinstance(content, dict) else _ABSENT
            if names and content is not _ABSENT:
                return path
    return None


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping; YAML itself would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        seen: set[Hashable] = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    "while constructing a mapping",
                    node.start_mark,
                    f"found duplicate key {key_node.value}",
                    key_node.start_mark,
                )
            seen |= {key} if isinstance(key, Hashable) else set()
        return super().construct_mapping(node, deep)

    def construct_text(self, node: yaml.ScalarNode) -> str:
        return str(node.value)


# A date is text here, as for OmegaConf: 2022-13-01 is refused in the words of its setting.
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _StrictLoader.construct_text)


def load_yaml(file: TextIO | str) -> Any:
    """Return YAML as plain values; a key that stands twice is refused, whatever its type.

    Raises:
        yaml.YAMLError: naming file, line and key; also for what is no YAML.
    """
    return yaml.load(file, Loader=_StrictLoader)  # noqa: S506 - a safe one


def wrong_ending(directories: Sequence[Path], group: str, name: str) -> Path | None:
    """Return the file of an option that ends in `.yml`, where Hydra looks for `.yaml` only."""
    candidates = [directory / group / f"{name}.yml" for directory in directories]
    return next((path for path in candidates if path.exists()), None)


def profile_slips(path: Path) -> Iterator[str]:
    """Yield what people get wrong in a profile file, each with the way to write it."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if re.sub(r"\s", "", text.lstrip().split("\n")[0]) != re.sub(r"\s", "", PACKAGE_LINE):
        yield f"{path}: the first line must be\n{PACKAGE_LINE}"
    try:
        content = load_yaml(text)
    except yaml.YAMLError:
        return  # reported with line and column when the file is composed
    entries = content.get("defaults", []) if isinstance(content, dict) else []
    if not isinstance(entries, list):
        yield f"{path}: defaults is a list; write\ndefaults:\n  - override /stations: hanoi"
        return
    for entry in entries:
        if isinstance(entry, dict):
            for key, option in entry.items():
                yield from _default_slips(path, str(key), option)
        elif "=" in str(entry):
            key, _, option = str(entry).partition("=")
            yield from _default_slips(path, f"{key}=", option)


def _default_slips(path: Path, key: str, option: Any) -> Iterator[str]:
    """Yield what is wrong with an entry; a key that ends in `=` was written `key=option`."""
    words = key.split()
    group = words[-1].strip("/=") if words else ""
    known = tuple(GROUPS)
    if group.startswith("hydra"):
        return
    if group not in known:
        close = difflib.get_close_matches(group, known, n=1)
        meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        yield f"{path}: in defaults, there is no group '{group}'; {meant}"
    elif words != ["override", f"/{group}"]:
        shown = f"[{', '.join(map(str, option))}]" if isinstance(option, list) else option
        typed = f"{key}{shown}" if key.endswith("=") else f"{key}: {shown}"
        right = f"override /{group}: {shown}"
        yield f"{path}: in defaults, instead of\n  - {typed}\nwrite\n  - {right}"
