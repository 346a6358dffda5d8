"""Faults on the wire: each shape, at its rate, in a sequence that repeats."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import pytest
import requests

from runner.core.intervals import hour_of, iso
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.faults import Fault, FaultPlan, Quota
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults

STATIONS = {1583: "Hà Nội", 8767: "Hồ Chí Minh"}
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
MIXED = Faults(
    rate_429=0.1,
    rate_5xx=0.1,
    rate_timeout=0.1,
    rate_truncated=0.1,
    rate_over_quota=0.1,
    rate_wrong=0.1,
    hold_s=0,
)


def ask(
    server: Sandbox, session: requests.Session, window: int, idx: int = 1583
) -> requests.Response:
    query = {"start": iso(START + window), "end": iso(START + window + 1), "token": "t"}
    url = f"{server.url}/feed/@{idx}/history"
    return session.get(url, params=query, timeout=30)


def outcome(server: Sandbox, session: requests.Session, window: int, idx: int = 1583) -> str:
    """Return what a client sees of an answer, in one word."""
    try:
        answer = ask(server, session, window, idx)
        if answer.status_code != 200:
            return str(answer.status_code)
        return str(answer.json()["status"])
    except (requests.exceptions.JSONDecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return "half"
    except requests.exceptions.ChunkedEncodingError:
        return "short"
    except requests.exceptions.ConnectionError:
        return "closed"


def each(server: Sandbox, see: Callable[[requests.Response], Any]) -> Counter[Any]:
    with requests.Session() as session:
        return Counter(see(ask(server, session, window)) for window in range(60))


def test_429_comes_with_seconds_with_a_date_and_without() -> None:
    def see(answer: requests.Response) -> str:
        assert answer.status_code == 429
        header = answer.headers.get("Retry-After")
        if header is None:
            return "absent"
        if header == "2":
            return "seconds"
        ahead = parsedate_to_datetime(header) - parsedate_to_datetime(answer.headers["Date"])
        assert timedelta(seconds=2) <= ahead <= timedelta(seconds=5)
        return "date"

    with Sandbox(STATIONS, Climatology(), Faults(rate_429=1, retry_after_s=2)) as server:
        seen = each(server, see)
    assert set(seen) == {"absent", "seconds", "date"}
    assert min(seen.values()) > 8


def test_5xx_alternates_and_is_an_html_page() -> None:
    def see(answer: requests.Response) -> int:
        assert answer.headers["Content-Type"] == "text/html"
        assert str(answer.status_code) in answer.text
        return answer.status_code

    with Sandbox(STATIONS, Climatology(), Faults(rate_5xx=1)) as server:
        assert set(each(server, see)) == {500, 502, 503}


def test_over_quota_is_an_error_inside_http_200() -> None:
    with Sandbox(STATIONS, Climatology(), Faults(rate_over_quota=1)) as server:
        seen = each(server, lambda answer: (answer.status_code, answer.text))
    assert set(seen) == {(200, '{"status":"error","data":"Over quota"}')}


def test_truncated_bodies_are_broken_json_or_end_early() -> None:
    with (
        Sandbox(STATIONS, Climatology(), Faults(rate_truncated=1)) as server,
        requests.Session() as session,
    ):
        seen = Counter(outcome(server, session, window) for window in range(60))
        assert set(seen) == {"half", "short"}
        assert min(seen.values()) > 15
        assert server.stats()["windows"] == {}


def test_a_timeout_outlasts_the_clients_patience() -> None:
    with (
        Sandbox(STATIONS, Climatology(), Faults(rate_timeout=1, hold_s=60)) as server,
        pytest.raises(requests.exceptions.ReadTimeout),
    ):
        requests.get(f"{server.url}/feed/@1583/", timeout=0.2)


def test_a_held_answer_ends_without_one() -> None:
    with (
        Sandbox(STATIONS, Climatology(), Faults(rate_timeout=1, hold_s=0)) as server,
        requests.Session() as session,
    ):
        assert outcome(server, session, 0) == "closed"


def test_closing_does_not_wait_for_held_answers() -> None:
    server = Sandbox(STATIONS, Climatology(), Faults(rate_timeout=1, hold_s=300)).start()
    with requests.Session() as session, ThreadPoolExecutor(3) as pool:
        held = [pool.submit(outcome, server, session, window) for window in range(3)]
        while server.stats()["outcomes"]["rate_timeout"] < 3:
            time.sleep(0.01)
        begun = time.monotonic()
        server.close()
        assert [future.result() for future in held] == ["closed"] * 3
    assert time.monotonic() - begun < 60


def test_rates_are_the_shares_of_the_requests() -> None:
    with (
        Sandbox(STATIONS, Climatology(), MIXED) as server,
        requests.Session() as session,
    ):
        for window in range(400):
            outcome(server, session, window)
        stats = server.stats()
    assert stats["requests"] == 400
    for fault in Fault:
        assert 20 <= stats["outcomes"][fault] <= 62
    assert 120 <= stats["outcomes"]["ok"] <= 200
    assert len(stats["windows"]["1583"]) == stats["outcomes"]["ok"]


def test_the_fault_sequence_repeats_whatever_the_thread_order() -> None:
    keys = [(idx, window) for idx in STATIONS for window in range(25)]

    def run(order: list[tuple[int, int]], threads: int) -> dict[tuple[int, int], list[str]]:
        with (
            Sandbox(STATIONS, Climatology(), MIXED) as server,
            requests.Session() as session,
            ThreadPoolExecutor(threads) as pool,
        ):
            rounds = [
                list(pool.map(lambda key: outcome(server, session, key[1], key[0]), order))
                for _ in range(3)
            ]
        return {key: [seen[i] for seen in rounds] for i, key in enumerate(order)}

    first = run(keys, threads=1)
    assert run(keys[::-1], threads=4) == first
    assert len({tuple(seen) for seen in first.values()}) > 5


def test_a_reset_begins_the_fault_sequence_again() -> None:
    with Sandbox(STATIONS, Climatology(), MIXED) as server, requests.Session() as session:
        first = [outcome(server, session, 0) for _ in range(12)]
        assert session.post(f"{server.url}/_reset", timeout=30).json() == {"status": "ok"}
        assert server.stats()["requests"] == 0
        assert [outcome(server, session, 0) for _ in range(12)] == first
        assert len(set(first)) > 1


def test_other_seeds_fail_other_requests() -> None:
    def faults(seed: int) -> list[Fault | None]:
        plan = FaultPlan(Faults(rate_429=0.5), seed)
        return [plan.next("history", key)[0] for key in range(50)]

    assert faults(0) == faults(0)
    assert faults(0) != faults(1)


def test_beyond_the_quota_429_says_when_a_slot_frees() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    faults = Faults(quota_per_hour=3)
    with (
        Sandbox(STATIONS, Climatology(), faults, clock=lambda: now) as server,
        requests.Session() as session,
    ):
        for minute in range(3):
            now = datetime(2024, 1, 1, 0, minute, tzinfo=UTC)
            assert ask(server, session, minute).status_code == 200
        refused = ask(server, session, 3)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == str(58 * 60)
        now = datetime(2024, 1, 1, 1, 0, tzinfo=UTC)
        assert ask(server, session, 3).status_code == 200
        assert ask(server, session, 4).headers["Retry-After"] == "60"
        assert server.stats()["outcomes"]["quota"] == 2


def test_the_quota_asks_to_wait_a_second_at_least() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    quota = Quota(1, lambda: now)
    assert quota.take() is None
    now += timedelta(seconds=3599, milliseconds=900)
    assert quota.take() == 1


def test_latency_comes_before_every_answer() -> None:
    with (
        Sandbox(STATIONS, Climatology(), Faults(latency_ms=50)) as server,
        requests.Session() as session,
    ):
        begun = [time.monotonic()]
        for window in range(5):
            ask(server, session, window)
            begun.append(time.monotonic())
    assert min(after - before for before, after in pairwise(begun)) >= 0.045


def test_rates_may_add_up_to_exactly_one() -> None:
    rates: dict[str, Any] = dict.fromkeys(map(str, Fault), 1 / len(Fault))
    plan = FaultPlan(Faults(**rates))
    assert None not in [plan.next(key)[0] for key in range(300)]
