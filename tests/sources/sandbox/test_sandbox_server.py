"""The server as a server: counts, connections, addresses, close."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from datetime import UTC, datetime

import pytest
import requests

from runner.core.errors import ConfigError
from runner.core.intervals import Interval, hour_of, iso
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.values import Record, Replay

STATIONS = {1583: "Hà Nội", -476599: "Phố Nguyễn Đình Thi"}
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))


def ask_history(server: Sandbox, session: requests.Session, feed: str, start: int) -> None:
    query = {"start": iso(start), "end": iso(start + 24), "token": "t"}
    session.get(f"{server.url}/feed/{feed}/history", params=query, timeout=30)


def test_stats_tell_what_was_asked_and_what_was_asked_twice() -> None:
    with Sandbox(STATIONS, Climatology()) as server, requests.Session() as session:
        ask_history(server, session, "@1583", START + 24)
        ask_history(server, session, "@1583", START)
        ask_history(server, session, "@1583", START)
        ask_history(server, session, "A476599", START)
        ask_history(server, session, "@5", START)
        for path in ("/feed/@1583/", "/search/", "/map/bounds/", "/nowhere"):
            session.get(f"{server.url}{path}?token=t", timeout=30)
        over_http = session.get(f"{server.url}/_stats", timeout=30).json()
        assert over_http == server.stats()
    day = "2023-01-01T00:00:00Z", "2023-01-02T00:00:00Z", "2023-01-03T00:00:00Z"
    assert over_http == {
        "requests": 9,
        "routes": {
            "history": 5,
            "feed": 1,
            "search": 1,
            "bounds": 1,
            "openaq": 0,
            "unknown": 1,
        },
        "outcomes": {
            "ok": 6,
            "rate_429": 0,
            "rate_5xx": 0,
            "rate_timeout": 0,
            "rate_truncated": 0,
            "rate_over_quota": 0,
            "rate_wrong": 0,
            "quota": 0,
            "error": 3,
        },
        "windows": {
            "-476599": [[day[0], day[1], 1]],
            "1583": [[day[0], day[1], 2], [day[1], day[2], 1]],
        },
    }


def test_a_connection_is_kept_alive_over_many_answers() -> None:
    with (
        Sandbox(STATIONS, Climatology()) as server,
        socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.settimeout(30)
        for path in ("/feed/@1583/?token=t", "/nowhere", "/_stats", "/feed//x"):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert stream.readline().startswith(b"HTTP/1.1 ")
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name == b"Content-Length" else length
            assert len(stream.read(length)) == length


def test_small_answers_are_not_delayed() -> None:
    with Sandbox(STATIONS, Climatology()) as server, requests.Session() as session:
        taken = []
        for _ in range(30):
            begun = time.perf_counter()
            session.get(f"{server.url}/nowhere", timeout=30)
            taken.append(time.perf_counter() - begun)
    assert statistics.median(taken) < 0.035  # Nagle against delayed ACK costs 40 ms


def test_close_ends_idle_connections_and_their_threads() -> None:
    before = threading.active_count()
    with requests.Session() as session:
        server = Sandbox(STATIONS, Climatology()).start()
        url = server.url
        session.get(f"{url}/nowhere", timeout=30)
        server.close()
        server.close()
        deadline = time.monotonic() + 30
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threading.active_count() <= before
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(f"{url}/nowhere", timeout=30)
        with pytest.raises(RuntimeError, match="not running"):
            _ = server.url


def test_a_server_starts_again_after_close() -> None:
    server = Sandbox(STATIONS, Climatology())
    for _ in range(2):
        with server:
            assert requests.get(f"{server.url}/_stats", timeout=30).status_code == 200


def test_a_taken_port_is_refused_in_words() -> None:
    with Sandbox(STATIONS, Climatology()) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            Sandbox(STATIONS, Climatology(), port=port).start()


def test_a_client_that_hangs_up_leaves_the_server_well() -> None:
    with Sandbox(STATIONS, Climatology()) as server:
        address = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        for request in (b"GET /feed/@1583/?token=t HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /fe", b""):
            with socket.create_connection(address) as connection:
                connection.sendall(request)
        assert requests.get(f"{server.url}/_stats", timeout=30).status_code == 200


def test_values_that_cannot_be_read_close_the_connection_and_are_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unreadable(_idx: int, _window: Interval) -> list[Record]:
        raise ValueError("broken file")

    with (
        Sandbox(STATIONS, Replay(unreadable)) as server,
        requests.Session() as session,
        pytest.raises(requests.exceptions.ConnectionError),
    ):
        ask_history(server, session, "@1583", START)
    assert "sandbox.request_failed" in capsys.readouterr().out


def test_nothing_is_printed_for_ordinary_requests(capfd: pytest.CaptureFixture[str]) -> None:
    with Sandbox(STATIONS, Climatology()) as server, requests.Session() as session:
        ask_history(server, session, "@1583", START)
        session.get(f"{server.url}/nowhere?token=canary", timeout=30)
    assert capfd.readouterr() == ("", "")
