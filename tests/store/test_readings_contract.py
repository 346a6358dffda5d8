"""What holds for every kind of collection that readings may go to."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of, to_datetime, union
from runner.core.readings import Reading
from runner.store.attempt import Attempt, Written
from runner.store.collection import Kind
from runner.store.readings import NAME, Readings
from runner.store.revisions import NAME as REVISIONS
from runner.store.revisions import Revisions

Documents = Database[dict[str, Any]]
HANOI, CITIZEN = 8641, -476_599
START = 464_592  # 2023-01-01T00:00Z
WEEK = Interval(START, START + 168)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERIES = {"timeField": "ts", "metaField": "meta", "granularity": "hours"}


def reading(hour: int, aqi: int = 45, station_idx: int = HANOI, **sub_indices: float) -> Reading:
    local = to_datetime(hour) + timedelta(hours=7)
    return {
        "ts": to_datetime(hour),
        "meta": {"station_idx": station_idx},
        "aqi": aqi,
        "time": {"s": f"{local:%Y-%m-%d %H:%M:%S}", "tz": "+07:00"},
        "iaqi": {key: {"v": value} for key, value in sub_indices.items()},
    }


def week(aqi: int = 45) -> list[Reading]:
    return [reading(hour, aqi + hour % 7, pm25=aqi) for hour in range(WEEK.start, WEEK.end)]


def regular(_database: Documents) -> Kind:
    return Kind.REGULAR


def made(_database: Documents) -> Kind:
    return Kind.TIME_SERIES


def found(database: Documents) -> Kind:
    database.create_collection(NAME, timeseries=SERIES)
    return Kind.REGULAR  # what is there counts, not what is wanted


def found_with_the_indexes_of_the_existing_system(database: Documents) -> Kind:
    found(database)
    database[NAME].create_index([("meta.station_idx", 1), ("ts", -1)])
    database[NAME].create_index([("ts", -1)])
    database[NAME].create_index([("location", "2dsphere")])
    return Kind.REGULAR


@pytest.fixture(params=[regular, made, found, found_with_the_indexes_of_the_existing_system])
def readings(request: pytest.FixtureRequest, database: Documents) -> Readings:
    prepare: Callable[[Documents], Kind] = request.param
    store = Readings(database, prepare(database))
    store.check()
    store.ensure()
    store.ensure()
    return store


def is_series(database: Documents) -> bool:
    return bool(list(database.list_collections(filter={"name": NAME, "type": "timeseries"})))


def test_inserts_whose_answer_was_lost_count_as_inserted(
    database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, week()[:10])
    first = database[NAME].find({"meta.station_idx": HANOI}).sort("ts").limit(3)
    lost = Attempt(sent={item["_id"]: item["ts"] for item in first})
    written = readings.upsert(HANOI, WEEK, week()[:12], lost)
    assert written == Written(inserted=5, unchanged=7)


def stored(database: Documents) -> list[dict[str, Any]]:
    everything = database[NAME].find({}, {"_id": 0})
    return sorted(everything, key=lambda item: (item["meta"]["station_idx"], item["ts"]))


def test_upsert_counts_exactly_and_again_changes_nothing(
    database: Documents, readings: Readings
) -> None:
    assert readings.compare(HANOI, WEEK, week()) == Written(inserted=168)
    assert readings.upsert(HANOI, WEEK, week()[:100]) == Written(inserted=100)
    assert readings.upsert(HANOI, WEEK, week()) == Written(inserted=68, unchanged=100)
    assert readings.upsert(HANOI, WEEK, week()) == Written(unchanged=168)
    assert stored(database) == week()


def test_neighbours_in_time_and_other_stations_are_not_touched(
    database: Documents, readings: Readings
) -> None:
    first, second = Interval(START, START + 24), Interval(START + 24, START + 48)
    readings.upsert(HANOI, first, [reading(START + 23)])
    readings.upsert(HANOI, second, [reading(START + 24)])
    written = readings.upsert(CITIZEN, first, [reading(START + 23, 50, CITIZEN)])
    assert written == Written(inserted=1)
    assert len(stored(database)) == 3
    hour = (Interval(START + 23, START + 24),)
    assert readings.stored_hours([HANOI, CITIZEN], first) == {HANOI: hour, CITIZEN: hour}


def test_a_changed_value_replaces_the_old_one_or_is_kept_as_a_revision(
    database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, week())
    changed = copy.deepcopy(week())
    changed[5]["aqi"] = 300
    written = readings.upsert(HANOI, WEEK, changed)
    assert len(stored(database)) == 168
    if written.updated:
        assert written == Written(updated=1, unchanged=167)
        assert stored(database) == changed
    else:
        assert is_series(database)
        assert (written.inserted, written.unchanged) == (0, 167)
        ((old, new),) = written.revisions
        assert (old["aqi"], new["aqi"]) == (week()[5]["aqi"], 300)
        assert stored(database) == week()


def test_the_same_revision_is_kept_once(database: Documents, readings: Readings) -> None:
    revisions = Revisions(database)
    revisions.ensure()
    readings.upsert(HANOI, WEEK, week())
    document = database[NAME].find_one({"ts": to_datetime(START)})
    assert document is not None
    for value, run_id in ((300, "a"), (300, "b"), (301, "c")):
        revisions.keep(run_id, "aqicn", [(document, reading(START, value))], NOW)
    kept = sorted(database[REVISIONS].find(), key=lambda item: item["offered"]["aqi"])
    assert [item["offered"]["aqi"] for item in kept] == [300, 301]
    assert [item["stored"]["aqi"] for item in kept] == [45 + START % 7] * 2
    assert (kept[0]["run_id"], kept[0]["last_run_id"]) == ("a", "b")


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    batches=st.lists(st.dictionaries(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=4)
)
def test_whatever_is_written_in_whatever_order_no_hour_is_doubled_or_lost(
    database: Documents, readings: Readings, batches: list[dict[int, int]]
) -> None:
    database[NAME].delete_many({"meta.station_idx": HANOI})
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for batch in batches:
        written = readings.upsert(HANOI, WEEK, [reading(START + at, v) for at, v in batch.items()])
        counts = (written.inserted, written.updated, written.unchanged, len(written.revisions))
        assert sum(counts) == len(batch)
        assert written.inserted == len(batch.keys() - first.keys())
        first = batch | first
        last |= batch
    found_now = {hour_of(item["ts"]) - START: item["aqi"] for item in stored(database)}
    assert len(stored(database)) == len(found_now)
    assert found_now in (first, last)
    assert readings.stored_hours([HANOI], WEEK).get(HANOI, ()) == union(
        Interval(START + at, START + at + 1) for at in last
    )


def test_a_document_has_the_documented_fields_and_no_others(
    database: Documents, readings: Readings
) -> None:
    readings.upsert(CITIZEN, WEEK, [reading(START, 999, CITIZEN, pm25=30.9)])
    (document,) = stored(database)
    assert document == reading(START, 999, CITIZEN, pm25=30.9)
    types = {"meta.station_idx": "int", "ts": "date", "aqi": "number"}
    query = {field: {"$type": name} for field, name in types.items()}
    assert database[NAME].count_documents(query) == 1
