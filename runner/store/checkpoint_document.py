"""A stored checkpoint to its pure form: ours, an older one of ours, or one in the documented form.

- `schema` 2: `covered` says what is covered.
- `covered` without `schema`: an older version wrote it. `covered` says what is covered; the totals
  have other names, and `last_processed_ts` was inclusive.
- no `covered`: the documented form. Covered is what lies between `start_ts` and
  `last_processed_ts` (exclusive), or `target_end_ts` if completed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from operator import attrgetter
from typing import Any

from bson.tz_util import utc

from runner.core.checkpoint import Checkpoint, Empties, Empty, Status, Tally
from runner.core.errors import Scope, StoreError
from runner.core.intervals import (
    Interval,
    Intervals,
    hour_of,
    intersect,
    subtract,
    to_datetime,
    total_hours,
    union,
)
from runner.core.stations import INT32
from runner.store.collection import Document, whole_number

NAME = "ingest_checkpoints"

SCHEMA = 2
"""Of the documents we write."""

INSERTED = "total_readings_inserted"

COUNTERS = {
    "inserted": INSERTED,
    "updated": "total_updated",
    "unchanged": "total_unchanged",
    "windows": "windows",
    "kept": "total_kept",
}
"""Fields of `Tally`, and what they are called in the document."""

DROPPED = (
    *("total_readings", "updated_at", "total_inserted"),
    *("total_rejected", "total_repaired", "rejected_hours", "empty_hours"),
)
"""Fields of documents without a schema that have another name now, or counted passes as hours."""

NOTED = ("rejected", "not_asked", "unknown")
"""Fields with hours besides `covered` and `empty`, see `runner.core.checkpoint.Progress`."""

_YEARS = range(1970, 2200)
_COUNTS = range(2**53)
"""What a mongo shell writes exactly, and the server adds up without overflow."""
_PAIR = ("start", "end")
_EMPTY = ("start", "end", "asked")


def to_checkpoint(document: Document) -> Checkpoint | None:
    """Return the checkpoint, or None if the document belongs to no station.

    Dates may be dates or ISO texts; without an offset they are UTC. Only whole hours are covered.

    Raises:
        StoreError: a field cannot be understood; the message names station and field.
    """
    idx = station_of(document)
    if idx is None:
        return None
    schema = document.get("schema")
    if schema is not None and whole_number(schema) != SCHEMA:
        raise _not_understood(idx, "schema", schema, f"{SCHEMA}, or none")
    status = _status(document.get("status"))
    start, end, last = (
        _moment(idx, field, document.get(field))
        for field in ("start_ts", "target_end_ts", "last_processed_ts")
    )
    start_hour = None if start is None else _hour_from(start)
    end_hour = None if end is None else hour_of(end)
    if document.get("covered") is not None:
        covered = _intervals(idx, "covered", document["covered"])
    else:
        ends = [] if last is None else [hour_of(last)]
        if status is Status.COMPLETED and end_hour is not None:
            ends.append(end_hour)
        covered = () if start_hour is None or not ends else union([Interval(start_hour, max(ends))])
    updated_at = "last_updated" if "last_updated" in document else "updated_at"
    found = tuple(
        Empty(_hour_from(start), hour_of(end), hour_of(asked))
        for start, end, asked in _rows(idx, "empty", document.get("empty"), _EMPTY)
    )
    empty = _disjoint(sorted(item for item in found if item.start < item.end))
    noted = {name: _intervals(idx, name, document.get(name)) for name in NOTED}
    if schema is None:
        noted["unknown"] = _unknown(idx, document, covered, empty)
    error = document.get("error_message")
    return Checkpoint(
        station_idx=idx,
        status=status,
        covered=covered,
        empty=empty,
        rejected=noted["rejected"],
        not_asked=subtract(noted["not_asked"], covered),
        unknown=intersect(noted["unknown"], covered),
        unsettled=_count(idx, "rejected_hours", document) if schema is None else 0,
        start_hour=start_hour,
        target_end_hour=end_hour,
        total=Tally(**{name: _count(idx, field, document) for name, field in COUNTERS.items()}),
        error_message=str(error) if error and status is Status.FAILED else None,
        updated_at=_moment(idx, updated_at, document.get(updated_at)),
    )


def _unknown(idx: int, document: Document, covered: Intervals, empty: Empties) -> Intervals:
    """Return the covered hours of a document without a schema that nothing proves to be answered.

    Without `covered` another program wrote it. With it an older version of ours did, and may have
    found hours covered by another program: then its count of readings does not reach for them.
    """
    if document.get("covered") is None:
        return covered
    if "empty" not in document:  # see Checkpoints.load
        return ()
    answered = subtract(covered, (Interval(item.start, item.end) for item in empty))
    readings = _count(idx, "total_readings", document)
    return answered if readings < total_hours(answered) else ()


def station_of(document: Document) -> int | None:
    """Return the station whose checkpoint the document is; None if it is nobody's."""
    idx = whole_number(document.get("station_idx"))
    return idx if idx is not None and idx in INT32 else None


def unreadable(station_idx: int, error: StoreError) -> Checkpoint:
    """Return what stands for a checkpoint that cannot be understood: nothing of it is known.

    Raises:
        StoreError: the same error, if no document is its reason.
    """
    if error.scope is Scope.RUN:
        raise error
    words = ". ".join(filter(None, (error.message, error.hint)))
    return Checkpoint(station_idx, Status.FAILED, error_message=words, unreadable=True)


def reached(covered: Iterable[Interval], wanted: Interval) -> datetime:
    """Return the end of what is covered of a range without a hole; its start before the first."""
    ends = (piece.end for piece in covered if piece.start <= wanted.start < piece.end)
    return to_datetime(min(next(ends, wanted.start), wanted.end))


def _status(value: Any) -> Status:
    """Return the status; BSON's code equals the text it holds, and is no status."""
    known = type(value) is str and value in list(Status)
    return Status(value) if known else Status.IN_PROGRESS


def _moment(idx: int, field: str, value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime) and value.tzinfo is utc and value.year in _YEARS:
        return value  # as the server hands it over: there are thousands of them
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            moment = None
    if not isinstance(moment, datetime) or moment.year not in _YEARS:
        raise _not_understood(idx, field, value, "a date of the years 1970 to 2199, or null")
    aware = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    if aware.year not in _YEARS:
        raise _not_understood(idx, field, value, "a date of the years 1970 to 2199, or null")
    return aware


def _hour_from(moment: datetime) -> int:
    """Return the first hour that begins at or after the moment."""
    hour = hour_of(moment)
    return hour + (to_datetime(hour) < moment)


def _rows(idx: int, field: str, value: Any, names: tuple[str, ...]) -> list[list[datetime]]:
    """Return a list of lists of dates, each as long as the names."""
    expected = f"a list of [{', '.join(names)}] dates"
    if value is None:
        return []
    if not isinstance(value, list):
        raise _not_understood(idx, field, value, expected)
    rows = []
    for item in value:
        moments = [_moment(idx, field, moment) for moment in item] if isinstance(item, list) else []
        row = [moment for moment in moments if moment is not None]
        if len(row) != len(names) or len(moments) != len(names):
            raise _not_understood(idx, field, item, expected)
        rows.append(row)
    return rows


def _intervals(idx: int, field: str, value: Any) -> Intervals:
    rows = _rows(idx, field, value, _PAIR)
    return union(Interval(_hour_from(start), hour_of(end)) for start, end in rows)


def _disjoint(rows: list[Empty]) -> Empties:
    """Return sorted rows without overlap, which only others write: what was asked last counts."""
    if all(left.end <= right.start for left, right in pairwise(rows)):
        return tuple(rows)
    kept: list[Empty] = []
    for row in sorted(rows, key=attrgetter("asked")):
        hours = (Interval(row.start, row.end),)
        kept = [
            Empty(piece.start, piece.end, earlier.asked)
            for earlier in kept
            for piece in subtract((Interval(earlier.start, earlier.end),), hours)
        ]
        kept.append(row)
    return tuple(sorted(kept))


def _count(idx: int, field: str, document: Document) -> int:
    if field == INSERTED and field not in document:
        field = "total_inserted"
    value = document.get(field, 0)
    number = whole_number(value)
    if number is None or number not in _COUNTS:
        raise _not_understood(idx, field, value, "a whole number, 0 or more")
    return number


def _not_understood(idx: int, field: str, value: Any, expected: str) -> StoreError:
    return StoreError(
        f"{NAME}: station {idx}: `{field}` is {value!r:.80}, expected {expected}",
        scope=Scope.STATION,
        hint="Correct it, or have the station fetched anew: "
        f"job=reset 'stations.ids=[{idx}]' confirm=true",
    )
