"""A clock that is wrong when the run begins: no hour to come is taken for one without a reading."""

import subprocess
import sys
from typing import Any

import pytest
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from tests.product.product import FAST, Runner, readings_of

pytestmark = pytest.mark.slow

DAY_S = 86_400


def run_with_clock(runner: Runner, seconds: int, api: Sandbox) -> subprocess.CompletedProcess[str]:
    ask = ("stations.ids=[1584]", "backfill=last_30_days", f"source.base_url={api.url}", *FAST)
    return subprocess.run(
        [sys.executable, "-m", "tests.robustness.chaos.armed", *ask],
        cwd=runner.directory,
        env={
            **runner.environment,
            "AQICN_API_KEY": "anything",
            "CHAOS_CLOCK": f"runner.cli.task:read_job:1:{seconds}",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_clock_that_is_ahead_is_refused_before_an_hour_to_come_is_recorded(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    with Sandbox({1584: "A"}, Climatology(1)) as api:
        done = run_with_clock(runner, 3 * DAY_S, api)
        assert api.stats()["requests"] == 0
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the clock of this machine says" in done.stderr
    assert "backfill.end_date=" in done.stderr
    assert database.list_collection_names() == []


def test_a_clock_that_is_behind_only_ends_the_range_earlier(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    with Sandbox({1584: "A"}, Climatology(1)) as api:
        done = run_with_clock(runner, -3 * DAY_S, api)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(readings_of(database)) > 600
