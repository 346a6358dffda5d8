"""Secrets at the edge: read once from the environment or `.env`, never printed, masked as a net."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from dotenv import dotenv_values

MASK = "***"
NAMES = ("AQICN_API_KEY", "OPENAQ_API_KEY", "MONGO_URI")
"""The environment variables whose values must reach no file, log, notebook or traceback."""

_SHORTEST_MASKED = 4
"""Values shorter than this are not searched for in text: masking "a" would garble every line."""


class Secret:
    """A value that prints as `***`. The value is reached by calling `reveal`, and only there."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, to be used at the last moment and stored nowhere."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[object, ...]:
        msg = "a secret does not pickle; pass it by name and read it where it is used"
        raise TypeError(msg)


def without(secret: Secret, text: str) -> str:
    """Return text from outside with a secret masked, however it is spelt there."""
    value = secret.reveal()
    if not value:
        return text
    longest_first = sorted(_spellings(value), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), MASK, text)


class Environment:
    """The settings a person keeps out of YAML: process environment first, then `.env`.

    Attributes:
        values: every setting found, secrets included; never log this.
        dotenv: the `.env` file that was looked at, whether or not it exists.
    """

    __slots__ = ("dotenv", "values")

    def __init__(self, values: Mapping[str, str], dotenv: Path) -> None:
        self.values = dict(values)
        self.dotenv = dotenv

    @classmethod
    def read(cls, directory: Path | None = None) -> Environment:
        """Read the process environment and `.env` in the directory (default: the current one).

        `.env` values are not exported, so child processes do not inherit them.
        """
        dotenv = (directory or Path.cwd()) / ".env"
        found = dotenv_values(dotenv, interpolate=False) if dotenv.is_file() else {}
        merged = {name: value for name, value in found.items() if value}
        merged.update({name: value for name, value in os.environ.items() if value.strip()})
        return cls(merged, dotenv)

    def get(self, name: str, default: str = "") -> str:
        """Return a setting that is not secret."""
        return self.values.get(name, default).strip()

    def secret(self, name: str) -> Secret:
        """Return a secret setting; empty (and false) where it is not set."""
        return Secret(self.values.get(name, "").strip())

    def __repr__(self) -> str:
        return f"Environment({len(self.values)} settings)"


class Redactor:
    """Replaces every known secret value in text by `***`."""

    def __init__(self, environment: Environment) -> None:
        found: set[str] = set()
        for name in NAMES:
            value = environment.secret(name).reveal()
            found |= _spellings(value)
            if "://" in value:
                found |= _uri_credentials(value)
        found = {value for value in found if len(value) >= _SHORTEST_MASKED}
        longest_first = sorted(found, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def _spellings(value: str) -> set[str]:
    """Return the forms in which a value may turn up: as it is, quoted, unquoted."""
    plain = {value, unquote(value), unquote_plus(value)}
    return {
        spelling
        for text in plain
        for spelling in (
            text,
            quote(text, safe=""),
            quote(text),
            quote_plus(text),
            repr(text)[1:-1],
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
        )
    }


def _uri_credentials(uri: str) -> set[str]:
    """Return the spellings of the password, which may hold what it should not: / ? # [ or @."""
    login, at, _host = uri.partition("://")[2].rpartition("@")
    return _spellings(login.partition(":")[2]) if at else set()
