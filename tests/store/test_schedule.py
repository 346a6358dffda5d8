"""The arithmetic of the schedule, as MongoDB does it, against the same in a few lines of Python."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import OperationFailure

from runner.core.plan import HOUR_S, SPARE_S, Pace
from runner.process.secrets import Secret
from runner.store.budget import fingerprint, grant_update, interval_ms

Mongo = Database[dict[str, Any]]

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
MINUTE_MS = 60_000


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


class Schedule:
    """One schedule in a real database, at times that the test chooses."""

    def __init__(self, database: Mongo, **stored: object) -> None:
        self._collection = database["schedules"]
        self._collection.delete_many({})
        if stored:
            self._collection.insert_one({"_id": 1, **stored})

    def grant(self, apart_ms: int, at: datetime) -> datetime:
        made = self._collection.find_one_and_update(
            {"_id": 1},
            grant_update(apart_ms, now=at),
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert made
        assert made["granted_at"] == at
        granted: datetime = made["granted"]
        assert made["next_free"] == granted + ms(apart_ms)
        return granted

    def pause_until(self, end: datetime) -> None:
        self._collection.update_one({"_id": 1}, {"$set": {"paused_until": end}}, upsert=True)


STEPS = st.tuples(st.booleans(), st.integers(0, 4000), st.integers(1, 5000))


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=1, max_size=15))
def test_mongodb_reckons_as_python_does_whatever_the_intervals_of_those_who_ask(
    database: Mongo, steps: list[tuple[bool, int, int]]
) -> None:
    schedule = Schedule(database)
    now = next_free = paused = START
    for is_pause, passed_ms, apart_ms in steps:
        now += ms(passed_ms)
        if is_pause:
            paused = max(paused, now + ms(apart_ms))
            schedule.pause_until(paused)
        else:
            expected = max(now, next_free, paused)
            assert schedule.grant(apart_ms, now) == expected
            next_free = expected + ms(apart_ms)


@pytest.mark.parametrize(("delay_s", "most"), [(4.0, 1000), (0.25, 7), (0.0, 5), (3600.0, 1)])
def test_alone_a_process_gets_the_instants_that_the_plan_predicts(
    database: Mongo, delay_s: float, most: int
) -> None:
    schedule, pace = Schedule(database), Pace(delay_s, most)
    granted = [schedule.grant(interval_ms(pace.interval_s), START) for _ in range(15)]
    for index, instant in enumerate(granted):
        late_s = (instant - START).total_seconds() - pace.permit_at_s(index)
        assert -1e-6 <= late_s <= 0.001 * index


def test_the_instant_after_mine_is_free_after_my_interval_whoever_takes_it(
    database: Mongo,
) -> None:
    schedule = Schedule(database)
    made = [schedule.grant(apart_ms, START) for apart_ms in (2000, 8000, 2000, 8000)]
    assert [(instant - START).total_seconds() for instant in made] == [0, 2, 10, 12]


@given(st.floats(0, 4000))
def test_an_interval_is_never_shorter_than_asked_for(interval_s: float) -> None:
    assert 0 <= interval_ms(interval_s) - interval_s * 1000 + 1e-5 < 1.001


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    most=st.integers(1, 6),
    gaps_ms=st.lists(st.integers(0, 10 * MINUTE_MS), max_size=6),
    waits_ms=st.lists(st.integers(0, 30 * MINUTE_MS), min_size=6, max_size=12),
)
def test_after_an_older_version_no_hour_holds_more_of_its_requests_and_ours_than_it_may(
    database: Mongo, most: int, gaps_ms: list[int], waits_ms: list[int]
) -> None:
    older = [START]
    for gap_ms in gaps_ms[: most - 1]:
        older.append(older[-1] + ms(gap_ms))
    schedule = Schedule(database, slots=older, granted=older[-1:], granted_at=START)
    apart_ms = interval_ms(Pace(0, most).interval_s)
    now, instants = older[-1] - ms(1000), [*older]
    for wait_ms in waits_ms:
        now += ms(wait_ms)
        instants.append(schedule.grant(apart_ms, now))
    within = zip(instants, instants[most:], strict=False)
    assert all(late - early >= timedelta(seconds=HOUR_S) for early, late in within)
    assert all(late >= early for early, late in pairwise(instants))


def test_after_an_older_version_with_a_higher_limit_nobody_waits_longer_than_an_hour(
    database: Mongo,
) -> None:
    older = [START + ms(3600 * number) for number in range(1000)]
    schedule = Schedule(database, slots=older, granted=older[-1:])
    slow_ms = interval_ms(Pace(0, 400).interval_s)
    first = schedule.grant(slow_ms, START)
    assert first - older[-1] == timedelta(seconds=HOUR_S + SPARE_S)
    assert schedule.grant(slow_ms, START) == first + ms(slow_ms)


def test_requests_of_an_older_version_that_are_long_over_cost_no_wait(database: Mongo) -> None:
    older = [START - timedelta(hours=3)] * 1000
    schedule = Schedule(database, slots=older, granted=older[:1])
    assert schedule.grant(3636, START) == START


def test_an_older_version_is_refused_once_we_have_asked(database: Mongo) -> None:
    Schedule(database).grant(1000, START)
    young = {"$gt": ["$$this", START]}
    kept = {"$filter": {"input": {"$ifNull": ["$slots", []]}, "cond": young}}
    with pytest.raises(OperationFailure, match="must be an array"):  # its first step
        database["schedules"].update_one({"_id": 1}, [{"$set": {"slots": kept}}])


def test_a_fingerprint_is_the_same_everywhere_and_of_one_host_and_key_only() -> None:
    key = Secret("0123456789abcdef0123456789abcdef01234567")
    made = fingerprint("api.waqi.info", key)
    assert made == fingerprint("api.waqi.info", key) == "53100a35e3eb5307eb5327e814331a19"
    others = {fingerprint("api.waqi.info", Secret("another")), fingerprint("other.example", key)}
    assert len({made, *others}) == 3
