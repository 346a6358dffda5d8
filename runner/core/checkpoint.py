"""How far a station has been fetched: the pure form of an `ingest_checkpoints` document."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from runner.core.intervals import Interval, Intervals, subtract, union
from runner.core.readings import Reason, Reject


class Status(StrEnum):
    """The documented states of a checkpoint."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


UNREADABLE = "unreadable"
"""The state of a checkpoint that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one window, one station or one run; they add up with `+`.

    Attributes:
        inserted: readings that were not there before.
        updated: readings that were there with other values.
        unchanged: readings that were there with the same values.
        rejects: records kept in `ingest_rejects`.
        repaired: records whose hour label was corrected by a documented rule.
        rejected_hours: hours that have a reject and no reading.
        empty_hours: hours of covered windows about which the source said nothing.
        windows: windows covered.
        kept: readings that were there with other values, which the collection cannot replace.
        empty_windows: windows covered without a reading.
        records: records the source handed over, those it refused itself included.
        partial: rejects that took a value from a reading which was made all the same.
        repeated: records that said the same of an hour as another one.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejects: int = 0
    repaired: int = 0
    rejected_hours: int = 0
    empty_hours: int = 0
    windows: int = 0
    kept: int = 0
    empty_windows: int = 0
    records: int = 0
    partial: int = 0
    repeated: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.rejects + other.rejects,
            self.repaired + other.repaired,
            self.rejected_hours + other.rejected_hours,
            self.empty_hours + other.empty_hours,
            self.windows + other.windows,
            self.kept + other.kept,
            self.empty_windows + other.empty_windows,
            self.records + other.records,
            self.partial + other.partial,
            self.repeated + other.repeated,
        )

    @property
    def readings(self) -> int:
        """Readings the source gave, whatever became of them in the collection."""
        return self.inserted + self.updated + self.unchanged + self.kept


def tally_window(
    window: Interval, read: frozenset[int], rejects: Sequence[Reject], repaired: int
) -> Tally:
    """Account for every hour of a fetched window; what the store did with it is added later.

    Args:
        window: the hours fetched.
        read: its hours with a reading.
        rejects: everything refused, by the source or by us.
        repaired: records whose hour label was corrected by a documented rule.
    """
    refused = {
        reject.hour
        for reject in rejects
        if reject.hour is not None and window.start <= reject.hour < window.end
    } - read
    return Tally(
        rejects=len(rejects),
        repaired=repaired,
        rejected_hours=len(refused),
        empty_hours=window.hours - len(read) - len(refused),
        windows=1,
        empty_windows=not read,
        partial=sum(reject.reason is Reason.SUB_INDEX_UNUSABLE for reject in rejects),
    )


class Empty(NamedTuple):
    """Hours the source was asked for and gave no reading for.

    Attributes:
        start: first hour.
        end: hour after the last.
        asked: the hour in which the source was asked last.
    """

    start: int
    end: int
    asked: int


Empties = tuple[Empty, ...]
"""Sorted and disjoint."""


class Progress(NamedTuple):
    """How far a station is at the moment a run takes it.

    Attributes:
        covered: hours whose answer is stored.
        empty: of them, those that the source had no reading for.
    """

    covered: Intervals = ()
    empty: Empties = ()


def note_empties(
    before: Empties, window: Interval, empty_hours: Collection[int], asked: int
) -> Empties:
    """Return what is known to be empty after a window was fetched.

    Args:
        before: what was known.
        window: the hours fetched; what was known of them is forgotten.
        empty_hours: its hours without a reading.
        asked: the hour in which the source was asked.
    """
    kept: list[Empty] = []
    for start, end, when in before:
        outside = subtract((Interval(start, end),), (window,))
        kept += [Empty(piece.start, piece.end, when) for piece in outside]
    found = union(Interval(hour, hour + 1) for hour in empty_hours)
    kept += [Empty(piece.start, piece.end, asked) for piece in found]
    merged: list[Empty] = []
    for item in sorted(kept):
        if merged and merged[-1].end == item.start and merged[-1].asked == item.asked:
            merged[-1] = merged[-1]._replace(end=item.end)
        else:
            merged.append(item)
    return tuple(merged)


def without_hours(empties: Empties, hours: Collection[int]) -> Empties:
    """Return what is known to be empty, less hours that have a reading by now."""
    filled = union(Interval(hour, hour + 1) for hour in hours)
    return tuple(
        Empty(piece.start, piece.end, asked)
        for start, end, asked in empties
        for piece in subtract((Interval(start, end),), filled)
    )


def gaps(covered: Intervals, stored: Intervals, empties: Empties, asked_since: int) -> Intervals:
    """Return the covered hours that have no reading and should be asked for again.

    Args:
        covered: hours whose answer was stored.
        stored: hours that have a reading.
        empties: hours the source had nothing for.
        asked_since: those asked for in this hour or later are not asked for again.
    """
    lately = [Interval(item.start, item.end) for item in empties if item.asked >= asked_since]
    return subtract(subtract(covered, stored), lately)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of one station.

    Attributes:
        station_idx: the station.
        status: the documented state.
        covered: hours whose answer is stored (readings, rejects, or an honest nothing).
        empty: covered hours that the source had no reading for.
        start_hour: first hour of the range last asked for; None in a hand-written checkpoint.
        target_end_hour: end (excluded) of the range last asked for; None likewise.
        total: counts since the station was first fetched. `inserted` counts every reading once; the
            others count what all passes did.
        error_message: why it failed, in words; None unless failed.
        updated_at: when the document last changed, UTC.
        unreadable: whether the document cannot be understood; `error_message` then says why.
    """

    station_idx: int
    status: Status
    covered: Intervals = ()
    empty: Empties = ()
    start_hour: int | None = None
    target_end_hour: int | None = None
    total: Tally = field(default_factory=Tally)
    error_message: str | None = None
    updated_at: datetime | None = None
    unreadable: bool = False

    @property
    def state(self) -> str:
        """The word for the state, as shown to a person."""
        return UNREADABLE if self.unreadable else str(self.status)
