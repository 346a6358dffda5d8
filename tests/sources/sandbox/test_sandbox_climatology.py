"""The synthetic climate: honest about the seasons, and the same however it is asked."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from itertools import groupby, pairwise
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.readings import to_readings
from runner.sources.sandbox.climatology import OFFSET_H, Climatology
from runner.sources.sandbox.values import Record

HANOI, SAIGON = 8641, 8767
FLAWLESS = Climatology(missing_rate=0, dash_rate=0)


def span(start: tuple[int, int], end: tuple[int, int]) -> Interval:
    """Return the hours between two months (year, month)."""
    return Interval(
        hour_of(datetime(*start, 1, tzinfo=UTC)), hour_of(datetime(*end, 1, tzinfo=UTC))
    )


def mean_aqi(idx: int, window: Interval) -> float:
    return fmean(record["current_aqi"] for record in FLAWLESS.records(idx, window))


def test_january_in_hanoi_is_worse_than_july() -> None:
    for year in (2021, 2022, 2023):
        january = mean_aqi(HANOI, span((year, 1), (year, 2)))
        july = mean_aqi(HANOI, span((year, 7), (year, 8)))
        assert january > 1.3 * july


def test_the_north_has_the_stronger_winter() -> None:
    winter, summer = span((2022, 1), (2022, 2)), span((2022, 7), (2022, 8))
    north = mean_aqi(HANOI, winter) - mean_aqi(HANOI, summer)
    south = mean_aqi(SAIGON, winter) - mean_aqi(SAIGON, summer)
    assert north > south


def test_the_morning_in_saigon_is_worse_than_the_afternoon() -> None:
    by_hour: dict[str, list[int]] = {}
    for record in FLAWLESS.records(SAIGON, span((2022, 1), (2023, 1))):
        by_hour.setdefault(record["time"]["s"][11:13], []).append(record["current_aqi"])
    assert fmean(by_hour["08"]) > fmean(by_hour["15"]) * 1.1


def test_every_value_is_plausible() -> None:
    for idx in (HANOI, SAIGON, -476599, 99999):
        for record in FLAWLESS.records(idx, span((2022, 1), (2023, 1))):
            values = {name: entry["v"] for name, entry in record["current_iaqi"].items()}
            for name in ("pm25", "pm10"):
                assert isinstance(values[name], int)
                assert 0 <= values[name] <= 500
            assert record["current_aqi"] == max(values["pm25"], values["pm10"])
            assert 5 < values["t"] < 42
            assert 20 <= values["h"] <= 100
            assert 990 < values["p"] < 1030
            assert 0 < values["w"] < 15


def test_every_hour_is_there_without_imperfections() -> None:
    window = span((2023, 5), (2023, 6))
    found = to_readings(
        FLAWLESS.records(HANOI, window), HANOI, window, datetime(2024, 1, 1, tzinfo=UTC)
    )
    assert len(found.readings) == window.hours
    assert found.rejects == []


def test_imperfections_come_at_their_rates_and_in_runs() -> None:
    window = span((2023, 1), (2024, 1))
    labels = [
        f"{to_datetime(hour + OFFSET_H):%Y-%m-%d %H:%M:%S}"
        for hour in range(window.start, window.end)
    ]
    seen: list[bool] = []
    dashes = records = 0
    for idx in range(100, 110):
        served = Climatology().records(idx, window)
        there = {record["time"]["s"] for record in served}
        seen += [label in there for label in labels]
        dashes += sum(record["current_aqi"] == "-" for record in served)
        records += len(served)
    assert 0.015 < seen.count(False) / len(seen) < 0.025
    assert 0.0015 < dashes / records < 0.0025
    gaps = [len(list(run)) for present, run in groupby(seen) if not present]
    assert gaps.count(1) > len(gaps) / 3
    assert sum(gap for gap in gaps if gap >= 6) > sum(gaps) / 2


def test_a_dash_has_weather_and_no_pollutants() -> None:
    (record, *_) = Climatology(missing_rate=0, dash_rate=1).records(HANOI, Interval(1, 3))
    assert record["current_aqi"] == "-"
    assert set(record["current_iaqi"]) == {"h", "p", "t", "w"}


@settings(max_examples=50)
@given(
    idx=st.sampled_from([HANOI, -476599, 5]),
    start=st.integers(300_000, 480_000),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_any_cut_into_windows_gives_the_same_records(idx: int, start: int, cuts: list[int]) -> None:
    split: list[Record] = []
    at = start
    for hours in cuts:
        split += Climatology(seed=3).records(idx, Interval(at, at + hours))
        at += hours
    assert split == Climatology(seed=3).records(idx, Interval(start, at))


def test_seeds_and_stations_have_their_own_weather() -> None:
    window = span((2023, 1), (2023, 2))
    first = FLAWLESS.records(HANOI, window)
    assert first != Climatology(1, missing_rate=0, dash_rate=0).records(HANOI, window)
    assert first != FLAWLESS.records(13026, window)


def test_consecutive_hours_resemble_each_other() -> None:
    values = [
        math.log(record["current_aqi"])
        for record in FLAWLESS.records(HANOI, span((2023, 1), (2023, 4)))
    ]
    mean = fmean(values)
    variance = fmean((value - mean) ** 2 for value in values)
    step = fmean((b - a) ** 2 for a, b in pairwise(values))
    assert step < variance / 3


@pytest.mark.slow
def test_a_week_is_made_in_a_few_milliseconds() -> None:
    weather = Climatology()
    taken = []
    for week in range(50):
        begun = time.perf_counter()
        weather.records(HANOI, Interval(week * 168, week * 168 + 168))
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.05  # ten times what it takes
