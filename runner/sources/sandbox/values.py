"""Where the sandbox's values come from."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple, Protocol

from runner.core.intervals import Interval


class Position(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float


HANOI = Position(21.03, 105.85)
HAI_PHONG = Position(20.86, 106.68)
HUE = Position(16.46, 107.59)
DA_NANG = Position(16.07, 108.22)
HO_CHI_MINH_CITY = Position(10.78, 106.70)
CAN_THO = Position(10.03, 105.78)
WENSHAN = Position(23.36, 104.26)
"""In China; AQICN gives its station for places in Viet Nam without one nearby."""

_CITIES = (HANOI, HAI_PHONG, HUE, DA_NANG, HO_CHI_MINH_CITY, CAN_THO)
_HOME = {
    1583: HANOI,
    8641: HANOI,
    12488: HUE,
    1584: DA_NANG,
    13658: DA_NANG,
    8767: HO_CHI_MINH_CITY,
    13687: CAN_THO,
    13672: HAI_PHONG,
    -476599: HANOI,
    7219: WENSHAN,
}


def city_of(station_idx: int) -> Position:
    """Return the centre of the city that a station stands in: its own if known, else drawn."""
    drawn = _CITIES[int(uniform("city", station_idx) * len(_CITIES))]
    return _HOME.get(station_idx, drawn)


def position_of(station_idx: int) -> Position:
    """Return where a station stands: within 5 km of its city's centre."""
    latitude, longitude = city_of(station_idx)
    return Position(
        round(latitude + 0.08 * (uniform("north", station_idx) - 0.5), 4),
        round(longitude + 0.08 * (uniform("east", station_idx) - 0.5), 4),
    )


def uniform(*key: object) -> float:
    """Return a number in [0, 1) that looks random, and is the same whenever the key is.

    Args:
        key: parts with a stable `str`, of any number; different keys give independent numbers.
    """
    digest = blake2b("\x1f".join(map(str, key)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


Record = dict[str, Any]
"""One hour in AQICN's shape, see `runner.core.readings`."""


class Values(Protocol):
    """The hourly records of stations."""

    @property
    def synthetic(self) -> bool:
        """Whether the values are made up; the sandbox then says so in every station name."""
        ...

    def records(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the records of a station for the hours of a window (UTC), sorted by hour.

        Must be thread-safe, and give the same records however a range is cut into windows.
        """
        ...


class Replay:
    """Records that someone else holds, such as measured values from AirNow files.

    Args:
        records: given a station's index and a window, returns its records (see `Values.records`).
    """

    synthetic: ClassVar[bool] = False

    def __init__(self, records: Callable[[int, Interval], list[Record]]) -> None:
        self._records = records

    def records(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the held records of a station for the hours of a window."""
        return self._records(station_idx, window)
