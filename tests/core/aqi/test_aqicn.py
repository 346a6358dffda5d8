from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aqi import (
    AQICN_PM25,
    LOWEST_CONCENTRATION,
    Breakpoints,
    concentration_of,
    sub_index,
)

air = st.floats(min_value=LOWEST_CONCENTRATION, max_value=2000)


@pytest.mark.parametrize(("concentration", "index"), AQICN_PM25.knots)
def test_a_knot_has_exactly_its_index(concentration: float, index: int) -> None:
    assert sub_index(AQICN_PM25, concentration) == index


@pytest.mark.parametrize(
    ("concentration", "index"),
    [(0.1, 1), (11.9, 50), (12.1, 51), (16.7, 60), (69.2, 158), (500.6, 501), (555.0, 537)],
)
def test_between_knots_the_index_is_the_ceiling_of_the_line(
    concentration: float, index: int
) -> None:
    assert sub_index(AQICN_PM25, concentration) == index


def test_every_published_tenth_equals_exact_arithmetic() -> None:
    knots = [(Fraction(str(x)), y) for x, y in AQICN_PM25.knots]
    for tenths in range(10_000):
        at = Fraction(tenths, 10)
        segment = max(place for place, (x, _) in enumerate(knots[:-1]) if x <= at)
        (x0, y0), (x1, y1) = knots[segment], knots[segment + 1]
        exact = math.ceil(y0 + (at - x0) / (x1 - x0) * (y1 - y0))
        assert sub_index(AQICN_PM25, tenths / 10) == exact, tenths


@given(air, air)
def test_more_dust_never_has_a_smaller_index(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert sub_index(AQICN_PM25, low) <= sub_index(AQICN_PM25, high)


@given(air)
def test_an_index_is_a_whole_number_within_the_bounds_of_its_segment(concentration: float) -> None:
    index = sub_index(AQICN_PM25, concentration)
    assert isinstance(index, int)
    assert index >= 0
    for (x0, y0), (x1, y1) in pairwise(AQICN_PM25.knots):
        if x0 <= concentration <= x1:
            assert y0 <= index <= y1


@given(st.floats(min_value=LOWEST_CONCENTRATION, max_value=0))
def test_noise_around_zero_has_index_zero(concentration: float) -> None:
    assert sub_index(AQICN_PM25, concentration) == 0


@given(
    st.one_of(
        st.sampled_from([math.nan, math.inf, -math.inf, -999.0]),
        st.floats(max_value=LOWEST_CONCENTRATION, exclude_max=True),
    )
)
def test_what_is_no_concentration_is_refused(concentration: float) -> None:
    with pytest.raises(ValueError, match="no concentration of air"):
        sub_index(AQICN_PM25, concentration)


def test_the_largest_float_has_an_index_too() -> None:
    assert sub_index(AQICN_PM25, 1.7e308) > 10**300


@given(st.integers(min_value=0, max_value=2000))
def test_the_inverse_gives_the_largest_concentration_of_an_index(index: int) -> None:
    concentration = concentration_of(AQICN_PM25, index)
    assert sub_index(AQICN_PM25, concentration) == index
    assert sub_index(AQICN_PM25, concentration + 0.001) == index + 1


@pytest.mark.parametrize("index", [-1, math.nan, math.inf])
def test_what_is_no_index_has_no_concentration(index: float) -> None:
    with pytest.raises(ValueError, match="no air-quality index"):
        concentration_of(AQICN_PM25, index)


@pytest.mark.parametrize(
    "knots", [(), ((0.0, 0),), ((1.0, 0), (2.0, 1)), ((0.0, 0), (5.0, 9), (5.0, 10))]
)
def test_a_scale_that_does_not_rise_from_zero_is_refused(
    knots: tuple[tuple[float, int], ...],
) -> None:
    with pytest.raises(ValueError, match="knots must rise"):
        Breakpoints("crooked", knots)
