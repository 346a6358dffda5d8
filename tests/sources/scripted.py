"""A loopback server that answers from a script, one reply a request; the last one repeats."""

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Scripted:
    """One reply.

    Attributes:
        body: as sent.
        status: HTTP status.
        headers: besides Content-Type and Content-Length.
        promised: Content-Length where it is a lie.
        reset: close the connection with a TCP reset instead.
        held_s: seconds before anything is sent.
    """

    body: bytes = b'{"status":"ok","data":[]}'
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    reset: bool = False
    held_s: float = 0.0


class Loopback:
    """The server: its address, and what it was asked."""

    def __init__(self, script: Sequence[Scripted]) -> None:
        self.script = list(script)
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.connections: set[Any] = set()
        self.ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

            def do_GET(self) -> None:
                outer.connections.add(self.client_address)
                outer.paths.append(self.path)
                outer.headers.append(dict(self.headers))
                reply = outer.script[0] if len(outer.script) == 1 else outer.script.pop(0)
                outer.ended.wait(reply.held_s)
                if reply.reset:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    self.connection.close()
                    return
                length = len(reply.body) if reply.promised is None else reply.promised
                self.send_response(reply.status)
                self.send_header("Content-Length", str(length))
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
                self.wfile.flush()
                self.close_connection = reply.promised is not None or reply.held_s > 0

            def finish(self) -> None:
                try:
                    super().finish()
                except (OSError, ValueError):  # the script had it reset
                    return

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None: ...

            def shutdown_request(self, request: Any) -> None:
                try:
                    super().shutdown_request(request)
                except OSError:
                    return

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def scripted(*script: Scripted) -> Iterator[Loopback]:
    """Serve a script until the block ends."""
    loopback = Loopback(script or [Scripted()])
    thread = threading.Thread(target=loopback.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        loopback.ended.set()
        loopback.server.shutdown()
        loopback.server.server_close()
        thread.join()
        time.sleep(0)
