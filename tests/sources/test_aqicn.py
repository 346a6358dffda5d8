"""AQICN's history on real sockets: what is asked, every way it says no, and no key anywhere."""

from __future__ import annotations

import json
import pickle
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from structlog.testing import capture_logs

from runner.config.source import Retry
from runner.core.errors import Scope, SourceError
from runner.core.intervals import Interval, hour_of
from runner.core.stations import Station
from runner.process.secrets import Environment, Redactor, Secret
from runner.process.stop import StopFlag
from runner.sources import key_names
from runner.sources.aqicn import answers as aqicn_answers
from runner.sources.aqicn.answers import AqicnApiError, AqicnClientError, AqicnRateLimitError
from runner.sources.aqicn.history import AqicnSource
from runner.sources.http import HttpClient, Reply, Timeouts
from runner.sources.pacing import Pacer
from tests.sources.loopback import (
    PATIENT,
    POLICY,
    TIMEOUTS,
    Loopback,
    Scripted,
    answer,
    page,
    raw,
    reset,
    says,
    short,
    silence,
)

FEEDS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "payloads" / "waqi"
needs_feeds = pytest.mark.skipif(
    not FEEDS.is_dir(), reason="the recorded answers are not at ../shared/data/payloads/waqi"
)

CANARY = "CANARY-7f3/+ k=9"
KEY = Secret(CANARY)
REDACT = Redactor(Environment({"AQICN_API_KEY": CANARY}, Path(".env"), key_names))
HANOI = Station(1583, "Hà Nội")
CITIZEN = Station(-476599, "Phố Nguyễn Đình Thi")
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
WEEK = Interval(START, START + 168)
RECORDS = [{"current_aqi": 45, "time": {"s": "2023-01-01 07:00:00"}, "current_iaqi": {}}]
OK = says({"status": "ok", "data": RECORDS})


@dataclass
class Rig:
    source: AqicnSource
    pacer: Pacer

    def fetch(self, station: Station = HANOI) -> list[Any]:
        return self.source.fetch(station, WEEK).records

    def failure(self, station: Station = HANOI) -> SourceError:
        with pytest.raises(AqicnClientError) as caught:
            self.fetch(station)
        return caught.value


@contextmanager
def aqicn(
    url: str,
    policy: Retry = POLICY,
    timeouts: Timeouts = PATIENT,
    names: Mapping[str, str] | None = None,
) -> Iterator[Rig]:
    stop = StopFlag()
    pacer = Pacer(0, stop)
    client = HttpClient(url, pacer, stop, REDACT, policy, timeouts, failure=AqicnClientError)
    spelled: dict[str, Any] = {
        "history_path": "/feed/{feed}/history",
        "start_param": "start",
        "end_param": "end",
        "token_param": "token",
        **(names or {}),
    }
    try:
        yield Rig(AqicnSource(client, KEY, **spelled), pacer)
    finally:
        client.close()


def failing(*replies: Scripted) -> tuple[SourceError, int]:
    """Return how a fetch fails, and after how many requests."""
    with Loopback(*replies) as server, aqicn(server.url, timeouts=TIMEOUTS) as rig:
        error = rig.failure()
        assert rig.pacer.permits == len(server.asked)
        return error, len(server.asked)


def error(text: Any) -> Scripted:
    return says({"status": "error", "data": text})


# --- what is asked, and what is answered ------------------------------------------------------


@pytest.mark.parametrize(
    ("station", "path"),
    [(HANOI, "/feed/@1583/history"), (CITIZEN, "/feed/A476599/history")],
)
def test_a_window_is_asked_for_by_feed_in_utc_with_the_key(station: Station, path: str) -> None:
    with Loopback(OK) as server, aqicn(server.url) as rig:
        assert rig.fetch(station) == RECORDS
    (asked,) = server.asked
    assert asked.path == path
    assert asked.query == {
        "start": "2023-01-01T00:00:00Z",
        "end": "2023-01-08T00:00:00Z",
        "token": CANARY,
    }


def test_path_and_parameters_are_spelled_as_configured() -> None:
    names = {
        "history_path": "/v9/of/{feed}",
        "start_param": "from",
        "end_param": "until",
        "token_param": "api_key",
    }
    with Loopback(OK) as server, aqicn(server.url + "/base/", names=names) as rig:
        rig.fetch()
    (asked,) = server.asked
    assert asked.path == "/base/v9/of/@1583"
    assert asked.query == {
        "from": "2023-01-01T00:00:00Z",
        "until": "2023-01-08T00:00:00Z",
        "api_key": CANARY,
    }


def test_records_are_handed_on_as_they_came() -> None:
    odd: list[Any] = [None, 1, "x", [], {"time": None}, {"iaqi": {"pm25": {"v": -1}}}]
    with Loopback(says({"status": "ok", "data": odd})) as server, aqicn(server.url) as rig:
        assert rig.fetch() == odd


def test_an_empty_list_is_an_answer() -> None:
    with Loopback(says({"status": "ok", "data": []})) as server, aqicn(server.url) as rig:
        assert rig.fetch() == []
    assert len(server.asked) == 1


def test_many_windows_take_one_connection_and_one_permit_each() -> None:
    with Loopback(OK) as server, aqicn(server.url) as rig:
        for _ in range(10):
            rig.fetch()
    assert (server.connections, len(server.asked), rig.pacer.permits) == (1, 10, 10)


def test_retries_are_paced_like_first_tries() -> None:
    replies = [page(500), error("Over quota"), answer(429), short(b"{", 9), reset, OK]
    policy = POLICY.model_copy(update={"max_attempts": 9})
    with Loopback(*replies) as server, aqicn(server.url, policy) as rig:
        assert rig.fetch() == RECORDS
    assert rig.pacer.permits == len(server.asked) == 6


# --- no, in words -----------------------------------------------------------------------------


def test_an_invalid_key_ends_the_run_after_one_request() -> None:
    got, requests = failing(error("Invalid key"))
    assert isinstance(got, AqicnApiError)
    assert (got.scope, requests) == (Scope.RUN, 1)
    assert "Invalid key" in got.message
    assert "AQICN_API_KEY" in got.hint


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_ends_the_run_after_one_request(status: int) -> None:
    got, requests = failing(page(status))
    assert (got.scope, requests) == (Scope.RUN, 1)
    assert "AQICN_API_KEY" in got.hint


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(error("Unknown station"), id="Unknown station"),
        pytest.param(error("no such station"), id="no such station"),
        pytest.param(
            says({"status": "ok", "data": {"status": "error", "msg": "Unknown ID"}}),
            id="an error inside an ok",
        ),
        pytest.param(error("Invalid start"), id="senseless"),
        pytest.param(answer(400, b"Bad request"), id="HTTP 400"),
    ],
)
def test_an_unknown_station_concerns_that_station_and_is_asked_once(reply: Scripted) -> None:
    got, requests = failing(reply)
    assert isinstance(got, AqicnApiError)
    assert (got.scope, requests) == (Scope.STATION, 1)


def test_over_quota_is_throttling_and_holds_everyone_back() -> None:
    with (
        Loopback(error("Over quota"), OK) as server,
        aqicn(server.url) as rig,
        capture_logs() as logs,
    ):
        assert rig.fetch() == RECORDS
    assert rig.pacer.permits == len(server.asked) == 2
    assert [line["event"] for line in logs].count("source.throttled") == 1


def test_over_quota_without_end_ends_the_run() -> None:
    policy = POLICY.model_copy(update={"throttled_max_s": 0.05})
    with Loopback(error("Over quota")) as server, aqicn(server.url, policy) as rig:
        got = rig.failure()
    assert isinstance(got, AqicnRateLimitError)
    assert got.scope is Scope.RUN
    assert "Over quota" in got.message
    assert len(server.asked) >= 2


@pytest.mark.parametrize(
    "nested",
    [
        lambda no: [{"status": "error", "msg": no}],
        lambda no: [{"status": "error", "data": no}],
        lambda no: [{"status": "error", "message": no}],
        lambda no: [{"msg": no}],
        lambda no: [{"error": no}],
        lambda no: [no],
        lambda no: [[{"status": "error", "msg": no}]],
        lambda no: [*RECORDS, {"status": "error", "msg": no}],
        lambda no: {"status": "error", "msg": no},
        lambda no: {"status": "error", "data": {"msg": no}},
        lambda no: {"status": "error", "data": [no]},
        lambda no: {"message": no},
        lambda no: {"data": [{"status": "error", "msg": no}]},
        lambda no: no,
    ],
)
def test_a_refusal_means_the_same_however_deep_in_the_answer_it_stands(nested: Any) -> None:
    for text, scope in (
        ("Invalid key", Scope.RUN),
        ("Unknown station", Scope.STATION),
        ("Unknown ID", Scope.STATION),
    ):
        for content in ({"status": "ok", "data": nested(text)}, nested(text)):
            got, requests = failing(says(content))
            assert (got.scope, requests) == (scope, 1), content
            assert text in got.message
    quota = says({"status": "ok", "data": nested("Over quota")})
    with Loopback(quota, OK) as server, aqicn(server.url) as rig, capture_logs() as logs:
        assert rig.fetch() == RECORDS
    assert [line["event"] for line in logs].count("source.throttled") == 1


def test_words_nobody_has_recorded_are_tried_again() -> None:
    got, requests = failing(error("The moon is in the wrong house"))
    assert (got.scope, requests) == (Scope.STATION, 3)
    assert "'The moon is in the wrong house'" in got.message


NO_HISTORY = [
    pytest.param(says({"status": "error", "message": "404"}), id="404 in words"),
    pytest.param(says({"status": "error", "message": "404"}, 404), id="HTTP 404, JSON"),
    pytest.param(page(404), id="HTTP 404"),
    pytest.param(page(410), id="HTTP 410"),
]


@pytest.mark.parametrize("reply", NO_HISTORY)
def test_no_history_endpoint_ends_the_run_and_names_setting_and_way_out(reply: Scripted) -> None:
    got, requests = failing(reply)
    assert (got.scope, requests) == (Scope.RUN, 1)
    assert "source.history.path=/feed/{feed}/history" in got.message
    assert "source=airnow" in got.hint


@pytest.mark.parametrize("reply", NO_HISTORY)
def test_after_a_success_no_history_concerns_the_station_only(reply: Scripted) -> None:
    with Loopback(OK, reply) as server, aqicn(server.url) as rig:
        rig.fetch()
        assert rig.failure(CITIZEN).scope is Scope.STATION
    assert len(server.asked) == 2


@pytest.mark.parametrize("data", [{"aqi": 45}, {"aqi": "-", "idx": 1583, "time": {"v": 1}}])
def test_one_present_observation_is_no_history_and_ends_the_run(data: dict[str, Any]) -> None:
    got, requests = failing(says({"status": "ok", "data": data}))
    assert (got.scope, requests) == (Scope.RUN, 1)
    assert "present observation" in got.message
    assert "source=airnow" in got.hint


# --- no, as recorded --------------------------------------------------------------------------


def recorded(*, present: bool) -> list[Any]:
    """Return the recorded answers that do (or do not) hold a present observation."""
    found = []
    for file in sorted(FEEDS.glob("*.json")):
        data = json.loads(file.read_bytes()).get("data")
        if not isinstance(data, list) and (isinstance(data, dict) and "aqi" in data) is present:
            found.append(pytest.param(file, id=file.stem))
    return found or [pytest.param(FEEDS, marks=needs_feeds, id="none")]


@pytest.mark.parametrize("file", recorded(present=True))
def test_the_present_observation_is_never_taken_for_history(file: Path) -> None:
    with Loopback(answer(200, file.read_bytes())) as server, aqicn(server.url) as rig:
        got = rig.failure()
    assert (got.scope, len(server.asked)) == (Scope.RUN, 1)
    assert "present observation" in got.message
    assert "source=airnow" in got.hint


@pytest.mark.parametrize("file", recorded(present=False))
def test_recorded_refusals_are_understood(file: Path) -> None:
    got, requests = failing(answer(200, file.read_bytes()))
    expected = Scope.RUN if file.stem == "unauthenticated" else Scope.STATION
    assert (got.scope, requests) == (expected, 1)


# --- no, by HTTP ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_ends_the_run_and_the_key_does_not_travel(status: int) -> None:
    with Loopback(OK) as target:
        got, requests = failing(answer(status, b"", {"Location": f"{target.url}/feed"}))
        assert (target.asked, target.connections) == ([], 0)
    assert (got.scope, requests) == (Scope.RUN, 1)
    assert f"HTTP {status}" in got.message
    assert "source.base_url" in got.hint


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {}),
        (429, {"Retry-After": "0"}),
        (429, {"Retry-After": "never"}),
        (503, {"Retry-After": "0"}),
        (
            429,
            {
                "Date": "Sat, 03 Feb 2001 04:05:06 GMT",  # the wait is none; by our clock too
                "Retry-After": "Sat, 03 Feb 2001 04:05:06 GMT",
            },
        ),
    ],
)
def test_throttling_by_http_holds_everyone_back_and_does_not_count(
    status: int, headers: dict[str, str]
) -> None:
    throttled = answer(status, b"", headers)
    policy = POLICY.model_copy(update={"max_attempts": 1})
    with (
        Loopback(throttled, throttled, OK) as server,
        aqicn(server.url, policy) as rig,
        capture_logs() as logs,
    ):
        assert rig.fetch() == RECORDS
    assert rig.pacer.permits == len(server.asked) == 3
    assert "source.throttled" in [line["event"] for line in logs]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "61"},
        {
            "Date": "Sat, 03 Feb 2001 04:05:06 GMT",
            "Retry-After": "Sat, 03 Feb 2001 04:06:07 GMT",
        },
        {
            "Date": "Sun, 03 Feb 2115 04:05:06 GMT",
            "Retry-After": "Sun, 03 Feb 2115 04:06:07 GMT",
        },
    ],
    ids=["seconds", "date of a slow clock", "date of a fast clock"],
)
def test_a_wait_beyond_throttled_max_ends_the_run_at_once(
    status: int, headers: dict[str, str]
) -> None:
    got, requests = failing(answer(status, b"", headers))
    assert isinstance(got, AqicnRateLimitError)
    assert (got.scope, got.retry_after_s, requests) == (Scope.RUN, 61, 1)
    assert "asks to wait 61 s" in got.message


TRANSIENT: dict[str, Scripted] = {
    **{f"HTTP {status}": page(status) for status in (408, 425, 500, 502, 503, 504, 599)},
    "page": page(200),
    "truncated JSON": answer(200, b'{"status": "ok", "data": [{"current_aqi'),
    "short body": short(b'{"status": "ok", "data": [', 100),
    "reset": reset,
    "silence": silence,
    "no HTTP": raw(b"\x00\x01\x02"),
    "empty body": answer(200, b""),
    "invalid UTF-8": answer(200, b'{"status": "ok", "data": ["\xff\xfe\xfa"]}'),
    "deeply nested": answer(200, b'{"status": "ok", "data": ' + b"[" * 200_000),
    "deep and whole": answer(200, b"[" * 100_000 + b"]" * 100_000),
    "huge int": answer(200, b'{"status": "ok", "data": [%s]}' % (b"9" * 10_000)),
    "list": says([]),
    "text": says("ok"),
    "number": answer(200, b"NaN"),
    "null": says(None),
    "data null": says({"status": "ok", "data": None}),
    "no data": says({"status": "ok"}),
    "data empty": says({"status": "ok", "data": {}}),
    "data text": says({"status": "ok", "data": "ok"}),
    "no status": says({"data": RECORDS}),
    "status null": says({"status": None, "data": RECORDS}),
    "status list": says({"status": [], "data": []}),
    "unknown words": error("moon"),
    "no words": error(None),
    "long words": error("x" * 10_000),
    "control characters": error("a\x1b[31m\r\nb\ud800"),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_what_may_pass_is_tried_again_and_passes(name: str) -> None:
    with Loopback(TRANSIENT[name], OK) as server, aqicn(server.url, timeouts=TIMEOUTS) as rig:
        assert rig.fetch() == RECORDS
        assert rig.pacer.permits == len(server.asked) == 2


@pytest.mark.parametrize("name", TRANSIENT)
def test_what_stays_is_given_up_for_the_station_after_max_attempts(name: str) -> None:
    got, requests = failing(TRANSIENT[name])
    assert (got.scope, requests) == (Scope.STATION, 3)
    assert got.message.endswith("(given up after 3 tries)")
    assert len(got.message) < 300
    assert got.message.isprintable()


def test_nan_is_a_record_to_be_judged_later() -> None:
    reply = answer(200, b'{"status": "ok", "data": [{"current_aqi": NaN}]}')
    with Loopback(reply) as server, aqicn(server.url) as rig:
        (record,) = rig.fetch()
    assert record["current_aqi"] != record["current_aqi"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("page", "bytes of text/html)"),
        ("empty body", "not JSON (0 bytes of no content type)"),
        ("list", "JSON, but no object"),
        ("data null", "holds no list of records"),
        ("HTTP 502", "HTTP 502 Bad Gateway"),
        ("no words", "nothing of why"),
        ("reset", "Connection reset by peer"),
        ("silence", "no answer from http://127.0.0.1"),
    ],
)
def test_the_error_says_what_came(name: str, words: str) -> None:
    got, _ = failing(TRANSIENT[name])
    assert words in got.message


def test_a_host_out_of_reach_is_no_stations_fault_and_ends_the_run() -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        with aqicn(f"http://127.0.0.1:{bound.getsockname()[1]}") as rig:
            got = rig.failure()
    assert (got.scope, rig.pacer.permits) == (Scope.RUN, 3)
    assert "Connection refused" in got.message


# --- the key ----------------------------------------------------------------------------------


def echo(handler: Any) -> None:
    """Say no, quoting the request as some servers do."""
    error(f"bad request: {handler.path}")(handler)


def echo_key(handler: Any) -> None:
    error(f"Invalid key {CANARY}")(handler)


FAILURES: dict[str, Scripted] = {
    **TRANSIENT,
    "invalid key": error("Invalid key"),
    "over quota": error("Over quota"),
    "unknown station": error("Unknown station"),
    "404 in words": says({"status": "error", "message": "404"}),
    "present": says({"status": "ok", "data": {"aqi": 1}}),
    **{f"HTTP {status}": page(status) for status in (400, 401, 403, 404, 429)},
    "redirect": answer(301, b"", {"Location": "http://127.0.0.1:9/"}),
    "redirect to a broken address": answer(301, b"", {"Location": "http://[::1"}),
    "long wait": answer(429, b"", {"Retry-After": "99999"}),
    "not gzip": answer(200, b"plain", {"Content-Encoding": "gzip"}),
    "endless header": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    "echo": echo,
    "echo of the key": echo_key,
}


def spellings_in(text: str) -> list[str]:
    spellings = {CANARY, quote(CANARY), quote(CANARY, safe=""), CANARY.replace(" ", "+")}
    return sorted(found for found in {*spellings, "CANARY-7f3"} if found in text)


def everything_said(got: BaseException) -> str:
    said = "".join(traceback.format_exception(got))
    details = f"{got} {got!r} {got.args!r} {got.__dict__!r} {pickle.dumps(got)!r}"
    return said + details


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_tells_the_key_to_anyone(name: str) -> None:
    policy = POLICY.model_copy(update={"throttled_max_s": 0.02})
    with Loopback(FAILURES[name]) as server, capture_logs() as logs:
        with aqicn(server.url, policy, TIMEOUTS) as rig:
            got = rig.failure()
        assert server.asked[0].query["token"] == CANARY
    assert spellings_in(everything_said(got)) == []
    assert spellings_in(repr(logs)) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://*.x:99999999", f"http://{CANARY}/"])
def test_no_address_that_is_not_reached_tells_the_key(url: str) -> None:
    with aqicn(url) as rig, capture_logs() as logs:
        got = rig.failure()
    assert spellings_in(everything_said(got)) == []
    assert spellings_in(repr(logs)) == []


def test_success_tells_the_key_to_no_log() -> None:
    with Loopback(OK) as server, aqicn(server.url) as rig, capture_logs() as logs:
        rig.fetch()
    assert [line["event"] for line in logs] == ["request.answered"]
    assert spellings_in(repr(logs)) == []


def test_the_source_itself_prints_no_key() -> None:
    with aqicn("http://127.0.0.1:1") as rig:
        assert spellings_in(repr(vars(rig.source))) == []


# --- whatever comes ---------------------------------------------------------------------------


def read(reply: Reply) -> None:
    """Read a reply; anything but a list or a SourceError fails the test."""
    with aqicn("http://127.0.0.1:1") as rig:
        try:
            read_from = rig.source._reader.read(reply)
        except SourceError as caught:
            refused = caught
        else:
            assert type(read_from) is list
            return
    assert refused.message.isprintable()
    assert len(refused.message) < 400


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["ok", "error", "Invalid key", "Over quota", "404", "Unknown ID"])
)
names = st.sampled_from(["status", "data", "msg", "message", "aqi"])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names | st.text(max_size=3), inner, max_size=5)
    ),
)
statuses = st.just("ok") | values
contents = values | st.fixed_dictionaries({"status": statuses, "data": values}) | values


@given(contents)
@example({"status": "ok", "data": {"status": {}, "msg": [], "data": {}}})
def test_any_json_gives_a_list_or_a_source_error(content: Any) -> None:
    read(Reply(200, CaseInsensitiveDict(), json.dumps(content).encode()))


@given(st.binary() | st.text().map(str.encode))
@example(b'"\xed\xa0\x80"')
@example("[1]".encode("utf-16"))
@example(b"\x00\x00\xfe\xff[")
def test_any_body_gives_a_list_or_a_source_error(body: bytes) -> None:
    read(Reply(200, CaseInsensitiveDict(), body))


@given(
    st.sampled_from([int(status) for status in HTTPStatus]) | st.integers(100, 999),
    st.dictionaries(st.sampled_from(["Retry-After", "Content-Type", "Date"]), st.text()),
    st.binary(),
)
def test_any_status_and_headers_give_a_list_or_a_source_error(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    read(Reply(status, CaseInsensitiveDict(headers), body))


@given(contents)
@example({"data": [0.1, -0.0, 1e16, 2**63, "\ud800", float("inf")]})
@example([-(2**63) - 1, float("inf")])
def test_what_an_answer_says_is_read_to_the_letter(content: Any) -> None:
    body = json.dumps(content).encode()
    made = aqicn_answers._parsed(Reply(200, CaseInsensitiveDict(), body))

    assert repr(made) == repr(content)
