"""Flaws on purpose: where they are declared, as they are declared, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.core.intervals import Interval, hour_of, iso
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.flaws import Flawed
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import LONGEST_H, Flaw, Kind, is_day
from runner.sources.sandbox.values import Record, Replay

HANOI, HUE = 8641, 12488
CLEAN = Climatology(3, missing_rate=0, dash_rate=0)
BEGIN = hour_of(datetime(2023, 8, 19, 17, tzinfo=UTC))
"""The first hour of 20 August 2023 in Vietnam."""
AROUND = Interval(BEGIN - 10, BEGIN + 20)
HIT = Interval(BEGIN + 2, BEGIN + 8)

flaws = st.builds(
    Flaw,
    station=st.sampled_from([HANOI, HUE]),
    kind=st.sampled_from(Kind),
    day=st.sampled_from(["08-19", "08-20", "2023-08-20", "2022-08-20", "02-29"]),
    hour=st.integers(0, 23),
    hours=st.integers(1, 60),
    value=st.sampled_from([0.5, 1.8, 480.0]),
)


def gap(day: str, hour: int = 0, hours: int = 24) -> Flaw:
    return Flaw(station=1, kind=Kind.GAP, day=day, hour=hour, hours=hours)


def flawed(kind: Kind, value: float = 0.0, of: Climatology | Replay = CLEAN) -> list[Record]:
    """Return the records around a flaw from 2 to 8 o'clock."""
    flaw = Flaw(station=HANOI, kind=kind, day="08-20", hour=2, hours=6, value=value)
    return Flawed(of, [flaw]).records(HANOI, AROUND)


def split(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Return the records in the hours of the flaw, and the others."""
    hit = [one for one in records if "2023-08-20 02" <= one["time"]["s"] < "2023-08-20 08"]
    return hit, [one for one in records if one not in hit]


def new_year(year: int) -> int:
    """Return the first hour of a year in Vietnam."""
    return hour_of(datetime(year, 1, 1, tzinfo=UTC)) - 7


@pytest.mark.parametrize("kind", Kind)
def test_hours_outside_are_untouched_and_weather_stays(kind: Kind) -> None:
    hit, others = split(flawed(kind, 3.0))
    before, same = split(CLEAN.records(HANOI, AROUND))
    assert others == same
    assert hit != before
    weather = [{k: one["current_iaqi"][k] for k in "hptw"} for one in hit]
    assert weather == [{k: one["current_iaqi"][k] for k in "hptw"} for one in before][: len(hit)]


def test_each_kind_does_what_it_says() -> None:
    before, _others = split(CLEAN.records(HANOI, AROUND))
    first = before[0]
    assert split(flawed(Kind.GAP))[0] == []
    for one in split(flawed(Kind.FLAT_LINE))[0]:
        assert one["current_aqi"] == first["current_aqi"]
        for name in ("pm25", "pm10"):
            assert one["current_iaqi"][name] == first["current_iaqi"][name]
    for one in split(flawed(Kind.SPIKE, 480))[0]:
        assert (one["current_aqi"], one["current_iaqi"]["pm25"]) == (480, {"v": 480})
    for one in split(flawed(Kind.DASH))[0]:
        assert one["current_aqi"] == "-"
        assert set(one["current_iaqi"]) == {"h", "p", "t", "w"}
    for one, was in zip(split(flawed(Kind.LEVEL, 2.0))[0], before, strict=True):
        assert one["current_iaqi"]["pm25"]["v"] == min(500, 2 * was["current_iaqi"]["pm25"]["v"])
        assert one["current_aqi"] == min(500, 2 * was["current_aqi"])


def test_an_instrument_hangs_at_a_value_not_at_a_dash_and_not_where_it_is_off() -> None:
    def records(idx: int, window: Interval) -> list[Record]:
        found = CLEAN.records(idx, window)
        dashes = [{**one, "current_aqi": "-"} if one["time"]["s"][11:13] == "02" else one
                  for one in found]  # fmt: skip
        return [one for one in dashes if one["time"]["s"][11:13] != "05"]

    hit, _others = split(flawed(Kind.FLAT_LINE, of=Replay(records)))
    assert len(hit) == 5
    assert len({one["current_aqi"] for one in hit}) == 1
    assert hit[0]["current_aqi"] == hit[1]["current_aqi"] != "-"
    level, _others = split(flawed(Kind.LEVEL, 2.0, Replay(records)))
    assert level[0]["current_aqi"] == "-"


@settings(max_examples=60)
@given(
    declared=st.lists(flaws, max_size=3),
    start=st.integers(BEGIN - 60, BEGIN + 60),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=4),
)
def test_any_cut_into_windows_gives_the_same_records(
    declared: list[Flaw], start: int, cuts: list[int]
) -> None:
    values = Flawed(CLEAN, declared)
    pieces: list[Record] = []
    at = start
    for hours in cuts:
        pieces += values.records(HANOI, Interval(at, at + hours))
        at += hours
    assert pieces == values.records(HANOI, Interval(start, at))


@given(
    flaw=st.builds(
        gap,
        st.sampled_from(["01-01", "08-20", "12-31"]),
        st.integers(0, 23),
        st.integers(1, LONGEST_H),
    ),
    first=st.integers(2004, 2024),
)
@example(gap("01-01", 0, 1), 2004)
@example(gap("12-31", 23, LONGEST_H), 2004)
def test_a_yearly_flaw_occurs_once_a_year_and_every_part_of_it_is_found(
    flaw: Flaw, first: int
) -> None:
    ten_years = Interval(new_year(first), new_year(first + 10))
    found = flaw.within(ten_years)
    begun = [one.start for one in found if one.start >= ten_years.start]
    years = [range(new_year(year), new_year(year + 1)) for year in range(first, first + 10)]
    assert [sum(start in year for start in begun) for year in years] == [1] * 10
    assert len(begun) == 10
    assert all(one.end > ten_years.start for one in found)
    assert {one.hours for one in found} == {flaw.hours}
    for one in found:
        for hour in (one.start, one.end - 1):
            assert one in flaw.within(Interval(hour, hour + 1))
        assert one not in flaw.within(Interval(one.end, one.end + 1))


def test_a_dated_flaw_occurs_once_and_29_february_in_leap_years() -> None:
    century = Interval(0, 876_000)
    assert len(gap("2024-08-20").within(century)) == 1
    assert len(gap("02-29").within(century)) == 25
    told = [is_day(text) for text in ("08-20", "2024-02-29", "02-29")]
    assert told == [True] * 3
    assert not any(is_day(text) for text in ("", "8-20", "2023-02-29", "13-01", "08-20 ", "0820"))


def test_flaws_take_the_way_of_every_answer() -> None:
    flaw = Flaw(station=HANOI, kind=Kind.SPIKE, day="08-20", hour=2, hours=6, value=480)
    now = datetime(2023, 8, 19, 20, 30, tzinfo=UTC)  # in Vietnam half past three: within it
    with Sandbox({HANOI: "Hanoi", HUE: "Hue"}, Flawed(CLEAN, [flaw]), clock=lambda: now) as api:

        def ask(path: str, **query: str) -> Any:
            return requests.get(api.url + path, params={"token": "any", **query}, timeout=30).json()

        window = {"start": iso(BEGIN), "end": iso(BEGIN + 4)}
        answered = ask(f"/feed/@{HANOI}/history", **window)["data"]
        assert [one["current_aqi"] == 480 for one in answered] == [False, False, True, True]
        assert ask(f"/feed/@{HANOI}/")["data"]["aqi"] == 480
        assert ask(f"/feed/@{HUE}/history", **window)["data"] == CLEAN.records(
            HUE, Interval(BEGIN, BEGIN + 4)
        )
        assert "(synthetic)" in ask(f"/feed/@{HANOI}/")["data"]["city"]["name"]
