"""What a run says and does to a database that others use, too."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from runner.store.connection import missing_rights
from tests.product.product import FAST, Runner, readings_of

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

NAME = "waqi_station_readings"
STATION = ("source=sandbox", "stations.ids=[1584]", *FAST)
WEEK = (*STATION, "backfill.start_date=2023-01-01", "backfill.end_date=2023-01-08")
MONTH = (*STATION, "backfill=last_30_days")
KEYS = [("meta.station_idx", 1), ("ts", 1)]
DAY_S = 86_400


def requests_of(runner: Runner) -> int:
    made: int = runner.last_json("outcome.json")["requests"]
    return made


def refused_plan(runner: Runner, *words: str) -> dict[str, Any]:
    """Return the plan's part about a database that the run would refuse to write to."""
    shown = runner("job=plan", "output=json", *words, expect=2).stdout
    plan: dict[str, Any] = json.loads(shown)["database"]
    return plan


# ---------------------------------------------------------------- documents that expire


def expire(database: Mongo, kind: str, days: int) -> None:
    if kind == "time-series":
        series = {"timeField": "ts", "metaField": "meta", "granularity": "hours"}
        database.create_collection(NAME, timeseries=series, expireAfterSeconds=days * DAY_S)
    else:
        database[NAME].create_index("ts", name="ttl", expireAfterSeconds=days * DAY_S)


@pytest.mark.parametrize("kind", ["time-series", "regular"])
def test_hours_that_mongodb_would_delete_are_refused_before_the_first_request(
    runner: Runner, sandbox_database: Mongo, kind: str
) -> None:
    expire(sandbox_database, kind, days=10)
    plan = refused_plan(runner, *MONTH)
    assert plan["refused"]
    (found,) = plan["expires"]
    assert (found["field"], found["after_s"]) == ("ts", 10 * DAY_S)
    for ask in (("job=plan", *MONTH), (*MONTH, "dry_run=true"), MONTH):
        refused = runner(*ask, expect=2)
        assert "10 days" in refused.stderr
        assert found["command"] in refused.stderr
    assert runner.run_dirs() == []  # nothing was attempted: no files, no outcome
    assert sandbox_database.list_collection_names(
        filter={"name": {"$regex": "^(ingest|waqi)"}}
    ) == [NAME]
    assert sandbox_database[NAME].count_documents({}) == 0

    later = refused.stderr.partition("backfill.start_date=")[2].split()[0]
    begins = datetime.fromisoformat(later).replace(tzinfo=UTC)
    assert timedelta(days=8) < datetime.now(UTC) - begins < timedelta(days=10)
    loaded = runner(*STATION, f"backfill.start_date={later}")
    assert "10 days" in loaded.stdout  # said, and not refused
    assert sandbox_database[NAME].count_documents({}) > 100


def test_the_command_that_the_refusal_names_lets_the_run_begin(
    runner: Runner, sandbox_database: Mongo
) -> None:
    expire(sandbox_database, "regular", days=10)
    (found,) = refused_plan(runner, *WEEK)["expires"]
    assert found["command"] == f'db.{NAME}.dropIndex("ttl")'
    sandbox_database[NAME].drop_index("ttl")
    runner(*WEEK)
    assert runner.last_json("plan.json")["database"]["expires"] == []


def test_a_collection_that_forgets_progress_is_refused_and_one_that_forgets_runs_is_said(
    runner: Runner, sandbox_database: Mongo
) -> None:
    sandbox_database["ingest_runs"].create_index("started_at", expireAfterSeconds=90 * DAY_S)
    assert "90 days" in runner(*WEEK).stdout
    sandbox_database["ingest_checkpoints"].create_index(
        "last_updated", name="ttl", expireAfterSeconds=90 * DAY_S
    )
    refused = runner(*WEEK, expect=2)
    assert 'db.ingest_checkpoints.dropIndex("ttl")' in refused.stderr
    assert "start_date" not in refused.stderr


# ---------------------------------------------------------------- what is made


def test_a_plan_names_what_the_run_makes_and_a_second_one_nothing(
    runner: Runner, sandbox_database: Mongo
) -> None:
    planned = runner("job=plan", *WEEK)
    plan = runner.last_json("plan.json")["database"]
    assert sandbox_database.list_collection_names() == []
    collections = {item["collection"]: item["kind"] for item in plan["makes_collections"]}
    assert set(collections.values()) == {"regular"}
    indexes = {(item["collection"], item["name"]) for item in plan["makes_indexes"]}
    assert "11000" in planned.stdout

    ran = runner(*WEEK)
    assert "11000" in ran.stdout
    assert runner.last_json("plan.json")["database"] == plan
    made = {
        (name, index)
        for name in sandbox_database.list_collection_names()
        for index in sandbox_database[name].index_information()
    }
    assert {one for one in made if one[1] != "_id_"} == indexes
    assert {name for name, _index in made} == set(collections)
    (first,) = sandbox_database[NAME].find().limit(1)
    with pytest.raises(DuplicateKeyError):  # a blind insert, as announced
        sandbox_database[NAME].insert_one({key: first[key] for key in first if key != "_id"})

    again = runner("job=plan", *WEEK)
    plan = runner.last_json("plan.json")["database"]
    assert (plan["makes_collections"], plan["makes_indexes"], plan["notes"]) == ([], [], [])
    assert "11000" not in again.stdout


def test_a_plan_for_a_time_series_collection_says_that_doubles_cannot_be_refused(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner("job=plan", *WEEK, "mongo.readings.kind=timeseries")
    plan = runner.last_json("plan.json")["database"]
    assert {"collection": NAME, "kind": "time-series"} in plan["makes_collections"]
    assert any("may be stored twice" in note for note in plan["notes"])
    runner(*WEEK, "mongo.readings.kind=timeseries")
    assert sandbox_database[NAME].options()["timeseries"]["metaField"] == "meta"


def test_an_index_of_the_wanted_name_gives_way_and_one_in_the_way_stops_plan_and_run(
    runner: Runner, sandbox_database: Mongo
) -> None:
    sandbox_database[NAME].create_index(KEYS, name="station_hour")
    runner("job=plan", *WEEK)
    plan = runner.last_json("plan.json")["database"]
    (made,) = [item for item in plan["makes_indexes"] if item["collection"] == NAME]
    runner(*WEEK)
    assert sandbox_database[NAME].index_information()[made["name"]]["unique"] is True
    assert sandbox_database[NAME].count_documents({}) > 100

    sandbox_database[NAME].drop()
    sandbox_database[NAME].create_index("station_id", name="theirs", unique=True)
    for ask in (("job=plan", *WEEK), (*WEEK, "dry_run=true"), WEEK):
        refused = runner(*ask, expect=1)
        assert f'db.{NAME}.dropIndex("theirs")' in refused.stderr
        assert requests_of(runner) == 0


def test_with_require_the_commands_named_are_enough(
    runner: Runner, sandbox_database: Mongo
) -> None:
    ask = (*WEEK, "mongo.indexes=require")
    for kind in ("job=plan", "job=backfill"):
        refused = runner(kind, *ask, expect=2)
    assert sandbox_database.list_collection_names() == []
    assert runner.run_dirs() == []
    missing = refused_plan(runner, *ask)["makes_indexes"]
    assert {item["collection"] for item in missing} == {
        *(NAME, "ingest_checkpoints", "ingest_rejects", "ingest_revisions", "ingest_runs")
    }
    for item in missing:
        assert item["command"] in refused.stderr
        keys, options = json.loads(f"[{item['command'].partition('createIndex(')[2][:-1]}]")
        sandbox_database[item["collection"]].create_index([*keys.items()], **options)
    runner(*ask)
    assert sandbox_database[NAME].count_documents({}) > 100


def test_with_none_no_index_is_made_and_nothing_is_doubled(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*WEEK)
    expected = readings_of(sandbox_database)
    sandbox_database.client.drop_database(sandbox_database.name)
    sandbox_database[NAME].insert_many([{**item} for item in expected[50:60]])
    ask = (*WEEK, "mongo.indexes=none", "backfill.batch_size=24")
    planned = runner("job=plan", *ask)
    assert "may be stored twice" in planned.stdout
    runner(*ask)
    assert runner.last_json("outcome.json")["totals"]["unchanged"] == 10
    sandbox_database["ingest_checkpoints"].delete_many({})
    runner(*ask)
    assert readings_of(sandbox_database) == expected
    for name in sandbox_database.list_collection_names():
        assert [*sandbox_database[name].index_information()] == ["_id_"]


# ---------------------------------------------------------------- doubles


def test_dedupe_changes_nothing_in_a_time_series_collection_that_cannot_delete_one(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*WEEK, "mongo.readings.kind=timeseries")
    readings = sandbox_database[NAME]
    (some,) = readings.find({}, {"_id": 0}).sort("ts").limit(1)
    readings.insert_one(dict(some))
    before = readings_of(sandbox_database)
    looked = runner("job=dedupe", "source=sandbox")
    assert "1 exact double found" in looked.stdout
    can = "confirm=true" in looked.stdout
    acted = runner("job=dedupe", "source=sandbox", "confirm=true", expect=0 if can else 1)
    if not can:  # before MongoDB 7.0
        assert "7.0" in looked.stdout
        assert "7.0" in acted.stderr
        assert readings_of(sandbox_database) == before
    assert len(readings_of(sandbox_database)) == len(before) - can

    asked = [item for item in WEEK if item != "quality=off"]
    runner("job=validate", *asked, expect=None)
    (quality,) = (runner.run_dirs()[-1] / "quality").glob("quality.json")
    actions = json.loads(quality.read_text("utf-8"))["actions"]
    assert not [one for one in actions if "job=dedupe" in str(one["command"])]
    assert bool([one for one in actions if "7.0" in one["text"]]) is not can


def test_the_dedupe_that_a_report_recommends_changes_its_finding(
    runner: Runner, sandbox_database: Mongo
) -> None:
    runner(*WEEK)
    readings = sandbox_database[NAME]
    readings.drop_indexes()
    (some,) = readings.find({}, {"_id": 0}).sort("ts").limit(1)
    readings.insert_one(dict(some))
    asked = [item for item in WEEK if item != "quality=off"]
    found = []
    for _round in range(2):
        runner("job=validate", *asked, expect=None)
        quality = runner.run_dirs()[-1] / "quality" / "quality.json"
        document = json.loads(quality.read_text("utf-8"))
        found.append({one["id"]: one["status"] for one in document["checks"]}["K01"])
        for one in document["actions"]:
            if one["kind"] == "dedupe":
                words = [word.strip("'") for word in one["command"].split()[3:]]
                runner(*words)
                runner(*words, "confirm=true")
    assert found == ["fail", "pass"]


# ---------------------------------------------------------------- rights


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, MongoClient[Any]]]:
    """A server that asks for a login: its address, and its administrator."""
    from runner.store.embedded import find_mongod

    place: Path = tmp_path_factory.mktemp("guarded")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            *(str(find_mongod(None)), "--auth", "--dbpath", str(place), "--port", str(port)),
            *("--bind_ip", "127.0.0.1", "--nounixsocket"),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        with MongoClient[Any](f"mongodb://127.0.0.1:{port}", timeoutMS=60_000) as first:
            for _attempt in range(300):
                try:
                    first.admin.command("createUser", "root", pwd="root", roles=["root"])
                    break
                except PyMongoError:
                    time.sleep(0.2)
        with MongoClient[Any](f"mongodb://root:root@127.0.0.1:{port}") as root:
            yield f"127.0.0.1:{port}", root
    finally:
        server.terminate()
        server.wait(60)


EVERYTHING = ("find", "insert", "update", "remove", "createIndex", "listIndexes")
OURS = [
    *(NAME, "waqi_stations", "ingest_checkpoints", "ingest_rejects", "ingest_revisions"),
    *("ingest_runs", "ingest_budgets", "ingest_raw", "ingest_concentrations"),
]


def user(root: MongoClient[Any], place: str, name: str, without: tuple[str, str] | None) -> str:
    """Make a database with a user that has rights on single collections; return its address."""
    database = root[f"{name}_sandbox"]
    privileges = [
        {
            "resource": {"db": database.name, "collection": collection},
            "actions": [one for one in EVERYTHING if (one, collection) != without],
        }
        for collection in OURS
    ]
    database.command("createRole", "loader", privileges=privileges, roles=[])
    database.command("createUser", "loader", pwd="secret", roles=["loader"])
    return f"mongodb://loader:secret@{place}/{database.name}"


def try_everything(runner: Runner, address: str, name: str) -> None:
    run = partial(runner, MONGO_URI=address, MONGO_DB=name)
    for job in ("plan", "backfill", "status", "dedupe", "rejects"):
        run(f"job={job}", *WEEK)
    run("job=dedupe", *WEEK, "confirm=true")
    asked = [item for item in WEEK if item != "quality=off"]
    run("job=validate", *asked, expect=None)
    assert (runner.run_dirs()[-1] / "quality" / "quality.json").exists()


def test_the_role_readwrite_on_one_database_is_enough(
    runner: Runner, guarded: tuple[str, MongoClient[Any]]
) -> None:
    place, root = guarded
    root["wide_sandbox"].command("createUser", "loader", pwd="secret", roles=["readWrite"])
    try_everything(runner, f"mongodb://loader:secret@{place}/wide_sandbox", "wide")


def test_the_rights_that_a_run_lacks_are_named(guarded: tuple[str, MongoClient[Any]]) -> None:
    place, root = guarded
    root["poor"].command("createUser", "reader", pwd="secret", roles=["read"])
    with MongoClient[Any](f"mongodb://reader:secret@{place}/poor") as reader:
        lacks = ["insert on poor", "update on poor", "remove on poor"]
        assert missing_rights(reader["poor"], "none") == lacks
        assert missing_rights(reader["poor"], "create") == [*lacks, "createIndex on poor"]
    with MongoClient[Any](user(root, place, "rich", None)) as loader:
        assert missing_rights(loader["rich_sandbox"], "create") == []
    with MongoClient[Any](f"mongodb://root:root@{place}") as everybody:
        assert missing_rights(everybody["rich_sandbox"], "create") == []


def test_rights_on_single_collections_are_enough(
    runner: Runner, guarded: tuple[str, MongoClient[Any]]
) -> None:
    place, root = guarded
    try_everything(runner, user(root, place, "narrow", None), "narrow")
    root["narrow_sandbox"][NAME].drop()
    root["narrow_sandbox"].create_collection(NAME, capped=True, size=4096)
    address = f"mongodb://loader:secret@{place}/narrow_sandbox"
    refused = runner(*WEEK, expect=1, MONGO_URI=address, MONGO_DB="narrow")
    assert "capped" in refused.stderr


@pytest.mark.parametrize(
    ("job", "action", "collection"),
    [
        ("plan", "find", "waqi_stations"),
        ("plan", "listIndexes", "ingest_runs"),
        ("backfill", "createIndex", NAME),
        ("backfill", "insert", NAME),
        ("status", "find", "ingest_checkpoints"),
    ],
)
def test_a_missing_right_is_named_with_database_and_collection(
    runner: Runner, guarded: tuple[str, MongoClient[Any]], job: str, action: str, collection: str
) -> None:
    place, root = guarded
    name = f"no_{action}_{collection}_{job}"[:50]
    address = user(root, place, name, (action, collection))
    root[f"{name}_sandbox"].create_collection("ingest_runs")
    refused = runner(f"job={job}", *WEEK, expect=None, MONGO_URI=address, MONGO_DB=name)
    assert refused.returncode in (1, 4)
    said = refused.stdout + refused.stderr
    assert f"needs {action} on {name}_sandbox.{collection}" in said
    assert "execute command" not in said
    assert "Traceback" not in said


def test_a_time_series_collection_whose_expiry_may_not_be_seen_is_refused(
    runner: Runner, guarded: tuple[str, MongoClient[Any]]
) -> None:
    place, root = guarded
    address = user(root, place, "unseen", None)
    root["unseen_sandbox"].create_collection(
        NAME, timeseries={"timeField": "ts", "metaField": "meta"}
    )
    refused = runner("job=plan", *WEEK, expect=1, MONGO_URI=address, MONGO_DB="unseen")
    assert "needs listCollections on unseen_sandbox" in refused.stderr
