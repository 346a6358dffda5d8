"""What all sections of the settings have in common, and how one setting is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    create_model,
    field_validator,
)

from runner.core.stations import INT32

_Model = TypeVar("_Model", bound="Section")


class Section(BaseModel):
    """A group of settings: refuses unknown keys, nan and infinity, and never changes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
        defer_build=True,  # sources extend sections, which are then not used themselves
    )

    @field_validator("*", mode="before")
    @classmethod
    def _keep_switches_apart(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number belongs: pydantic would take them as 1 and 0."""
        if isinstance(value, bool) and _is_number(
            cls.model_fields[str(info.field_name)].annotation
        ):
            return str(value).lower()
        return value

    def section(self, key: str, kind: type[_Model]) -> _Model:
        """Return a section that `with_sections` added, as what it was declared."""
        found = attrgetter(key)(self)
        if not isinstance(found, kind):
            msg = f"{key} is not declared as {kind.__name__}"
            raise TypeError(msg)
        return found

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule between settings that is broken: key, value, what is allowed.

        Every class has rules of its own: those of its base classes are looked at besides.
        These are no pydantic validators: pydantic skips those of a section, and of everything above
        it, as soon as one value in it is wrong, and the person would see the rest one run later.
        """
        return iter(())


def with_sections(
    model: type[_Model], sections: Iterable[tuple[str, type[Section]]]
) -> type[_Model]:
    """Return a model with more settings, declared elsewhere: by a source, which knows its own.

    Args:
        model: what it extends.
        sections: by dotted key; those of a section that exists add their settings to it.
    """
    fields: dict[str, Any] = {}
    added: list[Any] = []
    deeper: dict[str, list[tuple[str, type[Section]]]] = {}
    for key, section in sections:
        name, _, rest = key.partition(".")
        if not name:
            added.append(section)
        elif rest or name in model.model_fields:
            deeper.setdefault(name, []).append((rest, section))
        else:
            fields[name] = (section, setting(section(), _first_line(section)))
    for name, inside in deeper.items():
        field = model.model_fields[name]
        kind = with_sections(cast("type[Section]", field.annotation), inside)
        fields[name] = (kind, setting(kind(), field.description or ""))
    return create_model(model.__name__, __base__=(*added, model), __doc__=model.__doc__, **fields)


def _first_line(section: type[Section]) -> str:
    return (section.__doc__ or "").partition("\n")[0]


def setting(
    default: Any,
    sentence: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    unit: str = "",
    min_length: int | None = None,
) -> Any:
    """Declare a setting.

    Args:
        default: value if nobody says another.
        sentence: what it is, for `--help`, docs/settings.md and editors; Markdown.
        ge: lowest value allowed.
        le: highest value allowed.
        unit: what the number counts, for messages.
        min_length: fewest entries of a list that is given.
    """
    extra: dict[str, JsonValue] | None = {"unit": unit} if unit else None
    return Field(
        default, description=sentence, ge=ge, le=le, min_length=min_length, json_schema_extra=extra
    )


def _is_number(annotation: Any) -> bool:
    kinds = set(get_args(annotation) or (annotation,)) - {NoneType}
    return kinds <= {int, float}


def _no_switch(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _station_index(idx: int) -> int:
    if idx not in INT32 or idx == 0:
        msg = f"{idx} is no station index ({INT32[0]} to {INT32[-1]}, not 0)"
        raise ValueError(msg)
    return idx


StationIndex = Annotated[int, AfterValidator(_station_index), BeforeValidator(_no_switch)]
"""An index of AQICN: int32, negative for citizen stations."""
