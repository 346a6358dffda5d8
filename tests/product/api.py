"""An API on loopback that notes when requests arrive, and refuses one when it is told to."""

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_REFUSAL = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {}\r\nContent-Length: 2\r\n\r\n{{}}"


class Api:
    """Counts; the times are this process's, monotonic seconds.

    Attributes:
        arrivals: when each request was here, head and all.
        refused: when the refusals were sent.
    """

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.refused: list[float] = []
        self._refuse_s = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def refuse_once(self, seconds: int) -> None:
        """Answer the next request 429, and ask to wait."""
        self._refuse_s = seconds

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0), self._loop
        ).result()
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def answer(self) -> bytes:
        now = time.monotonic()
        self.arrivals.append(now)
        if not self._refuse_s:
            return _OK
        self.refused.append(now)
        told, self._refuse_s = self._refuse_s, 0
        return _REFUSAL.format(told).encode()

    def wait_for(self, what: Callable[[], bool], timeout_s: float = 120) -> None:
        """Return once something is so; the deadline only ends a test that has failed."""
        deadline = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < deadline, f"{len(self.arrivals)} requests, and no more came"
            time.sleep(0.01)


class _Connection(asyncio.Protocol):
    def __init__(self, api: Api) -> None:
        self._api = api
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while b"\r\n\r\n" in self._heard:
            _head, _, self._heard = self._heard.partition(b"\r\n\r\n")
            self._transport.write(self._api.answer())
