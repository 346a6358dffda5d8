"""The dotted keys of the settings, and what to say of one that does not exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runner.config.files import GROUPS

_SECRET_WORDS = re.compile(r"key|token|uri|password|passwd|secret", re.IGNORECASE)


def declared(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting and section that a model declares, by dotted key, in its order."""
    for name, field in model.model_fields.items():
        yield prefix + name, field
        if is_section(field):
            yield from declared(field.annotation, f"{prefix}{name}.")  # type: ignore[arg-type]  # is_section looked


def is_section(field: FieldInfo) -> bool:
    """Whether a field holds settings of its own."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


@cache
def known_keys(model: type[BaseModel]) -> dict[str, bool]:
    """Return every dotted key, and whether names of one's own may follow it."""
    return {key: get_origin(field.annotation) is dict for key, field in declared(model)}


@cache
def text_keys(model: type[BaseModel]) -> frozenset[str]:
    """Return the dotted keys of the settings whose values are text."""
    return frozenset(key for key, field in declared(model) if field.annotation in (str, str | None))


def defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return every setting with its default, as YAML has it."""
    return {
        name: defaults(field.annotation)  # type: ignore[arg-type]  # is_section looked
        if is_section(field)
        else _as_yaml(field)
        for name, field in model.model_fields.items()
    }


def _as_yaml(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, Enum):
        return default.value
    # A list that must not be empty if it is given is null until then.
    is_given = default or not any(hasattr(item, "min_length") for item in field.metadata)
    return default if is_given else None


def allowed_values(field: FieldInfo) -> list[str]:
    """Return the words that a setting may be; none if it takes other values."""
    kinds = [kind for kind in (*get_args(field.annotation), field.annotation) if _is_enum(kind)]
    return [str(item.value) for kind in kinds for item in kind]


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def bounds_of(field: FieldInfo) -> tuple[float, float, str] | None:
    """Return the lowest and the highest value of a setting, and their unit; None without."""
    lowest = [item.ge for item in field.metadata if hasattr(item, "ge")]
    highest = [item.le for item in field.metadata if hasattr(item, "le")]
    extra = field.json_schema_extra
    unit = extra.get("unit", "") if isinstance(extra, dict) else ""
    return (lowest[0], highest[0], str(unit)) if lowest and highest else None


def mapping_of(key: str, model: type[BaseModel]) -> str | None:
    """Return the setting, itself or above the key, that holds names of one's own; None without."""
    parts = key.split(".")
    above = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next((name for name in above if known_keys(model).get(name)), None)


def unknown_key(key: str, model: type[BaseModel]) -> str:
    """Return what to say about a group or key that does not exist. Values are not repeated."""
    message = f"no group or key '{key}'"
    names = [*known_keys(model), "profile"]
    parent, _, leaf = key.rpartition(".")
    leaves = [name.rpartition(".")[2] for name in names]
    if _SECRET_WORDS.search(leaf) and leaf not in leaves:
        return (
            f"{message}: keys and addresses are no settings, so that they end up in no file\n"
            "set the key of the source (see --help) and MONGO_URI in the environment or in .env"
        )
    inside = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == parent]
    close = difflib.get_close_matches(leaf, inside, n=1, cutoff=0.6 if parent else 0.75)
    meant = [f"{parent}.{close[0]}".lstrip(".")] if close else []
    meant = meant or [name for name, last in zip(names, leaves, strict=True) if last == leaf]
    if not meant and inside and parent:
        return f"{message}; {parent} has: {', '.join(inside)}"
    meant = meant or difflib.get_close_matches(key, names, n=1, cutoff=0.75)
    if meant:
        return f"{message}; did you mean {' or '.join(repr(name) for name in meant)}?"
    groups = ", ".join((*GROUPS, "dry_run", "log_level"))
    return f"{message}; there are {groups} (see --help)"
