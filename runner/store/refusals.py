"""What the server says about a document that it refused. Pure.

No value of the document is repeated: the reason names fields and rules, and a value may hold what
an API echoed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

_LONGEST = 300
_UPDATES = ("$set", "$setOnInsert")


def describe_refused(error: Mapping[str, Any]) -> str:
    """Return which document a write error is about: its station and time, or its `_id`."""
    operation = error.get("op")
    found = {"_id": _mapping(error.get("errInfo")).get("failingDocumentId")}
    for part in _layers(_mapping(operation)):
        found |= {name: part[name] for name in ("_id", "station_idx", "ts") if name in part}
        meta = _mapping(part.get("meta"))
        found |= {"station_idx": meta["station_idx"]} if "station_idx" in meta else {}
    station, ts = found.get("station_idx"), found.get("ts")
    words = [f"station {station}"] if isinstance(station, int) else []
    words += [f"{ts:%Y-%m-%dT%H:%MZ}"] if isinstance(ts, datetime) else []
    if not words and found["_id"] is not None:
        words = [f"_id {found['_id']!s:.40}"]
    return f"a document ({', '.join(words)})" if words else "a document"


def reasons_of(error: Mapping[str, Any]) -> str:
    """Return which rules of a validator the document breaks, field by field; empty if unknown."""
    details = _mapping(_mapping(error.get("errInfo")).get("details"))
    return "; ".join(dict.fromkeys(_rules(details, "")))[:_LONGEST]


def _layers(operation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a write that may hold the key: the filter, the document, what it sets."""
    yield _mapping(operation.get("q"))
    yield operation
    update = _mapping(operation.get("u"))
    yield update
    yield from (_mapping(update.get(name)) for name in _UPDATES)


def _rules(rule: Any, path: str) -> Iterator[str]:
    if isinstance(rule, list):
        for item in rule:
            yield from _rules(item, path)
        return
    rule = _mapping(rule)
    name = rule.get("propertyName")
    path = ".".join(filter(None, (path, str(name) if name else "")))
    missing = rule.get("missingProperties")
    if isinstance(missing, list):
        yield f"{path or 'the document'} lacks {', '.join(map(str, missing))}"
    below = [value for value in rule.values() if isinstance(value, list | dict)]
    if isinstance(rule.get("reason"), str):
        asked = _mapping(rule.get("specifiedAs"))
        of = ", ".join(f"{key}: {value}" for key, value in asked.items())
        yield f"{path or 'the document'}: {rule['reason']}{f' [{of}]' if of else ''}"
        return
    for value in below:
        yield from _rules(value, path)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
