"""Where a country lies, coarsely: whether a station belongs to it, and the tiles to look through.

An outline is a text of corners, `21.0 105.2, 21.1 105.4, ...`: latitude and longitude in degrees.
A point is inside where a ray to the east crosses the outline an odd number of times (Shimrat 1962).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from runner.core.stations import Box, fold

Corner = tuple[float, float]
"""Degrees north, degrees east."""

_FEWEST_CORNERS = 3
_CROWD = 3
"""An answer with this many stations may be a selection, even if it shows nothing new."""
_NORTHERNMOST = 90
_EASTERNMOST = 180


@dataclass(frozen=True, slots=True)
class Country:
    """A country.

    Attributes:
        name: for people; empty for anywhere.
        parts: mainland and islands, by their corners; none for anywhere.
        words: what the name of a station ends with that is here, as in "Hue, Vietnam".
        others: what it ends with where the station is in another country.
    """

    name: str = ""
    parts: tuple[tuple[Corner, ...], ...] = ()
    words: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def box(self) -> Box:
        """The smallest box that holds it; the world for anywhere."""
        corners = [corner for part in self.parts for corner in part]
        if not corners:
            return Box(-_NORTHERNMOST, -_EASTERNMOST, _NORTHERNMOST, _EASTERNMOST)
        north, east = zip(*corners, strict=True)
        return Box(min(north), min(east), max(north), max(east))

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a point lies in one of the parts, or anywhere."""
        return not self.parts or any(_inside(part, latitude, longitude) for part in self.parts)

    def is_named_by(self, name: str) -> bool:
        """Whether the name of a station says that it is here; it always does for anywhere."""
        return not self.parts or _ends_with(name, self.words)

    def is_denied_by(self, name: str) -> bool:
        """Whether the name of a station says that it is in another country."""
        return _ends_with(name, self.others)


def corners_of(text: str) -> tuple[Corner, ...]:
    """Return the corners that an outline names.

    Raises:
        ValueError: it is none: fewer than three corners, or no degrees.
    """
    corners = []
    for pair in text.split(","):
        latitude, longitude = map(float, pair.split())  # ValueError where it is no pair
        if not is_position(latitude, longitude):
            msg = f"'{pair.strip()}' is no place: degrees north, blank, degrees east"
            raise ValueError(msg)
        corners.append((latitude, longitude))
    if len(corners) < _FEWEST_CORNERS:
        msg = f"{len(corners)} corners are no outline; it takes {_FEWEST_CORNERS}"
        raise ValueError(msg)
    return tuple(corners)


def country_of(
    name: str, parts: Mapping[str, str], words: Collection[str], others: Collection[str]
) -> Country:
    """Return the country that settings describe; raises ValueError where an outline is none."""
    return Country(name, tuple(map(corners_of, parts.values())), tuple(words), tuple(others))


def is_position(latitude: float, longitude: float) -> bool:
    """Whether two numbers can be degrees north and east; (0, 0) stands for unknown."""
    known = bool(latitude or longitude)
    return known and abs(latitude) <= _NORTHERNMOST and abs(longitude) <= _EASTERNMOST


def overlap(one: Box, other: Box) -> Box | None:
    """Return the box that two boxes share; None if they share none."""
    south, west = max(one.south, other.south), max(one.west, other.west)
    north, east = min(one.north, other.north), min(one.east, other.east)
    return Box(south, west, north, east) if south < north and west < east else None


def tiles(box: Box, degrees: float) -> Iterator[Box]:
    """Yield equal tiles of a box, none of them wider or higher than some degrees."""
    rows = max(1, math.ceil((box.north - box.south) / degrees - 1e-9))
    columns = max(1, math.ceil((box.east - box.west) / degrees - 1e-9))
    yield from _cut(box, rows, columns)


def look_through(
    tile: Box, ask: Callable[[Box], Collection[int]], smallest_degrees: float
) -> Iterator[Box]:
    """Look through a tile, splitting it into quarters until that finds nothing more.

    A server that thins its answers for large boxes shows more in small ones. A tile is split where
    its answer is not empty; a quarter is, too, unless it shows few stations, and it and the tile
    before nothing new.

    Args:
        tile: to be looked through.
        ask: asks for a box; returns the stations seen in it.
        smallest_degrees: a tile that is not larger is not split.

    Yields:
        The boxes asked for, each after its answer.
    """
    todo = [(tile, set(ask(tile)), True)]
    yield tile
    while todo:
        box, seen, was_new = todo.pop()
        if not seen or max(box.north - box.south, box.east - box.west) <= smallest_degrees:
            continue
        for quarter in _cut(box, 2, 2):
            found = set(ask(quarter))
            yield quarter
            is_new = bool(found - seen)
            if is_new or was_new or len(found) >= _CROWD:
                todo.append((quarter, found, is_new))


def _cut(box: Box, rows: int, columns: int) -> Iterator[Box]:
    norths = [_between(box.south, box.north, row, rows) for row in range(rows + 1)]
    easts = [_between(box.west, box.east, column, columns) for column in range(columns + 1)]
    for south, north in pairwise(norths):
        for west, east in pairwise(easts):
            yield Box(south, west, north, east)


def _between(low: float, high: float, step: int, steps: int) -> float:
    return round(low + (high - low) * step / steps, 6)


def _inside(part: tuple[Corner, ...], latitude: float, longitude: float) -> bool:
    inside = False
    for (north, east), (next_north, next_east) in pairwise((*part, part[0])):
        if (north > latitude) != (next_north > latitude):
            crossing = east + (latitude - north) / (next_north - north) * (next_east - east)
            inside ^= longitude < crossing
    return inside


def _ends_with(name: str, words: Collection[str]) -> bool:
    """Whether a name ends so after a comma: "Hanoi, Vietnam (Hà Nội)" ends with Vietnam."""
    _, comma, last = fold(name).partition("(")[0].rpartition(",")
    return bool(comma) and last.strip() in map(fold, words)
