"""Killed at any moment: nothing lost, doubled, wrong or invented; only windows in hand again.

A trial disturbs the real process on a real MongoDB, resumes it until it is done, and compares all
that is stored with the sandbox's own truth. Every fault is tried alone, then some together. A
failure names its seed: `python -m tests.robustness.chaos --seed SEED`; `make chaos` is longer.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from pymongo.database import Database

from tests.robustness.chaos.__main__ import Servers, plan, table
from tests.robustness.chaos.faults import BY_NAME, DATABASE, DISK, FAULTS, draw, faults_on
from tests.robustness.chaos.servers import Bed, Mongod
from tests.robustness.chaos.trial import Case, Result, Trial, ends_without_saving

pytestmark = pytest.mark.slow

_AT_ONCE = 3
_SEED = "suite"
_CHOSEN = (
    ("suspended between look and write", Bed.STANDALONE, "regular"),
    ("suspended between look and write", Bed.ONE, "timeseries"),
    ("primary killed, replication held back", Bed.THREE, "regular"),
    ("primary killed, rolled back", Bed.THREE, "timeseries"),
)
"""Of the faults that take long; `make chaos` has them all, on every bed."""
_TOGETHER = 4


def _cases() -> list[Case]:
    """Return every other fault of a single server alone, some together, and the chosen ones."""
    chosen = [
        Case(f"{_SEED}-chosen-{number}", (BY_NAME[name],), bed, kind)
        for number, (name, bed, kind) in enumerate(_CHOSEN)
    ]
    alone = [fault for fault in FAULTS if not fault.suspends and {*fault.beds} & {*_SINGLE}]
    cases = []
    for number in range(len(alone) + _TOGETHER):
        seed = f"{_SEED}-{number}"
        kind = ("regular", "timeseries")[number % 2]
        if number < len(alone):
            bed = next(bed for bed in _SINGLE if bed in alone[number].beds)
            cases.append(Case(seed, (alone[number],), bed, kind))
        else:
            bed = _SINGLE[number % 2]
            cases.append(Case(seed, draw(Random(seed), bed), bed, kind))
    return chosen + cases


_SINGLE = (Bed.STANDALONE, Bed.ONE)
CASES = _cases()


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, Future[Result]]]:
    """All trials, some at a time; each test waits for its own."""
    with ExitStack() as opened:
        servers = Servers(opened, {Bed.STANDALONE: 2, Bed.ONE: 1, Bed.THREE: 1})
        pool = opened.enter_context(ThreadPoolExecutor(_AT_ONCE))
        yield {case.seed: pool.submit(servers.trial, case) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_is_lost_doubled_stale_wrong_or_invented(
    results: dict[str, Future[Result]], case: Case
) -> None:
    result = results[case.seed].result()
    assert result.good, result
    if len(case.faults) == 1:
        struck = [fault.name for fault in case.faults]
        assert result.struck == struck, f"the fault did not come to pass: {result}"


def test_trials_are_drawn_from_the_seed_alone() -> None:
    assert list(plan(80, "x")) == list(plan(80, "x"))
    assert list(plan(80, "x")) != list(plan(80, "y"))
    drawn = {
        fault.name for number in range(300) for bed in Bed for fault in draw(Random(number), bed)
    }
    assert drawn == {fault.name for fault in FAULTS}


def test_every_bed_has_every_fault_that_can_happen_there() -> None:
    cases = list(plan(700, "x"))
    for bed in Bed:
        alone = {case.faults[0].name for case in cases if (case.bed, len(case.faults)) == (bed, 1)}
        assert alone == {fault.name for fault in faults_on(bed)}
    for fault in FAULTS:
        if fault.suspends or fault.group is DATABASE:
            kinds = {(case.bed, case.kind) for case in cases if case.faults == (fault,)}
            assert len(kinds) == 2 * len(fault.beds)
    assert all(bed in fault.beds for case in cases for fault in case.faults for bed in (case.bed,))


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
        result = Tampered(Case("tampered"), mongod).run()
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
    case = Case("s")
    assert Result(case, refetched=2, allowed=2).good
    assert not Result(case, lost=1).good
    assert not Result(case, doubled=1).good
    assert not Result(case, stale=1).good
    assert not Result(case, wrong=1).good
    assert not Result(case, invented=1).good
    assert not Result(case, not_stored=1).good
    assert not Result(case, refetched=2.5, allowed=2).good
    assert not Result(case, problems=["x"]).good
    full = next(fault for fault in FAULTS if fault.group is DISK)
    made = table([Result(Case("s", (full,), Bed.THREE), lost=3, struck=[full.name])])
    assert f"| {full.name} | 0 | 0 | 1 | 0 | 1 |" in made
    assert f"| {Bed.THREE} | 1 | 1 | 3 |" in made
