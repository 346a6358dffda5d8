"""What a stored reading says, beside what a reading says: byte by byte, or field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

from bson import encode

from runner.core.readings import Reading
from runner.store.collection import Document

_SIZE = Struct("<i")  # every BSON document begins with it
_OBJECT_ID = b"\x07_id\x00"  # and the rest of ours with an element of this type and name
_AFTER_ID = _SIZE.size + len(_OBJECT_ID) + 12


def documents_in(texts: bytes) -> Iterator[bytes]:
    """Yield the documents of BSON that stand one after the other."""
    at = 0
    while at < len(texts):
        (size,) = _SIZE.unpack_from(texts, at)
        yield texts[at : at + size]
        at += size


def after_id(text: bytes) -> bytes:
    """Return a document's BSON after its ObjectId, or all of it where its `_id` is none."""
    return text[_AFTER_ID:] if text.startswith(_OBJECT_ID, _SIZE.size) else text


def text_of(reading: Reading) -> bytes:
    """Return what `after_id` returns of the document that was made of a reading."""
    return encode(reading)[_SIZE.size :]


def changes(stored: Document, reading: Reading) -> Document:
    """Return the fields to set so that the document says what the reading says; {} if it does."""
    wanted: Document = {"aqi": reading["aqi"], "time": reading["time"], "iaqi": reading["iaqi"]}
    differ = {name: value for name, value in wanted.items() if stored.get(name) != value}
    if not differ or not _has_other_fields(stored):
        return differ
    laid = {name: _laid_over(stored.get(name), value) for name, value in differ.items()}
    return {name: value for name, value in laid.items() if stored.get(name) != value}


def _has_other_fields(stored: Document) -> bool:
    """Return whether somebody wrote more into the document than a reading has."""
    iaqi = stored.get("iaqi")
    entries = iaqi.values() if isinstance(iaqi, dict) else ()
    return bool(
        stored.keys() - {"_id", "ts", "meta", "aqi", "time", "iaqi"}
        or _keys(stored.get("time")) - {"s", "tz"}
        or any(_keys(entry) - {"v"} for entry in entries)
    )


def without_id(document: Document) -> Document:
    """Return a document without its `_id`."""
    return {name: value for name, value in document.items() if name != "_id"}


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


def _laid_over(below: Any, above: Any) -> Any:
    """Return `above` with everything of `below` that it does not speak of."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}
