"""The dotted keys of the settings, and what to say of one that does not exist."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import get_origin, get_type_hints

from runner.config.files import GROUPS
from runner.config.settings import Config

_SECRET_WORDS = re.compile(r"key|token|uri|password|passwd|secret", re.IGNORECASE)


@cache
def known_keys() -> dict[str, bool]:
    """Return every dotted key of the schema, and whether names of one's own may follow it."""
    return {key: get_origin(hint) is dict for key, hint in _hints(Config, "")}


@cache
def text_keys() -> frozenset[str]:
    """Return the dotted keys of the schema whose values are text."""
    return frozenset(key for key, hint in _hints(Config, "") if hint in (str, str | None))


def _hints(kind: type, prefix: str) -> Iterator[tuple[str, object]]:
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        yield prefix + field.name, hint
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield from _hints(hint, f"{prefix}{field.name}.")


def mapping_of(key: str) -> str | None:
    """Return the setting, itself or above the key, that holds names of one's own; None without."""
    parts = key.split(".")
    above = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next((name for name in above if known_keys().get(name)), None)


def unknown_key(key: str) -> str:
    """Return what to tell about a group or key that does not exist. Values are not repeated."""
    told = f"no group or key '{key}'"
    names = [*known_keys(), "profile"]
    parent, _, leaf = key.rpartition(".")
    leaves = [name.rpartition(".")[2] for name in names]
    if _SECRET_WORDS.search(leaf) and leaf not in leaves:
        return (
            f"{told}: keys and addresses are no settings, so that they end up in no file\n"
            "set AQICN_API_KEY and MONGO_URI in the environment or in .env"
        )
    inside = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == parent]
    close = difflib.get_close_matches(leaf, inside, n=1, cutoff=0.6 if parent else 0.75)
    meant = [f"{parent}.{close[0]}".lstrip(".")] if close else []
    meant = meant or [name for name, last in zip(names, leaves, strict=True) if last == leaf]
    if not meant and inside and parent:
        return f"{told}; {parent} has: {', '.join(inside)}"
    meant = meant or difflib.get_close_matches(key, names, n=1, cutoff=0.75)
    if meant:
        return f"{told}; did you mean {' or '.join(repr(name) for name in meant)}?"
    groups = ", ".join((*GROUPS, "dry_run", "log_level"))
    return f"{told}; there are {groups} (see --help)"
