"""Which stations a run is about: named ids, selectors over known stations, filters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from runner.core.errors import ConfigError
from runner.core.stations import Station
from runner.core.text import counted

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
        for selector in selectors:
            chosen |= {idx for idx, station in pool.items() if selector.matches(station)}
    stations = tuple(catalogue[idx] for idx in sorted(chosen) if narrow.matches(catalogue[idx]))
    if not stations:
        raise _nothing(unknown, stored)
    return Selection(stations, unknown, tuple(remarks), left_out)


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
