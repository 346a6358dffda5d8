"""Whole columns give the same numbers as one value at a time."""

from __future__ import annotations

import math

import polars as pl
import pytest

from runner.core.aqi import Breakpoints, nowcast
from tests.core.aqi.columns import index_of, nowcast_of
from tests.core.aqi.every_table import TABLES, points


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_column_has_the_indices_of_its_values(table: Breakpoints) -> None:
    values = [*points(table), table.lowest, 0.37 * table.knots[-1][0]]
    frame = pl.DataFrame({"value": values}).with_columns(index_of(pl.col("value"), table))
    assert frame["value"].to_list() == [table.index(value) for value in values]


def test_what_is_no_concentration_is_null_in_a_column() -> None:
    values = [None, math.nan, math.inf, -math.inf, -999.0, 12.0]
    table = TABLES["epa_2012_pm25"]
    frame = pl.DataFrame({"value": values}).select(index_of(pl.col("value"), table))
    assert frame["value"].to_list() == [None, None, None, None, None, 50]


def test_a_column_of_hours_has_the_nowcast_of_every_hour() -> None:
    hours = [None if n % 7 in (2, 3) else (n * 37 % 101) / 3 - 2 for n in range(60)]
    hours[40:50] = [None] * 10
    hours[20:36] = [-1.0, -3.0, -2.0, 0.0] * 4  # nothing above zero for more than twelve hours
    frame = pl.DataFrame({"hour": hours}, {"hour": pl.Float64}).select(nowcast_of(pl.col("hour")))
    expected = [nowcast(hours[at::-1]) for at in range(60)]
    for found, wanted in zip(frame["hour"].to_list(), expected, strict=True):
        assert found == (None if wanted is None else pytest.approx(wanted))


def test_stations_do_not_reach_into_each_other() -> None:
    frame = pl.DataFrame({"idx": [1, 1, 2, 2], "hour": [9.0, 9.0, 90.0, 90.0]})
    found = frame.select(nowcast_of(pl.col("hour")).over("idx"))["hour"].to_list()
    assert found == [None, pytest.approx(9.0), None, pytest.approx(90.0)]
