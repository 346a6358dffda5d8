"""What a job says of its database and its files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.config.settings import Config
from runner.process.job import Job, JobContext
from runner.process.secrets import Environment, Redactor
from runner.process.stop import StopFlag
from runner.sources import key_names

ATLAS = "mongodb+srv://someone:canary@cluster0.ab1cd.mongodb.net"


def job_of(
    variables: dict[str, str], suffix: str = "", run_dir: Path = Path("runs"), **settings: Any
) -> Job:
    environment = Environment(variables, Path(".env"), key_names)
    context = JobContext(environment, StopFlag(), run_dir, (), ())
    return Job(
        Config.model_validate(settings),
        context,
        "run-1",
        datetime(2026, 1, 1, tzinfo=UTC),
        StopFlag(),
        Redactor(environment),
        database_suffix=suffix,
    )


@pytest.mark.parametrize(
    ("uri", "more", "database"),
    [
        (f"{ATLAS}/", {}, "air_quality_db"),
        (f"{ATLAS}/?retryWrites=true", {}, "air_quality_db"),
        (f"{ATLAS}/air?w=1", {}, "air"),
        (f"{ATLAS}/kh%C3%AD", {}, "khí"),
        (f"{ATLAS}/air.readings", {}, "air"),
        (f"{ATLAS}/admin", {}, "air_quality_db"),  # where the user is known
        (f"{ATLAS}/air", {"MONGO_DB": "mine"}, "mine"),
    ],
)
def test_the_database_in_the_address_counts_unless_mongo_db_names_another(
    uri: str, more: dict[str, str], database: str
) -> None:
    job = job_of({"MONGO_URI": uri, **more})
    assert job.place == f"{database} on cluster0.ab1cd.mongodb.net"


def test_who_beats_the_database_in_the_address_is_said() -> None:
    variables = {"MONGO_URI": f"{ATLAS}/air", "MONGO_DB": "mine"}
    (said,) = job_of(variables).database_remarks
    assert said == "MONGO_DB=mine beats the database in MONGO_URI, air"
    (said,) = job_of(variables, mongo={"database": "typed"}).database_remarks
    assert said.startswith("mongo.database=typed beats")
    assert job_of({**variables, "MONGO_DB": "air"}).database_remarks == []
    assert job_of({"MONGO_URI": f"{ATLAS}/air"}).database_remarks == []
    (said,) = job_of({"MONGO_DATABASE": "mine"}).database_remarks
    assert said.startswith("MONGO_DATABASE is not read")


def test_all_members_of_a_replica_set_are_named_and_no_user() -> None:
    job = job_of({"MONGO_URI": "mongodb://u:p@a.example:27017,b.example/air?replicaSet=x"})
    assert job.place == "air on a.example:27017,b.example"


def test_the_embedded_server_is_named_by_its_data() -> None:
    job = job_of({"MONGO_URI": f"{ATLAS}/air"}, "_sandbox", mongo={"use_embedded": True})
    assert job.place == "air_quality_db_sandbox on the embedded server in data/mongodb"
    assert job.database_remarks == []


def test_the_run_directory_is_shown_as_short_as_it_is_clear() -> None:
    assert job_of({}, run_dir=Path.cwd() / "runs" / "x").files == "runs/x"
    assert job_of({}, run_dir=Path("/elsewhere/x")).files == "/elsewhere/x"


@pytest.mark.parametrize(
    ("setting", "variable", "json"),
    [(None, "", False), (None, "json", True), ("console", "json", False), ("json", "", True)],
)
def test_the_setting_of_the_log_beats_the_variable(
    setting: str | None, variable: str, *, json: bool
) -> None:
    assert job_of({"LOG_FORMAT": variable}, log_format=setting).logs_json is json
