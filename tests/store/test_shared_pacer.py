"""Permits of one process: with others, with a slow MongoDB, with none at all."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from structlog.testing import capture_logs

from runner.core.errors import StoppedError, StoreUnavailableError
from runner.core.plan import Pace
from runner.process.secrets import Secret
from runner.process.stop import StopFlag, elapsed_s
from runner.store.budget import NAME, Budget, Limits, Reservation
from runner.store.outage import Outage
from runner.store.shared_pacer import SharedPacer
from tests.robustness.chaos.servers import Mongod
from tests.store.slow import slow_way

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

URL = "https://api.example:8443/some/path?token=not-this"
ONE_BY_ONE = 39
"""Requests an hour of which a twentieth is one: no blocks, however slow this machine is."""
KEY = Secret("0123456789abcdef0123456789abcdef01234567")


def budget(database: Mongo) -> Budget:
    return Budget(database, URL, KEY)


def pacer(
    database: Mongo, pace: Pace, stop: StopFlag | None = None, outage_s: float = 5
) -> SharedPacer:
    stop = stop or StopFlag()
    return SharedPacer(budget(database), Limits.of(pace), Outage(outage_s, stop), stop)


def slots_of(database: Mongo) -> list[Any]:
    found = database[NAME].find_one()
    assert found
    slots: list[Any] = found["slots"]
    return slots


def test_those_who_make_the_document_at_the_same_time_share_it(database: Mongo) -> None:
    begin = threading.Barrier(8)

    def reserve(_number: int) -> None:
        mine = budget(database)
        begin.wait()
        for _ in range(20):
            mine.reserve(Limits.of(Pace(0.001, 0)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(reserve, range(8)))
    assert len(set(slots_of(database))) == 8 * 20
    assert database[NAME].count_documents({}) == 1


def test_what_is_stored_names_the_host_and_neither_key_nor_path(database: Mongo) -> None:
    budget(database).reserve(Limits.of(Pace(1, 1)))
    stored = database[NAME].find_one()
    assert stored
    assert stored["source"] == "api.example:8443"
    assert not {KEY.reveal(), "not-this", "some/path"} & set(str(stored).split("'"))
    assert "not-this" not in str(stored)


def test_every_permit_is_a_slot_and_is_counted_for_all(database: Mongo) -> None:
    one, other = pacer(database, Pace(0.01, ONE_BY_ONE)), pacer(database, Pace(0.01, ONE_BY_ONE))
    assert budget(database).used() == 0
    for _ in range(5):
        one.acquire()
        other.acquire()
    assert one.permits == other.permits == 5
    assert len(slots_of(database)) == budget(database).used() == 10


def test_time_is_counted_as_waited_only_where_others_took_it(database: Mongo) -> None:
    alone = pacer(database, Pace(0.1, ONE_BY_ONE))
    for _ in range(5):
        alone.acquire()
    assert alone.waited_s < 0.5 * 5 * 0.1
    budget(database).reserve(Limits.of(Pace(0.1, ONE_BY_ONE)), 10)
    alone.acquire()
    assert alone.waited_s > 0.5 * 10 * 0.1


def test_a_pause_by_one_reaches_another_who_has_reserved_a_slot_already(database: Mongo) -> None:
    one, other = pacer(database, Pace(1, 0)), pacer(database, Pace(1, 0))
    other.acquire()
    began = time.monotonic()
    waiting = threading.Thread(target=other.acquire)
    waiting.start()
    while len(slots_of(database)) < 2:
        time.sleep(0.01)
    assert one.pause(2)
    assert not one.pause(1)
    waiting.join()
    assert time.monotonic() - began > 2
    assert other.permits == 2


def test_a_long_wait_and_the_pause_of_another_are_told(database: Mongo) -> None:
    stop = StopFlag()
    budget(database).reserve(Limits.of(Pace(60, 0)))
    budget(database).pause(90)
    threading.Timer(0.3, stop.ask).start()
    with capture_logs() as logs, pytest.raises(StoppedError):
        pacer(database, Pace(60, 0), stop).acquire()
    told = {line["event"]: line for line in logs}
    assert set(told) == {"budget.paused", "budget.waiting"}
    assert 60 < told["budget.paused"]["pause_s"] <= told["budget.waiting"]["wait_s"] <= 90
    assert told["budget.waiting"]["used_last_hour"] == 1


def test_a_stop_ends_a_long_wait_and_nobody_else_waits_for_a_turn(database: Mongo) -> None:
    stop = StopFlag()
    mine = pacer(database, Pace(3600, 0), stop)
    mine.acquire()
    stopped = []

    def wait() -> None:
        try:
            mine.acquire()
        except StoppedError:
            stopped.append(1)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(slots_of(database)) < 2:
        time.sleep(0.01)
    stop.ask()
    for thread in threads:
        thread.join()
    assert (len(stopped), mine.permits, len(slots_of(database))) == (3, 1, 2)


class Noting(Budget):
    """Notes what is given back with each reservation."""

    def __init__(self, database: Mongo) -> None:
        super().__init__(database, URL, KEY)
        self.given_back: list[int] = []

    def reserve(
        self, limits: Limits, count: int = 1, unused: Sequence[datetime] = ()
    ) -> Reservation:
        self.given_back.append(len(unused))
        return super().reserve(limits, count, unused)


class Suspending(StopFlag):
    """A machine that is suspended for some seconds while this process sleeps for the first time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.ahead_s = 0.0
        self._seconds = seconds

    def clock(self) -> float:
        return elapsed_s() + self.ahead_s

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.ahead_s = self._seconds


@pytest.mark.parametrize(("suspended_s", "given_back"), [(8, [0, 0]), (30, [0, 0, 1])])
def test_a_slot_that_is_over_for_too_long_is_given_back_and_not_used(
    database: Mongo, suspended_s: float, given_back: list[int]
) -> None:
    schedule, stop = Noting(database), Suspending(suspended_s)
    limits = Limits.of(Pace(0.5, ONE_BY_ONE))
    mine = SharedPacer(schedule, limits, Outage(5, stop), stop, stop.clock)
    mine.acquire()
    mine.acquire()
    assert schedule.given_back == given_back
    assert mine.permits == len(slots_of(database)) == 2


def test_a_slow_database_does_not_slow_the_pace_because_permits_are_reserved_in_blocks(
    database: Mongo, mongo_uri: str
) -> None:
    round_trip_s, pace = 0.15, Pace(0.02, 0)
    with (
        slow_way(mongo_uri, round_trip_s) as uri,
        MongoClient[dict[str, Any]](uri, tz_aware=True) as client,
    ):
        mine = pacer(client[database.name], pace)
        began = time.monotonic()
        for _ in range(100):
            mine.acquire()
        took = time.monotonic() - began
    assert took < 0.35 * 100 * round_trip_s
    slots = slots_of(database)
    apart = [(late - early).total_seconds() for early, late in pairwise(slots)]
    assert min(apart) >= pace.delay_s


@pytest.fixture(scope="module")
def mongod() -> Iterator[Mongod]:
    with Mongod() as server:
        yield server


@pytest.fixture
def killable(mongod: Mongod) -> Iterator[Mongo]:
    mongod.start()
    with MongoClient[dict[str, Any]](
        mongod.uri, tz_aware=True, journal=True, serverSelectionTimeoutMS=500
    ) as client:
        yield client["budget"]


def test_without_the_database_there_is_no_permit_and_after_the_limit_the_run_ends(
    killable: Mongo, mongod: Mongod
) -> None:
    mine = pacer(killable, Pace(0.01, ONE_BY_ONE), outage_s=1)
    mine.acquire()
    mongod.kill()
    with pytest.raises(StoreUnavailableError, match=NAME):
        mine.acquire()
    with pytest.raises(StoreUnavailableError, match=NAME):
        mine.pause(1)
    assert mine.permits == 1


def test_a_database_that_comes_back_gives_the_permits_that_were_waited_for(
    killable: Mongo, mongod: Mongod
) -> None:
    mine = pacer(killable, Pace(0.01, ONE_BY_ONE), outage_s=60)
    mine.acquire()
    mongod.kill()
    waiting = threading.Thread(target=mine.acquire)
    waiting.start()
    mongod.start()
    waiting.join()
    assert mine.permits == 2


def test_a_stop_while_the_database_is_away_ends_the_wait(killable: Mongo, mongod: Mongod) -> None:
    stop = StopFlag()
    mine = pacer(killable, Pace(0.01, ONE_BY_ONE), stop, outage_s=3600)
    mine.acquire()
    mongod.kill()
    threading.Timer(0.1, stop.ask).start()
    with pytest.raises((StoreUnavailableError, StoppedError)):
        mine.acquire()
    assert mine.permits == 1
