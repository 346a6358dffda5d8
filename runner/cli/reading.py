"""What Hydra composed, as checked settings: from here on nobody knows Hydra."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runner.cli.private import check_typed
from runner.config.files import file_that_says, profile_slips, standard_checks
from runner.config.keys import defaults
from runner.config.quality import CheckRule
from runner.config.read import read
from runner.config.settings import Config
from runner.core.errors import ConfigError
from runner.sources.settings import all_settings


def _every_default() -> dict[str, Any]:
    """Return all settings with their defaults: Hydra refuses keys that it has not seen before."""
    made = defaults(all_settings())
    made["quality"]["checks"] = {check_id: defaults(CheckRule) for check_id in standard_checks()}
    return made


ConfigStore.instance().store(name="base_settings", node=_every_default())


def read_job(
    cfg: DictConfig,
    overrides: Sequence[str],
    private_dir: Path | None = None,
    now: datetime | None = None,
) -> Config:
    """Return the checked settings of a job.

    Args:
        cfg: as Hydra composed it, unresolved.
        overrides: of the job, as typed.
        private_dir: directory of private YAML files; a file that says what is wrong is named.
        now: the present, aware; None for now.

    Raises:
        ConfigError: everything that is wrong, a line each.
        OmegaConfBaseException: an interpolation does not work out.
    """
    given = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    if "profile" in given:  # no file says this, but one without its package line is taken so
        _refuse_profile(private_dir)
    typed = frozenset(word.lstrip("+").partition("=")[0] for word in overrides)

    def where(key: str) -> str:
        if private_dir is None or key in typed:
            return ""
        path = file_that_says(key, private_dir, _choices())
        return f"{path}: " if path else ""

    config = read(given, now or datetime.now(UTC), all_settings(), typed=typed, where=where)
    check_typed(config, overrides)
    return config


def _choices() -> dict[str, str]:
    choices = HydraConfig.get().runtime.choices
    return {str(group): str(choices[group]) for group in choices}


def _refuse_profile(private_dir: Path | None) -> None:
    """Raise what is wrong with a profile, if something is.

    Raises:
        ConfigError: how to write it.
    """
    if private_dir is None:
        return
    path = private_dir / "profile" / f"{_choices()['profile']}.yaml"
    for slip in profile_slips(path) if path.is_file() else ():
        raise ConfigError(slip)
