"""The same sweep on a Ray cluster of two nodes. Needs the extra ray: `make test-ray`."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from tests.product.product import FAST, Runner, readings_of, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="the extra ray is not installed"
    ),
]
Mongo = Database[dict[str, Any]]

TWO_NODES = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
MONTH = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-01-15")
KEY = "canary-ray-0a1b2c3d"


@pytest.fixture
def on_ray(runner: Runner, database: Mongo) -> Iterator[Runner]:
    """Run the product against a cluster of two nodes with one processor each."""
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "AQICN_API_KEY": KEY}
    environment = {**runner.environment, **quiet}
    del environment["PYTHONWARNINGS"]  # Ray's own are not ours to mend
    cluster = subprocess.Popen(
        [sys.executable, "-c", TWO_NODES],
        cwd=runner.directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert database is not None
    assert cluster.stdout is not None
    try:
        address = cluster.stdout.readline().strip()
        yield Runner(runner.directory, {**environment, "RAY_ADDRESS": address})
    finally:
        cluster.communicate(timeout=120)


def summary(runner: Runner) -> dict[str, Any]:
    path = max((runner.directory / "multirun").glob("*/*/summary.json"))
    made: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return made


def workers_with_a_job() -> list[int]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = line.read_bytes()
        except OSError:
            continue
        if b"ray::_run_job" in title:
            found.append(int(line.parent.name))
    return found


def test_three_groups_on_two_nodes_give_the_readings_of_one_run(
    runner: Runner, on_ray: Runner, sandbox_database: Mongo
) -> None:
    groups = "ho_chi_minh_city,da_nang,hue"
    runner("source=sandbox", f"stations=[{groups}]", *MONTH, *FAST)
    expected = readings_of(sandbox_database)
    sandbox_database.client.drop_database(sandbox_database.name)
    words = ("-m", "source=sandbox", f"stations={groups}", *MONTH, *FAST, "hydra/launcher=ray")
    done = on_ray(*words)
    assert readings_of(sandbox_database) == expected
    assert [job["state"] for job in summary(on_ray)["jobs"]] == ["done"] * 3
    assert summary(on_ray)["launcher"] == "ray"
    assert done.stdout.count("SWEEP SUMMARY") == 1
    again = on_ray(*words)
    assert "Nothing was asked" in again.stdout


@pytest.fixture
def slow_api() -> Iterator[Sandbox]:
    names = {idx: f"Station {idx}" for idx in (1584, 8641)}
    with Sandbox(names, Climatology(1), Faults(latency_ms=200)) as api:
        yield api


def two_stations(api: Sandbox) -> tuple[str, ...]:
    return (
        *("-m", "stations.ids=[1584],[8641]", "backfill.start_date=2023-01-01"),
        *("backfill.end_date=2023-03-01", "backfill.batch_size=24", "backfill.lease_s=2", *FAST),
        *(f"source.base_url={api.url}", "hydra/launcher=ray"),
    )


WINDOWS = 2 * 59


def test_a_killed_worker_loses_no_window_and_the_same_command_resumes(
    on_ray: Runner, database: Mongo, slow_api: Sandbox
) -> None:
    process = on_ray.start(*two_stations(slow_api))
    readings = database["waqi_station_readings"]
    wait_for(lambda: len(readings.distinct("meta.station_idx")) == 2, 240)
    os.kill(workers_with_a_job()[0], signal.SIGKILL)
    out, err = process.communicate(timeout=400)
    # Ray itself starts a task again whose worker died; whether it does is its affair.
    assert process.returncode in (0, 1), out + err
    if process.returncode:
        assert "killed" in [job["state"] for job in summary(on_ray)["jobs"]]
        on_ray(*two_stations(slow_api))
    assert [job["state"] for job in summary(on_ray)["jobs"]] == ["done"] * 2
    assert slow_api.stats()["requests"] <= WINDOWS + 2 * 2
    keys = [(item["meta"]["station_idx"], item["ts"]) for item in readings_of(database)]
    assert len(keys) == len(set(keys)) > 2000
    assert {item["status"] for item in database["ingest_checkpoints"].find()} == {"completed"}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_the_jobs_and_each_saves(
    on_ray: Runner, database: Mongo, slow_api: Sandbox, signum: int
) -> None:
    process = on_ray.start(*two_stations(slow_api))
    readings = database["waqi_station_readings"]
    wait_for(lambda: len(readings.distinct("meta.station_idx")) == 2, 240)
    process.send_signal(signum)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 128 + signum, out + err
    assert [job["state"] for job in summary(on_ray)["jobs"]] == ["stopped"] * 2
    windows = sum(item["windows"] for item in database["ingest_checkpoints"].find())
    assert windows == slow_api.stats()["requests"] < WINDOWS
    assert database["ingest_checkpoints"].count_documents({"lease": {"$exists": True}}) == 0
    produced = [path.read_text("utf-8") for path in on_ray.directory.rglob("*.*") if path.is_file()]
    assert not [text for text in (out, err, *produced) if KEY in text]
