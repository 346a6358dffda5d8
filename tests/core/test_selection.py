"""Which stations a run is about."""

import pytest

from runner.core.errors import ConfigError
from runner.core.stations import (
    Box,
    Selection,
    Selector,
    Station,
    distance_km,
    name_matches,
    select,
)

HANOI = Station(8641, "Hanoi US Embassy, Vietnam (Đại sứ quán Mỹ, Hà Nội)", 21.02, 105.82)
DA_NANG = Station(1584, "Da Nang, Vietnam (TP Đà Nẵng)", 16.07, 108.22)
NO_PLACE = Station(12960, "Bắc Ninh")
EVERYTHING = Selector()


def choose(**changes: object) -> Selection:
    given: dict[str, object] = {
        "ids": [],
        "named": {},
        "selectors": [],
        "narrow": EVERYTHING,
        "known": [],
        "bundled": {HANOI.idx: "Hanoi US Embassy", 99: "Bundled"},
    }
    return select(**{**given, **changes})  # type: ignore[arg-type]


def ids(selection: Selection) -> list[int]:
    return [station.idx for station in selection.stations]


def test_groups_add_up_with_selectors() -> None:
    made = choose(named={1584: "Da Nang"}, selectors=[Selector(name="embassy")], known=[HANOI])
    assert ids(made) == [1584, 8641]


def test_ids_replace_the_groups_and_unknown_ones_are_told() -> None:
    made = choose(ids=[99, 4711], named={1584: "Da Nang"})
    assert (ids(made), made.unknown) == ([99], (4711,))


def test_all_means_the_stored_stations_once_there_are_any() -> None:
    made = choose(selectors=[EVERYTHING], known=[DA_NANG])
    assert ids(made) == [1584]
    (remark,) = made.remarks
    assert "waqi_stations has 1 station," in remark
    assert "2 bundled stations" in remark
    assert "'stations.ids=[99,8641]'" in remark
    again = choose(ids=[99, 8641], known=[DA_NANG])  # as the remark says
    assert ids(again) == [99, 8641]
    everybody = choose(selectors=[EVERYTHING], known=[DA_NANG, HANOI, Station(99)])
    assert everybody.remarks == ()


def test_a_box_says_which_stations_it_cannot_hold_for_want_of_a_position() -> None:
    box = Selector(box=Box(20, 105, 22, 107))
    made = choose(selectors=[box], known=[HANOI, NO_PLACE], bundled={})
    assert ids(made) == [8641]
    (remark,) = made.remarks
    assert "1 of 2 stations have no position" in remark
    assert "job=stations" in remark


def test_all_means_the_bundled_stations_while_none_are_stored_and_says_so() -> None:
    made = choose(selectors=[EVERYTHING])
    assert ids(made) == [99, 8641]
    assert "waqi_stations is empty" in made.remarks[0]


NO_STATIONS = ("'1584'", "1099511627776", *(f"ObjectId('{n}')" for n in range(20)))


@pytest.mark.parametrize("known", [[DA_NANG], []])
def test_documents_that_are_no_station_are_counted_and_named(known: list[Station]) -> None:
    made = choose(selectors=[EVERYTHING], known=known, no_stations=NO_STATIONS)
    assert made.no_stations == NO_STATIONS
    remark = made.remarks[0]
    assert "22 documents" in remark
    assert "'1584', 1099511627776" in remark
    assert not any("is empty" in one for one in made.remarks)


@pytest.mark.parametrize("chosen", [{"ids": [1584]}, {"named": {1584: "Da Nang"}}])
def test_stations_chosen_by_id_miss_nothing_of_documents_that_are_none(
    chosen: dict[str, object],
) -> None:
    made = choose(known=[DA_NANG], no_stations=NO_STATIONS, **chosen)
    assert (made.no_stations, made.remarks) == ((), ())


def test_a_stored_station_keeps_its_stored_name() -> None:
    (station,) = choose(ids=[8641], known=[HANOI]).stations
    assert station is HANOI


@pytest.mark.parametrize("pattern", ["da nang", "ĐÀ NẴNG", "da*vietnam*", "?a nang*", "nẵng"])
def test_names_match_regardless_of_case_and_diacritics(pattern: str) -> None:
    assert name_matches(pattern, DA_NANG.name)
    assert not name_matches(pattern, HANOI.name)


def test_a_bounding_box_holds_what_lies_in_it_and_nothing_without_a_place() -> None:
    north = Selector(box=Box(20, 105, 22, 107))
    made = choose(selectors=[north], known=[HANOI, DA_NANG, NO_PLACE])
    assert ids(made) == [8641]


def test_filters_narrow_the_choice() -> None:
    made = choose(named={8641: "", 1584: ""}, narrow=Selector(name="nang"), known=[HANOI, DA_NANG])
    assert ids(made) == [1584]


def test_choosing_nothing_is_an_error_that_names_the_ids() -> None:
    with pytest.raises(ConfigError, match="4711"):
        choose(ids=[4711])
    with pytest.raises(ConfigError, match="no station matches"):
        choose(selectors=[Selector(name="atlantis")])


def test_a_degree_of_latitude_is_111_km() -> None:
    assert distance_km(21.0215, 105.8189, 22.0215, 105.8189) == pytest.approx(111.195, abs=0.001)
