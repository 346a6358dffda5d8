"""Open a collection, and read what MongoDB refuses; see `shape` for kinds and indexes."""

from __future__ import annotations

from collections.abc import Container
from enum import StrEnum
from typing import Any

from bson.codec_options import DatetimeConversion
from pymongo import ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

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

DURABLE = WriteConcern("majority", j=True, wtimeout=30_000)
"""What every write waits for: what a majority has in its journal, no failover takes back.
Without a limit, a write that no majority can confirm would wait for ever."""
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


def can_delete_by_time(
    collection: Collection[Document],
    refusals: Container[int | None] = (INVALID_OPTIONS, ILLEGAL_OPERATION, UNAUTHORIZED),
) -> bool:
    """Return whether single readings of a time-series collection can be deleted (MongoDB 7.0).

    Asked by a deletion that matches nothing: what the server says counts, not its version.

    Args:
        collection: of the readings.
        refusals: the error codes that mean no.
    """
    try:
        collection.delete_many({"ts": EPOCH, "aqi": {"$exists": False}, "meta": None})
    except OperationFailure as error:
        if error.code in refusals:
            return False
        raise
    return True


def doubled(fields: tuple[str, ...]) -> list[Document]:
    """Return the pipeline that finds the keys that several documents share."""
    key = {field.rpartition(".")[2]: f"${field}" for field in fields}
    return [
        {"$group": {"_id": key, "count": {"$sum": 1}}},
        {"$match": {"count": {"$gt": 1}}},
    ]
