"""Stored readings to those on another scale, from the concentrations kept beside them. Pure.

A reading is changed only where it is, field by field, what the kept concentrations gave: a document
with anything else in it is another writer's, or shared with one, and stays. New indices come from
`runner.core.concentrations.compute`, as they do when the hour is loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from runner.core.concentrations import MeasuredHour, compute
from runner.core.intervals import Interval
from runner.core.readings import Reading, Reject, to_readings


@dataclass(frozen=True, slots=True)
class KeptHour:
    """The concentrations that one source gave for one hour, as they are kept.

    Attributes:
        key: their `_id`.
        source: the name of the source.
        stored_at: when they were kept, aware.
        measured: the hour; without a scale where no reading comes of it.
        may_be: what the stored reading may say: what was noted last, and what a change that was cut
            off would have made of it. Empty in documents that do not say what they gave.
    """

    key: Any
    source: str
    stored_at: datetime
    measured: MeasuredHour
    may_be: tuple[MeasuredHour, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One hour whose reading, or the lack of it, comes of kept concentrations.

    Attributes:
        kept: them.
        now: with the scale and the record that the stored reading is of.
        new: with those of the wanted scale.
        stored: the stored reading; None where there is none.
        reading: the one on the wanted scale; None where that has no index for the hour.
    """

    kept: KeptHour
    now: MeasuredHour
    new: MeasuredHour
    stored: Reading | None
    reading: Reading | None

    @property
    def replaces(self) -> bool:
        """Whether a stored reading has to be set to other values, or to go."""
        return self.stored is not None and self.stored != self.reading

    @property
    def is_done(self) -> bool:
        """Whether the reading and what is noted of it are as wanted."""
        return (
            self.stored == self.reading and self.kept.may_be == (self.new,) and self.now == self.new
        )


class Left(StrEnum):
    """Why an hour is left as it is."""

    OTHERS = "others"
    """The stored reading is not what the concentrations gave."""
    MISSING = "missing"
    """The concentrations gave a reading that is not there."""
    OLDER = "older"
    """An older version kept the concentrations, and did not note what they gave."""


@dataclass(frozen=True, slots=True)
class Rescaled:
    """What becomes of the hours of a window.

    Attributes:
        changes: the hours whose readings come of kept concentrations, sorted.
        rejects: of those that have no index on the wanted scale.
        left: the other hours that have kept concentrations.
        released: concentrations that no stored reading comes of, though it is noted that one does.
    """

    changes: list[Change] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    left: dict[int, Left] = field(default_factory=dict)
    released: list[KeptHour] = field(default_factory=list)


def rescale(
    kept: Sequence[KeptHour],
    stored: Mapping[int, Mapping[str, Any]],
    station_idx: int,
    window: Interval,
    scale: str,
    now: datetime,
) -> Rescaled:
    """Return what becomes of the hours of a window on a scale.

    Where several sources measured an hour, the stored reading comes of the one that gave it; of
    equals, the one kept last, as the last to load an hour is the one that is stored.

    Args:
        kept: of one station, sorted by hour; also the CONTEXT_H hours before the window.
        stored: the stored documents of the window, by hour.
        station_idx: the station.
        window: hours, UTC.
        scale: a key of SCALES.
        now: the present, aware; no reading may lie after it.
    """

    def reading(hour: MeasuredHour) -> Reading | None:
        made = to_readings([hour.gave] if hour.gave else [], station_idx, window, now)
        return made.readings[0] if made.readings else None

    new, rejects = _computed(kept, scale, window)
    by_hour: defaultdict[int, list[KeptHour]] = defaultdict(list)
    for one in kept:
        if one.measured.scale and window.start <= one.measured.hour < window.end:
            by_hour[one.measured.hour].append(one)
    rescaled = Rescaled()
    for hour, some in sorted(by_hour.items()):
        document = stored.get(hour)
        said: Any = document and {name: document[name] for name in document if name != "_id"}
        some.sort(key=lambda one: one.stored_at, reverse=True)
        ours = ((one, was) for one in some for was in one.may_be if reading(was) == said)
        found, was = next(ours, (None, None))
        if found is not None and was is not None:
            place = (found.source, hour)
            change = Change(found, was, new[place], said, reading(new[place]))
            rescaled.changes.append(change)
            if place in rejects and was.gave is not None:
                rescaled.rejects.append(rejects[place])
        elif any(not one.may_be for one in some):
            rescaled.left[hour] = Left.OLDER
        else:
            rescaled.left[hour] = Left.OTHERS if said else Left.MISSING
        rescaled.released.extend(one for one in some if one.may_be and one is not found)
    return rescaled


def _computed(
    kept: Sequence[KeptHour], scale: str, window: Interval
) -> tuple[dict[tuple[str, int], MeasuredHour], dict[tuple[str, int], Reject]]:
    """Return hours and rejects on a scale by source and hour, each source by itself."""
    by_source: defaultdict[str, list[MeasuredHour]] = defaultdict(list)
    for one in kept:
        by_source[one.source].append(one.measured)
    hours: dict[tuple[str, int], MeasuredHour] = {}
    rejects: dict[tuple[str, int], Reject] = {}
    for source, measured in by_source.items():
        settled = compute(measured, scale, window)
        hours |= {(source, one.hour): one for one in settled.hours}
        rejects |= {(source, one.hour): one for one in settled.rejects if one.hour is not None}
    return hours, rejects
