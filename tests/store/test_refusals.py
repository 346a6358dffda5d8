"""What a person is told of a document that a real server refuses, and how far that reaches."""

from __future__ import annotations

from typing import Any

import pytest
from bson import encode
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure

from runner.core.errors import Scope, StoreError
from runner.core.intervals import Interval, to_datetime
from runner.core.readings import Reading
from runner.store.checkpoints import Checkpoints
from runner.store.connection import store_errors
from runner.store.readings import NAME, Readings

Documents = Database[dict[str, Any]]

START = 464_592  # 2023-01-01T00:00Z
HOUR = Interval(START + 5, START + 6)
SECRET = "7f3c-secret"


def reading(aqi: int = 45) -> Reading:
    return {
        "ts": to_datetime(START + 5),
        "meta": {"station_idx": -8641},
        "aqi": aqi,
        "time": {"s": "2023-01-01 12:00:00", "tz": SECRET},
        "iaqi": {"pm25": {"v": 45}},
    }


def validated(database: Documents, name: str, **rules: Any) -> None:
    database.create_collection(name, validator={"$jsonSchema": rules})


def test_a_refused_reading_is_named_by_station_and_hour_with_the_rules_it_breaks(
    database: Documents,
) -> None:
    validated(
        database,
        NAME,
        required=["location"],
        properties={"iaqi": {"properties": {"pm25": {"properties": {"v": {"maximum": 40}}}}}},
    )
    store = Readings(database)
    with pytest.raises(StoreError) as refused:
        store.upsert(-8641, HOUR, [reading()])
    message = refused.value.message
    for said in (NAME, "station -8641", "2023-01-01T05:00Z", "location", "iaqi.pm25.v", "40"):
        assert said in message
    assert SECRET not in message
    assert refused.value.scope is Scope.STATION


def test_a_refused_change_of_a_reading_is_named_too(database: Documents) -> None:
    store = Readings(database)
    store.upsert(-8641, HOUR, [reading()])
    stored = database[NAME].find_one()
    assert stored is not None
    rules = {"$jsonSchema": {"properties": {"aqi": {"maximum": 50}}}}
    database.command("collMod", NAME, validator=rules)
    with pytest.raises(StoreError, match=f"_id {stored['_id']}.*aqi") as refused:
        Readings(database).upsert(-8641, HOUR, [reading(99)])
    assert refused.value.scope is Scope.STATION


def test_a_checkpoint_that_a_validator_refuses_is_its_stations_fault(database: Documents) -> None:
    validated(database, "ingest_checkpoints", required=["region"])
    with pytest.raises(StoreError, match="region") as refused:
        Checkpoints(database).begin(1, Interval(START, START + 1), to_datetime(START))
    assert refused.value.scope is Scope.STATION


def test_a_document_that_is_no_bson_or_too_large_is_its_stations_fault(
    database: Documents,
) -> None:
    for document in ({"a": 2**70}, {"a": "x" * 17_000_000}):
        with pytest.raises(StoreError) as refused, store_errors("readings"):
            database["any"].insert_one(document)
        assert refused.value.scope is Scope.STATION


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("not allowed", 13, {"code": 13}),
        OperationFailure("no such command", 59, {"code": 59}),
        BulkWriteError({"writeErrors": [{"code": 14031, "errmsg": "disk", "op": {}}]}),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "t"}]}),
    ],
)
def test_what_no_other_station_escapes_ends_the_run(error: OperationFailure) -> None:
    with pytest.raises(StoreError) as refused, store_errors("readings"):
        raise error
    assert refused.value.scope is Scope.RUN


def test_the_words_about_a_refusal_are_short_whatever_the_server_says(database: Documents) -> None:
    names = [f"field_{number:04}" for number in range(900)]
    assert len(encode({"required": names})) > 10_000
    validated(database, NAME, required=names)
    with pytest.raises(StoreError) as refused:
        Readings(database).upsert(-8641, HOUR, [reading()])
    assert len(refused.value.message) < 700
