"""Sub-indices of an hour: each by the mean its scale is made for, and none from air that is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aqi import SCALES, nowcast
from runner.core.concentrations import context_hours, indices_of

HOUR = 420_000
hourly = st.lists(st.none() | st.floats(0, 400), min_size=12, max_size=12)


def of(values: list[float | None], unit: str = "ug/m3") -> dict[int, tuple[float, str]]:
    """Return values, the newest first, by hour."""
    return {HOUR - age: (value, unit) for age, value in enumerate(values) if value is not None}


def test_only_means_of_several_hours_need_hours_before() -> None:
    assert {scale: context_hours(scale) for scale in SCALES} == {
        "aqicn": 0,
        "epa_2012": 11,
        "epa_2024": 11,
        "vn_aqi": 11,
    }


@pytest.mark.parametrize("scale", ["epa_2012", "epa_2024", "vn_aqi"])
@given(values=hourly)
def test_particles_of_an_authority_are_nowcast(scale: str, values: list[float | None]) -> None:
    _aqi, told = indices_of({"pm25": of(values)}, HOUR, scale)
    mean = nowcast(values)
    if values[0] is None or mean is None:
        assert told == {}
    else:
        assert told == {"pm25": SCALES[scale].tables["pm25", "nowcast"].index(mean)}


@given(st.lists(st.none() | st.floats(0, 400), min_size=1, max_size=12))
def test_aqicn_looks_at_the_hour_alone(values: list[float | None]) -> None:
    aqi, told = indices_of({"pm25": of(values)}, HOUR, "aqicn")
    if values[0] is None:
        assert (aqi, told) == (None, {})
    else:
        assert told["pm25"] == aqi == SCALES["aqicn"].tables["pm25", "1h"].index(values[0])


def test_ozone_of_eight_hours_needs_six_and_the_larger_of_its_two_means_counts() -> None:
    six, five = of([0.080] * 6, "ppm"), of([0.080] * 5, "ppm")
    assert indices_of({"o3": six}, HOUR, "epa_2024")[1] == {"o3": 133}
    assert indices_of({"o3": five}, HOUR, "epa_2024")[1] == {}  # one hour says nothing below 0.125
    peak = of([0.204, *[0.080] * 7], "ppm")
    assert indices_of({"o3": peak}, HOUR, "epa_2024")[1] == {"o3": 200}


def test_units_are_converted_and_what_cannot_be_has_no_index() -> None:
    in_ppm = indices_of({"co": of([4.4] * 8, "ppm")}, HOUR, "epa_2024")
    in_mass = indices_of({"co": of([4.4 * 1000 * 28.01 / 24.45] * 8)}, HOUR, "epa_2024")
    assert in_ppm == in_mass == (50, {"co": 50})
    assert indices_of({"pm25": of([10.0], "ppb")}, HOUR, "aqicn") == (None, {})


def test_vn_aqi_has_no_index_of_the_air_without_particles() -> None:
    gas = of([100.0])
    assert indices_of({"no2": gas}, HOUR, "vn_aqi") == (None, {"no2": 50})
    assert indices_of({"no2": gas, "pm10": of([25.0] * 12)}, HOUR, "vn_aqi")[0] == 50


def test_noise_below_what_a_table_takes_has_no_index() -> None:
    assert indices_of({"o3": of([-0.05] * 8, "ppm")}, HOUR, "epa_2024") == (None, {})
