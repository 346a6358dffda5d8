"""A lease bounds what is sent under it, by a clock that goes on while a machine sleeps."""

import time
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.errors import LeaseError, StoreUnavailableError
from runner.store import leases as module
from runner.store.checkpoint_document import NAME
from runner.store.connection import store_errors
from runner.store.leases import Leases

Documents = Database[dict[str, Any]]
STATION = 8641


@pytest.fixture
def leases(database: Documents) -> Leases:
    database[NAME].insert_one({"station_idx": STATION})
    made = Leases(database, "a run", 1.0)
    made.claim(STATION)
    return made


def test_nothing_is_sent_after_the_end_of_a_lease(database: Documents, leases: Leases) -> None:
    with leases.hold(STATION) as check:
        check()
        database["hours"].insert_one({"_id": 1})
        time.sleep(1)
        with pytest.raises(StoreUnavailableError):
            check()
        with pytest.raises(StoreUnavailableError), store_errors("hours"):
            database["hours"].insert_one({"_id": 2})
    assert database["hours"].distinct("_id") == [1]


def test_what_takes_the_server_longer_than_the_lease_is_ended(
    database: Documents, leases: Leases
) -> None:
    database["hours"].insert_one({})
    began = time.monotonic()
    with (
        leases.hold(STATION),
        pytest.raises(StoreUnavailableError),
        store_errors("hours"),
    ):
        database["hours"].find_one({"$where": "sleep(5000) || true"})
    assert time.monotonic() - began < 3


def test_a_machine_that_slept_is_noticed_though_other_clocks_stood_still(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    with leases.hold(STATION) as check:
        check()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        monkeypatch.setattr(module, "elapsed_s", lambda: now + 3600)
        with pytest.raises(StoreUnavailableError):
            check()


def test_a_station_that_another_run_took_is_held_no_more(
    database: Documents, leases: Leases
) -> None:
    time.sleep(1)
    Leases(database, "another run", 60).claim(STATION)
    with pytest.raises(LeaseError, match="another run"), leases.hold(STATION):
        pytest.fail("it was not noticed")
