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

from tests.product.api import Api
from tests.product.product import REPOSITORY

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]
Process = subprocess.Popen[str]

KEY = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def asking(
    number: int, api: Api, database: Mongo, uri: str, pace: tuple[float, int, float, float]
) -> Iterator[list[Process]]:
    """Let processes ask, all beginning at the same moment, until the block ends.

    Args:
        number: how many processes.
        api: what they ask.
        database: where their budget is.
        uri: of its server.
        pace: delay_s, max_per_hour, what an hour is, the guard.
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


def test_eight_processes_with_one_key_never_exceed_its_limit_and_use_all_but_3_percent(
    mongo_uri: str, database: Mongo
) -> None:
    hour_s, most = 10.0, 200
    pace = (hour_s / most / 2, most, hour_s, 0.02 * hour_s)
    with Api() as api, asking(8, api, database, mongo_uri, pace):
        api.wait_for(lambda: len(api.arrivals) >= 2 * most)
    found = spans(api.arrivals, most)
    assert len(found) >= most
    assert min(found) >= hour_s
    assert hour_s / mean(found) >= 0.97


def test_a_process_killed_at_any_moment_costs_its_reserved_slots_and_no_more(
    mongo_uri: str, database: Mongo
) -> None:
    hour_s, most = 3.0, 60
    pace = (hour_s / most / 2, most, hour_s, 0.1 * hour_s)
    with Api() as api, asking(3, api, database, mongo_uri, pace) as processes:
        api.wait_for(lambda: len(api.arrivals) >= 10)
        processes[0].kill()
        api.wait_for(lambda: len(api.arrivals) >= 2 * most)
    found = spans(api.arrivals, most)
    assert min(found) >= hour_s
    block = most // 20
    assert 1.1 * hour_s / mean(found) >= 0.97 - block / most


def test_a_429_that_one_process_is_told_pauses_all_of_them(mongo_uri: str, database: Mongo) -> None:
    with Api() as api, asking(4, api, database, mongo_uri, (0.05, 0, 60, 2)):
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
