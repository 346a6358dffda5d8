"""Which hours a backfill is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner.config.backfill import Backfill
from runner.config.read import date_range
from runner.core.errors import ConfigError
from runner.core.intervals import hour_of, to_datetime

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
LEAP_DAY = datetime(2024, 2, 29, 10, 5, tzinfo=UTC)


def ends(backfill: Backfill, now: datetime = NOW) -> tuple[str, str]:
    start, end = date_range(backfill, now)
    return tuple(to_datetime(hour).isoformat()[:16] for hour in (start, end))  # type: ignore[return-value]


def test_end_is_the_present_hour_less_the_lag() -> None:
    assert ends(Backfill(years=1)) == ("2024-06-15T09:00", "2025-06-15T09:00")
    assert ends(Backfill(years=1, lag_hours=0))[1] == "2025-06-15T10:00"
    assert ends(Backfill(years=1, lag_hours=48))[1] == "2025-06-13T10:00"


def test_years_are_calendar_years_back_from_the_end() -> None:
    given_end = Backfill(years=3, end_date="2022-07-01")
    assert ends(given_end) == ("2019-07-01T00:00", "2022-07-01T00:00")


def test_years_back_from_29_february_begin_on_28_february() -> None:
    assert ends(Backfill(years=1), LEAP_DAY)[0] == "2023-02-28T09:00"
    assert ends(Backfill(years=4), LEAP_DAY)[0] == "2020-02-29T09:00"


def test_days_are_24_hours_each() -> None:
    start, end = date_range(Backfill(days=30), NOW)
    assert end - start == 30 * 24


def test_start_date_beats_years_and_days() -> None:
    assert ends(Backfill(start_date="2022-01-01", years=3))[0] == "2022-01-01T00:00"
    assert ends(Backfill(start_date="2022-01-01", days=3))[0] == "2022-01-01T00:00"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2022-01-01", "2022-01-01T00:00"),
        ("2022-01-01T05:00", "2022-01-01T05:00"),
        ("2022-01-01 05:00:00", "2022-01-01T05:00"),
        ("2022-01-01T05:00Z", "2022-01-01T05:00"),
        ("2022-01-01T05:00+07:00", "2021-12-31T22:00"),
        (" 2022-01-01 ", "2022-01-01T00:00"),
    ],
)
def test_dates_are_utc_unless_they_name_a_zone(text: str, utc: str) -> None:
    assert ends(Backfill(start_date=text))[0] == utc


def test_an_end_within_the_lag_is_cut_back_to_it() -> None:
    assert ends(Backfill(years=1, end_date="2025-06-15T10:00"))[1] == "2025-06-15T09:00"
    assert ends(Backfill(days=1, end_date="2025-06-15", lag_hours=24))[1] == "2025-06-14T10:00"


@pytest.mark.parametrize(
    ("backfill", "told"),
    [
        (Backfill(start_date="2022-13-01"), "backfill.start_date=2022-13-01 is not a date"),
        (Backfill(start_date="yesterday"), "2022-01-01T05:00"),
        (Backfill(start_date="2022"), "is not a date"),
        (Backfill(start_date=""), "is not a date"),
        (Backfill(start_date="2022-01-01T05:30"), "not a full hour"),
        (Backfill(start_date="2022-01-01T05:00+05:30"), "not a full hour"),
        (Backfill(start_date="0001-01-01T00:00+14:00"), "start_date"),
        (Backfill(start_date="1969-12-31"), "before 1970-01-01"),
        (Backfill(years=100), "before 1970-01-01"),
        (Backfill(years=1, end_date="2025-06-15T11:00"), "in the future"),
        (Backfill(start_date="2030-01-01"), "The future cannot be fetched"),
        (Backfill(start_date="2025-06-15T09:00"), "too late"),
        (Backfill(start_date="2022-01-02", end_date="2022-01-01"), "not before the end"),
        (Backfill(start_date="2022-01-01", end_date="2022-01-01"), "not before the end"),
        (Backfill(), "where to start is not said"),
    ],
)
def test_impossible_ranges_are_refused_with_the_reason(backfill: Backfill, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        date_range(backfill, NOW)
    text = f"{refused.value.message}\n{refused.value.hint}"
    assert told in text
    assert len(text.splitlines()) <= 5


moments = st.integers(0, 3_000_000_000).map(
    lambda seconds: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(
    now=moments,
    lag=st.integers(0, 8784),
    years=st.none() | st.integers(1, 19),
    days=st.integers(1, 7000),
    before_end=st.none() | st.integers(0, 9000),
)
def test_ranges_are_whole_hours_in_order_and_leave_the_lag_alone(
    now: datetime, lag: int, years: int | None, days: int, before_end: int | None
) -> None:
    end = None
    if before_end is not None:
        end = to_datetime(hour_of(now) - before_end).isoformat()
    backfill = Backfill(years=years, days=None if years else days, end_date=end, lag_hours=lag)
    start_hour, end_hour = date_range(backfill, now)
    assert 0 <= start_hour < end_hour
    assert to_datetime(end_hour) <= now - timedelta(hours=lag)
    if end is not None:
        assert to_datetime(end_hour) <= datetime.fromisoformat(end)


@given(now=moments, hours=st.integers(2, 400_000), zone=st.integers(-12, 14))
def test_a_start_date_is_kept_to_the_hour_in_any_zone(now: datetime, hours: int, zone: int) -> None:
    start = hour_of(now) - hours
    assume(start >= 0)
    local = to_datetime(start) + timedelta(hours=zone)
    text = f"{local:%Y-%m-%dT%H:%M}{zone:+03d}:00"
    assert date_range(Backfill(start_date=text), now).start == start
