from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner.core.aqi.scale import HOURS, nowcast, weight_factor

measured = st.floats(min_value=0, max_value=1000)
hours = st.lists(st.one_of(st.none(), measured), min_size=HOURS, max_size=HOURS)

VIETNAM_S_EXAMPLE = [20.6, 19.6, 22.4, 20.3, 16.5, 19.0, 16.5, 19.5, 23.5, 20.5, 24.7, 26.9]
"""Decision 1459/QD-TCMT, 2.3 a, 20:00 first."""


def test_the_worked_example_of_decision_1459() -> None:
    assert weight_factor(16.5, 26.9) == pytest.approx(0.61, abs=0.005)
    assert nowcast(VIETNAM_S_EXAMPLE) == pytest.approx(20.3, abs=0.05)


def test_a_pulse_of_one_hour_halves_every_hour() -> None:
    """The weight is 1/2 there, so the newest hour counts half."""
    pulse = [71.0, *[0.0] * 11]
    assert nowcast(pulse) == pytest.approx(71 / (2 - 2**-11))
    assert nowcast([0.0, *pulse]) == pytest.approx(35.5 / (2 - 2**-11))


@given(measured, st.integers(min_value=2, max_value=HOURS))
def test_air_that_does_not_change_has_its_own_concentration(value: float, count: int) -> None:
    assert nowcast([value] * count) == pytest.approx(value)


@given(hours)
def test_a_nowcast_lies_between_the_smallest_and_the_largest_hour(
    values: list[float | None],
) -> None:
    found = nowcast(values)
    assume(found is not None)
    there = [value for value in values if value is not None]
    assert found is not None
    assert min(there) - 1e-9 <= found <= max(there) + 1e-9


@given(hours)
def test_two_of_the_newest_three_hours_must_be_there(values: list[float | None]) -> None:
    enough = sum(value is not None for value in values[:3]) >= 2
    assert (nowcast(values) is not None) == enough


@given(hours, st.lists(measured))
def test_hours_before_the_twelfth_do_not_count(
    values: list[float | None], older: list[float]
) -> None:
    assert nowcast([*values, *older]) == nowcast(values)


def test_a_missing_hour_is_not_an_hour_of_clean_air() -> None:
    assert nowcast([40.0, None, 40.0, *[None] * 9]) == pytest.approx(40.0)
    assert nowcast([40.0, 10.0, None, *[None] * 9]) == pytest.approx((40 + 5) / 1.5)


def test_noise_below_zero_gives_a_plain_mean() -> None:
    assert nowcast([-1.0, -3.0, -2.0]) == pytest.approx(-2.0)
    assert nowcast([0.0, 0.0]) == 0
    assert nowcast([4.0, -1.0]) == pytest.approx((4 - 0.5) / 1.5)
