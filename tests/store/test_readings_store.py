from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from runner.core.errors import (
    LeaseError,
    StoreError,
    StoreUnavailableError,
    UnsupportedCollectionError,
)
from runner.core.intervals import Interval, to_datetime, union
from runner.core.readings import Reading
from runner.store.attempt import Attempt, Written
from runner.store.readings import NAME, Readings

Documents = Database[dict[str, Any]]

START = 464_592  # 2023-01-01T00:00Z
WEEK = Interval(START, START + 168)
HANOI = 8641
CITIZEN = -476_599


def reading(hour: int, aqi: float = 45, station_idx: int = HANOI, **sub_indices: float) -> Reading:
    local = to_datetime(hour) + timedelta(hours=7)
    return {
        "ts": to_datetime(hour),
        "meta": {"station_idx": station_idx},
        "aqi": aqi,
        "time": {"s": f"{local:%Y-%m-%d %H:%M:%S}", "tz": "+07:00"},
        "iaqi": {key: {"v": value} for key, value in (sub_indices or {"pm25": aqi}).items()},
    }


def week(aqi: int = 45, station_idx: int = HANOI, window: Interval = WEEK) -> list[Reading]:
    return [reading(hour, aqi + hour % 5, station_idx) for hour in range(*window)]


def live_row(hour: int, aqi: int) -> dict[str, Any]:
    """A document as the existing system's live job writes it."""
    document: dict[str, Any] = {**reading(hour, aqi, HANOI, pm25=aqi, t=28.5)}
    document["time"] |= {"v": 1_758_747_600, "iso": "2025-09-24T21:00:00+07:00"}
    return document | {"attributions": [{"name": "US Embassy"}], "station_id": "8641"}


def stored(database: Documents, **query: Any) -> list[dict[str, Any]]:
    return list(database[NAME].find(query).sort("ts"))


def state_of(database: Documents) -> tuple[Any, Any, int]:
    collections = list(database.list_collections(filter={"name": NAME}))
    indexes = [] if collections[0]["type"] == "view" else list(database[NAME].list_indexes())
    return collections, indexes, database[NAME].count_documents({})


@pytest.fixture
def readings(database: Documents) -> Readings:
    store = Readings(database)
    store.ensure()
    return store


class Spy(CommandListener):
    """Counts the commands sent to the collection, and can act just before one is sent."""

    def __init__(self, before: dict[str, Callable[[], None]] | None = None) -> None:
        self.before = before or {}
        self.commands: list[str] = []
        self.sent: dict[str, Any] = {}

    def started(self, event: CommandStartedEvent) -> None:
        self.commands.append(event.command_name)
        self.sent[event.command_name] = event.command
        if act := self.before.pop(event.command_name, None):
            act()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@contextmanager
def spied(mongo_uri: str, database: Documents, spy: Spy) -> Iterator[Readings]:
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[spy]) as client:
        yield Readings(client[database.name])


# ---------------------------------------------------------------- the collection


def test_ensure_makes_a_regular_collection_that_refuses_doubles(
    database: Documents, readings: Readings
) -> None:
    readings.ensure()
    assert next(database.list_collections(filter={"name": NAME}))["type"] == "collection"
    index = database[NAME].index_information()["station_hour"]
    assert index["key"] == [("meta.station_idx", 1), ("ts", 1)]
    assert index["unique"] is True


def test_check_writes_nothing_at_all(database: Documents) -> None:
    Readings(database).check()
    assert Readings(database).compare(HANOI, WEEK, week()) == Written(inserted=168)
    assert database.list_collection_names() == []


def test_a_unique_index_of_another_name_is_enough(database: Documents) -> None:
    database[NAME].create_index([("meta.station_idx", 1), ("ts", -1)], unique=True, name="theirs")
    Readings(database).ensure()
    assert set(database[NAME].index_information()) == {"_id_", "theirs"}


def test_a_plain_or_partial_index_on_the_same_fields_is_not_enough(database: Documents) -> None:
    fields = [("meta.station_idx", 1), ("ts", 1)]
    database[NAME].create_index(fields, name="plain")
    database[NAME].create_index(
        fields, name="partial", unique=True, partialFilterExpression={"aqi": {"$gt": 0}}
    )
    Readings(database).ensure()
    assert database[NAME].index_information()["station_hour"]["unique"] is True


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("time-series", {"timeseries": {"timeField": "ts", "metaField": "station"}}),
        ("time-series", {"timeseries": {"timeField": "ts"}}),
        ("capped", {"capped": True, "size": 4096}),
        ("view", {"viewOn": "elsewhere", "pipeline": []}),
    ],
)
def test_another_kind_of_collection_is_refused_without_change(
    database: Documents, kind: str, options: dict[str, Any]
) -> None:
    database.create_collection(NAME, **options)
    if kind != "view":
        database[NAME].insert_one({**reading(START)})
    before = state_of(database)
    for act in (Readings(database).check, Readings(database).ensure):
        with pytest.raises(UnsupportedCollectionError, match=f"is a {kind} collection") as refused:
            act()
        assert "nothing was changed" in refused.value.message
        assert "MONGO_DB" in refused.value.hint
    assert state_of(database) == before


def test_doubles_are_refused_with_the_query_that_shows_them(database: Documents) -> None:
    database[NAME].insert_many(
        [{**reading(hour)} for hour in (START, START, START + 1)], ordered=False
    )
    before = state_of(database)
    for act in (Readings(database).check, Readings(database).ensure):
        with pytest.raises(UnsupportedCollectionError) as refused:
            act()
        shell = refused.value.hint.splitlines()[-1]
        call = f"db.{NAME}.aggregate("
        assert shell.startswith(call)
        pipeline, _ = json.JSONDecoder().raw_decode(shell.removeprefix(call))
        found = list(database[NAME].aggregate(pipeline))
        assert found == [{"_id": {"station_idx": HANOI, "ts": to_datetime(START)}, "count": 2}]
    assert state_of(database) == before


# ---------------------------------------------------------------- documents


def test_a_document_has_the_documented_fields_and_types_and_no_others(
    database: Documents, readings: Readings
) -> None:
    given = reading(START, 45, CITIZEN, pm25=45, t=28.5)
    readings.upsert(CITIZEN, WEEK, [given])
    (document,) = stored(database)
    assert list(document) == ["_id", "ts", "meta", "aqi", "time", "iaqi"]
    del document["_id"]
    assert document == given
    types = {
        "_id": "objectId",
        "ts": "date",
        "meta.station_idx": "int",
        "aqi": "int",
        "iaqi.pm25.v": "int",
        "iaqi.t.v": "double",
    }
    query = {field: {"$type": name} for field, name in types.items()}
    assert database[NAME].count_documents(query) == 1


def test_the_caller_keeps_its_readings_as_they_were(readings: Readings) -> None:
    batch = week()
    readings.upsert(HANOI, WEEK, batch)
    assert batch == week()


# ---------------------------------------------------------------- upsert


def test_upsert_counts_exactly_and_again_changes_nothing(
    database: Documents, readings: Readings
) -> None:
    assert readings.upsert(HANOI, WEEK, week()) == Written(inserted=168)
    before = stored(database)
    assert readings.upsert(HANOI, WEEK, week()) == Written(unchanged=168)
    assert stored(database) == before
    mixed = [reading(START, 999), *week()[1:160]]
    assert readings.upsert(HANOI, WEEK, mixed) == Written(updated=1, unchanged=159)
    assert stored(database)[0]["aqi"] == 999
    assert len(stored(database)) == 168


def test_compare_predicts_what_upsert_counts(readings: Readings) -> None:
    readings.upsert(HANOI, WEEK, week()[:100])
    batch = [reading(START, 999), *week()[1:150]]
    predicted = readings.compare(HANOI, WEEK, batch)
    assert predicted == Written(inserted=50, updated=1, unchanged=99)
    assert readings.upsert(HANOI, WEEK, batch) == predicted


def test_neighbours_in_time_and_other_stations_are_not_touched(
    database: Documents, readings: Readings
) -> None:
    around = Interval(WEEK.start - 1, WEEK.end + 1)
    readings.upsert(HANOI, around, week(10, window=around))
    readings.upsert(CITIZEN, WEEK, week(20, CITIZEN))
    assert readings.upsert(HANOI, WEEK, week(200)) == Written(updated=168)
    kept = stored(database, aqi={"$lt": 100})
    assert len(kept) == 168 + 2
    assert [item["ts"] for item in kept if item["meta"]["station_idx"] == HANOI] == [
        to_datetime(WEEK.start - 1),
        to_datetime(WEEK.end),
    ]


def test_whole_floats_equal_integers(readings: Readings) -> None:
    readings.upsert(HANOI, WEEK, [reading(START, 45, HANOI, pm25=45)])
    again = [reading(START, 45.0, HANOI, pm25=45.0)]
    assert readings.upsert(HANOI, WEEK, again) == Written(unchanged=1)


def test_a_sub_index_that_the_source_takes_back_is_taken_out_of_our_document(
    database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START, 45, HANOI, pm25=45, pm10=999)])
    readings.upsert(HANOI, WEEK, [reading(START, 45, HANOI, pm25=45)])
    assert stored(database)[0]["iaqi"] == {"pm25": {"v": 45}}


@pytest.mark.usefixtures("readings")
def test_after_a_window_that_was_all_new_the_next_is_inserted_without_a_look(
    mongo_uri: str, database: Documents
) -> None:
    spy = Spy()
    second, third = Interval(START + 168, START + 336), Interval(START + 336, START + 504)
    live = [live_row(START + 336, 45), live_row(START + 337, 57)]
    database[NAME].insert_many(live)
    third_week = [reading(START + 336, 45, HANOI, pm25=45, t=28.5), reading(START + 337, 99)]
    third_week.append(reading(START + 338))
    with spied(mongo_uri, database, spy) as watched:
        watched.ensure()
        spy.commands.clear()
        assert watched.upsert(HANOI, WEEK, week()) == Written(inserted=168)
        assert watched.upsert(HANOI, second, [reading(START + 168)]) == Written(inserted=1)
        assert watched.upsert(HANOI, third, third_week) == Written(1, 1, 1)
        assert watched.upsert(HANOI, third, third_week) == Written(unchanged=3)
    assert spy.commands == [
        *["find", "insert"],
        *["insert"],
        *["insert", "find", "update"],  # two of three are there already
        *["find", "endSessions"],
    ]
    assert [item["aqi"] for item in stored(database)][-3:] == [45, 99, 45]


hours_and_values = st.dictionaries(
    st.integers(0, 9), st.tuples(st.integers(0, 3), st.sampled_from(["pm25", "o3"])), max_size=10
)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batches=st.lists(hours_and_values, max_size=5))
def test_any_sequence_of_batches_counts_and_stores_like_a_dictionary(
    database: Documents, readings: Readings, batches: list[dict[int, tuple[int, str]]]
) -> None:
    database[NAME].delete_many({})
    window = Interval(START, START + 10)
    model: dict[int, tuple[int, str]] = {}
    for batch in batches:
        given = [reading(START + at, aqi, HANOI, **{key: aqi}) for at, (aqi, key) in batch.items()]
        written = readings.upsert(HANOI, window, given)
        assert written == Written(
            inserted=len(batch.keys() - model.keys()),
            updated=sum(at in model and model[at] != value for at, value in batch.items()),
            unchanged=sum(model.get(at) == value for at, value in batch.items()),
        )
        model |= batch
    found = database[NAME].find({}, {"_id": 0})
    assert sorted(found, key=lambda item: item["ts"]) == [
        reading(START + at, aqi, HANOI, **{key: aqi}) for at, (aqi, key) in sorted(model.items())
    ]
    stored = readings.stored_hours([HANOI], window).get(HANOI, ())
    assert stored == union(Interval(START + at, START + at + 1) for at in model)


def test_stored_hours_are_those_with_a_reading_on_the_hour_by_station(
    database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START), reading(START + 1), reading(START + 7)])
    readings.upsert(CITIZEN, WEEK, [reading(START + 3, 45, CITIZEN)])
    half_past: dict[str, Any] = {**reading(START + 9)}
    database[NAME].insert_one(half_past | {"ts": to_datetime(START + 9) + timedelta(minutes=30)})
    two = (Interval(START, START + 2), Interval(START + 7, START + 8))
    assert readings.stored_hours([HANOI], WEEK) == {HANOI: two}
    assert readings.stored_hours([HANOI], Interval(START + 2, START + 7)) == {}
    assert set(readings.stored_hours([HANOI, CITIZEN, 1], WEEK)) == {HANOI, CITIZEN}


# ---------------------------------------------------------------- documents of others


def test_another_writers_reading_within_an_hour_is_seen_and_one_on_the_hour_is_none(
    readings: Readings, database: Documents
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START), reading(START + 1)])
    assert not readings.has_off_hour(HANOI, START)
    theirs = reading(START)
    theirs["ts"] += timedelta(minutes=20)
    database[NAME].insert_one({**theirs})
    assert readings.has_off_hour(HANOI, START)
    assert not readings.has_off_hour(HANOI, START + 1)
    assert not readings.has_off_hour(CITIZEN, START)


def test_an_equal_row_is_unchanged_whatever_its_id_is_and_however_it_is_laid_out(
    database: Documents, readings: Readings
) -> None:
    same = [reading(START + hour) for hour in range(4)]
    laid_out = dict(reversed(same[3].items()))
    rows = [{"_id": "a text", **same[0]}, {"_id": 7, **same[1]}, {**same[2]}, laid_out]
    database[NAME].insert_many(rows)
    assert readings.upsert(HANOI, WEEK, same) == Written(unchanged=4)


def test_a_live_row_with_the_same_values_is_left_as_it_is(
    database: Documents, readings: Readings
) -> None:
    database[NAME].insert_one(live_row(START, 57))
    before = stored(database)
    same = [reading(START, 57, HANOI, pm25=57, t=28.5)]
    assert readings.upsert(HANOI, WEEK, same) == Written(unchanged=1)
    fewer = [reading(START, 57, HANOI, pm25=57)]
    assert readings.upsert(HANOI, WEEK, fewer) == Written(unchanged=1)
    assert stored(database) == before


def test_a_live_row_with_other_values_is_corrected_and_loses_nothing(
    database: Documents, readings: Readings
) -> None:
    database[NAME].insert_one(live_row(START, 57))
    corrected = [reading(START, 60, HANOI, pm25=60, pm10=20)]
    assert readings.upsert(HANOI, WEEK, corrected) == Written(updated=1)
    expected = live_row(START, 57) | {"aqi": 60}
    expected["iaqi"] |= {"pm25": {"v": 60}, "pm10": {"v": 20}}
    (document,) = stored(database)
    del document["_id"]
    assert document == expected
    assert readings.upsert(HANOI, WEEK, corrected) == Written(unchanged=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"aqi": "-", "iaqi": None, "time": "2023-01-01"},
        {"aqi": "57", "iaqi": {"pm25": 57}, "location": None},
        {"aqi": 45, "iaqi": {"pm25": {"v": 1, "unit": "AQI"}}, "time": {"s": None, "iso": 1}},
        {},
    ],
)
def test_an_odd_document_of_another_writer_becomes_a_reading_and_keeps_its_other_fields(
    database: Documents, readings: Readings, fields: dict[str, Any]
) -> None:
    bare = {"ts": to_datetime(START), "meta": {"station_idx": HANOI, "note": "x"}, "extra": [1]}
    database[NAME].insert_one(bare | fields)
    assert readings.upsert(HANOI, WEEK, [reading(START)]) == Written(updated=1)
    assert readings.upsert(HANOI, WEEK, [reading(START)]) == Written(unchanged=1)
    (document,) = stored(database)
    assert document["aqi"] == 45
    assert document["iaqi"]["pm25"]["v"] == 45
    assert document["time"]["s"] == reading(START)["time"]["s"]
    assert document["extra"] == [1]
    assert document["meta"]["note"] == "x"
    if fields.get("aqi") == 45:
        assert document["iaqi"]["pm25"]["unit"] == "AQI"
        assert document["time"]["iso"] == 1


# ---------------------------------------------------------------- other writers at the same time


def test_two_writers_of_the_same_hours_never_make_a_double(
    database: Documents, readings: Readings
) -> None:
    results: list[Written] = []
    windows = [Interval(START + at, START + at + 24) for at in range(0, 480, 24)]

    def write() -> None:
        for window in windows:
            written = readings.upsert(HANOI, window, week(window=window))
            results.append(written)

    writers = [Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(stored(database)) == 480
    assert sum(item.inserted for item in results) == 480
    assert sum(item.unchanged for item in results) == 480
    assert sum(item.updated for item in results) == 0


def test_hours_inserted_by_another_writer_between_look_and_insert_are_compared(
    mongo_uri: str, database: Documents, readings: Readings
) -> None:
    def blind_writer() -> None:
        rows = [live_row(START, 45), live_row(START + 1, 57)]
        database[NAME].insert_many(rows)

    spy = Spy(before={"insert": blind_writer})
    batch = [
        reading(START, 45, HANOI, pm25=45, t=28.5),
        reading(START + 1, 99),
        reading(START + 2),
    ]
    with spied(mongo_uri, database, spy) as racing:
        written = racing.upsert(HANOI, WEEK, batch)
    assert written == Written(inserted=1, updated=1, unchanged=1)
    assert [item["aqi"] for item in stored(database)] == [45, 99, 45]
    assert readings.upsert(HANOI, WEEK, batch) == Written(unchanged=3)


def test_an_hour_deleted_between_look_and_update_is_inserted_again(
    mongo_uri: str, database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START, 1), reading(START + 1, 1)])

    def deleter() -> None:
        database[NAME].delete_one({"ts": to_datetime(START)})

    with spied(mongo_uri, database, Spy(before={"update": deleter})) as racing:
        written = racing.upsert(HANOI, WEEK, [reading(START, 2), reading(START + 1, 2)])
    assert written == Written(inserted=1, updated=1)
    assert [item["aqi"] for item in stored(database)] == [2, 2]


def test_a_sub_index_that_a_live_writer_sets_between_look_and_update_survives(
    mongo_uri: str, database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START, 1, HANOI, pm25=1, so2=9)])
    database[NAME].insert_one(live_row(START + 1, 1))

    def live_writer() -> None:
        database[NAME].update_many({}, {"$set": {"iaqi.o3": {"v": 7}}})

    corrected = [reading(START, 2, HANOI, pm25=2), reading(START + 1, 2, HANOI, pm25=2)]
    with spied(mongo_uri, database, Spy(before={"update": live_writer})) as racing:
        assert racing.upsert(HANOI, WEEK, corrected) == Written(updated=2)
    ours, theirs = stored(database)
    assert ours["iaqi"] == {"pm25": {"v": 2}, "o3": {"v": 7}}
    assert theirs["iaqi"] == {"pm25": {"v": 2}, "t": {"v": 28.5}, "o3": {"v": 7}}


def test_an_update_touches_no_path_that_says_the_same(
    mongo_uri: str, database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START, 5, HANOI, pm25=1, o3=3, so2=9)])
    spy = Spy()
    with spied(mongo_uri, database, spy) as watched:
        watched.upsert(HANOI, WEEK, [reading(START, 5, HANOI, pm25=2, o3=3, no2=4)])
    (update,) = spy.sent["update"]["updates"]
    assert update["u"] == {
        "$set": {"iaqi.pm25.v": 2, "iaqi.no2": {"v": 4}},
        "$unset": {"iaqi.so2": ""},
    }
    assert stored(database)[0]["iaqi"] == {"pm25": {"v": 2}, "o3": {"v": 3}, "no2": {"v": 4}}


def test_a_value_that_is_newer_than_the_look_is_not_overwritten_before_another_look(
    mongo_uri: str, database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START, 1), reading(START + 1, 1)])

    def newer() -> None:
        readings.upsert(HANOI, WEEK, [reading(START, 9), reading(START + 1, 1)])

    def check() -> None:
        if "update" in spy.commands:  # by then the lease would be found lost
            raise LeaseError("leased by another run")

    spy = Spy(before={"update": newer})
    older = [reading(START, 2), reading(START + 1, 2)]
    with (
        spied(mongo_uri, database, spy) as racing,
        pytest.raises(LeaseError),
    ):
        racing.upsert(HANOI, WEEK, older, check=check)
    assert [item["aqi"] for item in stored(database)] == [9, 2]


def test_what_a_try_wrote_before_it_failed_is_counted_by_the_next(
    database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, [reading(START, 1), reading(START + 1, 1)])
    checks = iter([None, StoreUnavailableError("away"), None, None])

    def check() -> None:
        if error := next(checks):
            raise error

    batch = [reading(START, 2), reading(START + 1, 1), reading(START + 2), reading(START + 3)]
    attempt = Attempt()
    with pytest.raises(StoreUnavailableError):
        readings.upsert(HANOI, WEEK, batch, attempt, check=check)
    assert len(stored(database)) == 4
    written = readings.upsert(HANOI, WEEK, batch, attempt, check=check)
    assert written == Written(inserted=2, updated=1, unchanged=1)


def test_inserts_and_updates_whose_answer_was_lost_are_counted_as_such(
    database: Documents, readings: Readings
) -> None:
    readings.upsert(HANOI, WEEK, week()[:10])
    sent = {item["_id"]: item["ts"] for item in stored(database)[:3]}
    lost = Attempt(sent=sent, updates={to_datetime(START + 5)})
    assert readings.upsert(HANOI, WEEK, week()[:12], lost) == Written(5, 1, 6)


def unguarded(database: Documents, *, can_replace: bool) -> Readings:
    """Return a store that works as on a time-series collection, on a regular one to look into."""
    store = Readings(database)
    store._is_timeseries, store._can_replace = True, can_replace
    return store


def test_our_insert_beside_a_blind_writers_is_taken_back_where_the_server_can(
    mongo_uri: str, database: Documents
) -> None:
    def blind_writer() -> None:
        database[NAME].insert_many([live_row(START, 45), live_row(START + 1, 57)])

    spy = Spy(before={"insert": blind_writer})
    batch = [reading(START, 45, HANOI, pm25=45, t=28.5), reading(START + 1, 99), reading(START + 2)]
    with spied(mongo_uri, database, spy) as racing:
        racing._is_timeseries, racing._can_replace = True, True
        assert racing.upsert(HANOI, WEEK, batch) == Written(inserted=1, updated=1, unchanged=1)
    assert [item["aqi"] for item in stored(database)] == [45, 99, 45]
    assert unguarded(database, can_replace=True).upsert(HANOI, WEEK, batch) == Written(unchanged=3)


def test_a_double_that_the_server_cannot_remove_is_named_with_its_hour(
    mongo_uri: str, database: Documents
) -> None:
    def blind_writer() -> None:
        database[NAME].insert_one(live_row(START, 57))

    spy = Spy(before={"insert": blind_writer})
    with spied(mongo_uri, database, spy) as racing, structlog.testing.capture_logs() as logs:
        racing._is_timeseries, racing._can_replace = True, False
        assert racing.upsert(HANOI, WEEK, week()[:3]) == Written(inserted=3)
    (named,) = [line for line in logs if line["event"] == "readings.doubled"]
    assert (named["station_idx"], named["hours"]) == (HANOI, ["2023-01-01T00:00Z"])
    assert len(stored(database)) == 4


def test_what_is_replaced_in_a_time_series_collection_is_noted_before_it_is_removed(
    database: Documents,
) -> None:
    store = unguarded(database, can_replace=True)
    database[NAME].insert_one(live_row(START, 57))
    noted: list[Any] = []

    def note(replaced: Sequence[Any]) -> None:
        noted.extend((old["aqi"], new["aqi"]) for old, new in replaced)
        assert [item["aqi"] for item in stored(database)] == [57]

    changed = [reading(START, 60, HANOI, pm25=60)]
    assert store.upsert(HANOI, WEEK, changed, note=note) == Written(updated=1)
    assert noted == [(57, 60)]
    (document,) = stored(database)
    assert (document["aqi"], document["iaqi"]["t"]["v"], document["station_id"]) == (
        60,
        28.5,
        "8641",
    )


def test_a_replacement_that_was_cut_off_between_out_and_in_keeps_the_others_fields(
    database: Documents,
) -> None:
    store = unguarded(database, can_replace=True)
    database[NAME].insert_one(live_row(START, 57))
    checks = iter([None, StoreUnavailableError("away"), None])

    def check() -> None:
        if error := next(checks):
            raise error

    changed, attempt = [reading(START, 60, HANOI, pm25=60)], Attempt()
    with pytest.raises(StoreUnavailableError):
        store.upsert(HANOI, WEEK, changed, attempt, check=check)
    assert stored(database) == []
    written = store.upsert(HANOI, WEEK, changed, attempt, check=check)
    assert written == Written(updated=1)
    assert stored(database)[0]["station_id"] == "8641"


def test_a_foreign_unique_index_in_the_way_is_named_instead_of_losing_readings(
    database: Documents, readings: Readings
) -> None:
    database[NAME].create_index("station_id", unique=True)
    with pytest.raises(StoreError, match=r"station 8641, 2023-01-01T00:00:00Z\.\.") as refused:
        readings.upsert(HANOI, WEEK, week())
    assert "getIndexes()" in refused.value.hint


def test_readings_refused_for_another_reason_than_doubles_are_an_error(
    database: Documents, readings: Readings
) -> None:
    database.command("collMod", NAME, validator={"aqi": {"$lt": 100}})
    with pytest.raises(StoreError, match=NAME):
        readings.upsert(HANOI, WEEK, [reading(START, 45), reading(START + 1, 145)])
    assert readings.stored_hours([HANOI], WEEK) == {HANOI: (Interval(START, START + 1),)}


@pytest.mark.usefixtures("readings")
def test_a_window_costs_one_look_and_at_most_one_write_of_a_kind(
    mongo_uri: str, database: Documents
) -> None:
    spy = Spy()
    with spied(mongo_uri, database, spy) as watched:
        watched.upsert(HANOI, WEEK, [])
        watched.upsert(HANOI, WEEK, week())
        watched.upsert(HANOI, WEEK, week())
        watched.upsert(HANOI, WEEK, week(100))
    commands = [name for name in spy.commands if name != "endSessions"]
    assert commands == ["find", "insert", "find", "find", "update"]
