"""Connecting to MongoDB, and failing to, against real servers; no message holds a secret."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from bson.errors import BSONError
from pymongo import ReadPreference
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WTimeoutError,
)

from runner.core.errors import ConfigError, RunnerError, StoreError, StoreUnavailableError
from runner.process.secrets import Secret
from runner.store.budget import Budget
from runner.store.collection import DURABLE, open_collection
from runner.store.connection import APP_NAME, connect, overruled_writes, store_errors
from runner.store.embedded import embedded

USER = "canary-user"
PASSWORD = "canary-pa55"
SECRET = Secret("a key")
LIMIT_S = 0.5


def opened(
    uri: str | None,
    database: str = "air_quality_db",
    *,
    timeout_s: float = LIMIT_S,
    data_dir: Path = Path("not-used"),
) -> AbstractContextManager[Database[dict[str, Any]]]:
    return connect(
        Secret(uri) if uri else None,
        database,
        timeout_s=timeout_s,
        embedded_dir=data_dir,
        embedded_port=None,
        embedded_binary=None,
    )


def failure(
    uri: str, database: str = "air_quality_db", *, timeout_s: float = LIMIT_S
) -> RunnerError:
    """Return why a connection fails, after checking that nothing in it is secret."""
    with (
        pytest.raises(RunnerError) as caught,
        opened(uri, database, timeout_s=timeout_s),
    ):
        pass
    error = caught.value
    assert error.hint
    for secret in (USER, PASSWORD, PASSWORD[:8], PASSWORD[-4:]):
        assert secret not in error.message
        assert secret not in error.hint
    assert error.__context__ is None or error.__suppress_context__, (
        "the traceback would show pymongo's message"
    )
    assert len(error.message.splitlines()) == 1
    return error


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never answer."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def login(uri: str) -> str:
    return uri.replace("mongodb://", f"mongodb://{USER}:{PASSWORD}@")


# ---- connected ------------------------------------------------------------------------------


def test_dates_come_back_aware_in_utc_and_writes_wait_for_the_journals_of_a_majority(
    mongo_uri: str,
) -> None:
    with opened(mongo_uri, "test_connection", timeout_s=30) as database:
        moment = datetime(2024, 2, 29, 12, tzinfo=UTC)
        database.hours.insert_one({"ts": moment})
        found = database.hours.find_one()
        assert found
        assert found["ts"] == moment
        assert found["ts"].tzinfo
        assert database.write_concern.document.items() >= {"w": "majority", "j": True}.items()
        assert database.write_concern.document["wtimeout"]  # else a write may wait for ever
        names = database.client.admin.aggregate([{"$currentOp": {"idleConnections": True}}])
        assert APP_NAME in {operation.get("appName") for operation in names}
        database.client.drop_database(database)
    with pytest.raises(PyMongoError, match="after close"):
        database.hours.find_one()


@pytest.mark.parametrize(
    ("options", "overruled"),
    [
        ("", ""),
        ("&w=majority&journal=true", ""),
        ("&w=1", "w=1"),
        ("&w=0", "w=0"),
        ("&w=0&journal=false", "w=0, journal=false"),
        ("&w=somewhere&wtimeoutMS=5", "w=somewhere, wtimeoutMS=5"),
        ("&fsync=true", "fsync=true"),
    ],
)
def test_no_option_of_the_uri_weakens_what_a_write_waits_for_and_each_is_named(
    mongo_uri: str, options: str, overruled: str
) -> None:
    readers = "&readPreference=secondaryPreferred&readConcernLevel=available"
    with opened(f"{mongo_uri}{options}{readers}", "test_connection", timeout_s=30) as database:
        budget = Budget(database, "x", SECRET)._collection
        assert (DURABLE.document["w"], DURABLE.document["j"]) == ("majority", True)
        for used in (database, open_collection(database, "hours"), budget):
            assert used.write_concern == DURABLE
            assert used.read_concern.document == {"level": "local"}
            assert used.read_preference == ReadPreference.PRIMARY
        assert overruled_writes(database) == overruled
        assert database.hours.insert_one({}).acknowledged
        database.drop_collection("hours")


@pytest.mark.parametrize("uri", [None, ""])
def test_without_a_uri_the_embedded_server_is_used(uri: str | None, tmp_path: Path) -> None:
    data_dir = tmp_path / "mongodb"
    with opened(uri, data_dir=data_dir, timeout_s=30) as database:
        database.hours.insert_one({"_id": 1})
        with embedded(data_dir) as shared:
            host = database.client.address
            assert host
            assert host[0] in shared.replace("%2F", "/")


def test_an_option_that_is_ignored_is_named_in_the_log_without_its_value(mongo_uri: str) -> None:
    with structlog.testing.capture_logs() as logs:
        uri = f"{mongo_uri}&fooBar={PASSWORD}&connectTimeoutMS={PASSWORD}"
        with opened(uri, timeout_s=30) as database:
            assert database.command("ping")
    ignored = [entry["options"] for entry in logs if entry["event"].endswith("ignored")]
    assert sorted(ignored) == [["connectTimeoutMS"], ["fooBar"]]
    assert PASSWORD not in str(logs)


# ---- not reachable --------------------------------------------------------------------------


def test_a_refused_connection_names_host_limit_reason_and_what_to_do() -> None:
    port = closed_port()
    error = failure(f"mongodb://{USER}:{PASSWORD}@127.0.0.1:{port}/secret_db?authSource=admin")
    assert isinstance(error, StoreUnavailableError)
    assert f"127.0.0.1:{port} could not be reached within 0.5 s: connection refused" in (
        error.message
    )
    assert "MONGO_URI" in error.hint
    assert "mongo=embedded" in error.hint


def test_every_host_of_a_list_is_named() -> None:
    first, second = closed_port(), closed_port()
    error = failure(f"mongodb://{USER}:{PASSWORD}@127.0.0.1:{first},127.0.0.1:{second}/")
    assert f"127.0.0.1:{first},127.0.0.1:{second}" in error.message


@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
def test_an_unknown_host_is_not_reachable(scheme: str) -> None:
    error = failure(f"{scheme}://{USER}:{PASSWORD}@cluster.nowhere.invalid/?retryWrites=true")
    assert isinstance(error, StoreUnavailableError)
    assert "cluster.nowhere.invalid" in error.message
    assert "name" in error.message.partition(":")[2] or "DNS" in error.message


def test_a_missing_socket_is_not_reachable(tmp_path: Path) -> None:
    where = str(tmp_path / "no.sock").replace("/", "%2F")
    error = failure(f"mongodb://{USER}:{PASSWORD}@{where}/")
    assert "no.sock" in error.message
    assert "no such socket" in error.message


def test_a_silent_server_is_given_up_within_the_limit() -> None:
    with silent_server() as port:
        started = time.monotonic()
        error = failure(f"mongodb://{USER}:{PASSWORD}@127.0.0.1:{port}/", timeout_s=1)
        assert time.monotonic() - started < 10
    assert error.message.endswith("within 1 s: no answer")


def test_a_limit_in_the_uri_does_not_stretch_ours() -> None:
    started = time.monotonic()
    failure(f"mongodb://127.0.0.1:{closed_port()}/?serverSelectionTimeoutMS=60000")
    assert time.monotonic() - started < 30


def test_a_server_without_tls_is_reported_as_such(mongo_uri: str) -> None:
    assert "TLS" in failure(f"{login(mongo_uri)}&tls=true").message


def test_a_server_outside_the_replica_set_is_reported_as_such(mongo_uri: str) -> None:
    uri = mongo_uri.replace("directConnection=true", "replicaSet=rs0")
    assert "replica set" in failure(uri).message


def test_a_refused_login_is_reported_at_once(mongo_uri: str) -> None:
    started = time.monotonic()
    error = failure(login(mongo_uri), timeout_s=120)
    assert time.monotonic() - started < 60
    assert isinstance(error, StoreUnavailableError)
    assert "authentication failed" in error.message


# ---- malformed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (f"http://{USER}:{PASSWORD}@host/", "must look like"),
        (f"{USER}:{PASSWORD}@host", "must look like"),
        ("mongodb://", "must look like"),
        (f"mongodb://{USER}:{PASSWORD}@x@host/", "percent-encoded"),
        (f"mongodb://{USER}:{PASSWORD}:x@host/", "percent-encoded"),
        (f"mongodb://{USER}:{PASSWORD}/x@host/", "percent-encoded|port"),
        (f"mongodb://{USER}:1/{PASSWORD}@host/", "percent-encoded"),
        (f"mongodb://{USER}:{PASSWORD}@host:99999/", "port"),
        (f"mongodb://{USER}:{PASSWORD}@host/?w=0&journal=true", "value of"),
        (f"mongodb://{USER}:{PASSWORD}@host/?replicaSet", "malformed"),
        (f"mongodb://{USER}:{PASSWORD}@host/?tls=true&tlsCAFile=/no/such", "/no/such"),
        (f"mongodb+srv://{USER}:{PASSWORD}@host:27017/", "malformed"),
        (f"mongodb+srv://{USER}:{PASSWORD}@a.example.org,b.example.org/", "malformed"),
    ],
)
def test_a_malformed_uri_is_a_configuration_error(uri: str, words: str) -> None:
    error = failure(uri)
    assert isinstance(error, ConfigError)
    assert "MONGO_URI" in error.message
    with pytest.raises(ConfigError, match=words):
        raise error


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a.b", "a/b", "a\\b", 'a"b', "$x", "a\0b", "ä" * 40, "admin", "local", "Config"],
)
def test_an_impossible_database_name_is_a_configuration_error(mongo_uri: str, name: str) -> None:
    error = failure(mongo_uri, name)
    assert isinstance(error, ConfigError)
    assert "MONGO_DB" in error.hint


# ---- errors of the store --------------------------------------------------------------------


def test_a_lost_server_is_unavailable_and_the_work_resumable() -> None:
    with (
        pytest.raises(StoreUnavailableError, match="ingest_runs: MongoDB stopped") as caught,
        store_errors("ingest_runs"),
    ):
        raise AutoReconnect("connection closed")
    assert "same command" in caught.value.hint


@pytest.mark.parametrize("code", [91, 189, 10107, 11600, 11602, 13435, 13436])
@pytest.mark.parametrize("part", ["whole", "writeErrors", "writeConcernErrors"])
def test_a_server_that_steps_down_is_waited_for_also_within_a_bulk_write(
    code: int, part: str
) -> None:
    said = {"code": code, "errmsg": "operation was interrupted"}
    error = OperationFailure(said["errmsg"], code, said)  # type: ignore[arg-type]
    if part != "whole":
        other = {"code": 11000, "errmsg": "E11000 duplicate key"}
        details = {"writeErrors": [other], "writeConcernErrors": []}
        error = BulkWriteError({**details, part: [*details[part], said]})
    said_so = "stopped answering|did not confirm"
    with pytest.raises(StoreUnavailableError, match=said_so), store_errors("hours"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        WriteConcernError("waiting for replication timed out", 64, {"code": 64}),
        WTimeoutError("operation exceeded time limit", 50, {"code": 50}),
        WriteConcernError("Not enough data-bearing nodes", 100, {"code": 100}),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}),
        BulkWriteError({"writeErrors": [{"code": 11000}], "writeConcernErrors": [{"code": 100}]}),
    ],
)
def test_a_write_that_no_majority_confirms_is_waited_for(error: PyMongoError) -> None:
    with pytest.raises(StoreUnavailableError, match="majority"), store_errors("hours"):
        raise error


@pytest.mark.parametrize(
    ("code", "words"),
    [(13, "needs more rights"), (14031, "no disk space"), (96, "refused: not")],
)
def test_a_refusal_of_the_server_says_why(code: int, words: str) -> None:
    answer = {"errmsg": "not authorized on air_quality_db"}
    with pytest.raises(StoreError, match=words), store_errors("ingest_runs"):
        raise OperationFailure(answer["errmsg"], code, answer)


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ('not authorized on air to execute command { find: "x", filter: {} }', "find on air.x"),
        (
            'not authorized on air to execute command { update: "x", updates: [ { q: canary } ] }',
            "insert and update on air.x",
        ),
        (
            'not authorized on air to execute command { getMore: 7, collection: "x", lsid: {} }',
            "find on air.x",
        ),
        ("not authorized on air to execute command { listCollections: 1, cursor: {} }",
         "listCollections on air"),
        ("user is not allowed to do action [createIndex] on [air.x]", "createIndex on air.x"),
    ],
)  # fmt: skip
def test_a_missing_privilege_is_named_without_the_command(said: str, needed: str) -> None:
    with pytest.raises(StoreError) as caught, store_errors("x"):
        raise OperationFailure(said, 13, {"errmsg": said})
    assert caught.value.message.endswith(f"needs {needed}")
    assert "{" not in caught.value.message


def test_a_failed_bulk_write_shows_one_reason_and_no_documents(
    database: Database[dict[str, Any]],
) -> None:
    big = [{"_id": 1, "note": "canary-document"} for _ in range(3)]
    with pytest.raises(StoreError, match="E11000") as caught, store_errors("hours"):
        database.hours.insert_many(big, ordered=False)
    assert isinstance(caught.value.__cause__, BulkWriteError)
    assert "canary-document" not in caught.value.message


def test_a_document_mongodb_cannot_hold_is_an_error_of_the_store(
    database: Database[dict[str, Any]],
) -> None:
    with pytest.raises(StoreError, match="cannot be stored") as caught, store_errors("hours"):
        database.hours.insert_one({"what": object()})
    assert isinstance(caught.value.__cause__, BSONError)


def test_a_real_refusal_is_cut_to_its_first_line(database: Database[dict[str, Any]]) -> None:
    with pytest.raises(StoreError) as caught, store_errors("hours"):
        database.command("nosuchcommand")
    assert caught.value.message == "hours: MongoDB refused: no such command: 'nosuchcommand'"


def test_other_errors_pass_and_functions_can_be_wrapped_too() -> None:
    @store_errors("hours")
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
