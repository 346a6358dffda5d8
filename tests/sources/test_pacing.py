"""The pacer on a clock that moves only when somebody sleeps, works or waits for an answer."""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import StoppedError
from runner.core.plan import HOUR_S, LATE_S, Pace, Wait
from runner.process.stop import StopFlag
from runner.sources.pacing import Pacer

DELAYS = st.integers(0, 4096).map(lambda sixteenths: sixteenths / 16)
"""Seconds that binary floats hold exactly, so that `==` means equal."""


class FakeTime(StopFlag):
    """A stop flag whose sleep moves the clock; the clock is passed on as `FakeTime.read`.

    Attributes:
        now: seconds.
        oversleep: how much later than asked the next sleeps return, one entry a sleep.
    """

    def __init__(self, now: float = 0.0) -> None:
        super().__init__()
        self.now = now
        self.oversleep: list[float] = []
        self._events: list[tuple[float, Callable[[], object]]] = []

    def read(self) -> float:
        return self.now

    def at(self, moment: float, action: Callable[[], object]) -> None:
        """Do something in the middle of a sleep."""
        self._events.append((moment, action))

    def sleep(self, seconds: float) -> None:
        self.check()
        end = self.now + seconds
        for event in [event for event in self._events if event[0] < end]:
            self._events.remove(event)
            self.now = max(self.now, event[0])
            event[1]()
            self.check()
        self.now = end + (self.oversleep.pop(0) if self.oversleep else 0.0)


def pacer(time: FakeTime, delay_s: float = 0.0, max_per_hour: int = 0) -> Pacer:
    return Pacer(Pace(delay_s, max_per_hour).interval_s, time, time.read)


def permit(pace: Pacer, time: FakeTime) -> float:
    """Return when the next permit is handed out."""
    pace.acquire()
    return time.now


def permits(pace: Pacer, time: FakeTime, count: int) -> list[float]:
    return [permit(pace, time) for _ in range(count)]


def work(pace: Pacer, time: FakeTime, latencies: Sequence[float], workers: int) -> list[float]:
    """Return when each request started, with workers that each wait for their answer."""
    free_at = [time.now] * workers
    started = []
    for latency in latencies:
        worker = min(range(workers), key=free_at.__getitem__)
        time.now = max(time.now, free_at[worker])
        started.append(permit(pace, time))
        free_at[worker] = time.now + latency
    return started


@given(st.lists(st.integers(0, 40).map(lambda q: q / 4), min_size=1, max_size=60))
def test_instants_are_a_delay_apart_whatever_the_latency_of_the_answers(
    latencies: list[float],
) -> None:
    time = FakeTime()
    started = work(pacer(time, delay_s=1.0), time, latencies, workers=11)  # 10 s, 1 s apart
    assert started == [float(number) for number in range(len(latencies))]


@given(
    st.floats(0, 1e6),
    st.lists(st.floats(0, 0.2, exclude_max=True), min_size=2, max_size=60),
)
def test_one_worker_keeps_the_pace_while_answers_come_within_an_interval(
    start: float, latencies: list[float]
) -> None:
    time = FakeTime(start)
    started = work(pacer(time, delay_s=0.2), time, [ms * 0.99 for ms in latencies], workers=1)
    expected = [start + 0.2 * number for number in range(len(latencies))]
    assert started == pytest.approx(expected, rel=0, abs=1e-6)


def test_a_hundred_requests_a_fifth_of_a_second_apart_end_after_99_fifths() -> None:
    time = FakeTime()
    started = work(pacer(time, delay_s=0.2), time, [0.15] * 100, workers=1)
    assert started[-1] == pytest.approx(99 * 0.2, rel=0, abs=1e-9)  # not 99 * 0.35


def test_a_hundred_requests_a_quarter_second_apart_end_at_exactly_99_quarters() -> None:
    time = FakeTime()
    assert work(pacer(time, delay_s=0.25), time, [0.15] * 100, workers=1)[-1] == 99 * 0.25


def test_the_first_request_does_not_wait() -> None:
    time = FakeTime(now=12_345.0)
    assert permit(pacer(time, delay_s=600, max_per_hour=1), time) == 12_345.0


def test_without_delay_and_limit_nobody_waits() -> None:
    time = FakeTime()
    assert permits(pacer(time), time, 1000) == [0.0] * 1000


@given(
    DELAYS,
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(["idle", "pause"]), st.integers(0, 5000)), max_size=60),
)
def test_no_3600_seconds_hold_more_requests_than_allowed(
    delay_s: float, most: int, between: list[tuple[str, int]]
) -> None:
    time = FakeTime()
    pace = pacer(time, delay_s, most)
    started = []
    for what, seconds in between:
        if what == "idle":
            time.now += seconds
        else:
            pace.pause(seconds)
        started.append(permit(pace, time))
    assert all(late - early >= HOUR_S for early, late in zip(started, started[most:], strict=False))
    assert all(late - early >= delay_s for early, late in pairwise(started))


@given(st.integers(1, 20), st.lists(st.floats(0, 3 * LATE_S), min_size=5, max_size=60))
def test_no_3600_seconds_hold_more_requests_than_allowed_though_sleeps_last_too_long(
    most: int, oversleep: list[float]
) -> None:
    time = FakeTime()
    time.oversleep = [*oversleep]
    started = permits(pacer(time, max_per_hour=most), time, len(oversleep) + most + 1)
    apart = [late - early for early, late in zip(started, started[most:], strict=False)]
    assert min(apart) >= HOUR_S


def test_sleeps_that_last_too_long_do_not_add_up() -> None:
    time = FakeTime()
    time.oversleep = [0.125] * 99
    started = permits(pacer(time, delay_s=1.0), time, 100)
    assert started == [0.0, *(number + 0.125 for number in range(1, 100))]


@given(DELAYS, st.integers(1, 1000))
def test_unused_instants_are_not_saved_up(delay_s: float, slots: int) -> None:
    time = FakeTime()
    pace = pacer(time, delay_s)
    permit(pace, time)
    time.now += slots * delay_s
    back = time.now
    assert permits(pace, time, 3) == [back, back + delay_s, back + 2 * delay_s]


def test_a_pause_holds_everybody_back_and_lets_no_burst_through_afterwards() -> None:
    time = FakeTime()
    pace = pacer(time, delay_s=1.0)
    assert permits(pace, time, 2) == [0.0, 1.0]
    assert pace.pause(30)
    assert permits(pace, time, 3) == [31.0, 32.0, 33.0]


def test_what_a_request_waits_for_can_be_asked_meanwhile() -> None:
    time = FakeTime()
    pace = pacer(time, delay_s=4)
    seen: list[str] = []
    time.at(2, lambda: seen.append(pace.waits_for))
    time.at(6, lambda: pace.pause(30))
    time.at(6, lambda: seen.append(pace.waits_for))
    time.at(20, lambda: seen.append(pace.waits_for))
    for _ in range(3):
        pace.acquire()
    assert seen == [Wait.PACE, Wait.PACE, Wait.THROTTLING]
    assert pace.waits_for == ""


def test_a_pause_that_begins_while_somebody_waits_holds_them_back_too() -> None:
    time = FakeTime()
    pace = pacer(time, delay_s=10.0)
    permit(pace, time)
    time.at(4.0, lambda: pace.pause(60))
    assert permits(pace, time, 2) == [64.0, 74.0]


def test_a_longer_pause_stays_and_a_shorter_one_says_that_it_changed_nothing() -> None:
    time = FakeTime()
    pace = pacer(time)
    assert pace.pause(30)
    assert not pace.pause(10)
    assert not pace.pause(30)
    assert permit(pace, time) == 30.0


def test_a_pause_is_lengthened_by_one_that_ends_later() -> None:
    time = FakeTime()
    pace = pacer(time)
    assert pace.pause(30)
    time.now = 20.0
    assert pace.pause(30)
    assert permit(pace, time) == 50.0


def test_a_pause_that_has_passed_delays_nobody() -> None:
    time = FakeTime()
    pace = pacer(time, delay_s=1.0)
    pace.pause(5)
    time.now = 100.0
    assert permits(pace, time, 2) == [100.0, 101.0]
    assert pace.pause(1)


@pytest.mark.parametrize("held_by", ["delay", "quota", "pause"])
def test_a_stop_while_waiting_ends_the_wait_and_uses_no_permit(held_by: str) -> None:
    time = FakeTime()
    pace = pacer(time, 60.0 if held_by == "delay" else 0.0, 1 if held_by == "quota" else 0)
    permit(pace, time)
    if held_by == "pause":
        pace.pause(60)
    time.at(7.0, time.ask)
    with pytest.raises(StoppedError):
        pace.acquire()
    assert (time.now, pace.permits) == (7.0, 1)


def test_after_a_stop_there_are_no_permits_though_an_instant_is_free() -> None:
    time = FakeTime()
    pace = pacer(time)
    time.ask()
    with pytest.raises(StoppedError):
        pace.acquire()
    assert pace.permits == 0


def test_every_permit_is_counted_whoever_takes_it() -> None:
    time = FakeTime()
    pace = pacer(time)
    threads = [threading.Thread(target=permits, args=(pace, time, 250)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pace.permits == 2000


def test_a_stop_wakes_every_thread_that_waits_for_its_turn() -> None:
    stop = StopFlag()
    pace = Pacer(86_400.0, stop)
    pace.acquire()
    ready = threading.Barrier(6)
    stopped: list[int] = []

    def wait(number: int) -> None:
        ready.wait()
        try:
            pace.acquire()
        except StoppedError:
            stopped.append(number)

    threads = [threading.Thread(target=wait, args=(number,), daemon=True) for number in range(5)]
    for thread in threads:
        thread.start()
    ready.wait()
    stop.ask()
    for thread in threads:
        thread.join(timeout=60)
    assert (sorted(stopped), pace.permits) == ([0, 1, 2, 3, 4], 1)


@given(DELAYS, st.integers(0, 20), st.integers(1, 70))
def test_the_plan_predicts_when_each_permit_of_a_faultless_run_is_handed_out(
    delay_s: float, max_per_hour: int, requests: int
) -> None:
    time = FakeTime()
    expected = Pace(delay_s, max_per_hour)
    started = permits(pacer(time, delay_s, max_per_hour), time, requests)
    predicted = [expected.permit_at_s(number) for number in range(requests)]
    assert started == pytest.approx(predicted, rel=0, abs=1e-6)
    assert expected.duration_s(requests) == predicted[-1]


@pytest.mark.parametrize(
    ("delay_s", "max_per_hour"), [(4.0, 0), (4.0, 900), (4.0, 899), (0.0, 1000), (3.5, 1000)]
)
def test_the_plan_predicts_the_end_of_a_long_run(delay_s: float, max_per_hour: int) -> None:
    time = FakeTime()
    started = permits(pacer(time, delay_s, max_per_hour), time, 4321)
    assert started[-1] == pytest.approx(Pace(delay_s, max_per_hour).duration_s(4321))


def test_no_request_takes_no_time() -> None:
    assert Pace(4.0, 900).duration_s(0) == 0.0
    assert Pace(4.0, 900).duration_s(1) == 0.0
