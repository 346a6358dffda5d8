"""HTTP: routes, tokens, faults on the wire, and the connections that are open."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import structlog

from runner.sources.sandbox.answers import (
    INVALID_KEY,
    NO_SUCH_ROUTE,
    OVER_QUOTA,
    TOO_MANY_REQUESTS,
    Answers,
    Json,
    Refusal,
)
from runner.sources.sandbox.faults import (
    Fault,
    FaultPlan,
    Quota,
    failure_of,
    limits,
    spoilt_rows,
)
from runner.sources.sandbox.openaq import OpenAqAnswers
from runner.sources.sandbox.settings import Faults
from runner.sources.sandbox.stats import ERROR, OK, QUOTA, Route, Stats
from runner.sources.sandbox.wrong import spoilt, wrong_of

log = structlog.get_logger()

_CLOSE_TIMEOUT_S = 10.0
_MINUTE_S = 60
_JSON = "application/json; charset=utf-8"
_SERVER_ERRORS = (
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_PAGE = (
    "<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n"
    "<center><h1>{status} {phrase}</h1></center>\r\n</body>\r\n</html>\r\n"
)
_ROUTES = (
    (re.compile(r"/feed/([^/]+)/history/?"), Route.HISTORY),
    (re.compile(r"/feed/([^/]+)/?"), Route.FEED),
    (re.compile(r"/search/?()"), Route.SEARCH),
    (re.compile(r"(?:/v2)?/map/bounds/?()"), Route.BOUNDS),
)


@dataclass(frozen=True, slots=True)
class Service:
    """What the requests of one server share.

    Attributes:
        answers: the content.
        faults: what goes wrong, how often.
        plan: decides which requests fail.
        quota: requests an hour.
        token: the only accepted token; None accepts any but an empty one and "invalid".
        openaq: what OpenAQ's API v3 answers; None if the sandbox does not speak it.
        stats: counts.
        closing: set when the server closes; nobody sleeps past it.
    """

    answers: Answers
    faults: Faults
    plan: FaultPlan
    quota: Quota
    token: str | None
    openaq: OpenAqAnswers | None = None
    stats: Stats = field(default_factory=Stats)
    closing: threading.Event = field(default_factory=threading.Event)

    def accepts(self, token: str) -> bool:
        """Whether a token is a valid key."""
        return token not in {"", "invalid"} if self.token is None else token == self.token

    def reset(self) -> None:
        """Forget counts, quota and fault history."""
        self.stats.reset()
        self.plan.reset()
        self.quota.reset()


class Server(ThreadingHTTPServer):
    """Knows its open connections, so that closing need not wait for the clients."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self.service = service
        self._open: set[Any] = set()
        self._changed = threading.Condition()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server what the address is called."""
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember a new connection and answer it in a thread of its own."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """End every connection and wait until its thread has let go of it."""
        with self._changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster
            self._changed.wait_for(lambda: not self._open, _CLOSE_TIMEOUT_S)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log what is our fault; a client that hangs up is not."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError) and not self.service.closing.is_set():
            log.error("sandbox.request_failed", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "runner-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: request lines hold the token, and `/_stats` counts."""

    def do_GET(self) -> None:
        # The handler's own `path` has leading slashes folded already.
        target = urlsplit("http://loopback" + self.requestline.split(" ")[1])
        if "//" in target.path:
            self._redirect(target.path, target.query)
        elif target.path == "/_stats":
            self._send_json(self.server.service.stats.snapshot())
        else:
            parsed = parse_qs(target.query, keep_blank_values=True)
            path, query = unquote(target.path), {name: each[0] for name, each in parsed.items()}
            openaq = self.server.service.openaq if path.startswith("/v3/") else None
            if openaq:
                self._answer_openaq(openaq, path, query)
            else:
                self._answer(path, query)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path == "/_reset":
            self.server.service.reset()
            self._send_json({"status": "ok"})
        else:
            self.server.service.stats.count(Route.UNKNOWN, ERROR)
            self._send_json(NO_SUCH_ROUTE)

    def _answer(self, path: str, query: dict[str, str]) -> None:
        service = self.server.service
        route, feed = _route(path)
        service.closing.wait(service.faults.latency_ms / 1000)
        wait_s = service.quota.take()
        if wait_s is not None:
            service.stats.count(route, QUOTA)
            self._send_json(TOO_MANY_REQUESTS, HTTPStatus.TOO_MANY_REQUESTS, str(wait_s))
            return
        asked = (feed, query.get("start")) if route is Route.HISTORY else (path, _plain(query))
        fault, form = service.plan.next(route, *asked)
        if fault not in (None, Fault.TRUNCATED, Fault.WRONG):
            service.stats.count(route, fault)
            self._fail(fault, form)
            return
        try:
            content, outcome = self._content(route, feed, query, served=fault is None), OK
        except Refusal as refusal:
            content, outcome = refusal.answer, ERROR
        service.stats.count(route, fault or outcome)
        if fault is None:
            self._send_json(content)
        elif fault is Fault.WRONG:
            wrong = wrong_of(form)
            body = spoilt(wrong, content, lambda: self._a_day_later(feed, query))
            self._send(body, HTTPStatus.OK, {"Content-Type": _JSON})
        else:
            self._send_half(content, honest=form < 0.5)  # noqa: PLR2004 - half of them

    def _answer_openaq(self, openaq: OpenAqAnswers, path: str, query: dict[str, str]) -> None:
        """Answer as OpenAQ's API v3, with its own failures in place of AQICN's."""
        service = self.server.service
        service.closing.wait(service.faults.latency_ms / 1000)
        wait_s = service.quota.take()
        if wait_s is not None:
            service.stats.count(Route.OPENAQ, QUOTA)
            self._send_json(*failure_of(Fault.TOO_MANY_REQUESTS), headers=limits(wait_s, left=0))
            return
        fault, form = service.plan.next(Route.OPENAQ, path, _plain(query))
        if fault not in (None, Fault.TIMEOUT, Fault.TRUNCATED, Fault.WRONG):
            service.stats.count(Route.OPENAQ, fault)
            again_s = service.faults.retry_after_s
            self._send_json(*failure_of(fault), headers=limits(again_s, left=0))
            return
        if fault is Fault.TIMEOUT:
            service.stats.count(Route.OPENAQ, fault)
            self._fail(fault, form)
            return
        content, status = {"detail": "Invalid credentials"}, HTTPStatus.UNAUTHORIZED
        if service.accepts(self.headers.get("X-API-Key", "")):
            status, content = openaq.answer(path, query)
        outcome = OK if status is HTTPStatus.OK else ERROR
        service.stats.count(Route.OPENAQ, fault or outcome)
        if fault is Fault.TRUNCATED:
            self._send_half(content, honest=form < 0.5)  # noqa: PLR2004 - half of them
        else:
            content_sent = spoilt_rows(content) if fault is Fault.WRONG else content
            self._send_json(content_sent, status, headers=limits(_MINUTE_S, left=59))

    def _content(self, route: Route, feed: str, query: dict[str, str], *, served: bool) -> Json:
        service = self.server.service
        if route is Route.UNKNOWN:
            raise Refusal(NO_SUCH_ROUTE)
        if not service.accepts(query.get("token", "")):
            raise Refusal(INVALID_KEY)
        if route is Route.FEED:
            return service.answers.feed(feed)
        if route is Route.SEARCH:
            return service.answers.search(query.get("keyword", ""))
        if route is Route.BOUNDS:
            return service.answers.bounds(query.get("latlng", ""))
        start, end = query.get("start", ""), query.get("end", "")
        content, station_idx, window = service.answers.history(feed, start, end)
        if served:
            service.stats.served(station_idx, window)
        return content

    def _a_day_later(self, feed: str, query: dict[str, str]) -> Json:
        start, end = (
            (datetime.fromisoformat(query[name]) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for name in ("start", "end")
        )
        return self.server.service.answers.history(feed, start, end)[0]

    def _fail(self, fault: Fault, form: float) -> None:
        faults = self.server.service.faults
        if fault is Fault.OVER_QUOTA:
            self._send_json(OVER_QUOTA)
        elif fault is Fault.TIMEOUT:
            self.server.service.closing.wait(faults.hold_s)
            self.close_connection = True
        elif fault is Fault.SERVER_ERROR:
            status = _SERVER_ERRORS[int(form * len(_SERVER_ERRORS))]
            page = _PAGE.format(status=status.value, phrase=status.phrase)
            self._send(page.encode(), status, {"Content-Type": "text/html"})
        else:
            # A date is read against the client's own clock, so it comes from the real one.
            date = self.date_time_string(int(time.time()) + 1 + faults.retry_after_s)
            retry_after = (str(faults.retry_after_s), date, None)[int(form * 3)]
            self._send_json(TOO_MANY_REQUESTS, HTTPStatus.TOO_MANY_REQUESTS, retry_after)

    def _redirect(self, path: str, query: str) -> None:
        self.server.service.stats.count(Route.UNKNOWN, ERROR)
        location = re.sub("/+", "/", path) + (f"?{query}" if query else "")
        self._send(b"", HTTPStatus.MOVED_PERMANENTLY, {"Location": location})

    def _send_json(
        self,
        content: Any,
        status: HTTPStatus = HTTPStatus.OK,
        retry_after: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        headers = {"Content-Type": _JSON, **(headers or {})}
        if retry_after is not None:
            headers["Retry-After"] = retry_after
        self._send(_encoded(content), status, headers)

    def _send_half(self, content: Any, *, honest: bool) -> None:
        """Send half a body, with the length of the half if honest, else of the whole."""
        body = _encoded(content)
        half = body[: len(body) // 2]
        headers = {"Content-Type": _JSON}
        self._send(half, HTTPStatus.OK, headers, promised=len(half) if honest else len(body))
        self.close_connection = self.close_connection or not honest

    def _send(
        self, body: bytes, status: HTTPStatus, headers: dict[str, str], promised: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)


def _route(path: str) -> tuple[Route, str]:
    """Return what a path is about, and its feed, if it has one."""
    for pattern, route in _ROUTES:
        match = pattern.fullmatch(path)
        if match:
            return route, match[1]
    return Route.UNKNOWN, ""


def _plain(query: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return a query without its token, in a fixed order."""
    return tuple(sorted(item for item in query.items() if item[0] != "token"))


def _encoded(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
