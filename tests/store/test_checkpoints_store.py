from __future__ import annotations

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
from runner.core.errors import FailedElsewhereError, StoreError, UnsupportedCollectionError
from runner.core.intervals import Interval, to_datetime, union
from runner.store.checkpoint_document import NAME, to_checkpoint
from runner.store.checkpoints import LONGEST_ERROR, Checkpoints

Documents = Database[dict[str, Any]]

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


def by_hand(database: Documents, **fields: Any) -> None:
    """Write a checkpoint in the documented form, by hand."""
    written = {
        "station_idx": HANOI,
        "status": "in_progress",
        "start_ts": to_datetime(START),
        "target_end_ts": to_datetime(START + 48),
        "last_processed_ts": to_datetime(START + 23),
        "total_readings": 20,
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
        "station_idx",
        "status",
        "last_processed_ts",
        "start_ts",
        "target_end_ts",
        "total_readings",
        "error_message",
        "created_at",
        "updated_at",
        "covered",
        "empty",
        "rejected",
        "not_asked",
        "unknown",
        "total_inserted",
        "total_updated",
        "total_unchanged",
        "total_rejected",
        "total_repaired",
        "rejected_hours",
        "empty_hours",
        "windows",
        "total_kept",
    ]
    assert written["status"] == "in_progress"
    assert written["start_ts"] == to_datetime(START)
    assert written["target_end_ts"] == to_datetime(START + 48)
    assert written["last_processed_ts"] is None
    types = {"station_idx": "int", "start_ts": "date", "total_readings": "int", "_id": "objectId"}
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
        last_processed_hour=START + 23,
        total=TALLY,
        updated_at=LATER,
    )
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), TALLY, LATER)
    assert load(checkpoints).total == TALLY + TALLY
    written = document(database)
    assert written["total_readings"] == 2 * TALLY.readings == 30
    assert written["covered"] == [[to_datetime(START), to_datetime(START + 48)]]
    assert written["last_processed_ts"] == to_datetime(START + 47)
    assert written["created_at"] == NOW


def test_a_window_recorded_again_after_an_outage_counts_once(checkpoints: Checkpoints) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    for _ in range(2):
        checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, LATER)
    assert load(checkpoints).total == TALLY


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
    assert load(checkpoints) == replace(
        before, status=Status.COMPLETED, last_processed_hour=START + 47, updated_at=LATER
    )


@pytest.mark.parametrize(
    ("wanted", "last_processed_hour"),
    [
        (Interval(START - 24, START + 48), None),
        (Interval(START, START + 96), START + 47),
        (Interval(START + 12, START + 24), START + 23),
        (Interval(START + 48, START + 96), None),
    ],
)
def test_every_hour_from_start_to_last_processed_is_covered_when_the_range_changes(
    checkpoints: Checkpoints, wanted: Interval, last_processed_hour: int | None
) -> None:
    checkpoints.begin(HANOI, RANGE, NOW)
    checkpoints.advance(HANOI, RANGE, Progress((RANGE,)), TALLY, NOW)
    checkpoints.complete(HANOI, NOW)
    checkpoints.begin(HANOI, wanted, LATER)
    loaded = load(checkpoints)
    assert loaded.last_processed_hour == last_processed_hour
    assert (loaded.start_hour, loaded.target_end_hour) == wanted
    assert loaded.covered == (RANGE,)
    assert loaded.total == TALLY


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
    checkpoints.advance(HANOI, RANGE, Progress((FIRST_DAY,)), TALLY, NOW)
    checkpoints.complete(HANOI, NOW)
    checkpoints.fail(HANOI, "x", NOW)
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
        ({"last_processed_ts": "2023-01-01T23:59:59Z"}, [(START, START + 24)]),
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
    assert written["total_readings"] == 20
    assert written["created_at"] == NOW
    assert load(checkpoints).covered == expected
    now_covered = union((*expected, THIRD_DAY))
    checkpoints.advance(HANOI, RANGE, Progress(now_covered), TALLY, LATER)
    assert load(checkpoints).covered == now_covered
    assert load(checkpoints).total == TALLY
    assert database[NAME].count_documents({"station_idx": {"$type": "int"}}) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_ts", "last week"),
        ("start_ts", 5),
        ("target_end_ts", DatetimeMS(2**60)),
        ("last_processed_ts", datetime(9999, 12, 31, tzinfo=UTC)),
        ("updated_at", []),
        ("covered", "all"),
        ("covered", [[NOW]]),
        ("covered", [[NOW, None]]),
        ("covered", [[NOW, "x"]]),
        ("total_inserted", "5"),
        ("windows", None),
        ("empty_hours", 0.5),
    ],
)
def test_what_cannot_be_understood_is_named_with_station_and_field(
    database: Documents, checkpoints: Checkpoints, field: str, value: Any
) -> None:
    by_hand(database, **{field: value})
    with pytest.raises(StoreError, match=rf"station 8641: `{field}` is .*, expected") as refused:
        checkpoints.load()
    assert "job=reset 'stations.ids=[8641]'" in refused.value.hint


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
