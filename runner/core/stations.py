"""A station, and how the API spells its address; a site of AirNow's files, and its clock."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from runner.core.errors import ConfigError
from runner.core.text import counted

_EARTH_KM = 6371.0088
"""Mean radius (IUGG)."""
_MOST_IDS = 20
_MOST_SHOWN = 10
"""Ids named to the person; plan.json has all of them."""


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in degrees: south <= latitude <= north, west <= longitude <= east."""

    south: float
    west: float
    north: float
    east: float

    def holds(self, station: Station) -> bool:
        """Whether the station lies in the box; one without coordinates does not."""
        if station.latitude is None or station.longitude is None:
            return False
        inside = self.south <= station.latitude <= self.north
        return inside and self.west <= station.longitude <= self.east


@dataclass(frozen=True, slots=True)
class Selector:
    """Stations by name pattern and bounding box; what is None does not restrict.

    Attributes:
        name: `*` and `?` stand for any text and any letter; without them the name must contain the
            text. Case and diacritics do not matter: `da nang` finds Đà Nẵng.
        box: bounding box.
    """

    name: str | None = None
    box: Box | None = None

    def matches(self, station: Station) -> bool:
        """Whether the station is selected."""
        if self.name is not None and not name_matches(self.name, station.name):
            return False
        return self.box is None or self.box.holds(station)


@dataclass(frozen=True, slots=True)
class Selection:
    """The stations chosen, sorted by index; ids nobody knows; remarks for the person.

    `no_stations` are ids in `waqi_stations` that the choice leaves out: they are no station index.
    """

    stations: tuple[Station, ...]
    unknown: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    no_stations: tuple[str, ...] = ()


def fold(text: str) -> str:
    """Return the text in lower case without diacritics, `đ` as `d`."""
    plain = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def name_matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern, regardless of case and diacritics."""
    folded = fold(pattern)
    if "*" in folded or "?" in folded:
        return fnmatchcase(fold(name), folded)
    return folded in fold(name)


def select(
    *,
    ids: Sequence[int],
    named: Mapping[int, str],
    selectors: Iterable[Selector],
    narrow: Selector,
    known: Iterable[Station],
    bundled: Mapping[int, str],
    no_stations: Sequence[str] = (),
) -> Selection:
    """Choose stations.

    Args:
        ids: exactly these, if given; groups do not count then.
        named: stations of the chosen groups, id to name.
        selectors: of the chosen groups, over `known` (over `bundled` while nothing is known).
        narrow: what every chosen station must match besides.
        known: the stations in `waqi_stations`.
        bundled: the stations of the built-in groups, id to name.
        no_stations: ids in `waqi_stations` that are no station index.

    Raises:
        ConfigError: nothing is left to work on.
    """
    catalogue = {idx: Station(idx, name) for idx, name in {**bundled, **named}.items()}
    stored = {station.idx: station for station in known}
    for idx, station in stored.items():
        catalogue[idx] = station if station.name or idx not in catalogue else catalogue[idx]
    remarks: list[str] = []
    unknown: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()
    if ids:
        chosen = {idx for idx in ids if idx in catalogue}
        unknown = tuple(idx for idx in ids if idx not in catalogue)
    else:
        chosen = set(named)
        selectors = list(selectors)
        left_out = tuple(no_stations) if selectors else ()
        if left_out:
            remarks.append(_left_out(left_out))
        pool = stored or {idx: catalogue[idx] for idx in bundled}
        if selectors and not stored:
            is_empty = "has no station" if left_out else "is empty"
            remarks.append(
                f"waqi_stations {is_empty}: choosing among "
                f"{counted(len(bundled), 'bundled stations')}"
            )
        if stored:
            remarks += _left_by_the_collection(selectors, stored, bundled)
        boxed = [*selectors, narrow]
        placeless = sum(station.latitude is None for station in pool.values())
        if placeless and any(selector.box for selector in boxed):
            remarks.append(
                f"{placeless:,} of {counted(len(pool), 'stations')} have no position, so no box "
                "holds them: job=stations fetches positions"
            )
        for selector in selectors:
            chosen |= {idx for idx, station in pool.items() if selector.matches(station)}
    stations = tuple(catalogue[idx] for idx in sorted(chosen) if narrow.matches(catalogue[idx]))
    if not stations:
        raise _nothing(unknown, stored)
    return Selection(stations, unknown, tuple(remarks), left_out)


def _left_by_the_collection(
    selectors: Sequence[Selector], stored: Mapping[int, Station], bundled: Mapping[int, str]
) -> list[str]:
    """Return which bundled stations are left, because groups choose among stored ones."""
    others = [Station(idx, name) for idx, name in sorted(bundled.items()) if idx not in stored]
    left = [one.idx for one in others if any(selector.matches(one) for selector in selectors)]
    if not left:
        return []
    listed = ",".join(map(str, left[:_MOST_IDS])) + (",…" if len(left) > _MOST_IDS else "")
    remark = (
        f"waqi_stations has {counted(len(stored), 'stations')}, and groups choose among them; left:"
        f" {counted(len(left), 'bundled stations')}. To have them, too, find all with job=stations,"
        f" or load them once by id, as 'stations.ids=[{listed}]'"
    )
    return [remark]


def _left_out(ids: tuple[str, ...]) -> str:
    more = ", …" if len(ids) > _MOST_SHOWN else ""
    return (
        f"waqi_stations: {counted(len(ids), 'documents')} left out, whose _id is no station index "
        f"(a whole number of 32 bits, not 0): {', '.join(ids[:_MOST_SHOWN])}{more}"
    )


def _nothing(unknown: tuple[int, ...], stored: Mapping[int, Station]) -> ConfigError:
    if unknown:
        return ConfigError(
            f"stations.ids: no station is known under {', '.join(map(str, unknown))} "
            "(neither in waqi_stations nor in any group)",
            hint="If it exists, name it: '+stations.named={12345: Its name}'",
        )
    where = (
        f"among {counted(len(stored), 'stations')} in waqi_stations"
        if stored
        else "while it is empty"
    )
    return ConfigError(
        f"stations: no station matches ({where}; bounding boxes need stored coordinates)",
        hint="See the groups and names in conf/stations/, or name ids: stations.ids=[8641]",
    )


VIETNAM_H = 7
"""Hours that the clock of Viet Nam is ahead of UTC."""
_KNOWN_H = {"Hanoi": VIETNAM_H, "Ho Chi Minh City": VIETNAM_H}
INT32 = range(-(2**31), 2**31)
"""Station ids are stored as a BSON int32."""
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})", re.ASCII)
_OFFSETS_H = range(-12, 15)


class Site(NamedTuple):
    """A site of AirNow's files.

    Attributes:
        station: index of the station that it is.
        utc_offset_h: whole hours that its clock is ahead of UTC, all year.
    """

    station: int
    utc_offset_h: int


def site_of(name: str, value: Any) -> Site:
    """Return a site from its setting: a station index, or `{station: 8551, utc_offset: "+08:00"}`.

    Raises:
        ValueError: the setting is something else, or lacks the offset of a site that is not known.
    """
    said = value if isinstance(value, Mapping) else {"station": value}
    station, offset = said.get("station"), said.get("utc_offset")
    example = f"{{{name}: {{station: {station}, utc_offset: '+08:00'}}}}"
    if type(station) is not int or station not in INT32 or station == 0:
        msg = f"{station} is no station index"
        raise ValueError(msg)
    if not said.keys() <= {"station", "utc_offset"}:
        msg = f"{', '.join(map(str, said))}: write station and utc_offset, as {example}"
        raise ValueError(msg)
    if offset is None and name in _KNOWN_H:
        return Site(station, _KNOWN_H[name])
    if offset is None:
        msg = (
            "the time zone of this site is not known; say how far its clock is ahead of UTC: "
            f'"+source.sites={example}"'
        )
        raise ValueError(msg)
    parts = _OFFSET.fullmatch(offset) if isinstance(offset, str) else None
    if parts is None or int(parts[1] + parts[2]) not in _OFFSETS_H:
        msg = f"utc_offset={offset} is no offset from UTC; write it in quotes, as {example}"
        raise ValueError(msg)
    if parts[3] != "00":
        msg = f"utc_offset={offset}: readings are of full hours of UTC, those of this site are not"
        raise ValueError(msg)
    return Site(station, int(parts[1] + parts[2]))


@dataclass(frozen=True, slots=True)
class Station:
    """One monitoring station.

    Attributes:
        idx: AQICN's station index, int32; negative for citizen stations.
        name: name for people; may be empty.
        latitude: degrees north, None if unknown.
        longitude: degrees east, None if unknown.
    """

    idx: int
    name: str = ""
    latitude: float | None = None
    longitude: float | None = None

    @property
    def feed(self) -> str:
        """Path segment of `/feed/`: `@1583`, or `A476599` for the citizen station -476599."""
        return f"A{-self.idx}" if self.idx < 0 else f"@{self.idx}"

    def __str__(self) -> str:
        return f"{self.idx} {self.name}".rstrip()


def distance_km(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float
) -> float:
    """Return the great-circle distance of two places in kilometres (haversine formula).

    Args:
        latitude: degrees north.
        longitude: degrees east.
        other_latitude: of the other place.
        other_longitude: likewise.
    """
    here, there = math.radians(latitude), math.radians(other_latitude)
    half_lat = (there - here) / 2
    half_lon = math.radians(other_longitude - longitude) / 2
    a = math.sin(half_lat) ** 2 + math.cos(here) * math.cos(there) * math.sin(half_lon) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(a)))
