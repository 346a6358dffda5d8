"""A loopback server that speaks the history endpoint, fast enough not to be what is measured.

    python -m benchmarks.api [--latency-ms 0] [--changed 0.01]

prints its URL and serves until it is ended. Every station has every hour; a value follows from
station and hour, so that a leg's result can be checked. `/_stats` says how many requests came since
it was asked last, and how many seconds lie between the first and the last of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

_HOUR_S = 3600
_VIETNAM = timedelta(hours=7)
_SPREAD = 10_000


def aqi(station_idx: int, hour: int, changed: float = 0.0) -> int:
    """Return the reading of a station at an hour since 1970, UTC.

    Args:
        station_idx: the station.
        hour: hours since 1970-01-01T00:00Z.
        changed: share of the hours, 0..1, whose value is another one than with 0.
    """
    drawn = (station_idx * 7919 + hour * 104_729) % _SPREAD
    return 20 + drawn % 160 + (drawn < changed * _SPREAD)


@lru_cache(maxsize=100_000)
def _time(hour: int) -> str:
    local = datetime.fromtimestamp(hour * _HOUR_S, UTC) + _VIETNAM
    return f'"time":{{"s":"{local:%Y-%m-%d %H:%M:%S}","tz":"+07:00"}}'


def body(station_idx: int, start: int, end: int, changed: float = 0.0) -> bytes:
    """Return the answer for the hours [start, end) of a station, as JSON."""
    records = []
    for hour in range(start, end):
        value = aqi(station_idx, hour, changed)
        records.append(
            f'{{"current_aqi":{value},{_time(hour)},'
            f'"current_iaqi":{{"pm25":{{"v":{value}}},"pm10":{{"v":{value // 2}}}}}}}'
        )
    return f'{{"status":"ok","data":[{",".join(records)}]}}'.encode()


def _hour(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // _HOUR_S


class _Api(asyncio.Protocol):
    """One connection, kept alive; answers in the order of the requests."""

    arrivals: ClassVar[list[float]] = []
    latency_s = 0.0
    changed = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server makes
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, self._received = self._received.split(b"\r\n\r\n", 1)
            target = head.split(b" ", 2)[1].decode("ascii")
            answer = self._answer(target)
            if self.latency_s:
                asyncio.get_running_loop().call_later(self.latency_s, self._send, answer)
            else:
                self._send(answer)

    def _send(self, answer: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(answer) + answer
        )

    def _answer(self, target: str) -> bytes:
        split = urlsplit(target)
        if split.path == "/_stats":
            arrivals, _Api.arrivals = _Api.arrivals, []
            span_s = arrivals[-1] - arrivals[0] if arrivals else 0.0
            return json.dumps({"asked": len(arrivals), "span_s": span_s}).encode()
        _Api.arrivals.append(time.monotonic())
        feed = unquote(split.path).split("/")[2]
        query = parse_qs(split.query)
        return body(
            int(feed.removeprefix("@")),
            _hour(query["start"][0]),
            _hour(query["end"][0]),
            self.changed,
        )


async def _serve(latency_s: float, changed: float) -> None:
    _Api.latency_s, _Api.changed = latency_s, changed
    server = await asyncio.get_running_loop().create_server(_Api, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--changed", type=float, default=0.0)
    given = parser.parse_args()
    asyncio.run(_serve(given.latency_ms / 1000, given.changed))
