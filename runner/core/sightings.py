"""What somebody says about a station: where it stands, its name, its page, whose data it has."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from runner.core.country import Country, is_position
from runner.core.stations import INT32, Station
from runner.core.text import harmless

LONGEST = 500
"""Characters kept of a text."""

_MOST_ATTRIBUTIONS = 20
_ATTRIBUTION = ("name", "url", "logo")
_ZONE = re.compile(r"([+-])(\d{2}):?([0-5]\d)", re.ASCII)


class Refused(StrEnum):
    """Why a station is not taken in."""

    ABROAD = "outside the country"
    NOWHERE = "without a position, and its name does not say the country"
    NOT_CHOSEN = "not among the chosen ones"
    NO_INDEX = "without a usable station index"
    TWICE = "named twice"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What somebody says about a station; what is empty was not said.

    Attributes:
        idx: AQICN's index, int32; negative for citizen stations.
        name: name for people.
        latitude: degrees north.
        longitude: degrees east.
        url: its page.
        tz: offset from UTC, as +07:00.
        attributions: whose data it has: name, url and logo each.
    """

    idx: int
    name: str = ""
    latitude: float | None = None
    longitude: float | None = None
    url: str = ""
    tz: str = ""
    attributions: tuple[dict[str, str], ...] = ()

    @property
    def station(self) -> Station:
        """The station."""
        return Station(self.idx, self.name, self.latitude, self.longitude)

    def filled_from(self, other: Sighting) -> Sighting:
        """Return this, and where it says nothing, what the other says."""
        here = other if self.latitude is None else self
        return Sighting(
            self.idx,
            self.name or other.name,
            here.latitude,
            here.longitude,
            self.url or other.url,
            self.tz or other.tz,
            self.attributions or other.attributions,
        )


def sighting(
    idx: Any, name: Any, position: Any, url: Any = None, tz: Any = None, attributions: Any = None
) -> Sighting | None:
    """Return what is usable of values from outside; None without a usable index.

    Args:
        idx: the station index.
        name: its name.
        position: [latitude, longitude]; numbers, or texts of such.
        url: of its page.
        tz: its offset from UTC.
        attributions: a list of objects.
    """
    index = _index(idx)
    if index is None:
        return None
    latitude, longitude = _position(position)
    zone = _ZONE.fullmatch(tz.strip()) if isinstance(tz, str) else None
    said = attributions if isinstance(attributions, list) else []
    kept = [_attribution(item) for item in said[:_MOST_ATTRIBUTIONS] if isinstance(item, Mapping)]
    return Sighting(
        index,
        _text(name),
        latitude,
        longitude,
        _text(url),
        f"{zone[1]}{zone[2]}:{zone[3]}" if zone else "",
        tuple(item for item in kept if item),
    )


def placed(seen: Sighting, country: Country) -> tuple[Sighting, bool]:
    """Return a station with its position the right way round, and whether it had to be swapped.

    It is evidently the wrong way round where it lies in the country only when swapped.
    """
    if seen.latitude is None or seen.longitude is None or not country.parts:
        return seen, False
    if country.holds(seen.latitude, seen.longitude):
        return seen, False
    if not country.holds(seen.longitude, seen.latitude):
        return seen, False
    return replace(seen, latitude=seen.longitude, longitude=seen.latitude), True


def objection(seen: Sighting, country: Country) -> Refused | None:
    """Return why a station does not belong to the country; None if it does."""
    if country.is_denied_by(seen.name):
        return Refused.ABROAD
    if seen.latitude is None or seen.longitude is None:
        return None if country.is_named_by(seen.name) else Refused.NOWHERE
    return None if country.holds(seen.latitude, seen.longitude) else Refused.ABROAD


def _index(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,10}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, float) and value == value // 1:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value in INT32 and value else None


def _position(value: Any) -> tuple[float, float] | tuple[None, None]:
    """Return a pair of degrees as written; the second may be the latitude, see `placed`."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:  # noqa: PLR2004 - a pair
        return None, None
    one, other = map(_degrees, value)
    if one is None or other is None:
        return None, None
    if not (is_position(one, other) or is_position(other, one)):
        return None, None
    return one, other


def _degrees(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    storable = value.encode("utf-8", "replace").decode("utf-8")
    return harmless(storable).strip()[:LONGEST]


def _attribution(item: Mapping[Any, Any]) -> dict[str, str]:
    return {key: text for key in _ATTRIBUTION if (text := _text(item.get(key)))}
