"""Answers that were kept, put together again for any window. Pure.

An answer counts for the hours of its own window. Where answers overlap, the newest counts: it is
what the source said last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.core.intervals import Interval, Intervals, hour_of, intersect, subtract
from runner.core.readings import Answer, Reason, Reject, hour_in


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One answer of a source, for one window of one station.

    Attributes:
        window: the hours that were asked for, UTC.
        answered_at: when the source answered, aware.
        body: as answered, without the key.
        source: the name of the source.
        request: path and parameters, without the key.
    """

    window: Interval
    answered_at: datetime
    body: bytes = field(repr=False)
    source: str = ""
    request: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept.

    Attributes:
        hours: hours that kept answers hold, by station index.
        sources: the names of the sources that gave them, sorted.
    """

    hours: dict[int, Intervals]
    sources: tuple[str, ...]


def answer_of(
    kept: Sequence[KeptAnswer], window: Interval, read: Callable[[KeptAnswer], list[Any]]
) -> Answer:
    """Return what the kept answers say of a window; `asked` is when the oldest of them was given.

    Hours that no answer holds (it expired, or was removed) were not asked for.

    Records that lie outside the window asked for at the time, or after the time of the answer, stay
    rejects as they were then; they and records without a readable hour are reported once, with the
    first hour of their answer.

    Args:
        kept: answers of one station.
        window: the hours wanted, UTC.
        read: returns the records of an answer.

    Raises:
        SourceError: for the station: an answer cannot be read.
    """
    left: Intervals = (window,)
    records: list[Any] = []
    rejects: list[Reject] = []
    asked: list[int] = []
    for answer in sorted(kept, key=lambda item: item.answered_at, reverse=True):
        claimed = intersect(left, (answer.window,))
        if not claimed:
            continue
        left = subtract(left, claimed)
        asked.append(hour_of(answer.answered_at))
        for record in read(answer):
            hour = hour_in(record)
            reason = None if hour is None else _refused(hour, answer)
            if not _holds(claimed, answer.window.start if hour is None or reason else hour):
                continue
            if reason:
                rejects.append(Reject(reason, record, hour))
            else:
                records.append(record)
    return Answer(records, rejects, asked=min(asked, default=None), not_asked=left)


def _refused(hour: int, answer: KeptAnswer) -> Reason | None:
    if hour > hour_of(answer.answered_at):
        return Reason.IN_FUTURE
    inside = answer.window.start <= hour < answer.window.end
    return None if inside else Reason.OUTSIDE_WINDOW


def _holds(intervals: Intervals, hour: int) -> bool:
    return any(piece.start <= hour < piece.end for piece in intervals)
