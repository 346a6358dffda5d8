"""The HTTP client on real sockets: tries, waits, throttling, faults of the wire, secrets."""

from __future__ import annotations

import gc
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Self

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from structlog.testing import capture_logs

from runner import __version__
from runner.config.source import Retry
from runner.core.errors import Scope, SourceError, StoppedError, ThrottledError
from runner.process.secrets import Secret
from runner.process.stop import StopFlag
from runner.sources.http import LARGEST_BODY, HttpClient, Reply, Timeouts
from runner.sources.pacing import Pacer
from tests.sources.loopback import (
    PATIENT,
    POLICY,
    TIMEOUTS,
    Loopback,
    Scripted,
    answer,
    drip,
    page,
    raw,
    reset,
    short,
    silence,
)

OK = answer(200, b"fine")
ONCE = POLICY.model_copy(update={"max_attempts": 1})


def body(reply: Reply) -> bytes:
    """Read a reply as the simplest of sources would."""
    if reply.status == 429:
        raise ThrottledError("throttled", retry_after_s=reply.retry_after_s)
    if reply.status >= 500:
        raise SourceError(f"HTTP {reply.status}")
    if reply.status == 404:
        raise SourceError("missing", scope=Scope.STATION)
    return reply.body


@dataclass
class Caller:
    client: HttpClient
    pacer: Pacer
    stop: StopFlag

    def get(self, path: str = "/x", params: Mapping[str, str] | None = None) -> bytes:
        return self.client.get(path, params or {}, {}, body)

    def failure(self) -> SourceError:
        with pytest.raises(SourceError) as caught:
            self.get()
        return caught.value


@contextmanager
def calling(url: str, policy: Retry = POLICY, timeouts: Timeouts = PATIENT) -> Iterator[Caller]:
    stop = StopFlag()
    pacer = Pacer(0, stop)
    client = HttpClient(url, pacer, stop, str, policy, timeouts)
    try:
        yield Caller(client, pacer, stop)
    finally:
        client.close()


def in_background(what: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start it; return its thread, and where its result or its error will be."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(what())
        except Exception as error:  # noqa: BLE001 - handed to the test
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


# --- one request ------------------------------------------------------------------------------


def test_a_get_asks_for_path_and_parameters_and_gives_what_read_makes_of_the_reply() -> None:
    with Loopback(OK) as server, calling(server.url + "/") as caller:
        got = caller.client.get(
            "/feed/@1", {"a": "1 2", "b": "ü&"}, {"key": Secret("s+/=")}, lambda r: (r.status, r)
        )
    assert (got[0], got[1].body) == (200, b"fine")
    assert server.asked[0].path == "/feed/@1"
    assert server.asked[0].query == {"a": "1 2", "b": "ü&", "key": "s+/="}


def test_requests_say_which_program_asks() -> None:
    with Loopback(OK) as server, calling(server.url) as caller:
        caller.get()
    assert server.asked[0].headers["user-agent"] == f"air-quality-backfill-runner/{__version__}"


def test_one_connection_serves_many_requests_and_failures_too() -> None:
    replies = [OK, page(500), answer(429, b"later", {"Retry-After": "0"}), answer(404, b"no"), OK]
    policy = POLICY.model_copy(update={"backoff_max_s": 0.001})
    with Loopback(*replies) as server, calling(server.url, policy) as caller:
        caller.get()
        caller.failure()
        for _ in range(20):
            caller.get()
    assert len(server.asked) == 24
    assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        answer(200),
        answer(200, gzip.compress(b"fine", mtime=0), {"Content-Encoding": "gzip"}),
        answer(200, b"x" * 10**6),
        raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
            more=True,
        ),
        answer(301, b"over there", {"Location": "/y"}),
    ],
    ids=["empty", "compressed", "long", "chunked", "redirect"],
)
def test_a_connection_is_used_again_after_any_whole_body(reply: Scripted) -> None:
    with Loopback(reply) as server, calling(server.url) as caller:
        first = caller.get()
        assert [caller.get() for _ in range(3)] == [first] * 3
    assert (len(server.asked), server.connections) == (4, 1)


def test_a_connection_that_the_server_has_closed_is_made_again() -> None:
    hangs_up = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # and closes, without a word
    with Loopback(hangs_up) as server, calling(server.url) as caller:
        assert [caller.get() for _ in range(3)] == [b"ok"] * 3
    assert server.connections >= 3


def test_every_worker_has_a_connection_of_its_own_and_no_answer_is_swapped() -> None:
    def echo(handler: Any) -> None:
        answer(200, handler.path.encode())(handler)

    with Loopback(echo) as server, calling(server.url) as caller:

        def ask(worker: int) -> list[bytes]:
            return [caller.get(f"/{worker}/{number}") for number in range(20)]

        started = [in_background(lambda w=worker: ask(w)) for worker in range(8)]  # type: ignore[misc]
        for worker, (thread, result) in enumerate(started):
            thread.join()
            assert result == [[f"/{worker}/{number}".encode() for number in range(20)]]
    assert len(server.asked) == caller.pacer.permits == 160
    assert server.connections <= 8


def test_cookies_are_not_kept() -> None:
    with Loopback(answer(200, b"", {"Set-Cookie": "a=b; Path=/"})) as server:
        with calling(server.url) as caller:
            caller.get()
            caller.get()
        assert "cookie" not in server.asked[1].headers


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("gzip", gzip.compress(b"fine", mtime=0)), ("deflate", zlib.compress(b"fine"))],
)
def test_a_compressed_body_is_decompressed(encoding: str, data: bytes) -> None:
    reply = answer(200, data, {"Content-Encoding": encoding})
    with Loopback(reply) as server, calling(server.url) as caller:
        assert caller.get() == b"fine"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_reply_and_is_not_followed(status: int) -> None:
    with Loopback(OK) as target:
        reply = answer(status, b"", {"Location": f"{target.url}/there"})
        with Loopback(reply) as server, calling(server.url) as caller:
            got = caller.client.get("/x", {}, {"token": Secret("t")}, lambda reply: reply.status)
        assert got == status
        assert (len(server.asked), target.asked, target.connections) == (1, [], 0)


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "http://*/",
        "http://a:b:c/",
        "//",
        "\xff",
    ],
)
def test_a_redirect_to_nowhere_is_a_source_error_or_a_reply(location: str) -> None:
    with Loopback(answer(301, b"", {"Location": location})) as server:
        with calling(server.url, ONCE) as caller, suppress(SourceError):
            assert caller.get() == b""
        assert len(server.asked) == 1


# --- faults of the wire -----------------------------------------------------------------------

FAULTS: dict[str, Scripted] = {
    "reset": reset,
    "silence": silence,
    "short body": short(b"[1, 2", 100),
    "nothing": raw(b""),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "no status": raw(b"HTTP/1.1\r\n\r\n"),
    "endless header": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    "cut chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "bad chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"),
    "no gzip": answer(200, b"plain", {"Content-Encoding": "gzip"}),
    "stalled body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", every_s=60),
}
PASSING = [pytest.param(fault, id=name) for name, fault in FAULTS.items()]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_of_the_wire_is_tried_again_and_passes(fault: Scripted) -> None:
    with Loopback(fault, OK) as server, calling(server.url, POLICY, TIMEOUTS) as caller:
        assert caller.get() == b"fine"
        assert len(server.asked) == caller.pacer.permits == 2


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_stays_is_given_up_for_the_station_after_max_attempts(fault: Scripted) -> None:
    with Loopback(fault) as server, calling(server.url, POLICY, TIMEOUTS) as caller:
        error = caller.failure()
        assert error.scope is Scope.STATION
        assert "(given up after 3 tries)" in error.message
        assert len(server.asked) == caller.pacer.permits == 3


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_contradictory_head_is_a_fault_of_the_wire_and_not_of_ours() -> None:
    two_lengths = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nab")
    with Loopback(two_lengths) as server, calling(server.url) as caller:
        scope = caller.failure().scope
        gc.collect()  # urllib3 leaves the socket to the collector; the warning is expected here
        assert (scope, len(server.asked)) == (Scope.STATION, 3)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("reset", "Connection reset by peer"),
        ("silence", "no answer from http://127.0.0.1"),
        ("no gzip", "cannot be decompressed"),
    ],
)
def test_the_error_says_what_happened(fault: str, words: str) -> None:
    with Loopback(FAULTS[fault]) as server, calling(server.url, ONCE, TIMEOUTS) as caller:
        assert words in caller.failure().message


def test_a_refused_connection_ends_the_run_after_all_tries_and_says_so() -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        with calling(f"http://127.0.0.1:{bound.getsockname()[1]}") as caller:
            error = caller.failure()
    assert error.scope is Scope.RUN
    assert "Connection refused" in error.message
    assert "3 tries" in error.message
    assert caller.pacer.permits == 3


def test_a_person_is_told_at_the_first_try_that_the_host_cannot_be_reached() -> None:
    with calling("http://127.0.0.1:1") as caller, capture_logs() as logs:
        caller.failure()
    told = [entry for entry in logs if entry["event"] == "source.unreachable"]
    assert [entry["log_level"] for entry in told] == ["warning"]


def test_an_address_that_cannot_be_asked_ends_the_run_without_another_try() -> None:
    with calling("http://*.example:99999999") as caller:
        assert caller.failure().scope is Scope.RUN
    assert caller.pacer.permits == 1


def test_a_body_too_large_is_cut_off_even_if_it_came_compressed() -> None:
    bomb = gzip.compress(bytes(LARGEST_BODY + 1), compresslevel=1)
    reply = answer(200, bomb, {"Content-Encoding": "gzip"})
    with Loopback(reply) as server, calling(server.url, ONCE) as caller:
        assert "larger than 64 MB" in caller.failure().message


@pytest.mark.parametrize(
    ("head", "chunked"),
    [
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", True, id="chunked"),
        pytest.param(b"Content-Length: 9999\r\n\r\n", False, id="of known length"),
        pytest.param(b"\r\n", False, id="until the end"),
    ],
)
def test_an_answer_that_drips_on_for_ever_is_cut_off(head: bytes, chunked: bool) -> None:
    reply = drip(b"HTTP/1.1 200 OK\r\n" + head, chunked=chunked)
    with Loopback(reply) as server, calling(server.url, ONCE, Timeouts(0.05, 0.05)) as caller:
        thread, result = in_background(caller.get)
        thread.join(timeout=60)
        cut_off = not thread.is_alive()
        server.over.set()
        thread.join()
    assert cut_off
    assert isinstance(result[0], SourceError)


@pytest.mark.parametrize(
    ("head", "piece", "every_s"),
    [
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, id="go on, says it"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0, id="go on, says it all the time"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n", 0.01, id="lines of an interim head"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.04, id="lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.01, id="one line"),
        pytest.param(b"", b"H", 0.01, id="the status line"),
    ],
)
def test_a_head_that_never_ends_is_cut_off_when_its_time_is_over(
    head: bytes, piece: bytes, every_s: float
) -> None:
    reply = drip(head, piece=piece, every_s=every_s)
    with Loopback(reply) as server, calling(server.url, ONCE, Timeouts(0.05, 0.05)) as caller:
        thread, result = in_background(caller.get)
        thread.join(timeout=60)
        cut_off = not thread.is_alive()
        server.over.set()
        thread.join()
    assert cut_off
    assert isinstance(result[0], SourceError)
    assert result[0].scope is Scope.STATION
    assert "not complete after 0.5 s" in result[0].message


def test_a_redirect_whose_body_drips_on_for_ever_is_cut_off() -> None:
    head = b"HTTP/1.1 301 Moved\r\nLocation: /y\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply = drip(head, chunked=True)
    with Loopback(reply) as server, calling(server.url, ONCE, Timeouts(0.05, 0.05)) as caller:
        thread, _ = in_background(caller.get)
        thread.join(timeout=60)
        cut_off = not thread.is_alive()
        server.over.set()
        thread.join()
    assert cut_off


# --- tries and waits --------------------------------------------------------------------------


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
def test_no_more_than_max_attempts_are_made(max_attempts: int) -> None:
    policy = POLICY.model_copy(update={"max_attempts": max_attempts})
    with Loopback(page(503)) as server, calling(server.url, policy) as caller:
        error = caller.failure()
    assert error.scope is Scope.STATION
    assert len(server.asked) == caller.pacer.permits == max_attempts
    tries = "1 try" if max_attempts == 1 else f"{max_attempts} tries"
    assert error.message == f"HTTP 503 (given up after {tries})"


def test_tries_end_when_their_time_is_used_up() -> None:
    policy = POLICY.model_copy(update={"max_attempts": 10**6, "max_elapsed_s": 0.02})
    with Loopback(page(500)) as server, calling(server.url, policy) as caller:
        assert caller.failure().scope is Scope.STATION
    assert len(server.asked) >= 2


def test_a_slow_try_uses_up_the_time_for_tries() -> None:
    policy = POLICY.model_copy(update={"max_elapsed_s": 0.2})
    with Loopback(silence) as server, calling(server.url, policy, TIMEOUTS) as caller:
        assert "(given up after 1 try)" in caller.failure().message
    assert len(server.asked) == 1


def test_waiting_for_the_pacer_does_not_use_up_the_time_for_tries() -> None:
    policy = POLICY.model_copy(update={"max_elapsed_s": 0.5})
    with Loopback(page(500), page(500), OK) as server, calling(server.url, policy) as caller:
        caller.pacer.pause(0.6)
        assert caller.get() == b"fine"


@pytest.mark.parametrize("scope", [Scope.STATION, Scope.RUN])
def test_an_answer_that_is_final_is_not_asked_for_again(scope: Scope) -> None:
    def read(_: Reply) -> None:
        raise SourceError("final", scope=scope)

    with Loopback(OK) as server, calling(server.url) as caller:
        with pytest.raises(SourceError, match=r"^final$") as caught:
            caller.client.get("/x", {}, {}, read)
        assert caught.value.scope is scope
        assert len(server.asked) == 1


def test_an_error_that_is_none_of_ours_is_not_tried_again() -> None:
    def read(_: Reply) -> None:
        raise ZeroDivisionError

    with Loopback(OK) as server, calling(server.url) as caller:
        with pytest.raises(ZeroDivisionError):
            caller.client.get("/x", {}, {}, read)
        assert len(server.asked) == 1


def test_a_stop_during_a_backoff_ends_it_at_once() -> None:
    throttled = answer(429, b"", {"Retry-After": "50"})
    with Loopback(throttled) as server, calling(server.url) as caller:
        thread, result = in_background(caller.get)
        wait_until(lambda: not caller.pacer.pause(0.0))  # a longer pause is on: it waits
        caller.stop.ask()
        thread.join(timeout=20)
        assert not thread.is_alive()
        assert isinstance(result[0], StoppedError)
        assert len(server.asked) == 1


def test_after_a_stop_nothing_is_asked() -> None:
    with Loopback(OK) as server, calling(server.url) as caller:
        caller.stop.ask()
        with pytest.raises(StoppedError):
            caller.get()
        assert (server.asked, caller.pacer.permits) == ([], 0)


def test_every_try_is_logged_with_its_context() -> None:
    with Loopback(page(500), OK) as server, calling(server.url) as caller, capture_logs() as logs:
        caller.client.get("/x", {}, {}, body, station_idx=7)
    assert [(line["event"], line["attempt"], line["station_idx"]) for line in logs] == [
        ("request.failed", 1, 7),
        ("request.answered", 2, 7),
    ]


# --- throttling -------------------------------------------------------------------------------


def test_throttled_tries_do_not_count_as_attempts() -> None:
    throttled = answer(429)
    replies = [page(500), *[throttled] * 9, page(500), *[throttled] * 9, OK]
    with Loopback(*replies) as server, calling(server.url) as caller:
        assert caller.get() == b"fine"
    assert len(server.asked) == caller.pacer.permits == 21


def test_retry_after_holds_everyone_back_and_no_one_sooner() -> None:
    throttled = answer(429, b"", {"Retry-After": "1"})
    with Loopback(throttled, OK) as server, calling(server.url) as caller, capture_logs() as logs:
        first, _ = in_background(caller.get)
        wait_until(lambda: not caller.pacer.pause(0.0))
        caller.get()
        first.join()
    refused, *later = [asked.at for asked in server.asked]
    assert len(later) == 2
    assert min(later) - refused >= 1
    assert [line["event"] for line in logs].count("source.throttled") == 1


def test_without_retry_after_the_pause_is_a_backoff() -> None:
    with (
        Loopback(answer(429), OK) as server,
        calling(server.url) as caller,
        capture_logs() as logs,
    ):
        assert caller.get() == b"fine"
    assert len(server.asked) == 2
    assert [line["wait_s"] <= 0.01 for line in logs if line["event"] == "source.throttled"] == [
        True
    ]


def test_throttling_without_end_ends_the_run() -> None:
    policy = POLICY.model_copy(update={"throttled_max_s": 0.05})
    with Loopback(answer(429)) as server, calling(server.url, policy) as caller:
        error = caller.failure()
    assert isinstance(error, ThrottledError)
    assert error.scope is Scope.RUN
    assert "source.retry.throttled_max_s=0.05 s is used up" in error.message
    assert "rate_limit=gentle" in error.hint
    assert len(server.asked) >= 2


@pytest.mark.parametrize("asked", ["61", "86400", "999999999999999999999"])
def test_a_retry_after_beyond_throttled_max_ends_the_run_at_once(asked: str) -> None:
    reply = answer(429, b"", {"Retry-After": asked})
    with Loopback(reply) as server, calling(server.url) as caller:
        error = caller.failure()
        assert error.scope is Scope.RUN
        assert "asks to wait" in error.message
        assert len(server.asked) == 1
        assert caller.pacer.pause(0.0)  # nobody is held back by it


def test_an_answer_to_anyone_ends_the_throttled_time() -> None:
    policy = POLICY.model_copy(update={"throttled_max_s": 0.5})
    replies = [answer(429), OK, answer(429), OK]
    with Loopback(*replies) as server, calling(server.url, policy) as caller:
        caller.get()
        time.sleep(0.6)
        assert caller.get() == b"fine"


def test_an_answer_that_says_no_ends_the_throttled_time_too() -> None:
    policy = POLICY.model_copy(update={"throttled_max_s": 0.5})
    replies = [answer(429), answer(404), answer(429), OK]
    with Loopback(*replies) as server, calling(server.url, policy) as caller:
        assert caller.failure().scope is Scope.STATION
        time.sleep(0.6)
        assert caller.get() == b"fine"


# --- Retry-After ------------------------------------------------------------------------------

NOW = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


def reply_with(**headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(429, CaseInsensitiveDict(named), b"")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_servers_clock(
    text: str, seconds: float | None
) -> None:
    reply = reply_with(Retry_After=text, Date=format_datetime(NOW, usegmt=True))
    assert reply.retry_after_s == seconds


def test_a_retry_after_date_without_a_date_of_the_answer_says_nothing() -> None:
    assert reply_with(Retry_After=format_datetime(NOW, usegmt=True)).retry_after_s is None
    assert reply_with().retry_after_s is None


header_dates = st.builds(
    "{}, {} Jan {} {}:00:00 {}".format,
    st.sampled_from(["Mon", "x"]),
    st.integers(-1, 99) | st.integers(),
    st.integers(0, 10**5) | st.integers(),
    st.integers(0, 99) | st.integers(),
    st.sampled_from(["GMT", "+0000", "-9999", "+9999999999999999999", "", "EST"]),
)


@given(
    st.text() | header_dates,
    st.text() | header_dates | st.just(format_datetime(NOW, usegmt=True)),
)
@example("Mon, 01 Jan 0001 00:00:00 +1400", "Mon, 01 Jan 9999 23:00:00 -1400")
@example("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", format_datetime(NOW, usegmt=True))
@example("Mon, 01 Jan 2024 00:00:00 +9999999999999999999", format_datetime(NOW, usegmt=True))
def test_any_retry_after_gives_a_wait_or_nothing(text: str, date: str) -> None:
    seconds = reply_with(Retry_After=text, Date=date).retry_after_s
    assert seconds is None or seconds >= 0


def test_the_content_type_is_told_without_parameters() -> None:
    assert reply_with(Content_Type="text/html; charset=utf-8").content_type == "text/html"
    assert reply_with().content_type == "no content type"


# --- proxies ----------------------------------------------------------------------------------


class Tunnel:
    """A proxy that answers every CONNECT with one status."""

    def __init__(self, status: int) -> None:
        self._reply = b"HTTP/1.1 %d Go away\r\nContent-Length: 0\r\n\r\n" % status
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = self._socket.getsockname()[1]
        self.asked = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _address = self._socket.accept()
                with connection:
                    self.asked += connection.recv(65536).startswith(b"CONNECT ")
                    connection.sendall(self._reply)


PROXIES = [f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")]


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def by_proxy(proxy: str) -> str:
    """Return the address of a proxy with a user and a password that must stay unseen."""
    return proxy.replace("http://", "http://user:hidden-word@")


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_that_wants_a_password_ends_the_run_and_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with Loopback(answer(407)) as proxy:
        monkeypatch.setenv(variable, by_proxy(proxy.url))
        with calling("http://api.example.org") as caller:
            got = caller.failure()
        assert len(proxy.asked) == 1
    assert got.scope is Scope.RUN
    assert proxy.url.removeprefix("http://") in got.message
    assert variable in got.message
    assert "NO_PROXY" in got.hint
    assert "hidden-word" not in f"{got.message} {got.hint}"


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize(("status", "tries"), [(407, 1), (403, 1), (503, 3)])
def test_a_proxy_that_makes_no_tunnel_ends_the_run_and_is_named(
    monkeypatch: pytest.MonkeyPatch, status: int, tries: int
) -> None:
    with Tunnel(status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hidden-word@127.0.0.1:{proxy.port}")
        with calling("https://api.example.org") as caller:
            got = caller.failure()
        assert proxy.asked == tries
    assert got.scope is Scope.RUN
    assert f"127.0.0.1:{proxy.port} (HTTPS_PROXY)" in got.message
    assert f"HTTP {status}" in got.message
    assert "hidden-word" not in f"{got.message} {got.hint}"


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("url", ["http://api.example.org", "https://api.example.org"])
def test_a_proxy_out_of_reach_ends_the_run_and_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("ALL_PROXY", f"http://user:hidden-word@{place}")
        with calling(url) as caller:
            got = caller.failure()
    assert got.scope is Scope.RUN
    assert f"{place} (ALL_PROXY)" in got.message
    assert "hidden-word" not in f"{got.message} {got.hint}"


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("proxy", ["http://", "http://[::1", "http://user:hidden-word@h:99999"])
def test_a_proxy_that_is_no_address_ends_the_run_and_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with calling("http://api.example.org") as caller:
        got = caller.failure()
    assert got.scope is Scope.RUN
    assert "HTTP_PROXY" in got.message
    assert "hidden-word" not in f"{got.message} {got.hint}"


@pytest.mark.usefixtures("_no_proxies")
def test_a_host_in_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Loopback(OK) as server, calling(server.url) as caller:
        assert caller.get() == b"fine"


@pytest.mark.parametrize("value", ["first\nsecond", "kh\u00f3a-\u0111"])
def test_a_header_that_cannot_be_sent_ends_the_run_and_stays_unseen(value: str) -> None:
    stop = StopFlag()
    with Loopback(OK) as server:
        client = HttpClient(
            server.url,
            Pacer(0, stop),
            stop,
            str,
            POLICY,
            PATIENT,
            secret_headers={"X-API-Key": Secret(value)},
        )
        with pytest.raises(SourceError) as caught:
            client.get("/x", {}, {}, body)
        client.close()
        assert server.asked == []
    assert caught.value.scope is Scope.RUN
    assert value not in caught.value.message
