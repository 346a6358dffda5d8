"""Many processes, one key: counted where it counts, by the API itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import mean
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.plan import LATE_S
from tests.product.api import Api
from tests.product.forked import REPOSITORY

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]
Process = subprocess.Popen[str]

KEY = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def asking(
    number: int, api: Api, database: Mongo, uri: str, pace: tuple[float, float]
) -> Iterator[list[Process]]:
    """Let processes ask, all beginning at the same moment, until the block ends.

    Args:
        number: how many processes.
        api: what they ask.
        database: where their budget is.
        uri: of its server.
        pace: interval_s, late_s.
    """
    told = [api.url, database.name, *map(str, pace)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.product.worker", *told],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "KEY": KEY, "MONGO": uri},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        yield processes
        for process in processes:
            if process.poll() is None:
                process.communicate()
                assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def spans(arrivals: list[float], most: int) -> list[float]:
    """Return from each request to the one `most` later: in less than that came most + 1."""
    return [late - early for early, late in zip(arrivals, arrivals[most:], strict=False)]


def use(arrivals: list[float], interval_s: float) -> float:
    """Return the share of the instants between first and last request that were used.

    Pass what arrived while all processes asked: those that end later leave their instants.
    """
    return (len(arrivals) - 1) * interval_s / (arrivals[-1] - arrivals[0])


def test_eight_processes_with_one_key_never_exceed_its_limit(
    mongo_uri: str, database: Mongo
) -> None:
    hour_s, most, spare = 8.0, 60, 1.4  # an hour in small: a busy machine needs more to spare
    pace = (spare * hour_s / most, (spare - 1) * hour_s / 2)
    with Api() as api, asking(8, api, database, mongo_uri, pace):
        api.wait_for(lambda: len(api.arrivals) >= 2 * most)
    found = spans(api.arrivals, most)
    assert len(found) >= most
    assert min(found) >= hour_s


def test_eight_processes_with_one_key_use_98_percent_of_the_instants(
    mongo_uri: str, database: Mongo
) -> None:
    interval_s = 0.25
    with Api() as api, asking(8, api, database, mongo_uri, (interval_s, LATE_S)):
        api.wait_for(lambda: len(api.arrivals) >= 120)
    assert use(api.arrivals[:120], interval_s) >= 0.98


def test_a_process_killed_at_any_moment_costs_its_instant_and_no_more(
    mongo_uri: str, database: Mongo
) -> None:
    interval_s = 0.25
    with (
        Api() as api,
        asking(4, api, database, mongo_uri, (interval_s, LATE_S)) as processes,
    ):
        api.wait_for(lambda: len(api.arrivals) >= 10)
        processes[0].kill()
        api.wait_for(lambda: len(api.arrivals) >= 80)
    assert use(api.arrivals[:80], interval_s) >= 0.98 - 1 / 80
    apart = [late - early for early, late in pairwise(api.arrivals)]
    assert mean(apart) >= 0.98 * interval_s  # nobody took more than the schedule has


def test_a_429_that_one_process_is_told_pauses_all_of_them(mongo_uri: str, database: Mongo) -> None:
    with Api() as api, asking(4, api, database, mongo_uri, (0.05, 1)):
        api.wait_for(lambda: len(api.arrivals) >= 20)
        api.refuse_once(2)
        api.wait_for(lambda: bool(api.refused))
        asked = len(api.arrivals)
        api.wait_for(lambda: len(api.arrivals) >= asked + 20)
    pauses = [late - early for early, late in pairwise(api.arrivals)]
    longest = max(pauses)
    assert longest > 2 * 0.7  # the others notice before their next permit, or the one after it
    assert sum(pause > 1 for pause in pauses) == 1
    after = api.arrivals[pauses.index(longest) + 1 :]
    assert mean(late - early for early, late in pairwise(after)) > 0.05 * 0.9  # no burst
