"""The product takes its permits from the budget of its key, and says so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from tests.product.product import FAST, Runner, wait_for
from tests.robustness.chaos.servers import Mongod

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

KEY = "0123456789abcdef0123456789abcdef01234567"
ASK = (
    "stations.ids=[1583,1584]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-01-06",
    "backfill.batch_size=24",
    *(setting for setting in FAST if not setting.startswith("rate_limit")),
)
PACED = ("rate_limit.delay_s=0.05", "rate_limit.max_per_hour=36000")


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with Sandbox({1583: "A", 1584: "B"}, Climatology(1), Faults()) as sandbox:
        yield sandbox


def budgets(database: Mongo) -> list[dict[str, Any]]:
    return list(database["ingest_budgets"].find())


def test_every_request_is_granted_also_of_a_dry_run_and_the_second_run_asks_nothing(
    runner: Runner, database: Mongo, api: Sandbox
) -> None:
    ask = (*ASK, *PACED, f"source.base_url={api.url}")
    dry = runner(*ask, "dry_run=true", AQICN_API_KEY=KEY)
    assert "shared by all with this key: free now" in dry.stdout
    assert database.list_collection_names() == ["ingest_budgets"]
    done = runner(*ask, AQICN_API_KEY=KEY)
    assert "shared by all with this key: free now" in done.stdout
    stored = budgets(database)
    assert len(stored) == 1
    assert stored[0]["permits"] == api.stats()["requests"] == 20
    assert KEY not in str(stored)
    assert runner.last_json("outcome.json")["budget_wait_s"] >= 0
    again = runner(*ask, AQICN_API_KEY=KEY)
    assert "nothing to fetch" in again.stdout
    assert api.stats()["requests"] == 20
    in_90_s = datetime.now(UTC) + timedelta(seconds=90)
    database["ingest_budgets"].update_one({}, {"$set": {"next_free": in_90_s}})
    plan = runner(*ask, "job=plan", "backfill.end_date=2023-01-07", AQICN_API_KEY=KEY).stdout
    assert "shared by all with this key: free in 0:01:" in plan


def test_history_the_present_and_stations_come_from_one_budget(
    runner: Runner, database: Mongo, api: Sandbox
) -> None:
    ask = (*ASK, *PACED, f"source.base_url={api.url}")
    present = [item for item in ask if "_date=" not in item]
    live = ("source=aqicn_live", "backfill.lag_hours=0")
    runner(*ask, "backfill.batch_size=168", AQICN_API_KEY=KEY)
    seen = runner(*present, *live, AQICN_API_KEY=KEY).stdout
    assert "shared by all with this key: free now" in seen
    runner(*present, "job=stations", AQICN_API_KEY=KEY)
    assert runner.last_json("outcome.json")["requests"] == 2
    runner(*present, *live, "job=stations", AQICN_API_KEY=KEY)
    plan = runner(*present, *live, "job=plan", AQICN_API_KEY=KEY).stdout
    assert "shared by all with this key: free now" in plan
    assert [one["permits"] for one in budgets(database)] == [8]
    assert api.stats()["requests"] == 8
    records = {run["source"]: run for run in database["ingest_runs"].find()}
    assert records["aqicn_live"]["origin"]["providers"] == ["aqicn"]
    assert "accounts" in records["aqicn"]["outcome"]
    assert "accounts" not in records["aqicn_live"]["outcome"]


@pytest.mark.parametrize("setting", ["rate_limit.shared=false", "rate_limit=unlimited"])
def test_what_is_not_shared_has_no_budget(
    runner: Runner, database: Mongo, api: Sandbox, setting: str
) -> None:
    paced = PACED if "shared" in setting else ()
    runner(*ASK, *paced, f"source.base_url={api.url}", setting, AQICN_API_KEY=KEY)
    assert api.stats()["requests"] == 10
    assert budgets(database) == []


def test_without_the_database_no_request_is_made_and_the_run_ends_resumable(
    runner: Runner, api: Sandbox
) -> None:
    ask = (
        *ASK,
        "rate_limit.delay_s=0.2",
        "rate_limit.max_per_hour=0",
        f"source.base_url={api.url}",
        "mongo.timeout_s=1",
        "backfill.lease_s=2",
    )
    with Mongod() as mongod:
        told = {"MONGO_URI": mongod.uri, "MONGO_DB": "budget", "AQICN_API_KEY": KEY}
        process = runner.start(*ask, "mongo.outage_limit_s=2", **told)
        wait_for(lambda: api.stats()["requests"] > 3)
        mongod.kill()
        before = api.stats()["requests"]
        out, err = process.communicate(timeout=100)
        assert process.returncode == 1, out + err
        assert "Resume where this run ended" in out
        assert "Traceback" not in err
        assert api.stats()["requests"] <= before + 1
        assert '"database.waiting"' in (runner.run_dirs()[-1] / "backfill.log").read_text()
        mongod.start()
        runner(*ask, "mongo.timeout_s=30", expect=0, **told)
        with MongoClient[dict[str, Any]](mongod.uri, tz_aware=True) as client:
            permits = budgets(client["budget"])[0]["permits"]
        assert permits <= api.stats()["requests"] + 2
