"""Which concentration decides an hour, what the record says of it, and that nothing is lost."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aqi import AQICN_PM25, sub_index
from runner.core.concentrations import Measured, is_usable, settle, unit_of
from runner.core.intervals import Interval
from runner.core.readings import Reason

HOUR = 420_000
WINDOW = Interval(HOUR, HOUR + 4)
LOCAL = {"s": "2017-11-29 07:00:00", "tz": "+07:00"}
PM25 = Measured(HOUR, {"s": LOCAL["s"], "tz": LOCAL["tz"]}, "pm25", 35.5, "ug/m3", 7441, 21632)

some = st.builds(
    Measured,
    hour=st.integers(HOUR, HOUR + 3),
    local=st.just(PM25.local),
    pollutant=st.sampled_from(["pm25", "pm10", "co"]),
    value=st.floats(0, 500),
    unit=st.just("ug/m3"),
    location=st.sampled_from([1, 2]),
    sensor=st.integers(1, 6),
)


def test_the_location_named_first_decides_and_there_the_newest_sensor() -> None:
    newer = replace(PM25, sensor=21633, value=12.0)
    other = replace(PM25, location=2539, sensor=99999, value=55.5)
    settled = settle([other, PM25, newer], [7441, 2539], "aqicn", WINDOW)
    assert settled.records == [{"aqi": 50, "iaqi": {"pm25": {"v": 50}}, "time": LOCAL}]
    (hour,) = settled.hours
    assert [one.sensor for one in hour.measured] == [21633, 21632, 99999]
    assert hour.deciding == {"pm25": 21633}
    swapped = settle([other, PM25, newer], [2539, 7441], "aqicn", WINDOW)
    assert swapped.records[0]["aqi"] == 150


@given(st.lists(some, unique_by=lambda one: (one.hour, one.sensor, one.location, one.pollutant)))
def test_every_concentration_is_kept_once_and_every_hour_with_an_index_has_one_record(
    measured: list[Measured],
) -> None:
    settled = settle(measured, [1, 2], "aqicn", WINDOW)
    kept = [one for hour in settled.hours for one in hour.measured]
    assert sorted(map(repr, kept)) == sorted(map(repr, measured))
    assert [hour.hour for hour in settled.hours] == sorted({one.hour for one in measured})
    assert len(settled.records) == len({o.hour for o in measured if o.pollutant != "co"})
    assert len(settled.records) + len(settled.rejects) == len(settled.hours)
    for record in settled.records:
        assert record["aqi"] == max(index["v"] for index in record["iaqi"].values())


@given(st.floats(-10, 900))
def test_the_index_is_aqicns_own_of_the_raw_hour_and_none_below_zero(value: float) -> None:
    settled = settle([replace(PM25, value=value)], [7441], "aqicn", WINDOW)
    indices = [record["iaqi"]["pm25"]["v"] for record in settled.records]
    assert indices == ([sub_index(AQICN_PM25, value)] if value >= 0 else [])
    assert [one.reason for one in settled.rejects] == [Reason.BELOW_ZERO] * (value < 0)


def test_an_hour_without_an_index_is_a_reject_and_its_concentrations_are_kept() -> None:
    settled = settle(
        [replace(PM25, pollutant="co", unit="ppm", value=0.4)], [7441], "aqicn", WINDOW
    )
    assert settled.records == []
    assert len(settled.hours) == 1
    (reject,) = settled.rejects
    assert (reject.reason, reject.hour) == (Reason.NO_INDEX, HOUR)
    assert reject.raw == {"scale": "aqicn", "measured": {"co": [0.4, "ppm"]}}


def test_a_value_below_zero_beside_a_reading_is_a_reject_and_takes_no_reading_away() -> None:
    below = replace(PM25, value=-0.8)
    settled = settle([below, replace(PM25, pollutant="pm10", value=20.0)], [7441], "aqicn", WINDOW)
    assert [sorted(record["iaqi"]) for record in settled.records] == [["pm10"]]
    (reject,) = settled.rejects
    assert (reject.reason, reject.hour) == (Reason.SUB_INDEX_UNUSABLE, HOUR)
    assert reject.raw == {"scale": "aqicn", "below_zero": {"pm25": [-0.8, "ug/m3"]}}


@pytest.mark.parametrize(
    ("pollutant", "value", "unit", "usable"),
    [
        ("pm25", 0.0, "ug/m3", True),
        ("pm25", -0.8, "ug/m3", True),
        ("pm25", -10.1, "ug/m3", False),
        ("pm25", -999.0, "ug/m3", False),
        ("pm25", 985.0, "ug/m3", False),
        ("co", 985.0, "ug/m3", True),
        ("o3", -0.05, "ppm", True),
        ("o3", -0.2, "ppm", False),
        ("o3", math.nan, "ppm", False),
        ("o3", math.inf, "ppm", False),
    ],
)
def test_fillers_and_the_end_of_the_scale_are_no_air(
    pollutant: str, value: float, unit: str, usable: bool
) -> None:
    assert is_usable(pollutant, value, unit) is usable


def test_units_are_known_in_the_ways_they_are_spelt() -> None:
    spelt = ["µg/m³", "\N{GREEK SMALL LETTER MU}g/m³", " ug/m3 ", "ppm", "ppb", "mg/m³"]
    assert [unit_of(text) for text in spelt] == ["ug/m3", "ug/m3", "ug/m3", "ppm", "ppb", "mg/m3"]
    assert unit_of("particles/cm³") is None
    assert unit_of(None) is None
