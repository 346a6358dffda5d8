"""For which stations: `stations=NAME` and what narrows the choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Strict, ValidatorFunctionWrapHandler, field_validator

from runner.config.section import Section, StationIndex, setting

_SIDES = 4


class StationSelector(Section):
    """Stations of `waqi_stations` by what they are; what is None does not restrict."""

    name: str | None = setting(
        None,
        "text the name contains, or a pattern with `*` and `?`; case and accents do not matter",
    )
    bbox: list[float] | None = setting(None, "`[south, west, north, east]`, degrees")


class Stations(Section):
    """Which stations; the groups chosen add up, because mappings merge and lists do not."""

    named: dict[Annotated[StationIndex, Strict()], str] = setting(
        {}, "stations of the chosen groups, id to name; groups add up"
    )
    selectors: dict[str, StationSelector] = setting(
        {}, "selectors of the chosen groups: a label each, with `name` and `bbox`"
    )
    ids: list[StationIndex] = setting(
        [], "exactly these stations; the groups do not count then", min_length=1
    )
    name: str | None = setting(
        None, "only stations with such a name; `*` and `?` work, case and accents do not matter"
    )
    bbox: list[float] | None = setting(
        None, "only stations in `[south, west, north, east]`, degrees"
    )

    @field_validator("ids", mode="wrap")
    @classmethod
    def _null_is_none(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """Take null as nothing said; `[]`, which says "these: none", stays an error."""
        return [] if value is None else handler(value)

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule that is broken."""
        for idx, count in Counter(self.ids).items():
            if count > 1:
                yield f"stations.ids: {idx} stands there {count} times; name it once"
        yield from _bbox("stations.bbox", self.bbox)
        for label, selector in self.selectors.items():
            yield from _bbox(f"stations.selectors.{label}.bbox", selector.bbox)


def _bbox(key: str, bbox: Sequence[float] | None) -> Iterator[str]:
    if bbox is None:
        return
    if len(bbox) == _SIDES:
        south, west, north, east = bbox
        if -90 <= south <= north <= 90 and -180 <= west <= east <= 180:  # noqa: PLR2004 - degrees
            return
    example = "[20.9,105.7,21.2,106.0]"
    yield f"{key}={list(bbox)}: write [south,west,north,east] in degrees, as {example}"
