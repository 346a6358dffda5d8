"""Killed at any moment: nothing lost, doubled, wrong or invented; only windows in hand again.

A trial disturbs the real process on a real MongoDB, resumes it until it is done, and compares all
that is stored with the sandbox's own truth. Every fault is tried alone, then some together. A
failure names its seed: `python -m tests.chaos --seed SEED`; the long run is `make chaos N=200`.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from pymongo.database import Database

from tests.chaos.__main__ import Servers, plan, table
from tests.chaos.faults import BY_NAME, DISK, FAULTS, draw
from tests.chaos.servers import Mongod
from tests.chaos.trial import Result, Trial, ends_without_saving

pytestmark = pytest.mark.slow

_AT_ONCE = 2
_TOGETHER = 10
_SEED = "suite"
TRIALS = list(plan(len(FAULTS) + _TOGETHER, _SEED, None))


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, Future[Result]]]:
    """All trials, two at a time; each test waits for its own."""
    with ExitStack() as opened:
        servers = Servers(opened, _AT_ONCE)
        pool = opened.enter_context(ThreadPoolExecutor(_AT_ONCE))
        yield {seed: pool.submit(servers.trial, seed, faults) for seed, faults in TRIALS}


@pytest.mark.parametrize(
    ("seed", "alone"),
    [(seed, len(faults) == 1) for seed, faults in TRIALS],
    ids=[f"{seed}: {', '.join(fault.name for fault in faults)}" for seed, faults in TRIALS],
)
def test_nothing_is_lost_doubled_wrong_or_invented(
    results: dict[str, Future[Result]], seed: str, alone: bool
) -> None:
    result = results[seed].result()
    assert result.good, result
    if alone:
        assert result.struck == list(result.faults), f"the fault did not come to pass: {result}"


def test_trials_are_drawn_from_the_seed_alone() -> None:
    assert list(plan(80, "x", None)) == list(plan(80, "x", None))
    assert list(plan(80, "x", None)) != list(plan(80, "y", None))
    drawn = {fault.name for number in range(300) for fault in draw(Random(number))}
    assert drawn == {fault.name for fault in FAULTS}


class Tampered(Trial):
    """Somebody loses, doubles, changes and invents a reading behind the product's back."""

    def _compare(self, database: Database[dict[str, Any]]) -> None:
        readings = database["waqi_station_readings"]
        for name in readings.index_information():
            if name != "_id_":
                readings.drop_index(name)
        first, second, third, *_rest = readings.find({}, limit=3)
        readings.delete_one({"_id": first["_id"]})
        readings.insert_one({**second, "_id": 1})
        readings.update_one({"_id": third["_id"]}, {"$inc": {"aqi": 1}})
        readings.insert_one({**second, "_id": 2, "ts": datetime(2020, 1, 1, tzinfo=UTC)})
        database["ingest_checkpoints"].update_one({"station_idx": 1584}, {"$set": {"covered": []}})
        (run,) = database["ingest_runs"].find()
        leased = {"$set": {"lease": {"owner": run["_id"]}}}
        database["ingest_checkpoints"].update_one({"station_idx": 8641}, leased)
        super()._compare(database)


def test_the_comparison_sees_what_is_tampered_with() -> None:
    with Mongod() as mongod:
        result = Tampered("regular-4", (), mongod).run()
    assert (result.lost, result.doubled, result.wrong, result.invented) == (1, 1, 1, 1)
    covered, leased = sorted(result.problems)
    assert "1584: completed, covered []" in covered
    assert "8641: leased by a run that has ended" in leased


def test_only_kills_and_stops_without_a_database_may_cost_a_window_again() -> None:
    def allowed(*names: str) -> int:
        return ends_without_saving([BY_NAME[name] for name in names])

    assert allowed("SIGTERM") == allowed("mongod killed and restarted") == 0
    assert allowed("SIGTERM", "30 % of 5xx") == allowed("30 % of 5xx", "socket disappears") == 0
    assert allowed("SIGKILL") == allowed("SIGKILL", "socket disappears") == 1
    assert allowed("SIGINT", "socket disappears") == 1


def test_the_judge_sees_a_loss_a_double_a_wrong_value_and_an_invention() -> None:
    assert Result("s", ("SIGKILL",), refetched=2, allowed=2).good
    assert not Result("s", (), lost=1).good
    assert not Result("s", (), doubled=1).good
    assert not Result("s", (), wrong=1).good
    assert not Result("s", (), invented=1).good
    assert not Result("s", (), refetched=2.5, allowed=2).good
    assert not Result("s", (), problems=["x"]).good
    full = next(fault for fault in FAULTS if fault.group is DISK)
    assert f"| {full.name} | 1 | 3 |" in table(
        [Result("s", (full.name,), lost=3, struck=[full.name])]
    )
