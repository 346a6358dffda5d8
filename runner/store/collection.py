"""Opening a collection, telling its kind, and the unique index that makes doubles impossible."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from bson.codec_options import DatetimeConversion
from pymongo import ASCENDING, ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, CollectionInvalid, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from runner.core.errors import UnsupportedCollectionError
from runner.core.intervals import EPOCH

Document = dict[str, Any]

DUPLICATE_KEY = 11000
"""Server error code: a unique index refused a second document with the same key."""
ILLEGAL_OPERATION = 20
"""Server error code: the operation is not allowed on this kind of collection."""
NAMESPACE_EXISTS = 48
"""Server error code: the collection exists already."""
UNAUTHORIZED = 13
"""Server error code: this user may not do that."""
INVALID_OPTIONS = 72
"""Server error code: on a time-series collection, a deletion by anything but `meta`."""
FAILED_VALIDATION = 121
"""Server error code: the collection's validator refused a document."""

DURABLE = WriteConcern("majority", j=True)
"""What every write waits for: what a majority has in its journal, no failover takes back."""
LATEST = ReadConcern("local")
"""What every look sees: also what a majority does not have yet, or we would store it again."""


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
    Writes wait for a majority. No option of MONGO_URI changes any of it.
    """
    options = database.codec_options.with_options(
        tz_aware=True,
        unicode_decode_error_handler="replace",
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )
    return database.get_collection(
        name,
        codec_options=options,
        read_preference=ReadPreference.PRIMARY,
        write_concern=DURABLE,
        read_concern=LATEST,
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


def describe(collection: Collection[Document]) -> tuple[Kind, Document]:
    """Return what the collection is at this moment, and the options it was made with."""
    found = list(collection.database.list_collections(filter={"name": collection.name}))
    if not found:
        return Kind.ABSENT, {}
    options: Document = found[0].get("options", {})
    if found[0]["type"] == "timeseries":
        return Kind.TIME_SERIES, options
    if found[0]["type"] == "view":
        return Kind.VIEW, options
    return Kind.CAPPED if options.get("capped") else Kind.REGULAR, options


def create_timeseries(collection: Collection[Document]) -> None:
    """Make the time-series collection of the existing system, unless another run just did."""
    series = {"timeField": "ts", "metaField": "meta", "granularity": "hours"}
    try:
        collection.database.create_collection(collection.name, timeseries=series)
    except (CollectionInvalid, OperationFailure) as error:
        if isinstance(error, OperationFailure) and error.code != NAMESPACE_EXISTS:
            raise


def can_delete_by_time(collection: Collection[Document]) -> bool:
    """Return whether single readings of a time-series collection can be deleted (MongoDB 7.0).

    Asked by a deletion that matches nothing: what the server says counts, not its version.
    """
    try:
        collection.delete_many({"ts": EPOCH, "aqi": {"$exists": False}, "meta": None})
    except OperationFailure as error:
        if error.code in (INVALID_OPTIONS, ILLEGAL_OPERATION, UNAUTHORIZED):
            return False
        raise
    return True


def ensure_index(collection: Collection[Document], fields: tuple[str, ...], name: str) -> None:
    """Create a plain index, unless one over exactly these fields, in any direction, is there."""
    if not any(tuple(index["key"]) == fields for index in collection.list_indexes()):
        collection.create_index([(field, ASCENDING) for field in fields], name=name)


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
    pipeline = [*doubled(fields), {"$limit": 1}]
    if list(collection.aggregate(pipeline, allowDiskUse=True)):
        raise _doubles_error(collection, fields)


def doubled(fields: tuple[str, ...]) -> list[Document]:
    """Return the pipeline that finds the keys that several documents share."""
    key = {field.rpartition(".")[2]: f"${field}" for field in fields}
    return [
        {"$group": {"_id": key, "count": {"$sum": 1}}},
        {"$match": {"count": {"$gt": 1}}},
    ]


def _doubles_error(
    collection: Collection[Document], fields: tuple[str, ...]
) -> UnsupportedCollectionError:
    query = json.dumps(doubled(fields), separators=(",", ":"))
    return UnsupportedCollectionError(
        f"{collection.name}: several documents share one ({', '.join(fields)}), so the unique index"
        f" that keeps doubles out cannot be made; nothing was changed",
        hint="job=dedupe removes exact doubles and reports the rest; this shows them:\n"
        f"db.{collection.name}.aggregate({query},{{allowDiskUse:true}})",
    )
