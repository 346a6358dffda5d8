"""Canary: the key and the password of a run turn up nowhere in what the run produces."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from tests.product.product import FAST, Runner

pytestmark = pytest.mark.slow

KEY = "canary-key-0a1b2c3d4e"
PASSWORD = "canary/pass word+5f6g"
ASK = (
    "stations.ids=[1584,13658]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-01-15",
)
SPELLINGS = {KEY, PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), "canary"}


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
@pytest.mark.parametrize("case", ["success", "refused", "unreachable", "no_history", "no_database"])
def test_no_secret_in_anything_a_run_produces(
    runner: Runner,
    database: Database[dict[str, Any]],
    mongo_uri: str,
    level: str,
    case: str,
) -> None:
    admin = database.client["admin"]
    user = f"canary_{database.name}"
    admin.command("createUser", user, pwd=PASSWORD, roles=["root"])
    try:
        login = f"mongodb://{user}:{quote(PASSWORD, safe='')}@"
        uri = mongo_uri.replace("mongodb://", login)
        if case == "no_database":
            uri = f"{login}127.0.0.1:1/"
        faults = Faults(rate_5xx=0.2, rate_truncated=0.2, rate_timeout=0.1, hold_s=3)
        token = "another" if case == "refused" else KEY
        with Sandbox({1584: "Da Nang", 13658: "B"}, Climatology(1), faults, token=token) as api:
            base = "http://127.0.0.1:1" if case == "unreachable" else api.url
            path = "/none/{feed}" if case == "no_history" else "/feed/{feed}/history"
            done = runner(
                *ASK,
                *FAST,
                *(
                    "quality=standard",
                    "quality.fail_on=never",
                    "report=html",
                    "report.summary=true",
                ),
                f"source.base_url={base}",
                f"source.history.path={path}",
                "source.read_timeout_s=0.5",
                "source.retry.max_attempts=" + ("2" if case == "unreachable" else "20"),
                "mongo.timeout_s=2",
                f"log_level={level}",
                expect=None,
                AQICN_API_KEY=KEY,
                MONGO_URI=uri,
            )
        expected = {"success": 0}.get(case, 1)
        assert done.returncode == expected, done.stdout + done.stderr
        produced = {"stdout": done.stdout, "stderr": done.stderr}
        for file in runner.directory.rglob("*"):
            if file.is_file():
                produced[str(file)] = file.read_text("utf-8", errors="replace")
        for collection in database.list_collection_names():
            produced[collection] = str(list(database[collection].find()))
        names = {Path(where).name for where in produced}
        assert "backfill.log" in names
        if case == "success":
            assert {"quality.json", "queries.json", "01_validation_queries.ipynb"} <= names
            assert {"04_air_quality_summary.html", "summary.md"} <= names
        leaks = {
            (where, secret)
            for where, text in produced.items()
            for secret in SPELLINGS
            if secret in text.replace(user, "")
        }
        assert leaks == set()
    finally:
        admin.command("dropUser", user)


def test_a_secret_that_an_older_version_left_in_a_checkpoint_reaches_no_file(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    with Sandbox({1584: "Da Nang", 13658: "B"}, Climatology(1), token=KEY) as api:
        ask = (*ASK, *FAST, f"source.base_url={api.url}")
        runner(*ask, AQICN_API_KEY=KEY)
    failed = {"status": "failed", "error_message": f"the API says 'Invalid key {KEY}'"}
    changed = database["ingest_checkpoints"].update_one({"station_idx": 1584}, {"$set": failed})
    assert changed.modified_count == 1
    judged = ("job=validate", "quality=standard", "quality.fail_on=never", "report=html")
    words = [word for word in (*ask, *judged) if word not in ("quality=off", "report=none")]
    done = runner(*words, AQICN_API_KEY=KEY)
    assert KEY not in done.stdout + done.stderr
    run = runner.run_dirs()[-1]
    assert "Invalid key" in (run / "quality" / "quality.json").read_text("utf-8")
    stations = pl.read_parquet(run / "quality" / "agg" / "stations.parquet")
    assert any("Invalid key" in text for text in stations["error"].drop_nulls())
    assert not [text for text in stations["error"].drop_nulls() if KEY in text]
    assert [
        file for file in run.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()
    ] == []
