"""Where the sandbox's stations stand: in Viet Nam, one in China, at made-up addresses."""

from __future__ import annotations

from typing import NamedTuple

from runner.sandbox.draws import uniform


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


def position_of(station_idx: int) -> Position:
    """Return where a station stands: within 5 km of a city's centre, its own where known."""
    drawn = _CITIES[int(uniform("city", station_idx) * len(_CITIES))]
    latitude, longitude = _HOME.get(station_idx, drawn)
    return Position(
        round(latitude + 0.08 * (uniform("north", station_idx) - 0.5), 4),
        round(longitude + 0.08 * (uniform("east", station_idx) - 0.5), 4),
    )
