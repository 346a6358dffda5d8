"""The client against a real server: every way the API says no, and what each costs."""

import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from structlog.testing import capture_logs

from runner.core.errors import (
    AqicnApiError,
    AqicnClientError,
    AqicnRateLimitError,
    Scope,
    SourceError,
    StoppedError,
)
from runner.core.intervals import Interval
from runner.core.stations import Station
from runner.pacing import Pacer
from runner.secrets import Secret
from runner.shutdown import StopFlag
from runner.sources.aqicn import AqicnSource
from runner.sources.http import HttpClient, Reply, RetryPolicy, Timeouts
from tests.sources.scripted import Loopback, Scripted, scripted

CANARY = "canary-key-5f6g7h"
WEEK = Interval(464_592, 464_760)  # 2023-01-01T00:00Z, 168 hours
STATION = Station(1583, "Hanoi")
PAYLOADS = Path(__file__).resolve().parents[3] / "shared" / "data" / "payloads" / "waqi"
HTML = {"Content-Type": "text/html"}
RETRY, ALONE, RUN = Scope.RETRY, Scope.STATION, Scope.RUN


def said(content: Any, status: int = 200, **headers: str) -> Scripted:
    return Scripted(json.dumps(content).encode(), status, headers)


GOOD = said({"status": "ok", "data": [{"aqi": 45}]})
OVER_QUOTA = said({"status": "error", "data": "Over quota"})
NO_ROUTE = said({"status": "error", "message": "404"})


@contextmanager
def source_at(
    url: str, *, stop: StopFlag | None = None, throttled_max_s: float = 60, attempts: int = 3
) -> Iterator[tuple[AqicnSource, Pacer]]:
    stop = stop or StopFlag()
    pacer = Pacer(0, 0, stop)
    client = HttpClient(
        url,
        pacer,
        stop,
        str,
        RetryPolicy(attempts, 60, 0.002, 0.01, throttled_max_s),
        Timeouts(2, 0.3),
        failure=AqicnClientError,
    )
    try:
        yield (
            AqicnSource(
                client,
                Secret(CANARY),
                history_path="/feed/{feed}/history",
                start_param="start",
                end_param="end",
                token_param="token",
            ),
            pacer,
        )
    finally:
        client.close()


def fetch(server: Loopback, station: Station = STATION, **options: Any) -> list[Any]:
    with source_at(server.url, **options) as (source, pacer):
        try:
            return source.fetch(station, WEEK).records
        finally:
            assert pacer.permits == len(server.paths)


def refusal(server: Loopback, **options: Any) -> SourceError:
    with capture_logs() as lines, pytest.raises(SourceError) as refused:
        fetch(server, **options)
    told = "".join(traceback.format_exception(refused.value)) + repr(refused.value.__dict__)
    assert CANARY not in told + str(lines)
    return refused.value


# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize(("idx", "feed"), [(1583, "@1583"), (-476_599, "A476599")])
def test_the_question_is_the_documented_one(idx: int, feed: str) -> None:
    with scripted(GOOD) as server:
        assert fetch(server, Station(idx)) == [{"aqi": 45}]
    assert server.paths == [
        f"/feed/{feed}/history?start=2023-01-01T00%3A00%3A00Z&end=2023-01-08T00%3A00%3A00Z&token={CANARY}"
    ]
    assert server.headers[0]["User-Agent"].startswith("air-quality-backfill-runner/")


def test_one_connection_serves_many_requests() -> None:
    with scripted(GOOD) as server, source_at(server.url) as (source, _pacer):
        for _ in range(20):
            source.fetch(STATION, WEEK)
        assert len(server.connections) == 1


# ---------------------------------------------------------------- no, once and for all


@pytest.mark.parametrize(
    ("reply", "scope", "told"),
    [
        (said({"status": "error", "data": "Invalid key"}), RUN, "refuses the key"),
        (Scripted(status=401), RUN, "refuses the key"),
        (Scripted(status=403), RUN, "refuses the key"),
        (said({"status": "error", "data": "Unknown station"}), ALONE, "Unknown station"),
        (said({"status": "error", "data": "no such station"}), ALONE, "no such station"),
        (
            said({"status": "ok", "data": {"status": "error", "msg": "Unknown ID"}}),
            ALONE,
            "Unknown ID",
        ),
        (said({"status": "error", "data": "Invalid query: x"}), ALONE, "Invalid query"),
        (Scripted(status=400), ALONE, "HTTP 400"),
        (NO_ROUTE, RUN, "source.history.path"),
        (Scripted(b"", 404), RUN, "source.history.path"),
        (Scripted(b"", 301, {"Location": "/elsewhere"}), RUN, "redirect"),
        (
            said({"status": "ok", "data": {"aqi": 45, "idx": 1583, "iaqi": {}}}),
            RUN,
            "not copied into the past",
        ),
    ],
    ids=lambda value: getattr(value, "body", b"").decode()[:50] if value else None,
)
def test_a_final_no_costs_one_request(reply: Scripted, scope: Scope, told: str) -> None:
    with scripted(reply) as server:
        error = refusal(server)
        assert len(server.paths) == 1
    assert isinstance(error, AqicnApiError)
    assert error.scope is scope
    assert told in error.message


def test_a_missing_endpoint_names_the_alternatives() -> None:
    with scripted(NO_ROUTE) as server:
        hint = refusal(server).hint
    assert "source.history.path" in hint
    assert "source=airnow" in hint


def test_an_endpoint_that_answered_others_only_lacks_the_station() -> None:
    with scripted(GOOD, NO_ROUTE) as server, source_at(server.url) as (source, _pacer):
        source.fetch(STATION, WEEK)
        with pytest.raises(AqicnApiError, match="no history of this station") as refused:
            source.fetch(Station(1), WEEK)
    assert refused.value.scope is ALONE


def test_the_key_does_not_follow_a_redirect() -> None:
    with scripted() as elsewhere:
        location = {"Location": f"{elsewhere.url}/x?token={CANARY}"}
        with scripted(Scripted(b"", 302, location)) as server:
            assert refusal(server).scope is RUN
        assert elsewhere.paths == []


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason=f"recorded answers are not at {PAYLOADS}")
@pytest.mark.parametrize("name", ["city_feed_utrecht", "station_number_feed_6337"])
def test_a_recorded_present_observation_is_never_taken_for_history(name: str) -> None:
    with scripted(Scripted((PAYLOADS / f"{name}.json").read_bytes())) as server:
        assert refusal(server).scope is RUN


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason=f"recorded answers are not at {PAYLOADS}")
@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("city_feed_unknown", ALONE),
        ("station_number_feed_unknown", ALONE),
        ("station_number_feed_A10142", ALONE),
        ("unauthenticated", RUN),
    ],
)
def test_recorded_refusals_are_understood(name: str, scope: Scope) -> None:
    with scripted(Scripted((PAYLOADS / f"{name}.json").read_bytes())) as server:
        assert refusal(server).scope is scope
        assert len(server.paths) == 1


# ---------------------------------------------------------------- no for now

PASSING = {
    "500": Scripted(b"<html>", 500, HTML),
    "502": Scripted(b"<html>", 502, HTML),
    "503": Scripted(b"<html>", 503, HTML),
    "408": Scripted(status=408),
    "login page": Scripted(b"<html>Please log in</html>", headers=HTML),
    "empty body": Scripted(b""),
    "truncated": Scripted(GOOD.body[:20]),
    "cut off": Scripted(GOOD.body[:20], promised=len(GOOD.body)),
    "reset": Scripted(reset=True),
    "silence": Scripted(held_s=1.5),
    "no UTF-8": Scripted(b'{"status":"ok","data":["\xff\xfe"]}'),
    "nested": Scripted(b'{"status":"ok","data":' + b"[" * 200_000),
    "number without end": Scripted(b'{"status":"ok","data":[' + b"9" * 10_000 + b"]}"),
    "a list": said([1, 2]),
    "null": said({"status": "ok", "data": None}),
    "nope": said({"status": "nope", "data": []}),
    "unheard of": said({"status": "error", "data": "can not connect"}),
    "over quota": OVER_QUOTA,
    "429": Scripted(b"", 429),
    "429 seconds": Scripted(b"", 429, {"Retry-After": "0"}),
    "503 seconds": Scripted(b"", 503, {"Retry-After": "0"}),
}
THROTTLING = {"over quota", "429", "429 seconds", "503 seconds"}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING.keys())
def test_what_passes_is_tried_again(reply: Scripted) -> None:
    with scripted(reply, GOOD) as server:
        assert fetch(server) == [{"aqi": 45}]
        assert len(server.paths) == 2


@pytest.mark.parametrize("name", sorted(PASSING.keys() - THROTTLING))
def test_what_does_not_pass_fails_the_station_after_all_tries(name: str) -> None:
    with scripted(PASSING[name]) as server:
        error = refusal(server)
        assert len(server.paths) == 3
    assert error.scope is ALONE
    assert "given up after 3 tries" in error.message


def test_a_closed_port_is_tried_again_and_told_without_the_key() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with source_at(url) as (source, pacer), pytest.raises(AqicnClientError) as refused:
        source.fetch(STATION, WEEK)
    assert pacer.permits == 3
    assert "Connection refused" in refused.value.message
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_nan_and_huge_numbers_reach_the_parser_as_they_are() -> None:
    with scripted(Scripted(b'{"status":"ok","data":[{"aqi":NaN},{"aqi":1e999}]}')) as server:
        assert len(fetch(server)) == 2


# ---------------------------------------------------------------- throttling


def test_throttling_does_not_use_up_the_tries() -> None:
    with scripted(*[OVER_QUOTA] * 10, GOOD) as server:
        assert fetch(server) == [{"aqi": 45}]
        assert len(server.paths) == 11


def test_throttling_pauses_everyone() -> None:
    wait = Scripted(b"", 429, {"Retry-After": "60"})
    stop = StopFlag()
    with scripted(wait, GOOD) as server, source_at(server.url, stop=stop) as (source, pacer):
        throttled = threading.Thread(target=lambda: _ignoring_a_stop(source.fetch))
        throttled.start()
        while not server.paths:
            stop.sleep(0.01)
        while pacer.pause(0.0001):  # a longer one is on already once this says no
            stop.sleep(0.01)
        other = threading.Thread(target=lambda: _ignoring_a_stop(source.fetch))
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert len(server.paths) == 1
        stop.ask()
        other.join()
        throttled.join()


def _ignoring_a_stop(ask: Callable[[Station, Interval], Any]) -> None:
    try:
        ask(STATION, WEEK)
    except StoppedError:
        return


@pytest.mark.parametrize(
    "after", ["7200", formatdate(4_102_444_800, usegmt=True)], ids=["seconds", "date"]
)
def test_a_wait_longer_than_allowed_ends_the_run_at_once(after: str) -> None:
    with scripted(Scripted(b"", 429, {"Retry-After": after})) as server:
        error = refusal(server, throttled_max_s=60)
        assert len(server.paths) == 1
    assert isinstance(error, AqicnRateLimitError)
    assert error.scope is RUN
    assert "throttled_max_s" in error.message


def test_endless_throttling_ends_the_run_not_a_station() -> None:
    with scripted(OVER_QUOTA) as server:
        error = refusal(server, throttled_max_s=0.05)
        assert len(server.paths) > 1
    assert error.scope is RUN


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "17"}, 17.0),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:10 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            10.0,
        ),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            0.0,
        ),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_on_the_servers_clock(
    headers: dict[str, str], expected: float | None
) -> None:
    assert Reply(429, CaseInsensitiveDict(headers), b"").retry_after_s == expected


def test_a_stop_ends_the_wait_before_the_next_try_at_once() -> None:
    stop = StopFlag()
    with scripted(Scripted(b"", 429, {"Retry-After": "50"})) as server:
        with source_at(server.url, stop=stop) as (source, _pacer):
            threading.Timer(0.2, stop.ask).start()
            with pytest.raises(StoppedError):
                source.fetch(STATION, WEEK)
        assert len(server.paths) == 1


# ---------------------------------------------------------------- whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["ok", "error", "nope"]) | JSON,
        "data": JSON,
        "message": JSON,
        "msg": JSON,
    },
)


def read(status: int, body: bytes) -> list[Any] | SourceError:
    with source_at("http://127.0.0.1:1") as (source, _pacer):
        try:
            return source._read(Reply(status, CaseInsensitiveDict(), body))
        except SourceError as error:
            return error


@given(content=JSON | ENVELOPE, status=st.sampled_from([200, 301, 404, 429, 500, 999]))
def test_any_answer_is_records_or_an_error_that_can_be_printed(content: Any, status: int) -> None:
    made = read(status, json.dumps(content).encode())
    assert isinstance(made, list) or made.message.isprintable()


@given(body=st.binary(max_size=200))
def test_any_bytes_are_records_or_an_error_that_can_be_printed(body: bytes) -> None:
    made = read(200, body)
    assert isinstance(made, list) or made.message.isprintable()
