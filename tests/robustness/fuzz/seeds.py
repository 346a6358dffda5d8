"""Inputs to begin with: real ones, and ones that reach every branch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import bson

from runner.sources.airnow.files import STANDARD

RECORD: dict[str, Any] = {
    "idx": 8641,
    "current_aqi": 45,
    "time": {"s": "2023-01-01 12:00:00", "tz": "+07:00", "iso": "2023-01-01T12:00:00+07:00"},
    "current_iaqi": {"pm25": {"v": 45}, "t": {"v": 20.5}},
}
FEED = {"aqi": 45, "time": {"iso": "2023-01-01T05:00:00Z"}, "iaqi": {"pm10": {"v": 3}}}

_ROW = "Hanoi,PM2.5 - Principal,2023-03-12 {0} AM,2023,3,12,{1},50,90,Good,{2},UG/M3,1 Hr,{3}"
ROWS = (
    _ROW.format("01:00", 1, 10.5, "Valid"),
    _ROW.format("03:00", 3, 11, "Valid"),
    _ROW.format("03:00", 3, -999, "Missing"),
    _ROW.format("04:00", 4, 12, "Suspect"),
)
FILE = "\n".join([",".join(STANDARD), *ROWS, ""])

_FIRST, _LAST = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
CHECKPOINT: dict[str, Any] = {
    "station_idx": 8641,
    "status": "completed",
    "start_ts": _FIRST,
    "target_end_ts": _LAST,
    "last_processed_ts": "2023-01-01T00:00:00",
    "total_readings_inserted": 3.0,
    "windows": 1,
    "last_updated": _LAST,
    "schema": 2,
    "covered": [[_FIRST, _LAST]],
    "empty": [[_FIRST, _LAST, _LAST]],
    "error_message": None,
}
_BY_HAND = {"station_idx": -4, "status": "failed", "start_ts": _FIRST, "error_message": "x"}


def _answer(content: Any, head: str = "200\n|\n") -> bytes:
    return head.encode() + json.dumps(content).encode()


SEEDS: dict[str, list[bytes]] = {
    "records": [json.dumps([RECORD, FEED]).encode(), json.dumps(FEED).encode()],
    "answer": [
        _answer({"status": "ok", "data": [RECORD]}),
        _answer({"status": "error", "data": "Over quota"}),
        _answer({"status": "ok", "data": {"status": "error", "msg": "Unknown ID"}}),
        _answer({}, "429\n120|Sun, 01 Jan 2023 00:00:00 GMT\n"),
        _answer({}, "503\nSun, 01 Jan 2023 00:01:00 GMT|Sun, 01 Jan 2023 00:00:00 GMT\n"),
    ],
    "airnow": [
        FILE.encode(),
        FILE.encode("utf-8-sig").replace(b"\n", b"\r\n"),
        FILE.replace(",", ";").encode("utf-16"),
        "\n".join(ROWS).encode("latin-1"),
    ],
    "checkpoint": [bson.encode(CHECKPOINT), bson.encode(_BY_HAND)],
}
