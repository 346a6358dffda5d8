"""The arithmetic of the schedule, as MongoDB does it, against the same in a few lines of Python."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import ReturnDocument
from pymongo.database import Database

from runner.core.plan import Pace
from runner.process.secrets import Secret
from runner.store.budget import MOST_SLOTS, Limits, fingerprint, reservation
from runner.store.shared_pacer import LARGEST_BLOCK, block_size

Mongo = Database[dict[str, Any]]

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
PACES = st.builds(Pace, st.integers(0, 5).map(lambda quarters: quarters / 4), st.integers(0, 6))


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


class Schedule:
    """One schedule in a real database, at times that the test chooses."""

    def __init__(self, database: Mongo) -> None:
        self._collection = database["schedules"]
        self._collection.delete_many({})

    def reserve(
        self, limits: Limits, count: int, at: datetime, unused: tuple[datetime, ...] = ()
    ) -> list[datetime]:
        made = self._collection.find_one_and_update(
            {"_id": 1},
            reservation(limits, count, unused, now=at),
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert made
        granted: list[datetime] = made["granted"]
        return granted

    def pause_until(self, end: datetime) -> None:
        self._collection.update_one({"_id": 1}, {"$set": {"paused_until": end}}, upsert=True)


def expected(
    before: list[datetime], paused: datetime, limits: Limits, count: int, at: datetime
) -> list[datetime]:
    slots = list(before)
    for _ in range(count):
        slot = max(at, paused)
        if slots:
            slot = max(slot, slots[-1] + ms(limits.delay_ms))
        if limits.most and len(slots) >= limits.most:
            slot = max(slot, slots[-limits.most] + ms(limits.window_ms))
        slots.append(slot)
    return slots[len(before) :]


STEPS = st.tuples(
    st.sampled_from(["reserve", "pause", "give back"]),
    st.integers(0, 4000),  # ms that pass before
    PACES,
    st.integers(1, 3),
)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_mongodb_reckons_as_python_does_whatever_the_limits_of_those_who_ask(
    database: Mongo, steps: list[tuple[str, int, Pace, int]]
) -> None:
    schedule, paused, now = Schedule(database), START - ms(10**6), START
    slots: list[datetime] = []
    for what, passed, pace, count in steps:
        now += ms(passed)
        limits = Limits.of(pace, hour_s=5, guard_s=0.5)
        wanted = min(count, limits.most or count)
        if what == "pause":
            paused = max(paused, now + ms(900 * count))
            schedule.pause_until(paused)
        young = [slot for slot in slots if slot > now - ms(limits.keep_ms)]
        back = tuple(young[-2:]) if what == "give back" else ()
        slots = young[: len(young) - len(back)]
        made = schedule.reserve(limits, wanted, now, back)
        assert made == expected(slots, paused, limits, wanted, now)
        slots += made


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pace=PACES, waits=st.lists(st.integers(0, 2500), min_size=8, max_size=25))
def test_no_window_wherever_it_begins_holds_one_slot_too_many(
    database: Mongo, pace: Pace, waits: list[int]
) -> None:
    schedule, now = Schedule(database), START
    slots: list[datetime] = []
    limits = Limits.of(pace, hour_s=5, guard_s=0.5)
    for wait_ms in waits:
        now += ms(wait_ms)
        slots += schedule.reserve(limits, 1, now)
    delay = timedelta(seconds=pace.delay_s)
    assert all(late - early >= delay for early, late in pairwise(slots))
    if pace.max_per_hour:
        apart = zip(slots, slots[pace.max_per_hour :], strict=False)
        assert all(late - early >= timedelta(seconds=5.5) for early, late in apart)


@pytest.mark.parametrize(("delay_s", "most"), [(4.0, 1000), (0.25, 7), (0.0, 5), (3600.0, 1)])
def test_alone_a_process_gets_the_slots_that_the_plan_predicts(
    database: Mongo, delay_s: float, most: int
) -> None:
    schedule, pace = Schedule(database), Pace(delay_s, most)
    slots = schedule.reserve(Limits.of(pace, guard_s=0), most, START)
    slots += schedule.reserve(Limits.of(pace, guard_s=0), most, START)
    predicted = [START + timedelta(seconds=pace.permit_at_s(index)) for index in range(2 * most)]
    assert slots == predicted


def test_a_slot_given_back_goes_to_the_next_who_asks_and_only_once(database: Mongo) -> None:
    schedule, limits = Schedule(database), Limits.of(Pace(0, 3), hour_s=5, guard_s=0)
    first = schedule.reserve(limits, 3, START)
    assert first == [START] * 3
    assert schedule.reserve(limits, 1, START, (first[0],)) == [START]
    assert schedule.reserve(limits, 1, START) == [START + ms(5000)]
    assert schedule.reserve(limits, 1, START, (START - ms(1),)) == [START + ms(5000)]


def test_each_process_keeps_its_own_delay_from_the_slot_before_whoever_has_it(
    database: Mongo,
) -> None:
    schedule, fast, slow = Schedule(database), Limits.of(Pace(2, 0)), Limits.of(Pace(8, 0))
    made = [schedule.reserve(limits, 1, START)[0] for limits in (fast, slow, fast, slow)]
    assert [(slot - START).total_seconds() for slot in made] == [0, 8, 10, 18]


@given(st.integers(1, 10_000_000))
def test_a_limit_above_what_is_kept_is_kept_in_shorter_windows_and_hardly_lower(most: int) -> None:
    limits = Limits.of(Pace(0, most))
    whole_ms = 1.01 * 3600 * 1000
    windows = math.ceil(most / MOST_SLOTS)
    assert limits.most <= MOST_SLOTS
    assert limits.most * windows <= most
    assert limits.window_ms * windows >= whole_ms
    assert limits.most / limits.window_ms * whole_ms >= 0.99 * most


@given(st.floats(0, 3600))
def test_a_delay_is_never_shorter_than_asked_for(delay_s: float) -> None:
    assert 0 <= Limits.of(Pace(delay_s, 0)).delay_ms - delay_s * 1000 + 1e-5 < 1.001


@given(st.floats(0, 30), st.floats(0, 4000), st.integers(1, 50), st.integers(1, 50))
def test_a_block_is_never_larger_than_allowed_nor_more_than_doubled(
    round_trip_s: float, interval_s: float, before: int, largest: int
) -> None:
    size = block_size(round_trip_s, interval_s, before, largest)
    assert 1 <= size <= min(largest, 2 * before)


def test_a_block_lasts_for_many_round_trips_and_is_one_slot_where_they_are_short() -> None:
    assert block_size(0.004, 4.0, 1, LARGEST_BLOCK) == 1
    assert block_size(1.0, 4.0, 4, LARGEST_BLOCK) == 5
    assert block_size(1.0, 0.1, 40, LARGEST_BLOCK) == LARGEST_BLOCK


def test_a_fingerprint_is_the_same_everywhere_and_of_one_host_and_key_only() -> None:
    key = Secret("0123456789abcdef0123456789abcdef01234567")
    made = fingerprint("api.waqi.info", key)
    assert made == fingerprint("api.waqi.info", key) == "53100a35e3eb5307eb5327e814331a19"
    others = {fingerprint("api.waqi.info", Secret("another")), fingerprint("other.example", key)}
    assert len({made, *others}) == 3
