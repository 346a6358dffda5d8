"""A real HTTP server on loopback that answers from a script and remembers what it was asked."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from runner.config.source import Retry
from runner.sources.http import Timeouts

POLICY = Retry(
    max_attempts=3, max_elapsed_s=60, backoff_s=0.001, backoff_max_s=0.01, throttled_max_s=60
)
TIMEOUTS = Timeouts(1, 0.3)
PATIENT = Timeouts(5, 30)


@dataclass(frozen=True)
class Asked:
    """A request as it came in; `at` is in monotonic seconds."""

    path: str
    query: dict[str, str]
    raw_query: str
    headers: dict[str, str]
    at: float


class Loopback:
    """Gives one scripted reply a request, then the last one again and again.

    Attributes:
        asked: requests, in the order they came.
        connections: how many TCP connections were made.
    """

    def __init__(self, *replies: Scripted) -> None:
        self._replies = replies
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.over = threading.Event()
        self.asked: list[Asked] = []
        self.connections = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.loopback = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._sockets.append(connection)

    def next_reply(self, asked: Asked) -> Scripted:
        with self._lock:
            self.asked.append(asked)
            return self._replies[min(len(self.asked), len(self._replies)) - 1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        for connection in self._sockets:  # idle ones, so that their threads end
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    loopback: Loopback

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the other side hangs up on purpose here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.loopback.connected(self.connection)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            parts.query,
            {name.lower(): value for name, value in self.headers.items()},
            time.monotonic(),
        )
        self.server.loopback.next_reply(asked)(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


Scripted = Callable[[_Handler], None]


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Scripted:
    """Reply with these headers and no others, but for the length where none is said."""

    def reply(handler: _Handler) -> None:
        handler.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def says(content: Any, status: int = 200) -> Scripted:
    """Reply with JSON."""
    return answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def page(status: int) -> Scripted:
    """Reply with a page for people."""
    body = b"<html><body>It works, or it does not.</body></html>"
    return answer(status, body, {"Content-Type": "text/html; charset=utf-8"})


def raw(data: bytes, *, more: bool = False) -> Scripted:
    """Reply with bytes that need not be HTTP, and hang up unless there may be more requests."""

    def reply(handler: _Handler) -> None:
        handler.close_connection = not more
        handler.wfile.write(data)

    return reply


def short(body: bytes, promised: int) -> Scripted:
    """Promise a longer body than comes."""
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (promised, body))


def reset(handler: _Handler) -> None:
    """Reset the connection (RST) instead of replying."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


def silence(handler: _Handler) -> None:
    """Say nothing, for as long as the server lives."""
    handler.close_connection = True
    handler.server.loopback.over.wait()


def drip(
    head: bytes, *, chunked: bool = False, every_s: float = 0.01, piece: bytes = b" "
) -> Scripted:
    """Send a head, then a piece now and then, for as long as anyone listens."""

    def reply(handler: _Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        while not handler.server.loopback.over.wait(every_s):
            handler.wfile.write(b"1\r\n \r\n" if chunked else piece)

    return reply
