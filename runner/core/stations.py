"""A station, and how the API spells its address; a site of AirNow's files, and its clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

VIETNAM_H = 7
"""Hours that the clock of Viet Nam is ahead of UTC."""
_KNOWN_H = {"Hanoi": VIETNAM_H, "Ho Chi Minh City": VIETNAM_H}
_INT32 = range(-(2**31), 2**31)
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
    if type(station) is not int or station not in _INT32 or station == 0:
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
        latitude: degrees north, None where unknown.
        longitude: degrees east, None where unknown.
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
