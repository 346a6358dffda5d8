"""Half-open UTC hour intervals.

An hour is an integer: hours since 1970-01-01T00:00Z. `Interval(start, end)` holds the hours
start, start+1, …, end-1. Integers make "aligned to the hour" true by construction; they become
datetimes only at the edges (`to_datetime`, `iso`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_HOUR = timedelta(hours=1)


class Interval(NamedTuple):
    """The hours from start (included) to end (excluded), UTC."""

    start: int
    end: int

    @property
    def hours(self) -> int:
        """Number of hours; never negative for the intervals the functions here return."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{iso(self.start)}..{iso(self.end)}"


Intervals = tuple[Interval, ...]
"""Sorted, disjoint, non-adjacent, non-empty intervals: the form `union` returns."""


def hour_of(moment: datetime) -> int:
    """Return the hour that contains an aware datetime (floored).

    Raises:
        ValueError: the datetime is naive.
    """
    if moment.tzinfo is None:
        msg = f"a naive datetime has no UTC hour: {moment!r}"
        raise ValueError(msg)
    return (moment - EPOCH) // ONE_HOUR


def to_datetime(hour: int) -> datetime:
    """Return the start of an hour as an aware UTC datetime."""
    return EPOCH + timedelta(hours=hour)


def iso(hour: int) -> str:
    """Return the start of an hour as `2023-01-01T00:00:00Z`."""
    return f"{to_datetime(hour).isoformat()[:19]}Z"


def union(intervals: Iterable[Interval]) -> Intervals:
    """Return the hours that any of the intervals holds; touching intervals become one."""
    merged: list[Interval] = []
    for item in sorted([item for item in intervals if item.end > item.start]):
        if merged and item.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, item.end))
        else:
            merged.append(item)
    return tuple(merged)


def subtract(wanted: Iterable[Interval], covered: Iterable[Interval]) -> Intervals:
    """Return the wanted hours that are not covered."""
    holes = union(covered)
    left: list[Interval] = []
    for start, end in union(wanted):
        at = start
        for hole in holes:
            if hole.end <= at:
                continue
            if hole.start >= end:
                break
            if hole.start > at:
                left.append(Interval(at, hole.start))
            at = hole.end
        if at < end:
            left.append(Interval(at, end))
    return tuple(left)


def intersect(first: Iterable[Interval], second: Iterable[Interval]) -> Intervals:
    """Return the hours that both hold."""
    both: list[Interval] = []
    ones, others = deque(union(first)), deque(union(second))
    while ones and others:
        start, end = max(ones[0].start, others[0].start), min(ones[0].end, others[0].end)
        if start < end:
            both.append(Interval(start, end))
        (ones if ones[0].end == end else others).popleft()
    return tuple(both)


def total_hours(intervals: Iterable[Interval]) -> int:
    """Return how many hours disjoint intervals hold together."""
    return sum(end - start for start, end in intervals)


def split(intervals: Iterable[Interval], batch_hours: int) -> Iterator[Interval]:
    """Yield windows of at most `batch_hours` hours, in the order of the intervals, lazily."""
    for start, end in intervals:
        for at in range(start, end, batch_hours):
            yield Interval(at, min(at + batch_hours, end))


def count_windows(intervals: Iterable[Interval], batch_hours: int) -> int:
    """Return how many windows `split` yields, without making them."""
    return sum(-((start - end) // batch_hours) for start, end in intervals)


def enclose(pieces: Intervals, batch_hours: int) -> tuple[Interval, ...]:
    """Return the fewest windows of at most `batch_hours` that hold all hours of the pieces.

    A window may hold other hours too, between the first and the last piece in it.
    """
    windows: list[Interval] = []
    for start, end in pieces:
        at = max(start, windows[-1].end) if windows else start
        if windows and at < end:
            # The last window may grow up to its limit before another one is begun.
            reach = min(end, windows[-1].start + batch_hours)
            if reach > at:
                windows[-1] = Interval(windows[-1].start, reach)
                at = reach
        windows.extend(split((Interval(at, end),), batch_hours))
    return tuple(windows)
