"""Indexes, collections and expiry, as a real server has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from runner.core.errors import UnsupportedCollectionError
from runner.core.intervals import to_datetime
from runner.store.checkpoints import Checkpoints
from runner.store.collection import Kind
from runner.store.concentrations import Concentrations
from runner.store.raw import RawAnswers
from runner.store.readings import NAME, Readings
from runner.store.rejects import Rejects
from runner.store.revisions import Revisions
from runner.store.runs import Runs
from runner.store.shape import Change, Indexed, look

Documents = Database[dict[str, Any]]
Prepare = Callable[[Documents], object]

KEYS = [("meta.station_idx", ASCENDING), ("ts", ASCENDING)]
DAY_S = 86_400


def document(hour: int, **other: Any) -> dict[str, Any]:
    return {"ts": to_datetime(hour), "meta": {"station_idx": 1584}, "aqi": 1, **other}


def index(**options: Any) -> Prepare:
    keys = options.pop("keys", KEYS)
    return lambda database: database[NAME].create_index(keys, **options)


def twice_the_name(database: Documents) -> None:
    index(keys=[("a", 1)], name="station_hour")(database)
    index(keys=[("b", 1)], name="station_hour_2")(database)


FREE: dict[str, tuple[Prepare, str | None]] = {
    "nothing": (lambda _database: None, "station_hour"),
    "the name on other keys": (index(keys=[("aqi", 1)], name="station_hour"), "station_hour_2"),
    "the name twice": (twice_the_name, "station_hour_3"),
    "the keys, plain": (index(name="station_hour"), "station_hour_2"),
    "the keys, plain, another name": (index(name="theirs"), "station_hour"),
    "the keys, hashed": (
        index(keys=[("meta.station_idx", "hashed"), ("ts", 1)], name="theirs"),
        "station_hour",
    ),
    "the keys, partial": (
        index(name="station_hour", unique=True, partialFilterExpression={"aqi": {"$gt": 0}}),
        "station_hour_2",
    ),
    "the other order": (index(keys=KEYS[::-1], name="theirs", unique=True), "station_hour"),
    "more fields": (index(keys=[*KEYS, ("aqi", 1)], name="theirs", unique=True), "station_hour"),
    "unique": (index(name="theirs", unique=True), None),
    "unique, newest first": (
        index(keys=[KEYS[0], ("ts", DESCENDING)], name="theirs", unique=True),
        None,
    ),
    "unique, sparse": (index(name="theirs", unique=True, sparse=True), None),
    "unique, hidden": (index(name="theirs", unique=True, hidden=True), None),
    "unique, by the rules of a language": (
        index(name="theirs", unique=True, collation={"locale": "vi"}),
        None,
    ),
    "unique on a field that our documents lack": (
        index(keys=[("station_id", 1)], name="theirs", unique=True, sparse=True),
        "station_hour",
    ),
    "unique for documents that ours are not": (
        index(
            keys=[("ts", 1)],
            name="theirs",
            unique=True,
            partialFilterExpression={"$and": [{"source": "live"}]},
        ),
        "station_hour",
    ),
}


@pytest.mark.parametrize(("prepare", "name"), FREE.values(), ids=FREE)
def test_ensure_makes_what_check_announced_and_doubles_are_refused(
    database: Documents, prepare: Prepare, name: str | None
) -> None:
    prepare(database)
    before = {one["name"] for one in database[NAME].list_indexes()}
    announced = Readings(database).check()
    assert [change.index.name for change in announced if change.index] == ([name] if name else [])
    assert {one["name"] for one in database[NAME].list_indexes()} == before
    store = Readings(database)
    store.ensure()
    made = {one["name"] for one in database[NAME].list_indexes()} - before - {"_id_"}
    assert made == ({name} if name else set())
    assert store.refuses_doubles
    assert Readings(database).check() == []


BLOCKED: dict[str, tuple[Prepare, str]] = {
    "another hour is no double": (
        index(keys=[("ts", 1)], name="theirs", unique=True),
        'db.waqi_station_readings.dropIndex("theirs")',
    ),
    "one reading without the field": (
        index(keys=[("station_id", 1)], name='a "name"', unique=True),
        'db.waqi_station_readings.dropIndex("a \\"name\\"")',
    ),
    "for some stations": (
        index(
            keys=[("ts", 1)],
            name="theirs",
            unique=True,
            partialFilterExpression={"meta.station_idx": 1584},
        ),
        'db.waqi_station_readings.dropIndex("theirs")',
    ),
}


@pytest.mark.parametrize(("prepare", "command"), BLOCKED.values(), ids=BLOCKED)
def test_an_index_in_the_way_is_named_with_the_command_that_drops_it(
    database: Documents, prepare: Prepare, command: str
) -> None:
    prepare(database)
    for act in (Readings(database).check, Readings(database).ensure):
        with pytest.raises(UnsupportedCollectionError) as caught:
            act()
        assert command in caught.value.hint
    database[NAME].drop_index(
        next(one for one in database[NAME].index_information() if one != "_id_")
    )
    Readings(database).ensure()


def test_an_expiry_that_is_not_ours_is_in_the_way_of_the_kept_answers(database: Documents) -> None:
    database["ingest_raw"].create_index("expires_at", name="old", expireAfterSeconds=DAY_S)
    for act in (RawAnswers(database).check, RawAnswers(database).ensure):
        with pytest.raises(UnsupportedCollectionError) as caught:
            act()
        assert 'db.ingest_raw.dropIndex("old")' in caught.value.hint
    database["ingest_raw"].drop_index("old")
    RawAnswers(database).ensure()
    assert RawAnswers(database).check() == []


@pytest.mark.parametrize(
    "kind", [Checkpoints, Rejects, Revisions, Runs, RawAnswers, Concentrations]
)
def test_every_collection_makes_what_it_announces_once(
    database: Documents, kind: Callable[[Documents], Indexed]
) -> None:
    announced = kind(database).check()
    assert announced
    kind(database).ensure(announced)
    assert kind(database).check() == []
    made = set(database[kind(database).name].index_information()) - {"_id_"}
    assert made == {change.index.name for change in announced if change.index}


def test_the_index_of_an_older_version_serves_in_whatever_direction(database: Documents) -> None:
    database["ingest_runs"].create_index([("started_at", DESCENDING)])
    assert Runs(database).check() == []


def test_a_time_series_collection_is_announced_with_the_command_that_makes_it(
    database: Documents,
) -> None:
    store = Readings(database, Kind.TIME_SERIES)
    collection, made = store.check()
    assert (collection.index, collection.kind) == (None, Kind.TIME_SERIES)
    assert collection.command == (
        'db.createCollection("waqi_station_readings", {"timeseries": '
        '{"timeField": "ts", "metaField": "meta", "granularity": "hours"}})'
    )
    assert made.index is not None
    assert not made.index.unique
    store.ensure()
    assert not store.refuses_doubles
    assert Readings(database).check() == []


def test_without_indexes_none_is_made_and_none_is_relied_on(database: Documents) -> None:
    store = Readings(database, with_indexes=False)
    assert store.check() == []
    store.ensure()
    assert database.list_collection_names() == []
    assert not store.refuses_doubles


def test_two_runs_that_begin_a_station_at_once_make_one_checkpoint_without_an_index(
    database: Documents,
) -> None:
    first, second = Checkpoints(database), Checkpoints(database)
    now = to_datetime(464_592)
    first.begin(-476_599, None, now)
    database["ingest_checkpoints"].update_one({}, {"$set": {"station_idx": 0}})  # not seen yet
    with pytest.raises(Exception, match="deleted"):
        second.begin(-476_599, None, now)  # its upsert meets the same _id
    assert database["ingest_checkpoints"].count_documents({}) == 1


def expire_all(database: Documents) -> None:
    database.create_collection(
        NAME,
        timeseries={"timeField": "ts", "metaField": "meta"},
        expireAfterSeconds=10 * DAY_S,
    )


TTL: dict[str, tuple[Prepare, tuple[str, float, str] | None]] = {
    "a time-series collection": (
        expire_all,
        (
            "ts",
            10 * DAY_S,
            'db.runCommand({collMod: "waqi_station_readings", expireAfterSeconds: "off"})',
        ),
    ),
    "an index on ts": (
        index(keys=[("ts", 1)], name="ttl", expireAfterSeconds=5),
        ("ts", 5, 'db.waqi_station_readings.dropIndex("ttl")'),
    ),
    "a hidden index on ts": (
        index(keys=[("ts", 1)], name="ttl", expireAfterSeconds=5, hidden=True),
        ("ts", 5, 'db.waqi_station_readings.dropIndex("ttl")'),
    ),
    "for some stations": (
        index(
            keys=[("ts", 1)],
            name="ttl",
            expireAfterSeconds=5,
            partialFilterExpression={"meta.station_idx": 1584},
        ),
        ("ts", 5, 'db.waqi_station_readings.dropIndex("ttl")'),
    ),
    "of another program's documents": (
        index(keys=[("createdAt", 1)], name="ttl", expireAfterSeconds=5),
        None,
    ),
    "none": (index(keys=[("ts", 1)], name="ts"), None),
}


@pytest.mark.parametrize(("prepare", "expected"), TTL.values(), ids=TTL)
def test_what_deletes_readings_is_found_with_the_command_that_ends_it(
    database: Documents, prepare: Prepare, expected: tuple[str, float, str] | None
) -> None:
    prepare(database)
    found = look(database, [NAME])[NAME].expiries(("ts", "meta", "aqi", "time", "iaqi"))
    assert [(one.field, one.seconds, one.command) for one in found] == [expected] * bool(expected)


def test_the_commands_named_end_the_expiry(database: Documents) -> None:
    index(keys=[("ts", 1)], name="ttl", expireAfterSeconds=5)(database)
    database[NAME].drop_index("ttl")
    assert look(database, [NAME])[NAME].expiries() == []
    database.drop_collection(NAME)
    expire_all(database)
    database.command({"collMod": NAME, "expireAfterSeconds": "off"})
    assert look(database, [NAME])[NAME].expiries() == []


def test_what_is_not_there_has_no_shape(database: Documents) -> None:
    database.create_collection("view", viewOn="elsewhere", pipeline=[])
    database.create_collection("capped", capped=True, size=4096)
    shapes = look(database, ["absent", "view", "capped"])
    assert [shape.kind for shape in shapes.values()] == [Kind.ABSENT, Kind.VIEW, Kind.CAPPED]


def test_a_change_is_a_command_of_mongosh() -> None:
    change = Change("ingest_raw", RawAnswers.indexes[1])
    assert change.command == (
        'db.ingest_raw.createIndex({"expires_at": 1}, '
        '{"expireAfterSeconds": 0, "name": "expires_at_1"})'
    )


def test_a_double_with_the_same_id_is_not_removed_with_the_one_that_stays(
    database: Documents,
) -> None:
    store = Readings(database, Kind.TIME_SERIES)
    store.ensure()
    one = document(464_592, _id=1)
    database[NAME].insert_many([one, {**one}, {**one, "_id": 2}])
    ((_idx, _ts, exact, left),) = store.doubles()
    assert exact == [2]
    assert [item["_id"] for item in left] == [1, 1]
