"""What a stored reading says, beside what a reading says: byte by byte, or field by field. Pure."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from struct import Struct
from typing import Any

from bson import CodecOptions, ObjectId, encode
from bson.codec_options import DatetimeConversion
from bson.raw_bson import RawBSONDocument

from runner.core.readings import Reading
from runner.store.collection import Document

_COUNTERS = 2**24


class ObjectIds:
    """Makes ObjectIds as the specification has them: seconds, a random part, a counter.

    The random part is this object's own, so that no other maker of ids counts along. Thread-safe.
    """

    def __init__(self) -> None:
        self._random = os.urandom(5)
        self._lock = threading.Lock()
        self._next = secrets.randbelow(_COUNTERS)

    @property
    def maker(self) -> str:
        """The random part as 10 hexadecimal digits; every id of this object has it."""
        return self._random.hex()

    def take(self, count: int) -> list[ObjectId]:
        """Return a number of new ids, at most 2**24 per second."""
        with self._lock:
            first = self._next
            self._next = (first + count) % _COUNTERS
        prefix = int(time.time()).to_bytes(4, "big") + self._random
        return [
            ObjectId(prefix + (number % _COUNTERS).to_bytes(3, "big"))
            for number in range(first, first + count)
        ]


def made_by(maker: str) -> Document:
    """Return the expression that is true for documents whose `_id` an `ObjectIds` made.

    Args:
        maker: as `ObjectIds.maker` gave it.
    """
    text = {"$convert": {"input": "$_id", "to": "string", "onError": "", "onNull": ""}}
    return {"$eq": [{"$substrBytes": [text, 8, 10]}, maker]}


_SIZE = Struct("<i")  # every BSON document begins with it
_OBJECT_ID = b"\x07_id\x00"  # and the rest of ours with an element of this type and name
_ID_AT = _SIZE.size + len(_OBJECT_ID)
_AFTER_ID = _ID_AT + 12
_RAW = CodecOptions(
    RawBSONDocument,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)
_OURS = ("aqi", "time", "iaqi")
_ABSENT = object()


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


def object_id(text: bytes) -> ObjectId | None:
    """Return the `_id` of a document's BSON; None if it is no ObjectId."""
    is_one = text.startswith(_OBJECT_ID, _SIZE.size)
    return ObjectId(text[_ID_AT:_AFTER_ID]) if is_one else None


def changes(stored: Document, reading: Reading, theirs: Collection[str] = ()) -> Document:
    """Return the fields to set so that the document says what the reading says; {} if it does.

    Args:
        stored: the document.
        reading: what it is to say.
        theirs: sub-indices that another writer added, which stay.
    """
    wanted: Document = {"aqi": reading["aqi"], "time": reading["time"], "iaqi": reading["iaqi"]}
    if theirs and isinstance(stored.get("iaqi"), dict):
        added = {name: stored["iaqi"][name] for name in theirs if name in stored["iaqi"]}
        wanted["iaqi"] = added | reading["iaqi"]
    differ = {name: value for name, value in wanted.items() if stored.get(name) != value}
    if not differ or not _has_other_fields(stored):
        return differ
    laid = {name: _laid_over(stored.get(name), value) for name, value in differ.items()}
    return {name: value for name, value in laid.items() if stored.get(name) != value}


def update_of(stored: Document, wanted: Document) -> Document:
    """Return the update that makes `changes`: path by path, so that no other path is touched."""
    to_set: Document = {}
    to_unset: Document = {}
    for name, value in wanted.items():
        _add_paths(name, stored.get(name, _ABSENT), value, to_set, to_unset)
    operators = {"$set": to_set, "$unset": to_unset}
    return {name: paths for name, paths in operators.items() if paths}


def says_still(text: bytes) -> Document:
    """Return the filter for a document that says what it said, byte by byte, in our fields."""
    seen = RawBSONDocument(text, _RAW)
    said: Document = {"_id": seen["_id"]}
    for name in _OURS:
        said[name] = {"$eq": seen[name]} if name in seen else {"$exists": False}
    return said


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


def _add_paths(path: str, below: Any, above: Any, to_set: Document, to_unset: Document) -> None:
    """Add what turns `below` into `above`, by the deepest paths that differ."""
    both = isinstance(below, dict) and isinstance(above, dict)
    if not both or not all(map(_is_path, below.keys() | above.keys())):
        to_set[path] = above
        return
    for name in above:
        if name not in below or below[name] != above[name]:
            inside = below.get(name, _ABSENT)
            _add_paths(f"{path}.{name}", inside, above[name], to_set, to_unset)
    to_unset |= {f"{path}.{name}": "" for name in below.keys() - above.keys()}


def _is_path(name: str) -> bool:
    """Whether a field's name can be a part of a path."""
    return bool(name) and "." not in name and not name.startswith("$")
