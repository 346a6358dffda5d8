"""What private YAML files may say: the settings of a job. Neither code, nor Hydra, nor secrets.

A profile may come from a colleague whom nobody checked. Hydra makes objects of any class that YAML
names (`_target_`, `class`, `()`), copies environment variables into files (`env_copy`) and sets
them (`env_set`); all of that is reached through its own section, which therefore stays closed. So
that nothing slips through, the files are read as YAML nodes, before Hydra sees them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from omegaconf import OmegaConf
from omegaconf.resolvers.oc import env as environment_variable

from runner.config.settings import Config
from runner.config.source import KEYS, LOOPBACK
from runner.core.errors import ConfigError
from runner.process.secrets import NAMES, Redactor

LARGEST_FILE = 2**20
"""Bytes. The bundled station groups together take 10 KB."""
MOST_NODES = 100_000
"""Values of a file, every use of an anchor counted."""
DEEPEST = 20
"""Levels of nesting; the settings have four."""

_PROGRAM = "mongo.embedded.binary"
_ADDRESS = "source.base_url"
_CLEAR = "source.allow_http"
_PACKAGE = re.compile(r"\s*#\s*@.*hydra", re.IGNORECASE)


def check_harmless(directory: Path) -> None:
    """Refuse private files that could do more than configure a job, whether chosen or not.

    Files that are no YAML pass: Hydra refuses them, if they are chosen at all.

    Raises:
        ConfigError: names the file, and what it may not say.
    """
    for path in _files(directory):
        slip = next(_slips(path, path.relative_to(directory)), None)
        if slip:
            raise ConfigError(
                f"{path}: {slip}",
                hint="A private file holds the settings of a job and nothing else",
            )


def check_typed(config: Config, overrides: Sequence[str]) -> None:
    """Refuse what only the command line may set: a program to run, and where the key goes.

    Raises:
        ConfigError: a file sets it.
    """
    typed = {word.lstrip("+").partition("=")[0] for word in overrides}
    if config.mongo.embedded.binary is not None and _PROGRAM not in typed:
        raise ConfigError(
            f"{_PROGRAM} names a program to run: no file may do that",
            hint=f"Write it on the command line: {_PROGRAM}=PATH",
        )
    source = config.source
    if source.kind not in KEYS:
        return
    name, known_host = KEYS[source.kind]
    url = urlsplit(source.base_url)
    if url.hostname in LOOPBACK:
        return
    if url.hostname != known_host and _ADDRESS not in typed:
        raise ConfigError(
            f"{_ADDRESS}={source.base_url}: {name} belongs to {known_host}, and no file may send "
            f"it to {url.hostname}",
            hint="If it may go there, write on the command line: "
            + shlex.quote(f"{_ADDRESS}={source.base_url}"),
        )
    if url.scheme == "http" and _CLEAR not in typed:
        raise ConfigError(
            f"{_CLEAR}=true sends {name} to {url.hostname} in the clear: no file may do that",
            hint=f"If it may travel so, write on the command line: {_CLEAR}=true",
        )


def keep_secrets_out(redact: Redactor) -> None:
    """Let `${oc.env:…}` give no secret, by whatever name, from now on."""

    def guarded(name: str, *default: str | None) -> str | None:
        value = environment_variable(name, *default)
        if name in NAMES or (value is not None and redact(value) != value):
            msg = f"secret {name} is never a setting"
            raise ValueError(msg)
        return value

    OmegaConf.register_new_resolver("oc.env", guarded, replace=True)


def _files(directory: Path) -> Iterator[Path]:
    """Yield every YAML file in reach, also behind links, each directory once."""
    seen: set[str] = set()
    for where, names, files in os.walk(directory, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        yield from (Path(where, name) for name in sorted(files) if name.endswith(".yaml"))


def _slips(path: Path, relative: Path) -> Iterator[str]:
    if any("hydra" in part.casefold() for part in relative.parts):
        yield "Hydra's own files cannot be replaced"
    if not path.is_file():  # a pipe, or a link to nowhere
        return
    if path.stat().st_size > LARGEST_FILE:
        yield f"larger than {LARGEST_FILE >> 20} MB"
        return
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if any(map(_PACKAGE.match, text.splitlines())):
        yield "its @package is Hydra's own section"
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _weigh(root, {}, DEEPEST)
    except RecursionError:
        yield "nested too deeply"
    except yaml.YAMLError:
        return
    else:
        yield from _nodes(root, set())


def _weigh(node: yaml.Node | None, known: dict[int, int], levels: int) -> int:
    """Return the values below a node, those of an anchor at every use.

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


def _nodes(node: yaml.Node | None, seen: set[int]) -> Iterator[str]:
    """Yield what the keys say that they may not; every node once."""
    if node is None or isinstance(node, yaml.ScalarNode) or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _key(str(key.value), value)
    for child in _children(node):
        yield from _nodes(child, seen)


def _key(name: str, value: yaml.Node) -> Iterator[str]:
    if name == "_target_":
        yield "_target_ names code to run"
    elif name == "hydra":
        yield "the section 'hydra' is not a private file's to set"
    elif name == "defaults":
        for text in _texts(value):
            if "hydra" in text.casefold() or ".." in text or "$" in text:
                yield f"in defaults, {text[:60]!r} is neither a group nor an option"


def _texts(node: yaml.Node) -> Iterator[str]:
    """Yield every scalar at or below a node, which `_weigh` found small enough."""
    if isinstance(node, yaml.ScalarNode):
        yield str(node.value)
    else:
        for child in _children(node):
            yield from _texts(child)
