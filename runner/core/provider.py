"""What a source declares about itself, so that nothing outside its folder names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """An API key that a source wants.

    Attributes:
        variable: the environment variable that holds it.
        free_at: where a person gets one.
    """

    variable: str
    free_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One `source=NAME`.

    Attributes:
        name: as typed.
        credits: whose readings these are, in a sentence or two for the foot of a page; by the name
            that the record of a run gives to whoever measured them.
        key: the API key it wants, if any.
        present_only: whether it has the present observation and no history.
        rejects_are_records: whether its rejects have AQICN's shape, so that `job=replay` can try
            them again; rows of files have a form of their own.
    """

    name: str
    credits: Mapping[str, str]
    key: Key | None = None
    present_only: bool = False
    rejects_are_records: bool = True
