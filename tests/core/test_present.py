"""Which hours a present observation may be of, and what it covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runner.core.checkpoint import Checkpoint, Status
from runner.core.intervals import Interval, hour_of
from runner.core.plan import Pace, Why
from runner.core.present import floored, hours_asked, plan_present
from runner.core.readings import moment_in
from runner.core.stations import Station

NOW = datetime(2026, 1, 5, 12, 34, 56, tzinfo=UTC)
THIS = hour_of(NOW)


def test_the_lag_leaves_the_newest_full_hours_and_the_present_one_to_the_live_job() -> None:
    assert hours_asked(NOW, 1, 24) == Interval(THIS - 25, THIS - 1)
    assert hours_asked(NOW, 6, 24).end == THIS - 6


def test_without_a_lag_the_hour_that_has_just_begun_is_ours() -> None:
    assert hours_asked(NOW, 0, 24) == Interval(THIS - 23, THIS + 1)


def test_every_station_is_asked_once_whatever_its_checkpoint_says() -> None:
    asked = hours_asked(NOW, 0, 24)
    covered = (Interval(THIS - 5, THIS + 1),)
    checkpoints = {1: Checkpoint(1, Status.FAILED), 2: Checkpoint(2, Status.COMPLETED, covered)}
    stations = [Station(1), Station(2), Station(3)]
    plan = plan_present(stations, checkpoints, asked, pace=Pace(4, 0), unknown=[9], is_ours=True)
    assert (plan.requests, plan.hours) == (3, 3)
    assert [entry.why for entry in plan.stations] == [Why.PRESENT] * 3 + [None]
    assert all(not entry.again for entry in plan.stations)
    assert plan.stations[1].covered == covered


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2025, 12, 31)),  # noqa: DTZ001 - a wall clock
    st.sampled_from(["+07:00", "-07:00", "+0530", "+05:45", "+00:00"]),
)
def test_a_label_within_an_hour_goes_to_its_beginning_and_never_further(
    wall: datetime, tz: str
) -> None:
    record = {"aqi": 1, "time": {"s": wall.strftime("%Y-%m-%d %H:%M:%S"), "tz": tz}}
    before, after = moment_in(record), moment_in(floored(record, NOW))
    assert before is not None
    assert after is not None
    assert timedelta() <= before[0] - after[0] < timedelta(hours=1)
    assert (after[0].minute, after[0].second) == (0, 0)
    assert hour_of(before[0]) == hour_of(after[0])
    assert before[1] == after[1] == hour_of(after[0])
    assert after[2]["tz"] == tz


def test_a_moment_in_the_future_and_one_that_cannot_be_read_stay_as_they_are() -> None:
    for time in ({"s": "2026-01-05 19:40:00", "tz": "+07:00"}, {"v": 0}, None, "x"):
        assert floored({"aqi": 1, "time": time}, NOW) == {"aqi": 1, "time": time}
