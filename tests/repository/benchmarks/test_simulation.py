"""The simulation of a fleet keeps to the rules of the product, and the arithmetic to it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import fleet_model
from benchmarks.arithmetic import TEN_YEARS, figures, lines
from benchmarks.fleet_model import Fleet, Quota, Slots, World
from benchmarks.simulate_fleet import Line, check, compare, report
from runner.core.intervals import Interval
from runner.core.plan import Pace
from runner.process.stop import StopFlag
from runner.sources.pacing import Pacer

YEAR = Interval(TEN_YEARS.end - 8760, TEN_YEARS.end)
SMALL = World(
    200,
    YEAR,
    workers=4,
    keys=2,
    rate_429=0.01,
    rate_5xx=0.03,
    rate_timeout=0.01,
    kills_per_day=40.0,
    restart_s=20.0,
)


class FakeClock(StopFlag):
    """A clock that only waiting moves; nobody asks it to stop."""

    now_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


waits = st.floats(0, 30) | st.floats(0, 4000)
asks = st.lists(st.tuples(waits, st.none() | st.floats(0, 100)), max_size=60)


@settings(max_examples=200)
@given(asks, st.sampled_from([0.0, 1.0, 3.6]), st.sampled_from([0, 1, 3, 20]))
def test_permits_are_handed_out_when_the_pacer_of_the_product_hands_them_out(
    drawn: list[tuple[float, float | None]], delay_s: float, max_per_hour: int
) -> None:
    clock = FakeClock()
    pacer = Pacer(delay_s, max_per_hour, clock, lambda: clock.now_s)
    slots = Slots(Pace(delay_s, max_per_hour))
    for idle_s, pause_s in drawn:
        clock.now_s += idle_s
        if pause_s is not None:
            pacer.pause(pause_s)
            slots.pause(clock.now_s + pause_s)
        due_s = slots.next_s(clock.now_s)
        pacer.acquire()
        assert clock.now_s == pytest.approx(due_s)
        slots.take(clock.now_s)


def test_everything_is_fetched_once_whatever_fails_and_every_request_is_accounted_for() -> None:
    fleet = Fleet(SMALL)
    counts = fleet.run()
    check(counts)
    assert counts.windows == figures(SMALL.stations, YEAR).requests
    assert min(counts.kills, counts.throttled, counts.failed, counts.lost) > 0
    requests = {line.what: line for line in compare(SMALL, counts)}["requests"]
    assert requests.simulated == pytest.approx(requests.computed, rel=0.02)


def test_the_same_seed_makes_the_same_history() -> None:
    little = replace(SMALL, stations=20)
    assert Fleet(little).run() == Fleet(little).run()
    assert Fleet(little).run() != Fleet(replace(little, seed=2)).run()


def test_without_faults_the_days_are_those_of_the_arithmetic(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(200, YEAR, workers=1, keys=1)
    assert report("no faults", world)
    said = capsys.readouterr().out
    assert "10,600.00" in said
    assert "DIFFERS" not in said


def test_a_schedule_that_is_too_fast_is_caught_by_the_quota(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Slots, "next_s", lambda _slots, now_s: now_s)
    with pytest.raises(AssertionError, match="over the quota"):
        Fleet(World(200, YEAR, workers=1, keys=1)).run()


def test_a_station_that_two_runs_take_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fleet, "_leased_until_s", lambda *_: None)
    with pytest.raises(AssertionError, match="two runs at one station"):
        Fleet(SMALL).run()


def test_the_quota_forgets_after_an_hour_and_no_sooner() -> None:
    quota = Quota(1)
    quota.count(0.0)
    quota.count(fleet_model.HOUR_S)
    with pytest.raises(AssertionError):
        quota.count(2 * fleet_model.HOUR_S - 1)


def test_a_figure_that_is_off_by_more_than_the_tolerance_is_said_to_differ() -> None:
    assert Line("days", 101.9, 100.0).is_close
    assert not Line("days", 102.1, 100.0).is_close
    assert not Line("days", 97.9, 100.0).is_close


def test_the_figures_of_ten_years_are_those_of_the_plan() -> None:
    small, whole = figures(98), figures(12_000)
    assert (small.requests, whole.requests) == (98 * 522, 12_000 * 522)
    assert (small.week_keys, whole.week_keys) == (1, 38)
    assert whole.key_days == pytest.approx(261.0, abs=0.01)
    assert len([*lines(98)]) == len([*lines(12_000)])
