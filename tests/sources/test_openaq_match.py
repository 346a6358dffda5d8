"""Which locations are proposed for a station, and in which order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.core.stations import Station
from runner.sources.openaq.match import candidates, in_order_of_time, place_of

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
RECORDED = SHARED / "payloads" / "openaq" / "vn_locations_page1.json"
HANOI = Station(8641, "Hanoi US Embassy, Vietnam", 21.0215, 105.8189)


def result(number: int, name: str = "", **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "isMobile": False,
        "coordinates": {"latitude": 21.022, "longitude": 105.819},
        "sensors": [{"parameter": {"name": "pm25"}}, {"parameter": {"name": "temperature"}}],
        "datetimeFirst": {"utc": "2020-01-01T00:00:00Z"},
        "datetimeLast": {"utc": "2021-01-01T00:00:00Z"},
        **changes,
    }


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        result(1, isMobile=True),
        result(1, coordinates=None),
        result(1, coordinates={"latitude": "21", "longitude": None}),
        result(1, sensors=None),
        result(1, sensors=[{"parameter": {"name": "temperature"}}, None]),
    ],
)
def test_what_moves_or_measures_no_pollutant_is_no_place(told: Any) -> None:
    assert place_of(told) is None


def test_far_places_need_a_name_and_those_without_a_measurement_are_none() -> None:
    near = {"latitude": 21.031, "longitude": 105.8189}  # 1.06 km
    told = (
        result(1, "Trạm Hoàn Kiếm", coordinates=near),
        result(2, "Kim Liên", coordinates=near),
        result(3, "Hoàn Kiếm", coordinates=near, datetimeFirst=None),
    )
    places = [place for place in map(place_of, told) if place]
    found = candidates(Station(1, "Hanoi Hoan Kiem", 21.0215, 105.8189), places, 2)
    assert [(one.place.id, one.shared, one.is_likely) for one in found] == [
        (1, ("hoan", "kiem"), True),
        (2, (), False),
    ]
    assert candidates(Station(1, "Hoan Kiem"), places, 2) == []


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recorded answer is not at {RECORDED}")
def test_the_us_posts_are_found_among_the_recorded_locations_in_order_of_time() -> None:
    stations = {}
    for text in (SHARED / "vn_stations.jsonl").read_text("utf-8").splitlines():
        one = json.loads(text)
        stations[one["idx"]] = Station(one["idx"], one["name"], one["lat"], one["lon"])
    told = json.loads(RECORDED.read_text("utf-8"))["results"]
    places = [place for place in map(place_of, told) if place]
    proposed = {
        idx: [one.place.id for one in in_order_of_time(candidates(station, places, 2))]
        for idx, station in stations.items()
    }
    assert proposed[8641] == [2539, 7441]
    assert proposed[8767] == [2446, 7440]
    assert proposed[1583] == [4946811]  # 556 Nguyễn Văn Cừ: the same coordinates
