"""What holds for every table of every scale."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.aqi import Breakpoints, concentration_of, sub_index
from runner.core.aqi.breakpoints import stepped
from tests.core.aqi.every_table import TABLES, points, step_of

tables = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
any_table = st.sampled_from(list(TABLES.values()))


def exact_index(table: Breakpoints, at: Fraction) -> int | None:
    """Return the index by the rows of the table, in fractions: equation 1 of appendix G."""
    knots = [(Fraction(str(x)), y) for x, y in table.knots]
    if at < knots[0][0]:
        return None
    if at > knots[-1][0] and table.beyond != "extend":
        return knots[-1][1] if table.beyond == "cap" else None
    row = max(n for n, (x, _) in enumerate(knots[:-1]) if x <= at)
    (x0, y0), (x1, y1) = knots[row], knots[row + 1]
    line = y0 + (at - x0) * (y1 - y0) / (x1 - x0)
    return math.ceil(line) if table.rounding == "up" else math.floor(line + Fraction(1, 2))


@tables
def test_every_step_of_a_table_equals_exact_arithmetic(table: Breakpoints) -> None:
    step = Fraction(1, 10 ** (table.decimals or 0))
    last = Fraction(str(table.knots[-1][0]))
    every = max(int(last / step) // 1500, 1)
    for n in range(0, int(last / step) + 200, every):
        assert table.index(float(n * step)) == exact_index(table, n * step), n * step


@tables
def test_a_knot_has_its_own_index(table: Breakpoints) -> None:
    for concentration, index in table.knots:
        assert table.index(concentration) == index


@tables
def test_more_of_a_pollutant_never_has_a_smaller_index(table: Breakpoints) -> None:
    there = [index for at in points(table) if (index := table.index(at)) is not None]
    assert there == sorted(there)
    assert len(set(there)) > 20


@tables
def test_the_line_makes_no_jump_a_step_changes_the_index_by_its_slope_at_most(
    table: Breakpoints,
) -> None:
    step = step_of(table)
    for (x0, y0), (x1, y1) in zip(table.knots, table.knots[1:], strict=False):
        at_most = math.ceil(step * (y1 - y0) / (x1 - x0) - 1e-9) + 1
        for n in range(min(int((x1 - x0) / step), 400)):
            one, next_one = sub_index(table, x0 + n * step), sub_index(table, x0 + (n + 1) * step)
            assert 0 <= next_one - one <= at_most, x0 + n * step


@given(any_table, st.floats(min_value=0, max_value=200_000))
@example(TABLES["epa_2012_o3_8h"], 131072.2109375)  # in thousandths no whole number in binary
def test_what_is_cut_off_once_stays_as_it_is(table: Breakpoints, concentration: float) -> None:
    once = table.truncated(concentration)
    assert table.truncated(once) == once
    assert once <= concentration + 1e-9
    assert concentration - once < step_of(table) if table.decimals is not None else True
    assert table.index(once) == table.index(concentration)


@tables
def test_the_largest_float_is_no_crash(table: Breakpoints) -> None:
    try:
        index = table.index(1.7e308)
    except ValueError:  # its index would be no finite number
        return
    assert index is None or index >= table.knots[-1][1]


@tables
@pytest.mark.parametrize("concentration", [math.nan, math.inf, -math.inf, -999.0])
def test_what_is_no_concentration_has_no_index_in_any_table(
    table: Breakpoints, concentration: float
) -> None:
    with pytest.raises(ValueError, match="no concentration of air"):
        table.index(concentration)


@tables
def test_noise_below_zero_counts_as_zero(table: Breakpoints) -> None:
    assert table.index(table.lowest) == table.index(0.0)
    assert table.index(-1e-12) == table.index(0.0)
    assert table.index(0.0) == (0 if table.knots[0][0] == 0 else None)


def test_a_table_without_an_index_there_says_so() -> None:
    partial = Breakpoints("partial", ((5.0, 101), (9.0, 150)), beyond="undefined")
    for concentration in (4.9, 9.1):
        assert partial.index(concentration) is None
        with pytest.raises(ValueError, match="partial has no index"):
            sub_index(partial, concentration)


def test_a_printed_table_begins_its_rows_one_step_and_one_index_higher() -> None:
    knots = stepped((9.0, 35.4), (50, 100), 1)
    assert knots == ((0.0, 0), (9.0, 50), (9.1, 51), (35.4, 100))


@tables
def test_a_negative_index_has_no_concentration(table: Breakpoints) -> None:
    with pytest.raises(ValueError, match="no air-quality index"):
        concentration_of(table, -1)
    assert concentration_of(table, table.knots[-1][1]) == table.knots[-1][0]
