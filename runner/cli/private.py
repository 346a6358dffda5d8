"""What no private YAML file may decide: a program to run, where a key goes, a secret as a setting.

Hydra's own section is compared in `compose`; the size of the files is checked as they are read.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import urlsplit

import omegaconf
from omegaconf import OmegaConf
from omegaconf.resolvers.oc import env as environment_variable

from runner.config.settings import Config
from runner.config.source import LOOPBACK
from runner.core.errors import ConfigError
from runner.process.secrets import Redactor
from runner.sources import providers

_PROGRAM = "mongo.embedded.binary"
_ADDRESS = "source.base_url"
_CLEAR = "source.allow_http"


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
    key = providers()[source.kind].key
    if key is None:
        return
    url = urlsplit(source.base_url)
    if url.hostname in LOOPBACK:
        return
    if url.hostname != key.host and _ADDRESS not in typed:
        raise ConfigError(
            f"{_ADDRESS}={source.base_url}: {key.variable} belongs to {key.host}, and no file may "
            f"send it to {url.hostname}",
            hint="If it may go there, write on the command line: "
            + shlex.quote(f"{_ADDRESS}={source.base_url}"),
        )
    if url.scheme == "http" and _CLEAR not in typed:
        raise ConfigError(
            f"{_CLEAR}=true sends {key.variable} to {url.hostname} in the clear: no file may do "
            "that",
            hint=f"If it may travel so, write on the command line: {_CLEAR}=true",
        )


def keep_secrets_out(redact: Redactor) -> None:
    """Let `${oc.env:…}` give no secret, by whatever name, from now on."""

    def guarded(name: str, *default: str | None) -> str | None:
        value = environment_variable(name, *default)
        if name in redact.names or (value is not None and redact(value) != value):
            msg = f"secret {name} is never a setting"
            raise ValueError(msg)
        return value

    # OmegaConf 2.4 renames the method; in 2.3 the new name is that of an older one.
    is_old = omegaconf.__version__.startswith("2.3.")
    register = getattr(OmegaConf, "register_new_resolver" if is_old else "register_resolver")
    register("oc.env", guarded, replace=True)
