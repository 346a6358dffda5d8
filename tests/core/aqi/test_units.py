from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aqi.breakpoints import MOLAR_MASS, converted, unit_name

UNITS = ("ug/m3", "mg/m3", "ppb", "ppm")


@pytest.mark.parametrize(
    ("pollutant", "ugm3_of_a_ppb"), [("o3", 1.963), ("no2", 1.882), ("so2", 2.620), ("co", 1.146)]
)
def test_a_ppb_at_25_degrees_weighs_what_the_tables_of_agencies_say(
    pollutant: str, ugm3_of_a_ppb: float
) -> None:
    assert converted(1.0, "ppb", "ug/m3", pollutant) == pytest.approx(ugm3_of_a_ppb, abs=5e-4)


@given(
    st.sampled_from(sorted(MOLAR_MASS)),
    st.sampled_from(UNITS),
    st.sampled_from(UNITS),
    st.floats(min_value=-10, max_value=1e6),
)
def test_there_and_back_is_where_it_was(pollutant: str, one: str, other: str, value: float) -> None:
    there = converted(value, one, other, pollutant)
    assert converted(there, other, one, pollutant) == pytest.approx(value)


@pytest.mark.parametrize("text", ["µg/m³", "μg/m³", "UG/M3", " ug/m3 ", "\u03bcg/m3"])
def test_a_unit_is_known_however_it_is_written(text: str) -> None:
    assert unit_name(text) == "ug/m3"


@pytest.mark.parametrize("text", ["", "c", "particles/cm³", "ppt"])
def test_what_is_no_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no unit of a concentration"):
        unit_name(text)


def test_particles_have_no_mixing_ratio() -> None:
    assert converted(0.05, "mg/m3", "ug/m3", "pm25") == pytest.approx(50.0)
    with pytest.raises(ValueError, match="no molar mass"):
        converted(1.0, "ppb", "ug/m3", "pm25")
