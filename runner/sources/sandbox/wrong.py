"""Answers that look like one and are none: HTTP 200, and something else than what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

_HUGE = 10 * 2**20
"""Bytes of padding of a huge answer."""
_DEEP = 100_000
"""Levels of nesting of a deep answer; parsers give up long before."""
_LONG = 5000
"""Digits of a long number; Python itself refuses to read more than 4300."""


class Wrong(StrEnum):
    """What is wrong with an answer."""

    OTHER_STATION = "other_station"
    SHIFTED = "shifted"
    DOUBLED = "doubled"
    SHUFFLED = "shuffled"
    HUGE = "huge"
    DEEP = "deep"
    NOT_A_NUMBER = "not_a_number"
    LARGE_NUMBER = "large_number"
    LONG_NUMBER = "long_number"
    NOT_UTF8 = "not_utf8"


def wrong_of(form: float) -> Wrong:
    """Return the kind of wrong for a number in [0, 1)."""
    kinds = tuple(Wrong)
    return kinds[int(form * len(kinds))]


def spoilt(kind: Wrong, content: Json, shifted: Callable[[], Json]) -> bytes:
    """Return the body of a wrong answer.

    Args:
        kind: what is wrong with it.
        content: the right answer.
        shifted: gives the right answer for a window one day later.
    """
    if kind in _BROKEN:
        return _BROKEN[kind](content)
    records = content.get("data")
    if not isinstance(records, list):
        return _encoded({"status": "ok", "data": None})
    if kind is Wrong.SHIFTED:
        return _encoded(shifted())
    return _encoded({**content, "data": _REARRANGED[kind](records)})


def _of_another_station(records: list[Any]) -> list[Any]:
    return [{**record, "idx": 1, "current_aqi": 7} for record in records]


def _every_second_with(value: float) -> Callable[[list[Any]], list[Any]]:
    def spoil(records: list[Any]) -> list[Any]:
        return [
            {**record, "current_aqi": value} if position % 2 else record
            for position, record in enumerate(records)
        ]

    return spoil


_REARRANGED: dict[Wrong, Callable[[list[Any]], list[Any]]] = {
    Wrong.OTHER_STATION: _of_another_station,
    Wrong.DOUBLED: lambda records: [record for record in records for _ in range(2)],
    Wrong.SHUFFLED: lambda records: records[::2] + records[1::2][::-1],
    Wrong.NOT_A_NUMBER: _every_second_with(float("nan")),
    Wrong.LARGE_NUMBER: _every_second_with(10**30),
}


_BROKEN: dict[Wrong, Callable[[Json], bytes]] = {
    Wrong.DEEP: lambda _content: b'{"status":"ok","data":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    Wrong.HUGE: lambda content: _encoded({"padding": "x" * _HUGE, **content}),
    Wrong.LONG_NUMBER: lambda content: _before_data(content, b'"n":' + b"9" * _LONG + b","),
    Wrong.NOT_UTF8: lambda content: _before_data(content, b'"\xff\xfe":0,'),
}


def _before_data(content: Json, inserted: bytes) -> bytes:
    return _encoded(content).replace(b'"data"', inserted + b'"data"', 1)


def _encoded(content: Json) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
