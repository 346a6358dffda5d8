from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from bson import Int64
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from runner.core.checkpoint import Checkpoint, Empty, Progress, Status, Tally
from runner.core.errors import (
    CheckpointChangedError,
    FailedElsewhereError,
    Scope,
    StoreError,
    StoreUnavailableError,
    UnsupportedCollectionError,
)
from runner.core.intervals import Interval, hour_of, to_datetime, union
from runner.core.plan import StationPlan, Why
from runner.core.readings import Reading, Reason, Reject
from runner.core.stations import Station
from runner.jobs.backfill.sink import MongoSink
from runner.process.stop import StopFlag
from runner.store.attempt import Written
from runner.store.checkpoint_document import NAME, to_checkpoint
from runner.store.checkpoints import LONGEST_ERROR, Checkpoints
from runner.store.collection import Kind
from runner.store.leases import Leases
from runner.store.outage import Outage
from runner.store.reading_document import ObjectIds
from runner.store.readings import Readings
from runner.store.rejects import Rejects
from runner.store.revisions import Revisions

Documents = Database[dict[str, Any]]

DOCUMENTED = (
    *("station_idx", "last_processed_ts", "start_ts", "target_end_ts", "total_hours_processed"),
    *("total_readings_inserted", "last_updated", "status", "error_message"),
)
START = 464_592  # 2023-01-01T00:00Z
HANOI = 8641
HUE = -476_599
NOW = datetime(2025, 1, 1, 12, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
RANGE = Interval(START, START + 48)
FIRST_DAY = Interval(START, START + 24)
SECOND_DAY = Interval(START + 24, START + 48)
THIRD_DAY = Interval(START + 48, START + 72)
TALLY = Tally(
    inserted=10,
    updated=2,
    unchanged=3,
    rejects=4,
    repaired=1,
    rejected_hours=4,
    empty_hours=5,
    windows=1,
)
KEPT_TALLY = Tally(inserted=10, updated=2, unchanged=3, windows=1)
"""What of it a checkpoint keeps: other counts would count an hour again in every pass."""


@pytest.fixture
def checkpoints(database: Documents) -> Checkpoints:
    store = Checkpoints(database)
    store.ensure()
    return store


def document(database: Documents, station_idx: int = HANOI) -> dict[str, Any]:
    found = database[NAME].find_one({"station_idx": station_idx})
    assert found is not None
    return found


def load(checkpoints: Checkpoints, station_idx: int = HANOI) -> Checkpoint:
    return checkpoints.load([station_idx])[station_idx]


def readings(window: Interval) -> list[Reading]:
    """Return a reading for every hour."""
    found: list[Reading] = []
    for hour in range(*window):
        local = f"{to_datetime(hour + 7):%Y-%m-%d %H:%M:%S}"
        found.append(
            {
                "ts": to_datetime(hour),
                "meta": {"station_idx": HANOI},
                "aqi": 45,
                "time": {"s": local, "tz": "+07:00"},
                "iaqi": {},
            }
        )
    return found


def by_hand(database: Documents, **fields: Any) -> None:
    """Write a checkpoint in the documented form, by hand."""
    written = {
        "station_idx": HANOI,
        "status": "in_progress",
        "start_ts": to_datetime(START),
        "target_end_ts": to_datetime(START + 48),
        "last_processed_ts": to_datetime(START + 24),
        "total_readings_inserted": 20,
        "created_at": NOW,
    }
    database[NAME].insert_one(written | fields)


# ---------------------------------------------------------------- the life of a checkpoint


def test_a_new_checkpoint_has_the_documented_fields_first(
    database: Documents, checkpoints: Checkpoints
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    written = document(database)
    assert list(written) == [
        "_id",
        *DOCUMENTED,
        "schema",
        "created_at",
        "covered",
        "empty",
        "rejected",
        "not_asked",
        "unknown",
        "total_updated",
        "total_unchanged",
        "windows",
        "total_kept",
        "writer",
    ]
    assert written["status"] == "in_progress"
    assert written["start_ts"] == to_datetime(START)
    assert written["target_end_ts"] == to_datetime(START + 48)
    assert written["last_processed_ts"] == to_datetime(START)
    types = {"station_idx": "int", "start_ts": "date", "total_hours_processed": "int"}
    types |= {"total_readings_inserted": "int", "_id": "objectId"}
    query = {field: {"$type": name} for field, name in types.items()}
    assert database[NAME].count_documents(query) == 1


def test_advance_records_the_window_and_adds_up(
    database: Documents, checkpoints: Checkpoints
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, LATER)
    assert load(checkpoints) == Checkpoint(
        HANOI,
        Status.IN_PROGRESS,
        covered=(FIRST_DAY,),
        start_hour=START,
        target_end_hour=START + 48,
        total=KEPT_TALLY,
        updated_at=LATER,
    )
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), TALLY, LATER)
    assert load(checkpoints).total == KEPT_TALLY + KEPT_TALLY
    written = document(database)
    assert written["total_readings_inserted"] == 2 * TALLY.inserted == 20
    assert written["total_hours_processed"] == 48
    assert written["covered"] == [[to_datetime(START), to_datetime(START + 48)]]
    assert written["last_processed_ts"] == to_datetime(START + 48)
    assert written["created_at"] == NOW


def test_a_window_recorded_again_after_an_outage_counts_once(checkpoints: Checkpoints) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    for _ in range(2):
        checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, LATER)
    assert load(checkpoints).total == KEPT_TALLY


def test_a_present_observation_changes_neither_state_nor_range(
    checkpoints: Checkpoints, database: Documents
) -> None:
    empty = (Empty(START, START + 3, START + 50),)
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,), empty), TALLY, NOW)
    checkpoints.fail(HANOI, "why", NOW)
    kept = ("status", "start_ts", "target_end_ts", "last_processed_ts", "error_message")
    before = {name: document(database)[name] for name in kept}
    hour = Interval(START + 900, START + 901)
    begun = checkpoints.begin(HANOI, None, LATER, even_failed=False)
    assert begun == Progress((FIRST_DAY,), empty)
    checkpoints.advance(HANOI, None, Progress((FIRST_DAY, hour), empty), Tally(inserted=1), LATER)
    assert {name: document(database)[name] for name in kept} == before
    assert load(checkpoints).covered == (FIRST_DAY, hour)
    assert load(checkpoints).total.inserted == TALLY.inserted + 1


def test_a_checkpoint_that_a_present_observation_makes_is_completed_without_a_range(
    checkpoints: Checkpoints,
) -> None:
    assert checkpoints.begin(HUE, None, NOW) == Progress()
    found = load(checkpoints, HUE)
    assert (found.status, found.start_hour, found.covered) == (Status.COMPLETED, None, ())


def test_completion_and_failure_keep_what_is_covered(checkpoints: Checkpoints) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, NOW)
    before = load(checkpoints)
    checkpoints.fail(HANOI, "Unknown station", LATER)
    failed = replace(
        before, status=Status.FAILED, error_message="Unknown station", updated_at=LATER
    )
    assert load(checkpoints) == failed
    checkpoints.begin(HANOI, RANGE, LATER)
    assert load(checkpoints) == replace(before, updated_at=LATER)
    checkpoints.complete(HANOI, LATER)
    assert load(checkpoints) == replace(before, status=Status.COMPLETED, updated_at=LATER)


@pytest.mark.parametrize(
    ("wanted", "last_processed_hour"),
    [
        (Interval(START - 24, START + 48), START - 24),
        (Interval(START, START + 96), START + 48),
        (Interval(START + 12, START + 24), START + 24),
        (Interval(START + 48, START + 96), START + 48),
    ],
)
def test_every_hour_from_start_to_last_processed_is_covered_when_the_range_changes(
    checkpoints: Checkpoints, database: Documents, wanted: Interval, last_processed_hour: int
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), TALLY, NOW)
    checkpoints.complete(HANOI, NOW)
    checkpoints.begin(HANOI, wanted, LATER)
    loaded = load(checkpoints)
    assert document(database)["last_processed_ts"] == to_datetime(last_processed_hour)
    assert (loaded.start_hour, loaded.target_end_hour) == wanted
    assert loaded.covered == (RANGE,)
    assert loaded.total == KEPT_TALLY


def test_a_run_that_takes_a_station_learns_what_another_one_found_empty_meanwhile(
    checkpoints: Checkpoints,
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    planned = checkpoints.load([HANOI], with_empty=False)[HANOI]
    empty = (Empty(START + 3, START + 5, START + 500),)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,), empty), TALLY, NOW)
    assert checkpoints.begin(HANOI, RANGE, LATER) == Progress((FIRST_DAY,), empty)
    assert planned.empty == ()


def test_a_plan_reads_everything_of_a_checkpoint_but_what_was_empty(
    checkpoints: Checkpoints,
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    empty = (Empty(START + 3, START + 5, START + 500),)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,), empty), TALLY, NOW)
    assert checkpoints.load(with_empty=False) == {HANOI: replace(load(checkpoints), empty=())}


def test_any_error_text_can_be_kept(checkpoints: Checkpoints) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.fail(HANOI, "$where \ud800 \0" + "x" * 100_000, LATER)
    message = load(checkpoints).error_message
    assert message is not None
    assert message.startswith("$where ? \0xxx")
    assert len(message) == LONGEST_ERROR


def test_a_checkpoint_deleted_during_the_run_stays_deleted(
    database: Documents, checkpoints: Checkpoints
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    database[NAME].delete_many({})
    with pytest.raises(CheckpointChangedError, match="deleted"):
        checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, NOW)
    with pytest.raises(CheckpointChangedError, match="deleted"):
        checkpoints.complete(HANOI, NOW)
    checkpoints.fail(HANOI, "x", NOW)
    checkpoints.leave(HANOI)
    assert database[NAME].count_documents({}) == 0


def test_two_runs_beginning_at_once_make_one_checkpoint(
    database: Documents, checkpoints: Checkpoints
) -> None:
    errors: list[Exception] = []

    def begin() -> None:
        for station_idx in range(50):
            try:
                checkpoints.begin(station_idx, RANGE, NOW)
            except StoreError as error:
                errors.append(error)

    runs = [Thread(target=begin) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert errors == []
    assert database[NAME].count_documents({}) == 50


def test_reset_deletes_only_the_named_stations(checkpoints: Checkpoints) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.begin(HUE, RANGE, NOW)
    assert checkpoints.reset([HANOI, 1]) == 1
    assert checkpoints.reset([]) == 0
    assert set(checkpoints.load()) == {HUE}


def test_the_end_of_what_is_processed_goes_from_the_start_to_the_end_of_the_range(
    database: Documents, checkpoints: Checkpoints
) -> None:
    """Exclusive, window by window; a window behind a hole does not move it."""

    def seen() -> tuple[int, int]:
        found = document(database)
        return hour_of(found["last_processed_ts"]), found["total_hours_processed"]

    checkpoints.begin(HANOI, RANGE, NOW)
    assert seen() == (START, 0)
    checkpoints.advance(HANOI, RANGE, Progress((SECOND_DAY,)), TALLY, NOW)
    assert seen() == (START, 24)
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), TALLY, NOW)
    assert seen() == (START + 48, 48)
    checkpoints.complete(HANOI, NOW)
    assert seen() == (START + 48, 48)
    checkpoints.forget({HANOI: (FIRST_DAY,)})
    assert seen() == (START + 24, 24)


# ------------------------------------------------- what somebody else does to it meanwhile


@pytest.mark.parametrize("covered", [[], [[to_datetime(START), to_datetime(START + 12)]]])
def test_a_checkpoint_that_was_set_back_or_edited_is_noticed_and_left_as_it_is(
    database: Documents, checkpoints: Checkpoints, covered: list[Any]
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, NOW)
    database[NAME].update_one({}, {"$set": {"covered": covered}})
    before = document(database)
    with pytest.raises(CheckpointChangedError) as noticed:
        checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), TALLY, LATER)
    assert noticed.value.scope is Scope.STATION
    with pytest.raises(CheckpointChangedError):
        checkpoints.complete(HANOI, LATER)
    assert document(database) == before
    begun = checkpoints.begin(HANOI, RANGE, LATER)
    assert sum(piece.hours for piece in begun.covered) == 12 * len(covered)


def test_what_a_recipe_does_to_status_and_error_does_not_stop_a_run(
    database: Documents, checkpoints: Checkpoints
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    database[NAME].update_one({}, {"$set": {"status": "failed", "error_message": "by hand"}})
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), TALLY, NOW)
    checkpoints.complete(HANOI, NOW)
    assert load(checkpoints).status is Status.COMPLETED


def test_a_reading_of_an_hour_that_was_covered_without_one_counts_and_counts_once(
    checkpoints: Checkpoints,
) -> None:
    """A present observation may be of an hour that a backfill found empty."""
    checkpoints.begin(HANOI, RANGE, NOW)
    empty = (Empty(START + 3, START + 4, START + 500),)
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,), empty), Tally(inserted=47, windows=1), NOW)
    checkpoints.begin(HANOI, None, LATER)
    for _ in range(2):
        checkpoints.advance(HANOI, None, Progress((RANGE,)), Tally(inserted=1, windows=1), LATER)
    assert load(checkpoints).total.inserted == 48
    assert load(checkpoints).empty == ()


# ------------------------------------------------- readings are counted once


@pytest.mark.parametrize("kind", [Kind.REGULAR, Kind.TIME_SERIES])
def test_readings_that_a_killed_run_stored_and_did_not_count_are_counted_by_the_next(
    database: Documents, kind: Kind
) -> None:
    def run() -> tuple[Checkpoints, Readings]:
        ids = ObjectIds()
        store = Readings(database, kind, ids)
        store.ensure()
        return Checkpoints(database, maker=ids.maker), store

    others, (checkpoints, store) = run()[1], run()
    days = [readings(FIRST_DAY), readings(SECOND_DAY)]
    others.upsert(HANOI, SECOND_DAY, days[1][:5])  # the live job's
    checkpoints.begin(HANOI, RANGE, NOW)
    written = store.upsert(HANOI, FIRST_DAY, days[0])
    tally = Tally(inserted=written.inserted, windows=1)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), tally, NOW)
    assert store.upsert(HANOI, SECOND_DAY, days[1]).inserted == 19  # killed here
    checkpoints, store = run()
    assert checkpoints.begin(HANOI, RANGE, LATER).covered == (FIRST_DAY,)
    again = store.upsert(HANOI, SECOND_DAY, days[1])
    assert (again.inserted, again.unchanged) == (0, 24)
    tally = Tally(unchanged=24, windows=1)
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), tally, LATER)
    checkpoints.complete(HANOI, LATER)
    assert load(checkpoints).total.inserted == 24 + 19
    for _ in range(2):  # begun again, by this run or the next, nothing counts twice
        checkpoints.begin(HANOI, RANGE, LATER)
    checkpoints.leave(HANOI)
    checkpoints, _store = run()
    checkpoints.begin(HANOI, RANGE, LATER)
    assert load(checkpoints).total.inserted == 24 + 19


def test_readings_whose_answer_was_lost_in_an_outage_count_as_inserted(
    database: Documents,
) -> None:
    class LosesAnAnswer(Readings):
        answers = 0

        def upsert(self, *given: Any, **named: Any) -> Written:
            written = super().upsert(*given, **named)
            self.answers += 1
            if self.answers == 1:
                raise StoreUnavailableError("no answer")
            return written

    ids = ObjectIds()
    leases = Leases(database, "a-run", 60)
    sink = MongoSink(
        LosesAnAnswer(database, ids=ids),
        Rejects(database),
        Revisions(database),
        Checkpoints(database, leases, ids.maker),
        leases,
        Outage(30, StopFlag()),
        *("a-run", "aqicn", lambda: NOW),
    )
    Readings(database).upsert(HANOI, FIRST_DAY, readings(FIRST_DAY)[:4])  # the live job's
    entry = StationPlan(Station(HANOI), RANGE, (RANGE,), why=Why.NEW)
    sink.begin(entry)
    tally = sink.store(entry.station, FIRST_DAY, readings(FIRST_DAY), [])
    assert (tally.inserted, tally.unchanged) == (20, 4)
    sink.advance(entry, Progress((FIRST_DAY,)), tally)
    sink.leave(entry.station)
    written = document(database)
    assert written["total_readings_inserted"] == 20
    assert not {"lease", "writer"} & written.keys()


def test_hours_and_readings_count_once_however_often_they_are_fetched(
    database: Documents, checkpoints: Checkpoints
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), Tally(inserted=48, windows=1), NOW)
    checkpoints.complete(HANOI, NOW)
    checkpoints.forget({HANOI: ()})
    assert document(database)["total_hours_processed"] == 0
    checkpoints.begin(HANOI, RANGE, LATER)
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), Tally(unchanged=48, windows=1), LATER)
    checkpoints.complete(HANOI, LATER)
    written = document(database)
    assert written["total_hours_processed"] == written["total_readings_inserted"] == 48
    assert written["windows"] == 2


# ------------------------------------------------- documents of the version before


def as_version_0_1(**fields: Any) -> dict[str, Any]:
    """Return a checkpoint as commit 8a3a41b writes it, 24 of 48 hours covered, a refetch behind."""
    return {
        "station_idx": HANOI,
        "status": "in_progress",
        "last_processed_ts": to_datetime(START + 23),
        "start_ts": to_datetime(START),
        "target_end_ts": to_datetime(START + 48),
        "total_readings": 44,
        "error_message": None,
        "created_at": NOW,
        "updated_at": NOW,
        "covered": [[to_datetime(START), to_datetime(START + 24)]],
        "empty": [[to_datetime(START + 3), to_datetime(START + 5), to_datetime(START + 500)]],
        "total_inserted": 22,
        "total_updated": 0,
        "total_unchanged": 22,
        "total_rejected": 2,
        "total_repaired": 0,
        "rejected_hours": 2,
        "empty_hours": 2,
        "windows": 2,
        "total_kept": 0,
        **fields,
    }


def test_a_checkpoint_of_the_version_before_is_read_and_then_rewritten(
    database: Documents, checkpoints: Checkpoints
) -> None:
    database[NAME].insert_one(as_version_0_1())
    loaded = load(checkpoints)
    assert loaded.covered == (FIRST_DAY,)
    assert loaded.total == Tally(inserted=22, unchanged=22, windows=2)
    assert loaded.updated_at == NOW
    begun = checkpoints.begin(HANOI, RANGE, LATER)
    empty = (Empty(START + 3, START + 5, START + 500),)
    doubtful = (Interval(START + 3, START + 5),)  # it counts rejected hours, and none is kept
    assert begun == Progress((FIRST_DAY,), empty, unknown=doubtful)
    written = document(database)
    assert [*written][1:10] == [*DOCUMENTED]
    old = {"total_readings", "total_inserted", "updated_at", "total_rejected", "empty_hours"}
    assert not old & written.keys()
    assert written["schema"] == 2
    assert written["last_processed_ts"] == to_datetime(START + 24)
    assert (written["total_hours_processed"], written["total_readings_inserted"]) == (24, 22)
    assert (written["created_at"], written["last_updated"]) == (NOW, LATER)


def test_a_completed_checkpoint_of_the_version_before_ends_at_the_end_of_its_range(
    database: Documents, checkpoints: Checkpoints
) -> None:
    covered = [[to_datetime(START), to_datetime(START + 48)]]
    last = to_datetime(START + 47)
    fields = {"status": "completed", "last_processed_ts": last, "covered": covered}
    database[NAME].insert_one(as_version_0_1(**fields))
    checkpoints.begin(HANOI, None, LATER)
    written = document(database)
    assert (written["status"], written["last_processed_ts"]) == (
        "completed",
        to_datetime(START + 48),
    )


def test_hours_that_the_version_before_rejected_are_known_by_the_kept_rejects(
    database: Documents, checkpoints: Checkpoints
) -> None:
    once = {"rejected_hours": 1, "total_readings": 22}
    database[NAME].insert_one(as_version_0_1(**once))
    refused = Reject(Reason.AQI_DASH, {"aqi": "-"}, START + 3)
    Rejects(database).keep("r", HANOI, FIRST_DAY, [refused], "aqicn", NOW)
    loaded = load(checkpoints)
    assert (loaded.rejected, loaded.unknown) == ((Interval(START + 3, START + 4),), ())
    begun = checkpoints.begin(HANOI, RANGE, LATER)
    assert begun.rejected == load(checkpoints).rejected == loaded.rejected


def test_covered_hours_of_the_version_before_that_its_readings_do_not_reach_for_are_unknown(
    checkpoints: Checkpoints, database: Documents
) -> None:
    database[NAME].insert_one(as_version_0_1(rejected_hours=0, total_readings=21))
    unknown = load(checkpoints).unknown
    assert unknown == (Interval(START, START + 3), Interval(START + 5, START + 24))
    checkpoints.begin(HANOI, RANGE, LATER)
    assert load(checkpoints).unknown == unknown  # also when it is of today's schema


def test_what_the_documented_form_says_is_covered_is_unknown_until_it_is_fetched(
    checkpoints: Checkpoints, database: Documents
) -> None:
    day, status = to_datetime(START + 24), "completed"
    form = {"start_ts": to_datetime(START), "last_processed_ts": day, "target_end_ts": day}
    database[NAME].insert_one({"station_idx": HANOI, "status": status, **form})
    assert load(checkpoints).unknown == (FIRST_DAY,)
    begun = checkpoints.begin(HANOI, RANGE, LATER)
    assert (begun.covered, begun.unknown) == ((FIRST_DAY,), (FIRST_DAY,))
    first = Interval(START, START + 6)
    after = begun.after_window(first, {START}, {START + 1}, (Interval(START + 2, START + 4),), 9)
    checkpoints.advance(HANOI, RANGE, after, Tally(inserted=1, windows=1), LATER)
    loaded = load(checkpoints)
    assert loaded.progress == after
    assert loaded.unknown == (Interval(START + 6, START + 24),)
    assert loaded.rejected == (Interval(START + 1, START + 2),)
    assert loaded.not_asked == (Interval(START + 2, START + 4),)
    assert loaded.covered == (Interval(START, START + 2), Interval(START + 4, START + 24))


def test_a_window_that_nobody_was_asked_for_moves_the_documented_date_and_covers_nothing(
    checkpoints: Checkpoints, database: Documents
) -> None:
    begun = checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(
        HANOI, RANGE, begun.after_window(FIRST_DAY, (), (), (FIRST_DAY,), 9), Tally(), LATER
    )
    written = document(database)
    assert written["last_processed_ts"] == to_datetime(FIRST_DAY.end)
    assert (written["covered"], written["total_hours_processed"]) == ([], 0)
    assert load(checkpoints).not_asked == (FIRST_DAY,)


def test_notes_that_others_made_in_a_checkpoint_stay(
    database: Documents, checkpoints: Checkpoints
) -> None:
    database[NAME].insert_one(as_version_0_1(note="ask Lan"))
    checkpoints.begin(HANOI, RANGE, LATER)
    assert document(database)["note"] == "ask Lan"


# ---------------------------------------------------------------- the documented shell recipes


def test_the_documented_recipe_groups_by_status(
    database: Documents, checkpoints: Checkpoints
) -> None:
    for station_idx in (1, 2, 3):
        checkpoints.begin(station_idx, RANGE, NOW)
    checkpoints.complete(2, NOW)
    checkpoints.fail(3, "x", NOW)
    groups = database[NAME].aggregate([{"$group": {"_id": "$status", "count": {"$sum": 1}}}])
    assert {group["_id"]: group["count"] for group in groups} == {
        "in_progress": 1,
        "completed": 1,
        "failed": 1,
    }


def test_a_station_that_failed_is_taken_only_where_it_is_meant(
    checkpoints: Checkpoints, database: Documents
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.fail(HANOI, "Unknown station", LATER)
    before = document(database)
    with pytest.raises(FailedElsewhereError, match="Unknown station"):
        checkpoints.begin(HANOI, RANGE, LATER, even_failed=False)
    assert document(database) == before
    checkpoints.begin(HANOI, RANGE, LATER)
    assert load(checkpoints).status is Status.IN_PROGRESS


def test_the_documented_recipe_resets_failed_stations(
    database: Documents, checkpoints: Checkpoints
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, NOW)
    checkpoints.fail(HANOI, "Unknown station", NOW)
    database[NAME].update_many({"status": "failed"}, {"$set": {"status": "in_progress"}})
    loaded = load(checkpoints)
    assert loaded.status is Status.IN_PROGRESS
    assert loaded.error_message is None
    assert loaded.covered == (FIRST_DAY,)


def test_the_documented_recipe_deletes_all(database: Documents, checkpoints: Checkpoints) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    database[NAME].delete_many({})
    assert checkpoints.load() == {}
    checkpoints.begin(HANOI, RANGE, NOW)
    assert load(checkpoints).covered == ()


# ---------------------------------------------------------------- written by hand


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({}, [(START, START + 24)]),
        ({"status": "failed"}, [(START, START + 24)]),
        ({"status": "completed"}, [(START, START + 48)]),
        ({"status": "completed", "last_processed_ts": None}, [(START, START + 48)]),
        ({"status": "completed", "target_end_ts": None}, [(START, START + 24)]),
        ({"status": "paused"}, [(START, START + 24)]),
        ({"start_ts": None}, []),
        ({"last_processed_ts": None}, []),
        ({"covered": []}, []),
        ({"covered": None}, [(START, START + 24)]),
        ({"start_ts": "2023-01-01"}, [(START, START + 24)]),
        ({"start_ts": "2023-01-01T07:00:00+07:00"}, [(START, START + 24)]),
        ({"start_ts": to_datetime(START) + timedelta(minutes=1)}, [(START + 1, START + 24)]),
        ({"last_processed_ts": "2023-01-01T23:59:59Z"}, [(START, START + 23)]),
        ({"last_processed_ts": to_datetime(START)}, []),
        (
            {"covered": [["2023-01-01T00:30:00Z", to_datetime(START + 3)]]},
            [(START + 1, START + 3)],
        ),
        ({"station_idx": float(HANOI)}, [(START, START + 24)]),
        ({"station_idx": Int64(HANOI)}, [(START, START + 24)]),
    ],
)
def test_a_checkpoint_written_by_hand_is_understood_and_continued(
    database: Documents,
    checkpoints: Checkpoints,
    fields: dict[str, Any],
    covered: list[tuple[int, int]],
) -> None:
    by_hand(database, **fields)
    expected = tuple(Interval(*piece) for piece in covered)
    loaded = load(checkpoints)
    assert loaded.covered == expected
    stated = {"completed": Status.COMPLETED, "failed": Status.FAILED}
    assert loaded.status is stated.get(fields.get("status", ""), Status.IN_PROGRESS)
    checkpoints.begin(HANOI, RANGE, LATER)
    written = document(database)
    assert written["total_readings_inserted"] == 20
    assert written["created_at"] == NOW
    assert load(checkpoints).covered == expected
    now_covered = union((*expected, THIRD_DAY))
    checkpoints.advance(HANOI, RANGE, Progress(now_covered), TALLY, LATER)
    assert load(checkpoints).covered == now_covered
    assert load(checkpoints).total == replace(KEPT_TALLY, inserted=30)
    assert database[NAME].count_documents({"station_idx": {"$type": "int"}}) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_ts", "last week"),
        ("start_ts", 5),
        ("target_end_ts", DatetimeMS(2**60)),
        ("last_processed_ts", datetime(9999, 12, 31, tzinfo=UTC)),
        ("updated_at", []),
        ("last_updated", []),
        ("schema", 3),
        ("total_readings_inserted", -1),
        ("covered", "all"),
        ("covered", [[NOW]]),
        ("covered", [[NOW, None]]),
        ("covered", [[NOW, "x"]]),
        ("total_inserted", "5"),
        ("windows", None),
        ("total_kept", 0.5),
    ],
)
def test_what_cannot_be_understood_is_named_with_station_and_field(
    database: Documents, checkpoints: Checkpoints, field: str, value: Any
) -> None:
    by_hand(database, **{field: value})
    if field == "total_inserted":  # of an older version, which had no other name
        database[NAME].update_one({}, {"$unset": {"total_readings_inserted": ""}})
    by_hand(database, station_idx=HUE)
    named = rf"station 8641: `{field}` is .*, expected"
    with pytest.raises(StoreError, match=named) as refused:
        checkpoints.begin(HANOI, RANGE, NOW)
    assert refused.value.scope is Scope.STATION
    assert "job=reset 'stations.ids=[8641]'" in refused.value.hint
    loaded = checkpoints.load()
    assert (loaded[HANOI].unreadable, loaded[HANOI].state) == (True, "unreadable")
    assert re.search(named, loaded[HANOI].error_message or "")
    assert not loaded[HUE].unreadable


def test_documents_of_no_station_are_left_alone(
    database: Documents, checkpoints: Checkpoints
) -> None:
    by_hand(database, station_idx="Hanoi", covered="all")
    assert checkpoints.load() == {}


def test_several_checkpoints_of_one_station_are_refused_with_the_query_that_shows_them(
    database: Documents,
) -> None:
    by_hand(database)
    by_hand(database)
    with pytest.raises(UnsupportedCollectionError, match="station_idx") as refused:
        Checkpoints(database).ensure()
    assert f"db.{NAME}.aggregate(" in refused.value.hint


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
fields = ("station_idx", "status", "start_ts", "target_end_ts", "last_processed_ts", "covered")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*fields, "windows"), anything)))
def test_no_document_breaks_the_reader(written: dict[str, Any]) -> None:
    try:
        read = to_checkpoint({"station_idx": HANOI} | written)
    except StoreError:
        return
    assert read is None or read.covered == union(read.covered)
