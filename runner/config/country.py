"""What `job=stations` keeps to, `country=NAME`, and how it looks for stations."""

from __future__ import annotations

from collections.abc import Iterator

from runner.config.section import Section, setting
from runner.core.country import corners_of


class Country(Section):
    """The country that stations must lie in."""

    name: str = setting("", "the country that `job=stations` keeps to; chosen with `country=NAME`")
    parts: dict[str, str] = setting(
        {},
        "its outlines, a label each: `latitude longitude, latitude longitude, …` in degrees; none "
        "for anywhere",
    )
    words: list[str] = setting(
        [],
        'searched for; what a station\'s name ends with that is here, as in "Hue, Vietnam"',
    )
    others: list[str] = setting([], "what a station's name ends with that is in another country")

    def broken(self) -> Iterator[str]:
        """Yield a line for every outline that is none."""
        for label, text in self.parts.items():
            try:
                corners_of(text)
            except ValueError as error:
                yield f"country.parts.{label}: {error}"


class Discovery(Section):
    """How `job=stations` finds stations."""

    file: str | None = setting(
        None,
        "`.json`, `.jsonl` or `.csv` file that `job=stations` reads; empty: ask the API",
    )
    refresh: bool = setting(
        False,
        "ask again also for stations of which everything is known",
    )
    tile_degrees: float = setting(
        2.0,
        "widest box that the map is asked for; dense boxes are split further",
        ge=0.01,
        le=180,
        unit="degrees",
    )
    smallest_tile_degrees: float = setting(
        0.05, "boxes that are not wider are not split further", ge=0.001, le=180, unit="degrees"
    )
