"""A primary killed before the others have its writes: what a run calls stored is stored."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.readings import to_readings
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from tests.product.forked import PYTHON
from tests.product.product import FAST, Runner, wait_for, without_private
from tests.robustness.chaos.servers import ReplicaSet

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

STATION = 1584
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
WANTED = Interval(START, START + 31 * 24)
VALUES = Climatology(1)
ASK = (
    f"stations.ids=[{STATION}]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-02-01",
    "backfill.batch_size=24",
    "backfill.lease_s=2",
    "mongo.timeout_s=10",
    *FAST,
)


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    with ReplicaSet() as made:
        yield made


def truth() -> set[datetime]:
    records = VALUES.records(STATION, WANTED)
    return {
        item["ts"] for item in to_readings(records, STATION, WANTED, datetime.now(UTC)).readings
    }


def covered_hours(database: Mongo) -> set[datetime]:
    checkpoint = database["ingest_checkpoints"].find_one({"station_idx": STATION})
    assert checkpoint is not None
    pieces = [range(hour_of(start), hour_of(end)) for start, end in checkpoint["covered"]]
    return {to_datetime(hour) for piece in pieces for hour in piece}


@pytest.mark.parametrize("kind", ["regular", "timeseries"])
def test_no_hour_is_lost_or_doubled_when_a_primary_dies_with_writes_that_no_majority_has(
    replica_set: ReplicaSet, tmp_path: Path, kind: str
) -> None:
    name = f"failover_{kind}"
    environment = {
        **without_private(),
        "MONGO_URI": f"{replica_set.uri}&w=1&journal=false&readPreference=secondaryPreferred",
        "MONGO_DB": name,
        "AQICN_API_KEY": "any-text",
        **PYTHON,
        "NO_COLOR": "1",
    }
    runner = Runner(tmp_path, environment)
    replica_set.wait_until_writable()
    with Sandbox({STATION: "A"}, VALUES, Faults(latency_ms=20)) as api, replica_set.client() as one:
        process = runner.start(*ASK, f"source.base_url={api.url}", f"mongo.readings.kind={kind}")
        wait_for(lambda: one[name]["waqi_station_readings"].count_documents({}) > 100)
        replica_set.stop_replication()
        with suppress(TimeoutExpired):
            # Long enough that a write is given up, and its window is looked at again.
            process.wait(6)
        primary = replica_set.primary_index()
        replica_set.kill(primary)
        replica_set.resume_replication()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    totals = runner.last_json("outcome.json")["totals"]
    replica_set.start(primary)
    replica_set.wait_until_writable()
    with replica_set.client() as client:
        stored = Counter(item["ts"] for item in client[name]["waqi_station_readings"].find())
        assert truth() & covered_hours(client[name]) - stored.keys() == set()
        assert truth() == stored.keys()
        assert max(stored.values()) == 1
    assert totals["inserted"] + totals["unchanged"] == len(stored)
    assert "w=1" in out
    assert "majority" in out
