"""Compose the settings of jobs with Hydra's public API.

`hydra.main` reads `sys.argv` and nothing else, while our words are completed first (quotes, short
names, a private directory); so jobs are composed by `hydra.compose`, which also needs no second
composition to find out whether to sweep.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from runner.cli.arguments import Arguments, literal
from runner.cli.yaml_source import PrivateDirectory
from runner.config.files import builtin_dir
from runner.core.errors import ConfigError

# Hydra 1.3 warns without it, 1.4 warns about it.
_VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
CONFIG_NAME = "config"
"""The first YAML file, without its ending."""

_VARYING = ("overrides", "runtime")
"""What Hydra itself writes into its section about a composition."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The overrides of one job of a command line.

    Attributes:
        overrides: all of them, Hydra's own excepted.
        label: those that differ between jobs.
    """

    overrides: tuple[str, ...]
    label: str


@contextmanager
def opened_hydra(arguments: Arguments) -> Iterator[ConfigLoader]:
    """Open Hydra on the built-in files and those of the private directory."""
    before = HydraConfig.instance().cfg
    with (
        PrivateDirectory.searched(arguments.private_dir),
        hydra.initialize_config_dir(str(builtin_dir()), job_name="runner", **_VERSION_BASE),
    ):
        try:
            yield GlobalHydra.instance().config_loader()
        finally:
            HydraConfig.instance().cfg = before


def compose(
    arguments: Arguments, overrides: Sequence[str], number: int | None = None
) -> DictConfig:
    """Return the settings of a job, with Hydra's own section; `${hydra:…}` refers to it.

    Args:
        arguments: of the command line.
        overrides: of the job; Hydra's own included.
        number: of the job in its sweep; None for a single run.

    Raises:
        ConfigError: a private file sets something of Hydra's.
        HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError: as by `explain`.
    """
    cfg = _compose(overrides)
    if arguments.private_dir is not None:
        _check_hydra_section(cfg, overrides, arguments.private_dir)
    with read_write(cfg), open_dict(cfg):
        cfg.hydra.runtime.cwd = literal(str(Path.cwd()))
        if number is not None:
            cfg.hydra.job.id, cfg.hydra.job.num = str(number), number
    HydraConfig.instance().set_config(cfg)
    return cfg


def settings_of(cfg: DictConfig) -> DictConfig:
    """Return a composition without Hydra's own section."""
    settings = cfg.copy()
    with read_write(settings), open_dict(settings):
        del settings["hydra"]
    return settings


def is_of_hydra(word: str) -> bool:
    """Whether an override sets something of Hydra's own."""
    return word.lstrip("+~").startswith(("hydra.", "hydra/"))


def expand(loader: ConfigLoader, words: Sequence[str]) -> list[Choice]:
    """Return a choice for each job that a command line with `-m` stands for, in order.

    Raises:
        ConfigError: nothing to choose from, or a setting of Hydra's is to vary.
        HydraException: a word cannot be read.
    """
    values: dict[str, list[str]] = {}
    varying: set[str] = set()
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(words)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            if not is_of_hydra(key):
                values[key] = [f"{key}={override.get_value_element_as_str()}"]
            continue
        if is_of_hydra(key) or not override.is_discrete_sweep():
            raise ConfigError(
                f"{override.input_line}: no setting to sweep over",
                hint="Sweep over settings of jobs, with a,b or range(8) or glob(*)",
            )
        values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        varying.add(key)
        if not values[key]:
            raise ConfigError(f"{override.input_line} matches no option: there is no job to run")
    jobs = []
    for overrides in itertools.product(*values.values()):
        label = [word for key, word in zip(values, overrides, strict=True) if key in varying]
        jobs.append(Choice(overrides, " ".join(label or overrides)))
    return jobs


def _compose(overrides: Sequence[str]) -> DictConfig:
    # Hydra stores the name of the working directory as a setting, where `${` begins a reference.
    with chdir("/"):
        try:
            return hydra.compose(CONFIG_NAME, list(overrides), return_hydra_config=True)
        except KeyError as error:  # hydra.job.env_copy of a variable that is not set
            raise ConfigError(f"{error}: {_CLOSED}") from error


_CLOSED = "the section 'hydra' is not a private file's to set"


def _check_hydra_section(cfg: DictConfig, overrides: Sequence[str], private_dir: Path) -> None:
    """Refuse private files that change Hydra's section: it names code to run and files to write.

    Raises:
        ConfigError: naming what they set, and the files.
    """
    built_in = _hydra_section(_compose([word for word in overrides if is_of_hydra(word)]))
    found = _hydra_section(cfg)
    changed = sorted(key for key in found | built_in if found.get(key) != built_in.get(key))
    if changed:
        choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
        files = [
            str(path)
            for group, name in cast("dict[str, Any]", choices).items()
            if (path := private_dir / group / f"{name}.yaml").is_file()
        ]
        raise ConfigError(
            f"hydra.{changed[0]}: {_CLOSED}",
            hint=f"A private file holds the settings of a job and nothing else: {', '.join(files)}",
        )


def _hydra_section(cfg: DictConfig) -> dict[str, Any]:
    section = cast("dict[str, Any]", OmegaConf.to_container(cfg.hydra, resolve=False))
    choices = section["runtime"]["choices"].items()
    section["job"].pop("override_dirname", None)  # of Hydra 1.3 only
    section |= {f"choice of {group}": name for group, name in choices if is_of_hydra(str(group))}
    return {key: value for key, value in section.items() if key not in _VARYING}
