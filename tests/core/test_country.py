"""Which stations are in a country, and how its boxes are looked through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.core.country import Country, corners_of, country_of, look_through, overlap, tiles
from runner.core.sightings import Refused, objection, placed, sighting
from runner.core.stations import Box

REPOSITORY = Path(__file__).resolve().parents[2]
STATIONS = REPOSITORY.parent / "shared" / "data" / "vn_stations.jsonl"
SQUARE = Country("Square", (corners_of("20 100, 20 110, 22 110, 22 100"),), ("Square",), ("Round",))


def viet_nam() -> Country:
    text = (REPOSITORY / "conf" / "country" / "viet_nam.yaml").read_text("utf-8")
    return country_of(**yaml.safe_load(text))


@pytest.mark.parametrize(
    ("place", "latitude", "longitude"),
    [
        ("Wenshan", 23.369, 104.244),
        ("Mengzi", 23.36, 103.38),
        ("Nanning", 22.82, 108.32),
        ("Chongzuo", 22.4, 107.36),
        ("Pingxiang", 22.10, 106.75),
        ("Vientiane", 17.97, 102.6),
        ("Savannakhet", 16.55, 104.75),
        ("Pakse", 15.12, 105.8),
        ("Phnom Penh", 11.55, 104.92),
        ("Kampot", 10.61, 104.18),
        ("Svay Rieng", 11.08, 105.80),
        ("the sea", 15.0, 111.0),
        ("Viet Nam the wrong way round", 105.85, 21.03),
    ],
)
def test_places_beyond_the_border_are_outside(
    place: str, latitude: float, longitude: float
) -> None:
    assert not viet_nam().holds(latitude, longitude), place


@pytest.mark.parametrize(
    ("place", "latitude", "longitude"),
    [
        ("Lao Cai", 22.486, 103.97),
        ("Mong Cai", 21.53, 107.96),
        ("Lang Son", 21.85, 106.76),
        ("Dien Bien Phu", 21.38, 103.02),
        ("Chau Doc", 10.70, 105.12),
        ("Ca Mau", 8.62, 104.72),
        ("Phu Quoc", 10.22, 103.96),
        ("Con Dao", 8.68, 106.61),
        ("Cat Ba", 20.73, 107.05),
        ("Co To", 20.98, 107.76),
        ("Ly Son", 15.38, 109.12),
    ],
)
def test_border_towns_and_islands_are_inside(place: str, latitude: float, longitude: float) -> None:
    assert viet_nam().holds(latitude, longitude), place


@pytest.mark.skipif(not STATIONS.exists(), reason="needs ../shared/data/vn_stations.jsonl")
def test_every_real_station_belongs_to_viet_nam_and_none_is_swapped() -> None:
    country = viet_nam()
    for line in STATIONS.read_text("utf-8").splitlines():
        item = json.loads(line)
        seen = sighting(item["idx"], item["name"], [item["lat"], item["lon"]])
        assert seen is not None
        assert objection(seen, country) is None, item
        assert placed(seen, country) == (seen, False)


def test_the_name_decides_where_the_border_is_too_coarse_or_the_position_unknown() -> None:
    def said(name: str, position: list[float] | None = None) -> Refused | None:
        seen = sighting(1, name, position)
        assert seen is not None
        return objection(seen, SQUARE)

    assert said("Town, Square (Tòwn)") is None
    assert said("Town, Round (圆)", [21, 105]) is Refused.ABROAD
    assert said("Town, Square", [30, 105]) is Refused.ABROAD
    assert said("Town") is Refused.NOWHERE
    assert said("Square") is Refused.NOWHERE
    assert said("Town, Square", [0, 0]) is None  # no position


def test_a_position_is_swapped_only_where_that_brings_it_home() -> None:
    for position, expected in (
        ([105, 21], (21, 105, True)),
        ([21, 105], (21, 105, False)),
        ([50, 60], (50, 60, False)),
    ):
        seen = sighting(1, "x", position)
        assert seen is not None
        put, swapped = placed(seen, SQUARE)
        assert (put.latitude, put.longitude, swapped) == expected


@pytest.mark.parametrize("idx", [0, None, True, 1.5, 2**31, "x", "", [], {}])
def test_what_is_no_station_index_is_no_station(idx: object) -> None:
    assert sighting(idx, "x", None) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_nothing_from_outside_breaks_the_reader(value: object) -> None:
    seen = sighting(7, value, value, value, value, [value, {"name": value, "url": "u"}])
    assert seen is not None
    assert seen.idx == 7
    assert (seen.latitude is None) == (seen.longitude is None)


@given(st.floats(8, 23), st.floats(102, 109), st.floats(0.5, 9))
def test_tiles_leave_no_hole(latitude: float, longitude: float, degrees: float) -> None:
    cut = list(tiles(Box(8, 102, 23, 109), degrees))
    held = [box for box in cut if box.south <= latitude <= box.north]
    assert any(box.west <= longitude <= box.east for box in held)
    assert all(box.north - box.south <= degrees + 1e-5 for box in cut)


def test_boxes_that_share_nothing_have_no_overlap() -> None:
    assert overlap(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == Box(1, 1, 2, 2)
    assert overlap(Box(0, 0, 1, 1), Box(2, 2, 3, 3)) is None


def test_a_crowd_that_a_thinned_map_hides_is_found_by_splitting() -> None:
    crowd = {idx: (1.0 + 0.13 * (idx % 5), 2.0 + 0.17 * (idx // 5)) for idx in range(20)}

    def ask(box: Box) -> list[int]:
        here = [
            idx
            for idx, (latitude, longitude) in crowd.items()
            if box.south <= latitude <= box.north and box.west <= longitude <= box.east
        ]
        return here[:3]

    found: set[int] = set()

    def noted(box: Box) -> list[int]:
        seen = ask(box)
        found.update(seen)
        return seen

    asked = list(look_through(Box(0, 0, 8, 8), noted, 0.05))
    assert found == set(crowd)
    assert len(asked) < 400
    assert list(look_through(Box(50, 50, 58, 58), noted, 0.05)) == [Box(50, 50, 58, 58)]


@pytest.mark.parametrize(
    "text", ["", "1 2", "1 2, 3 4", "1 2, 3 4, 5", "1 2, 3 4, x y", "95 2,1 2,2 1"]
)
def test_what_is_no_outline_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        corners_of(text)
