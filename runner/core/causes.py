"""Why an hour of a station has no reading: the causes, their words, and who decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from runner.core.checkpoint import Progress
from runner.core.intervals import Interval, intersect


class Cause(StrEnum):
    """What is true of an hour of a station."""

    READING = "reading"
    NOT_ASKED = "not_asked"
    """Nobody has an answer for it: not fetched yet, failed, left, or not asked for on purpose."""
    UNKNOWN = "unknown"
    """Only a checkpoint says covered, most often one that another program wrote."""
    LOST = "lost"
    """A reading was stored, and is gone."""
    KEPT = "kept"
    """Another writer's document stands there, and is no reading."""
    REJECTED = "rejected"
    """There was a record, or there is a stored value, that is no reading."""
    EMPTY = "empty"
    """The source answered for this hour, and had nothing."""


MISSING: tuple[Cause, ...] = tuple(cause for cause in Cause if cause is not Cause.READING)
"""Causes of a missing hour; where a gap has as many hours of two, the earlier one names it."""

CAUSE_WORDS = {
    "empty": "the source had nothing",
    "not_asked": "not asked",
    "rejected": "rejected",
    "lost": "lost after it was stored",
    "kept": "kept by another writer",
    "unknown": "unknown",
}
"""The words for a cause, everywhere the same, in the order in which they are shown."""


def cause_words(hours: Mapping[str, int]) -> str:
    """Return missing hours by cause: `24 h the source had nothing, 3 h rejected`."""
    known = [(hours.get(cause, 0), words) for cause, words in CAUSE_WORDS.items()]
    other = [(count, cause) for cause, count in hours.items() if cause not in CAUSE_WORDS]
    return ", ".join(f"{count:,} h {words}" for count, words in (*known, *other) if count)


def gap_words(row: Mapping[str, Any]) -> str:
    """Return the cause of a row of gaps.csv in words; several with their hours."""
    hours = {cause: row.get(f"{cause}_h") or 0 for cause in CAUSE_WORDS}
    several = sum(map(bool, hours.values())) > 1
    return cause_words(hours) if several else CAUSE_WORDS.get(row["cause"], row["cause"])


def decide(
    window: Interval,
    progress: Progress,
    *,
    no_index: Collection[int] = (),
    no_number: Collection[int] = (),
) -> bytearray:
    """Return, per hour of a window, the index in MISSING that is true if it has no reading.

    The source's own answer comes first. Where it gave a reading, or nobody knows, a document that
    stands there decides; where nothing stands there, a reading is lost.

    Args:
        window: hours, UTC.
        progress: what the checkpoint knows.
        no_index: hours with a stored number that is no index (below zero, a filler).
        no_number: hours with a stored document that has no number.
    """
    index = {cause: MISSING.index(cause) for cause in MISSING}
    found = bytearray([index[Cause.NOT_ASKED]]) * window.hours
    covered = intersect(progress.covered, (window,))
    empty = (Interval(item.start, item.end) for item in progress.empty)
    for pieces, cause in (
        (covered, Cause.LOST),
        (empty, Cause.EMPTY),
        (progress.unknown, Cause.UNKNOWN),
        (progress.rejected, Cause.REJECTED),
    ):
        for piece in intersect(pieces, covered):
            start, end = piece.start - window.start, piece.end - window.start
            found[start:end] = bytes([index[cause]]) * piece.hours
    unanswered = (index[Cause.LOST], index[Cause.UNKNOWN])
    for hours, cause in ((no_number, Cause.KEPT), (no_index, Cause.REJECTED)):
        for hour in hours:
            if window.start <= hour < window.end and found[hour - window.start] in unanswered:
                found[hour - window.start] = index[cause]
    return found
