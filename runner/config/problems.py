"""Plain settings to checked ones, or all that is wrong with them, each in a line of its own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import takewhile
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from runner.config.files import GROUPS
from runner.config.keys import allowed_values, bounds_of, declared, mapping_of, unknown_key
from runner.config.section import Section

_Model = TypeVar("_Model", bound=Section)
_Place = tuple[int | str, ...]

_LONGEST_VALUE = 60
_USER = re.compile(r"(?<=://)[^/@]*@")

_WORDS = {
    "bool_parsing": "={value}: allowed are true and false",
    "bool_type": "={value}: allowed are true and false",
    "dict_type": ": write names and values (name: value), no list and no single value",
    "float_parsing": "={value} is not a number",
    "finite_number": "={value} is not a number",
    "float_type": "={value} is not a number",
    "int_from_float": "={value} is not a whole number",
    "int_parsing": "={value} is not a whole number",
    "int_parsing_size": "={value} is not a whole number",
    "int_type": "={value} is not a whole number",
    "list_type": ": write a list, as {key}=[1,2]",
    "string_type": "={value} is not text",
    "too_short": "=[]: name at least one, or leave it out",
    "value_error": ": {reason}",
}
"""What follows the key, by pydantic's type of an error."""


class Problem(NamedTuple):
    """A setting that cannot be as it is: its dotted key; key, value and what is allowed."""

    key: str
    text: str


def examine(given: Mapping[str, Any], model: type[_Model]) -> tuple[_Model, list[Problem]]:
    """Return the settings as objects, and everything that is wrong with them.

    With a problem, the objects hold the default in place of the wrong value: the rules between
    settings can then be looked at, too, and a person hears of everything at once.

    Args:
        given: the settings as plain values.
        model: declares them.
    """
    try:
        config, problems, wrong = model.model_validate(given), [], []
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [_problem(one, model) for one in found]
        wrong = [problem.key for problem in problems]
        config = model.model_validate(_without((one["loc"] for one in found), given))
    for text in _broken(config):
        key = re.split(r"[^\w.]", text, maxsplit=1)[0]
        if not any(f"{key}.".startswith((f"{one}.", f"{one}[")) for one in wrong):
            problems.append(Problem(key, text))
    return config, problems


def _broken(section: Section) -> Iterator[str]:
    for kind in type(section).__mro__:
        if issubclass(kind, Section) and "broken" in vars(kind):
            yield from kind.broken(section)
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _broken(value)


def _without(places: Iterable[_Place], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without the wrong ones; of a list, without the whole list."""
    rest = deepcopy(dict(given))
    for place in places:
        inside: Any = rest
        end = -2 if place[-1] == "[key]" else None
        names = takewhile(lambda part: isinstance(part, str), place[1:end])
        *above, name = (place[0], *names)
        for part in above:
            inside = inside.get(part, {})  # gone already, with another of its mistakes
        inside.pop(name, None)
    return rest


def _problem(error: Mapping[str, Any], model: type[Section]) -> Problem:
    place = error["loc"]
    kind, value = error["type"], error["input"]
    if place[-1] == "[key]":
        key = dotted(place[:-2])
        number = "must be a number, without quotes"
        return Problem(
            key,
            f"{key}: {f'{_shown(place[-2])} {number}' if kind == 'int_type' else _reason(error)}",
        )
    key = dotted(place)
    if kind in ("extra_forbidden", "invalid_key"):  # the latter is a number instead of a name
        text = _unknown(".".join(map(str, place)), model)
    elif value is None:
        text = f"{key} must have a value, it cannot be null or left empty"
    elif kind == "model_type":
        stands = f"; {_shown(value)!r} stands where they belong" if isinstance(value, str) else ""
        text = f"{key} must hold settings (name: value, indented){stands}"
    else:
        field = dict(declared(model)).get(key) or _field_below(place, model)
        text = key + _words(error, key, field)
    return Problem(key, text)


def _words(error: Mapping[str, Any], key: str, field: FieldInfo | None) -> str:
    value = _shown(error["input"])
    kind = error["type"]
    bounds = bounds_of(field) if field else None
    if bounds and kind in ("greater_than_equal", "less_than_equal", "finite_number"):
        return f"={value}: allowed are {bounds[0]:,} to {bounds[1]:,} ({bounds[2]})"
    if kind == "enum" and field is not None:
        allowed = allowed_values(field)
        close = difflib.get_close_matches(value.casefold(), map(str.casefold, allowed), n=1)
        meant = [word for word in allowed if close and word.casefold() == close[0]]
        hint = f"; did you mean {meant[0]}?" if meant else ""
        return f"={value}: allowed are {', '.join(allowed)}{hint}"
    if isinstance(error["input"], dict | list) and kind not in (
        "dict_type",
        "list_type",
        "too_short",
    ):
        return f"={value} is not a single value"
    words = _WORDS.get(kind, "={value}: {reason}")
    return words.format(key=key, value=value, reason=_reason(error))


def _reason(error: Mapping[str, Any]) -> str:
    return str(error.get("ctx", {}).get("error") or error["msg"])


def _field_below(place: _Place, model: type[Section]) -> FieldInfo | None:
    """Return the declaration of a setting inside a list or a mapping of sections."""
    kind: Any = model
    field: FieldInfo | None = None
    for name in place:
        if isinstance(kind, type) and issubclass(kind, Section):
            field = kind.model_fields.get(str(name))
            kind = field.annotation if field else None
        else:
            inner = getattr(kind, "__args__", (None,))
            kind, field = inner[-1], None
    return field


def _unknown(key: str, model: type[Section]) -> str:
    group, _, leaf = key.partition(".")
    if leaf.partition(".")[0] == group and group in GROUPS:
        return f"{key}: leave '{group}:' out, the folder {group}/ says it already"
    if mapping_of(key, model):
        return f"there is no setting '{key}'"
    return unknown_key(key, model)


def dotted(place: _Place) -> str:
    """Return a place inside settings as it is typed: `sandbox.flaws[0].day`."""
    key = ""
    for name in place:
        key += f"[{name}]" if isinstance(name, int) else f".{name}"
    return key.lstrip(".")


def _shown(value: Any) -> str:
    """Return a value as a person wrote it, short, and without a password in an address."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = _USER.sub("***@", text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
