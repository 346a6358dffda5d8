"""Opening a collection, telling its kind, and the unique index that makes doubles impossible."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from bson.codec_options import DatetimeConversion
from pymongo import ASCENDING, ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure

from runner.core.errors import UnsupportedCollectionError

Document = dict[str, Any]

DUPLICATE_KEY = 11000
"""Server error code: a unique index refused a second document with the same key."""
FAILED_VALIDATION = 121
"""Server error code: the collection's validator refused a document."""


class Kind(StrEnum):
    """What a name stands for in a database."""

    ABSENT = "absent"
    REGULAR = "regular"
    TIME_SERIES = "time-series"
    CAPPED = "capped"
    VIEW = "view"


def open_collection(database: Database[Document], name: str) -> Collection[Document]:
    """Open a collection so that what is read is exact, whatever others wrote into it.

    Reads go to the primary (a secondary may lag behind our own writes), dates come back aware and
    in UTC, dates no datetime can hold as `DatetimeMS`, broken UTF-8 with replacement characters.
    """
    options = database.codec_options.with_options(
        tz_aware=True,
        unicode_decode_error_handler="replace",
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )
    return database.get_collection(
        name, codec_options=options, read_preference=ReadPreference.PRIMARY
    )


def whole_number(value: Any) -> int | None:
    """Return a whole number, which a mongo shell may have written as a double; None for others."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


def refusals(error: BulkWriteError, *codes: int) -> list[Document]:
    """Return the single refusals of an unordered bulk write, if all have one of the error codes.

    Raises:
        BulkWriteError: the same error, if anything else went wrong too.
    """
    refused: list[Document] = error.details["writeErrors"]
    if error.details["writeConcernErrors"] or any(item["code"] not in codes for item in refused):
        raise error
    return refused


def kind_of(collection: Collection[Document]) -> Kind:
    """Return what the collection is at this moment."""
    found = list(collection.database.list_collections(filter={"name": collection.name}))
    if not found:
        return Kind.ABSENT
    if found[0]["type"] == "timeseries":
        return Kind.TIME_SERIES
    if found[0]["type"] == "view":
        return Kind.VIEW
    return Kind.CAPPED if found[0]["options"].get("capped") else Kind.REGULAR


def has_unique_index(collection: Collection[Document], fields: tuple[str, ...]) -> bool:
    """Return whether a unique index over exactly these fields, in either direction, is there."""
    return any(
        index.get("unique")
        and "partialFilterExpression" not in index
        and tuple(index["key"]) == fields
        for index in collection.list_indexes()
    )


def ensure_unique_index(
    collection: Collection[Document], fields: tuple[str, ...], name: str
) -> None:
    """Create the unique index unless one is there, also where a plain index has the same fields.

    Raises:
        UnsupportedCollectionError: doubles are in the way; nothing was changed.
    """
    if has_unique_index(collection, fields):
        return
    try:
        collection.create_index([(field, ASCENDING) for field in fields], unique=True, name=name)
    except OperationFailure as error:
        if error.code != DUPLICATE_KEY:
            raise
        raise _doubles_error(collection, fields) from error


def check_unique_index(collection: Collection[Document], fields: tuple[str, ...]) -> None:
    """Raise what `ensure_unique_index` would raise, without writing anything.

    Raises:
        UnsupportedCollectionError: doubles would be in the way of the index.
    """
    if has_unique_index(collection, fields):
        return
    pipeline = [*_doubles(fields), {"$limit": 1}]
    if list(collection.aggregate(pipeline, allowDiskUse=True)):
        raise _doubles_error(collection, fields)


def _doubles(fields: tuple[str, ...]) -> list[Document]:
    key = {field.rpartition(".")[2]: f"${field}" for field in fields}
    return [
        {"$group": {"_id": key, "count": {"$sum": 1}}},
        {"$match": {"count": {"$gt": 1}}},
    ]


def _doubles_error(
    collection: Collection[Document], fields: tuple[str, ...]
) -> UnsupportedCollectionError:
    query = json.dumps(_doubles(fields), separators=(",", ":"))
    return UnsupportedCollectionError(
        f"{collection.name}: several documents share one ({', '.join(fields)}), so the unique index"
        f" that keeps doubles out cannot be made; nothing was changed",
        hint="This shows them; remove all but one of each, then run again:\n"
        f"db.{collection.name}.aggregate({query},{{allowDiskUse:true}})",
    )
