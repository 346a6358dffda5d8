"""The settings of `job=stations`: where stations are looked for, and which country they are of."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Country:
    """The country that stations must lie in.

    Attributes:
        name: for people.
        words: searched for; what the name of a station ends with that is here.
        others: what the name of a station ends with that is elsewhere.
        parts: outlines, a label each: `latitude longitude, latitude longitude, ...` in degrees;
            none for anywhere.
    """

    name: str = ""
    words: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Discovery:
    """How `job=stations` finds stations.

    Attributes:
        file: JSON, JSONL or CSV file to read them from; None asks the API.
        refresh: ask again for what is known of stations that lack nothing.
        tile_degrees: widest box that the API is asked for; dense boxes are split further.
        smallest_tile_degrees: boxes that are not wider are not split.
    """

    file: str | None = None
    refresh: bool = False
    tile_degrees: float = 2.0
    smallest_tile_degrees: float = 0.05
