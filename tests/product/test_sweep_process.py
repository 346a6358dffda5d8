"""Sweeps in real processes: the same readings by every launcher, nothing lost when one dies."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from runner.store.embedded import embedded
from tests.product.product import FAST, Runner, readings_of, stop, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

GROUPS = "stations=ho_chi_minh_city,da_nang,hue"
MONTH = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-01-15")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=3")
HAS_JOBLIB = importlib.util.find_spec("joblib") is not None
needs_joblib = pytest.mark.skipif(not HAS_JOBLIB, reason="the extra joblib is not installed")
START, END = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "canary-sweep-0a1b2c3d"
WINDOWS = 3 * 31


def summary_path(runner: Runner) -> Path:
    return max((runner.directory / "multirun").glob("*/*/summary.json"))


def summary(runner: Runner) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(summary_path(runner).read_text("utf-8"))
    return made


def states(runner: Runner) -> list[str]:
    return [job["state"] for job in summary(runner)["jobs"]]


def files(runner: Runner) -> list[str]:
    found = (path for path in runner.directory.rglob("*") if path.is_file())
    return [path.read_text("utf-8", errors="replace") for path in found]


def children(pid: int) -> list[int]:
    """Return the processes below one that are workers of joblib."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"popen_loky" in command:
            found.append(int(stat.parent.name))
    return found


def blocks_sigint(pid: int) -> bool:
    """Return whether a process holds Ctrl-C back, as a worker without a job must."""
    (mask,) = re.findall(r"^SigBlk:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) & 1 << signal.SIGINT - 1)


def alive(pids: list[int]) -> list[int]:
    """Return those that run; one that ended and is not waited for has no command line."""
    found = []
    for pid in pids:
        with suppress(OSError):
            found += [pid] if Path(f"/proc/{pid}/cmdline").read_bytes() else []
    return found


def stored_in(uri: str, name: str) -> list[dict[str, Any]]:
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        return readings_of(client[name])


def test_every_launcher_gives_the_readings_of_one_run_and_a_second_time_nothing_is_asked(
    runner: Runner, sandbox_database: Mongo
) -> None:
    groups = "ho_chi_minh_city,da_nang,hue"
    sweep = ("-m", "source=sandbox", f"stations={groups}", *MONTH, *FAST)
    runner("source=sandbox", f"stations=[{groups}]", *MONTH, *FAST)
    expected = readings_of(sandbox_database)
    assert len(expected) > 1000
    sandbox_database.client.drop_database(sandbox_database.name)

    done = runner(*sweep)
    assert readings_of(sandbox_database) == expected
    made = summary(runner)
    assert [job["label"] for job in made["jobs"]] == [
        f"stations={name}" for name in groups.split(",")
    ]
    assert states(runner) == ["done"] * 3
    assert made["totals"]["inserted"] == len(expected)
    assert done.stdout.count("BACKFILL JOB SUMMARY") == 3
    assert done.stdout.count("SWEEP SUMMARY") == 1
    assert (summary_path(runner).parent / "index.html").exists()

    again = runner(*sweep)
    assert summary(runner)["totals"]["requests"] == 0
    assert "Nothing was asked: everything these jobs fetch was there already." in again.stdout

    if HAS_JOBLIB:  # on the embedded server, which the workers share
        runner(*sweep, *JOBLIB, "mongo=embedded", "mongo.embedded.data_dir=shared")
        assert states(runner) == ["done"] * 3
        with embedded(runner.directory / "shared") as uri:
            assert stored_in(uri, sandbox_database.name) == expected


def test_every_profile_can_be_swept(runner: Runner, sandbox_database: Mongo) -> None:
    assert sandbox_database.list_collection_names() == []
    done = runner("-m", "job=plan", "profile=glob(*)", "stations=hue", "mongo=default")
    made = summary(runner)
    profiles = {path.stem for path in (Path(__file__).parents[2] / "conf" / "profile").iterdir()}
    assert {job["label"] for job in made["jobs"]} == {f"profile={name}" for name in profiles}
    assert set(states(runner)) == {"done"}
    assert "Nothing was asked" not in done.stdout


def test_ctrl_c_saves_the_job_under_way_and_leaves_the_rest(
    runner: Runner, sandbox_database: Mongo
) -> None:
    slow = (
        "source=sandbox",
        "-m",
        GROUPS,
        *MONTH,
        *FAST,
        "backfill.batch_size=24",
        "rate_limit.delay_s=0.1",
    )
    process = runner.start(*slow)
    wait_for(lambda: sandbox_database["waqi_station_readings"].estimated_document_count() > 50)
    code, out, _err = stop(process, signal.SIGINT)
    assert code == 130
    assert states(runner) == ["stopped", "not run", "not run"]
    assert "Go on where the sweep ended: python -m runner source=sandbox -m" in out
    stored = readings_of(sandbox_database)
    runner(*slow, "rate_limit.delay_s=0")
    made = summary(runner)
    assert made["jobs"][0]["unchanged"] == 0, "a window was asked for twice"
    assert made["totals"]["inserted"] + len(stored) == len(readings_of(sandbox_database))
    assert states(runner) == ["done"] * 3


@pytest.fixture
def slow_api() -> Any:
    """An API that answers so slowly that a job is still at it when it is killed."""
    names = {idx: f"Station {idx}" for idx in (1584, 8641, 13658)}
    with Sandbox(names, Climatology(1), Faults(latency_ms=60)) as api:
        yield api


def by_station(api: Sandbox) -> tuple[str, ...]:
    return (
        *("-m", "stations.ids=[1584],[8641],[13658]", "backfill.start_date=2023-01-01"),
        *("backfill.end_date=2023-02-01", "backfill.batch_size=24", "backfill.lease_s=2", *FAST),
        f"source.base_url={api.url}",
        *JOBLIB,
    )


@needs_joblib
def test_a_killed_worker_is_reported_and_the_same_command_resumes(
    runner: Runner, database: Mongo, slow_api: Sandbox
) -> None:
    process = runner.start(*by_station(slow_api), AQICN_API_KEY=KEY)
    readings = database["waqi_station_readings"]
    wait_for(lambda: len(readings.distinct("meta.station_idx")) == 3)
    workers = children(process.pid)
    assert len(workers) == 3
    os.kill(workers[0], signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "killed" in states(runner)
    assert "SWEEP SUMMARY" in out
    assert "launcher joblib: " in err
    assert "Traceback" not in err
    assert "Go on where the sweep ended: python -m runner" in out
    wait_for(lambda: alive(workers) == [])
    runner(*by_station(slow_api), AQICN_API_KEY=KEY)
    assert states(runner) == ["done"] * 3
    assert slow_api.stats()["requests"] <= WINDOWS + 2 * 3
    keys = [(item["meta"]["station_idx"], item["ts"]) for item in readings_of(database)]
    assert len(keys) == len(set(keys)) > 1500


@needs_joblib
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_every_worker_each_saves_and_none_is_left_behind(
    runner: Runner, database: Mongo, slow_api: Sandbox, signum: int
) -> None:
    """Ctrl-C reaches all processes of a terminal at once, a SIGTERM only the sweep's own.

    One of the workers has nothing to do any more: it must not die of it, and take the others along.
    """
    done = {"station_idx": 8767, "status": "completed", "start_ts": START, "target_end_ts": END}
    database["ingest_checkpoints"].insert_one({**done, "last_processed_ts": END})
    four = ("stations.ids=[1584],[8641],[13658],[8767]", "hydra.launcher.n_jobs=4")
    process = runner.start(*by_station(slow_api), *four, AQICN_API_KEY=KEY)
    wait_for(lambda: [*runner.directory.glob("multirun/*/*/3/outcome.json")])
    wait_for(lambda: len(database["waqi_station_readings"].distinct("meta.station_idx")) == 3)
    workers = children(process.pid)
    wait_for(lambda: sum(map(blocks_sigint, workers)) == 1)
    lines = [str(Path(f"/proc/{pid}/cmdline").read_bytes()) for pid in workers]
    for pid in workers if signum == signal.SIGINT else ():
        os.kill(pid, signum)
    code, out, err = stop(process, signum)
    assert code == 128 + signum, out + err
    assert states(runner) == [*["stopped"] * 3, "done"]
    assert "launcher" not in err
    assert len(workers) == 4
    assert alive(workers) == []
    assert database["ingest_checkpoints"].count_documents({"lease": {"$exists": True}}) == 0
    windows = sum(item.get("windows", 0) for item in database["ingest_checkpoints"].find())
    assert windows == slow_api.stats()["requests"] < WINDOWS, "a window in hand was not saved"
    produced = [out, err, *lines, *files(runner)]
    assert not [text for text in produced if KEY in text]


@needs_joblib
def test_workers_of_a_sweep_that_was_killed_save_and_end(
    runner: Runner, database: Mongo, slow_api: Sandbox
) -> None:
    process = runner.start(*by_station(slow_api), AQICN_API_KEY=KEY)
    wait_for(lambda: len(database["waqi_station_readings"].distinct("meta.station_idx")) == 3)
    workers = children(process.pid)
    process.kill()
    wait_for(lambda: not alive(workers))
    process.communicate()
    assert database["ingest_checkpoints"].count_documents({"lease": {"$exists": True}}) == 0
    windows = sum(item["windows"] for item in database["ingest_checkpoints"].find())
    assert windows == slow_api.stats()["requests"] < WINDOWS
    outcomes = [*summary_path(runner).parent.glob("*/outcome.json")]
    assert [json.loads(path.read_text("utf-8"))["exit_code"] for path in outcomes] == [143] * 3


@needs_joblib
def test_eight_workers_share_the_stations_and_ask_for_no_window_twice(
    runner: Runner, database: Mongo
) -> None:
    ids = [*range(1, 21)]
    names = {idx: f"Station {idx}" for idx in ids}
    with Sandbox(names, Climatology(1), Faults(latency_ms=50)) as api:
        done = runner(
            *("-m", "worker=range(8)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=8"),
            *(f"stations.ids=[{','.join(map(str, ids))}]", *MONTH, *FAST),
            *("backfill.batch_size=24", "backfill.workers=2", f"source.base_url={api.url}"),
            *(f"+stations.named={{{','.join(f'{idx}: S' for idx in ids)}}}",),
            AQICN_API_KEY=KEY,
        )
        assert api.stats()["requests"] == len(ids) * 14
    rows = summary(runner)["jobs"]
    assert [(row["state"], row["exit_code"]) for row in rows] == [("done", 0)] * 8
    assert sum(row["fetched"] for row in rows) == len(ids)
    assert sum(row["fetched"] > 0 for row in rows) > 1, "one worker did everything"
    assert summary(runner)["totals"]["stations"] == len(ids)
    assert "done by another run: " in done.stdout
    checkpoints = [*database["ingest_checkpoints"].find()]
    assert {item["status"] for item in checkpoints} == {"completed"}
    assert sum(item["windows"] for item in checkpoints) == len(ids) * 14
    assert not [item for item in checkpoints if "lease" in item]
