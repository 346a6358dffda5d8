"""A stored checkpoint, ours or written by hand, to its pure form."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from operator import attrgetter
from typing import Any

from bson.tz_util import utc

from runner.core.checkpoint import Checkpoint, Empties, Empty, Status, Tally
from runner.core.errors import StoreError
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
from runner.store.collection import Document, whole_number

NAME = "ingest_checkpoints"

COUNTERS = {
    "inserted": "total_inserted",
    "updated": "total_updated",
    "unchanged": "total_unchanged",
    "rejects": "total_rejected",
    "repaired": "total_repaired",
    "rejected_hours": "rejected_hours",
    "empty_hours": "empty_hours",
    "windows": "windows",
    "kept": "total_kept",
}
"""Fields of `Tally`, and what they are called in the document."""

NOTED = ("rejected", "not_asked", "unknown")
"""Fields with hours besides `covered` and `empty`, see `runner.core.checkpoint.Progress`."""

_YEARS = range(1970, 2200)
_INT32 = range(-(2**31), 2**31)
_COUNTS = range(2**53)
"""What a mongo shell writes exactly, and the server adds up without overflow."""
_PAIR = ("start", "end")
_EMPTY = ("start", "end", "asked")


def to_checkpoint(document: Document) -> Checkpoint | None:
    """Return the checkpoint, or None where the document belongs to no station.

    Dates may be dates or ISO texts; without an offset they are UTC. Only whole hours are covered.

    Raises:
        StoreError: a field cannot be understood; the message names station and field.
    """
    idx = whole_number(document.get("station_idx"))
    if idx is None or idx not in _INT32:
        return None
    status = _status(document.get("status"))
    start, end, last = (
        _moment(idx, field, document.get(field))
        for field in ("start_ts", "target_end_ts", "last_processed_ts")
    )
    start_hour = None if start is None else _hour_from(start)
    end_hour = None if end is None else hour_of(end)
    last_hour = None if last is None else hour_of(last)
    if document.get("covered") is not None:
        covered = _intervals(idx, "covered", document["covered"])
    else:
        ends = [] if last_hour is None else [last_hour + 1]
        if status is Status.COMPLETED and end_hour is not None:
            ends.append(end_hour)
        covered = () if start_hour is None or not ends else union([Interval(start_hour, max(ends))])
    found = tuple(
        Empty(_hour_from(start), hour_of(end), hour_of(asked))
        for start, end, asked in _rows(idx, "empty", document.get("empty"), _EMPTY)
    )
    empty = _disjoint(sorted(item for item in found if item.start < item.end))
    total = Tally(**{name: _count(idx, field, document) for name, field in COUNTERS.items()})
    noted = {name: _intervals(idx, name, document.get(name)) for name in NOTED}
    if document.get("unknown") is None:
        noted["unknown"] = _unknown(document, covered, empty, total)
    error = document.get("error_message")
    return Checkpoint(
        station_idx=idx,
        status=status,
        covered=covered,
        empty=empty,
        rejected=noted["rejected"],
        not_asked=subtract(noted["not_asked"], covered),
        unknown=intersect(noted["unknown"], covered),
        unsettled=total.rejected_hours if document.get("rejected") is None else 0,
        start_hour=start_hour,
        target_end_hour=end_hour,
        last_processed_hour=last_hour,
        total=total,
        error_message=str(error) if error and status is Status.FAILED else None,
        updated_at=_moment(idx, "updated_at", document.get("updated_at")),
    )


def _unknown(document: Document, covered: Intervals, empty: Empties, total: Tally) -> Intervals:
    """Return the covered hours that nothing proves to be answered, if the document notes none.

    Without `covered` another program wrote the document. With it an older version of ours did, and
    may have found hours covered by another program: its counts do not reach for them then.
    """
    if document.get("covered") is None:
        return covered
    if "empty" not in document:  # not asked for: see Checkpoints.load
        return ()
    answered = subtract(covered, (Interval(item.start, item.end) for item in empty))
    return answered if total.readings < total_hours(answered) else ()


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
    value = document.get(field, 0)
    number = whole_number(value)
    if number is None or number not in _COUNTS:
        raise _not_understood(idx, field, value, "a whole number, 0 or more")
    return number


def _not_understood(idx: int, field: str, value: Any, expected: str) -> StoreError:
    return StoreError(
        f"{NAME}: station {idx}: `{field}` is {value!r:.80}, expected {expected}",
        hint=f"Correct it, or have the station fetched anew: job=reset 'stations.ids=[{idx}]'",
    )
