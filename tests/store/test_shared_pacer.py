"""Permits of one process: with others, with a slow MongoDB, with none at all."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from structlog.testing import capture_logs

from runner.core.errors import StoppedError, StoreUnavailableError
from runner.process.secrets import Secret
from runner.process.stop import StopFlag, elapsed_s
from runner.store.budget import NAME, Budget, Grant, fingerprint
from runner.store.outage import Outage
from runner.store.shared_pacer import SharedPacer
from tests.robustness.chaos.servers import Mongod
from tests.store.slow import slow_way

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

URL = "https://api.example:8443/some/path?token=not-this"
KEY = Secret("0123456789abcdef0123456789abcdef01234567")


def budget(database: Mongo) -> Budget:
    return Budget(database, URL, KEY)


def pacer(
    database: Mongo, interval_s: float, stop: StopFlag | None = None, outage_s: float = 5
) -> SharedPacer:
    stop = stop or StopFlag()
    return SharedPacer(budget(database), interval_s, Outage(outage_s, stop), stop)


def granted(database: Mongo) -> int:
    found = database[NAME].find_one()
    assert found
    permits: int = found["permits"]
    return permits


def test_those_who_make_the_document_at_the_same_time_share_it(database: Mongo) -> None:
    begin = threading.Barrier(8)

    def take(_number: int) -> list[Grant]:
        mine = budget(database)
        begin.wait()
        return [mine.grant(0.001) for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        taken = [grant.instant for grants in pool.map(take, range(8)) for grant in grants]
    assert len(set(taken)) == granted(database) == 8 * 20
    assert database[NAME].count_documents({}) == 1


def test_what_is_stored_names_the_host_and_neither_key_nor_path(database: Mongo) -> None:
    budget(database).grant(3636)
    stored = database[NAME].find_one()
    assert stored
    assert stored["source"] == "api.example:8443"
    assert not {KEY.reveal(), "not-this", "some/path"} & set(str(stored).split("'"))
    assert "not-this" not in str(stored)


def test_every_permit_is_granted_and_counted_for_all(database: Mongo) -> None:
    one, other = pacer(database, 0.01), pacer(database, 0.01)
    assert budget(database).free_in_s(1) == 0
    for _ in range(5):
        one.acquire()
        other.acquire()
    assert one.permits == other.permits == 5
    assert granted(database) == 10


def test_a_budget_is_free_after_the_interval_or_the_pause_of_whoever_asked_last(
    database: Mongo,
) -> None:
    mine = budget(database)
    mine.grant(60)
    assert 30 < mine.free_in_s(1) <= 60
    mine.pause(120)
    assert 60 < mine.free_in_s(1) <= 120


def test_time_is_counted_as_waited_only_where_others_took_it(database: Mongo) -> None:
    alone, others = pacer(database, 0.5), budget(database)
    for _ in range(3):
        alone.acquire()
    before_s = alone.waited_s
    assert before_s < 1
    others.grant(3)
    alone.acquire()
    assert alone.waited_s - before_s > 2


def test_a_pause_by_one_reaches_another_who_was_granted_an_instant_already(database: Mongo) -> None:
    one, other = pacer(database, 1), pacer(database, 1)
    other.acquire()
    began = time.monotonic()
    waiting = threading.Thread(target=other.acquire)
    waiting.start()
    while granted(database) < 2:
        time.sleep(0.01)
    assert one.pause(2)
    assert not one.pause(1)
    waiting.join()
    assert time.monotonic() - began > 2
    assert other.permits == 2


def test_a_long_wait_and_the_pause_of_another_are_told(database: Mongo) -> None:
    stop = StopFlag()
    budget(database).grant(60)
    budget(database).pause(90)
    mine = pacer(database, 60, stop)
    with capture_logs() as logs, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(mine.acquire)
        while len(logs) < 2:
            time.sleep(0.01)
        stop.ask()
    assert isinstance(waiting.exception(), StoppedError)
    told = {line["event"]: line for line in logs}
    assert set(told) == {"budget.paused", "budget.waiting"}
    assert 60 < told["budget.paused"]["pause_s"] <= told["budget.waiting"]["wait_s"] <= 90


def test_a_stop_ends_a_long_wait_and_nobody_else_waits_for_a_turn(database: Mongo) -> None:
    stop = StopFlag()
    mine = pacer(database, 3600, stop)
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
    while granted(database) < 2:
        time.sleep(0.01)
    stop.ask()
    for thread in threads:
        thread.join()
    assert (len(stopped), mine.permits, granted(database)) == (3, 1, 2)


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


@pytest.mark.parametrize(("suspended_s", "taken"), [(8, 2), (30, 3)])
def test_an_instant_that_is_over_for_too_long_is_not_used(
    database: Mongo, suspended_s: float, taken: int
) -> None:
    stop = Suspending(suspended_s)
    mine = SharedPacer(budget(database), 0.5, Outage(5, stop), stop, stop.clock)
    mine.acquire()
    mine.acquire()
    assert (mine.permits, granted(database)) == (2, taken)


def test_a_slow_database_does_not_slow_a_pace_of_longer_intervals(
    database: Mongo, mongo_uri: str
) -> None:
    round_trip_s, interval_s, requests = 0.15, 0.5, 16
    with (
        slow_way(mongo_uri, round_trip_s) as uri,
        MongoClient[dict[str, Any]](uri, tz_aware=True) as client,
    ):
        mine = pacer(client[database.name], interval_s)
        mine.acquire()
        began = time.monotonic()
        for _ in range(requests):
            mine.acquire()
        took = time.monotonic() - began
    assert requests * interval_s / took >= 0.95
    assert granted(database) == 1 + requests


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
    mine = pacer(killable, 0.01, outage_s=1)
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
    mine = pacer(killable, 0.01, outage_s=60)
    mine.acquire()
    mongod.kill()
    waiting = threading.Thread(target=mine.acquire)
    waiting.start()
    mongod.start()
    waiting.join()
    assert mine.permits == 2


def test_a_stop_while_the_database_is_away_ends_the_wait(killable: Mongo, mongod: Mongod) -> None:
    stop = StopFlag()
    mine = pacer(killable, 0.01, stop, outage_s=3600)
    mine.acquire()
    mongod.kill()
    threading.Timer(0.1, stop.ask).start()
    with pytest.raises((StoreUnavailableError, StoppedError)):
        mine.acquire()
    assert mine.permits == 1


def test_the_wait_for_the_requests_of_an_older_version_is_shown(database: Mongo) -> None:
    mine = budget(database)
    older = [datetime.now(UTC)] * 2
    database[NAME].insert_one({"_id": fingerprint("api.example:8443", KEY), "slots": older})
    assert 90 < mine.free_in_s(60) <= 121
