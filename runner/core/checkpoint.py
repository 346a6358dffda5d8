"""How far a station has been fetched: the pure form of an `ingest_checkpoints` document."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from runner.core.intervals import (
    Interval,
    Intervals,
    intersect,
    subtract,
    total_hours,
    union,
)
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
        unasked_windows: windows of which the source was asked for no hour.
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
    unasked_windows: int = 0

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
            self.unasked_windows + other.unasked_windows,
        )

    @property
    def readings(self) -> int:
        """Readings in the answers of the source, stored, unchanged or kept as they were."""
        return self.inserted + self.updated + self.unchanged + self.kept


def refused_hours(window: Interval, read: frozenset[int], rejects: Sequence[Reject]) -> set[int]:
    """Return the hours of a window that have a reject and no reading."""
    return {
        reject.hour
        for reject in rejects
        if reject.hour is not None and window.start <= reject.hour < window.end
    } - read


def tally_window(
    window: Interval,
    read: frozenset[int],
    rejects: Sequence[Reject],
    repaired: int,
    not_asked: Intervals = (),
) -> Tally:
    """Account for every hour of a fetched window; what the store did with it is added later.

    Args:
        window: the hours fetched.
        read: its hours with a reading.
        rejects: everything refused, by the source or by us.
        repaired: records whose hour label was corrected by a documented rule.
        not_asked: its hours, without a record, that the source was not asked for.
    """
    refused = refused_hours(window, read, rejects)
    unasked = total_hours(not_asked)
    return Tally(
        rejects=len(rejects),
        repaired=repaired,
        rejected_hours=len(refused),
        empty_hours=window.hours - len(read) - len(refused) - unasked,
        windows=1,
        empty_windows=not read and unasked < window.hours,
        partial=sum(reject.reason is Reason.SUB_INDEX_UNUSABLE for reject in rejects),
        unasked_windows=unasked == window.hours,
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
    """How far a station is, and what is known of its hours.

    Attributes:
        covered: hours whose answer is stored.
        empty: of them, those for which the source gave no reading.
        rejected: of `empty`, those for which it gave a record that is no reading.
        not_asked: hours that are not covered because the source was not asked for them, and need
            not be asked for again unless gaps are wanted.
        unknown: covered hours of which nothing but the checkpoint says that they were answered:
            another program wrote it, or an older version that noted too little.
        unsettled: hours of `empty` that an older version counted as rejected without noting which;
            0 where `rejected` is complete.
    """

    covered: Intervals = ()
    empty: Empties = ()
    rejected: Intervals = ()
    not_asked: Intervals = ()
    unknown: Intervals = ()
    unsettled: int = 0

    @property
    def settled(self) -> Intervals:
        """Hours that need no request unless gaps are wanted."""
        return union((*self.covered, *self.not_asked))

    def after_window(
        self,
        window: Interval,
        read: Collection[int],
        refused: Collection[int],
        not_asked: Intervals,
        asked: int,
    ) -> Progress:
        """Return the progress after a window is stored; what was known of it before is replaced.

        Args:
            window: the hours fetched.
            read: its hours with a reading.
            refused: its hours with a reject and no reading.
            not_asked: its hours that the source was not asked for.
            asked: the hour in which the source was asked.
        """
        answered = subtract((window,), not_asked)
        without = [hour for piece in answered for hour in range(*piece) if hour not in read]
        outside = self._without((window,))
        return outside._replace(
            covered=union((*outside.covered, *answered)),
            empty=note_empties(self.empty, window, without, asked),
            rejected=union((*outside.rejected, *_hours(refused))),
            not_asked=union((*outside.not_asked, *not_asked)),
        )

    def after_observation(self, read: Collection[int]) -> Progress:
        """Return the progress after a present observation; of other hours nothing is known."""
        hours = union(_hours(read))
        rest = self._without(hours)
        return rest._replace(
            covered=union((*self.covered, *hours)), empty=without_hours(self.empty, read)
        )

    def after_filling(self, hours: Collection[int]) -> Progress:
        """Return the progress after covered hours gained a reading."""
        rest = self._without(union(_hours(hours)))
        return rest._replace(covered=self.covered, empty=without_hours(self.empty, hours))

    def settle(self, kept: Collection[int]) -> Progress:
        """Return the progress with the rejected hours that an older version did not note.

        Args:
            kept: hours that a reject is kept of.
        """
        if not self.unsettled:
            return self
        empty = tuple(Interval(item.start, item.end) for item in self.empty)
        rejected = intersect(empty, _hours(kept))
        # More hours were rejected than rejects were kept (limits.rejects): any other hour may be
        # one of them.
        doubtful = total_hours(rejected) < self.unsettled
        unknown = union((*self.unknown, *subtract(empty, rejected))) if doubtful else self.unknown
        return self._replace(rejected=rejected, unknown=unknown, unsettled=0)

    def _without(self, hours: Intervals) -> Progress:
        """Return the progress less what is known of some hours, `empty` left as it is."""
        return self._replace(
            covered=subtract(self.covered, hours),
            rejected=subtract(self.rejected, hours),
            not_asked=subtract(self.not_asked, hours),
            unknown=subtract(self.unknown, hours),
        )


def _hours(hours: Collection[int]) -> list[Interval]:
    return [Interval(hour, hour + 1) for hour in hours]


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


def gaps(progress: Progress, stored: Intervals, asked_since: int) -> Intervals:
    """Return the hours without a reading that should be asked for again.

    These are hours that are lost, unknown or not asked for, and those that the source had no
    reading for when it was asked long ago.

    Args:
        progress: what the checkpoint knows.
        stored: hours that have a document.
        asked_since: hours without a reading at the source are left if asked for since this hour.
    """
    lately = [
        Interval(item.start, item.end) for item in progress.empty if item.asked >= asked_since
    ]
    sure = subtract(lately, progress.unknown)
    return subtract(subtract(progress.settled, stored), sure)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of one station.

    Attributes:
        station_idx: the station.
        status: the documented state.
        covered: hours whose answer is stored (readings, rejects, or an honest nothing).
        empty: covered hours that the source had no reading for.
        rejected: of `empty`, hours with a record that is no reading.
        not_asked: hours that are not covered, since the source was not asked for them.
        unknown: covered hours of which nothing but the checkpoint says that they were answered.
        unsettled: see `Progress`.
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
    rejected: Intervals = ()
    not_asked: Intervals = ()
    unknown: Intervals = ()
    unsettled: int = 0
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

    @property
    def progress(self) -> Progress:
        """What is known of the station's hours."""
        return Progress(
            self.covered, self.empty, self.rejected, self.not_asked, self.unknown, self.unsettled
        )


class Holder(NamedTuple):
    """The run that works on a station at the moment.

    Attributes:
        run_id: the run.
        expires_at: when the station is free, unless the run renews its lease before; UTC.
    """

    run_id: str
    expires_at: datetime
