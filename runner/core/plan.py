"""Stations, checkpoints and a range to a plan: what will be fetched, why, and what it costs.

Pure. A plan holds one small entry a station; windows are made one by one while it is executed, so
a plan for 12,000 stations and ten years costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

from runner.core.checkpoint import Checkpoint, Status
from runner.core.intervals import (
    Interval,
    Intervals,
    count_windows,
    enclose,
    intersect,
    iso,
    split,
    subtract,
    total_hours,
    union,
)
from runner.core.stations import Station

HOUR_S = 3600.0
# A limit is spread over an hour and these seconds. A request reaches the API a little after its
# permit (a thread waits, a connection is slow): while that takes less, no hour sees one too many.
SPARE_S = 36.0
LATE_S = SPARE_S / 2
"""How late a permit may be used; the other half is for the request on its way."""
PLAN_VERSION = 1
"""Of plan.json: fields may be added within a version."""


class Mode(StrEnum):
    """Which hours of the range are fetched."""

    RESUME = "resume"
    """Hours that are not covered."""
    GAPS = "gaps"
    """Hours without a reading that are lost, unknown or not asked for, or that the source had no
    reading for when it was asked long ago."""
    MISSING = "missing"
    """Both: hours that are not covered, and covered ones without a reading."""
    REFETCH = "refetch"
    """All hours, covered or not; what changed is updated."""

    @property
    def looks_for_gaps(self) -> bool:
        """Whether hours matter that are covered and have no reading."""
        return self in (Mode.GAPS, Mode.MISSING)


class Why(StrEnum):
    """Why a station is worked on."""

    NEW = "new"
    RESUME = "resume"
    EXTEND = "extend"
    RETRY = "retry"
    LOOKBACK = "lookback"
    """The last covered hours are read again, for late corrections."""
    GAPS = "gaps"
    REFETCH = "refetch"
    PRESENT = "present"
    """The source has the present observation only: one request, whatever is covered."""
    FINISH = "finish"
    """Everything is covered, but the checkpoint does not say completed yet: no request."""


class Skip(StrEnum):
    """Why a station is not worked on."""

    COVERED = "covered"
    NO_GAPS = "no gaps"
    FAILED = "failed earlier"
    UNKNOWN = "unknown id"
    NOT_OFFERED = "not in this source"
    UNREADABLE = "unreadable checkpoint"
    LEASED = "leased by another run"
    ELSEWHERE = "done by another run"
    """Covered by another run since the plan was made."""
    NOT_KEPT = "no kept answer"
    """Hours of a replay for which no answer was kept; they stay as they were."""


class Wait(StrEnum):
    """What a request or a write waits for."""

    PACE = "the pace"
    OTHERS = "other requests with this key"
    """The shared budget grants later than the own pace: others asked, or the hour is full."""
    THROTTLING = "the API's throttling"
    DATABASE = "the database"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast requests may follow each other.

    Attributes:
        delay_s: seconds between two requests.
        max_per_hour: requests allowed in any 3600 seconds; 0 for no limit.
    """

    delay_s: float
    max_per_hour: int

    @property
    def interval_s(self) -> float:
        """Return the seconds between two permits: the delay, or an hour's share if it is longer."""
        if not self.max_per_hour:
            return self.delay_s
        return max(self.delay_s, (HOUR_S + SPARE_S) / self.max_per_hour)

    def permit_at_s(self, index: int) -> float:
        """Return when the request number `index` (from 0) may start, in seconds from the first."""
        return index * self.interval_s

    def duration_s(self, requests: int) -> float:
        """Return the time from the first request to the last, in seconds."""
        return self.permit_at_s(requests - 1) if requests else 0.0

    def quota_share(self, requests: int) -> float | None:
        """Return the share of one hour's quota used in the busiest hour; None without a quota."""
        if not self.max_per_hour:
            return None
        return min(requests, HOUR_S / self.interval_s) / self.max_per_hour


@dataclass(frozen=True, slots=True)
class Cost:
    """How many requests a faultless run makes of a source, as far as that is known beforehand.

    Attributes:
        of_window: by the hours of a window.
        of_station: for a station besides, by its index, where it has any window.
        counted: in words what is counted and what is not; empty where everything is.
    """

    of_window: Callable[[int], int] = lambda _hours: 1
    of_station: Callable[[int], int] = lambda _idx: 0
    counted: str = ""


ONE_A_WINDOW = Cost()
"""Of most sources."""


@dataclass(frozen=True, slots=True)
class StationPlan:
    """What will be done for one station.

    Attributes:
        station: the station.
        wanted: the range asked for, UTC.
        pieces: the hours that will be fetched.
        covered: everything covered so far, also outside the range, without `again`.
        again: covered hours that will be fetched again; they do not count as covered until then.
        not_held: hours to be fetched that the source does not hold, and so cannot speak of.
        not_asked: hours that an earlier run settled without asking the source for them, without
            `pieces`.
        unknown: covered hours of which nothing but the checkpoint says that they were answered.
        why: why it is worked on; None when it is skipped.
        skip: why it is skipped; None when it is worked on.
        detail: words to the reason, such as the last error.
    """

    station: Station
    wanted: Interval
    pieces: Intervals = ()
    covered: Intervals = ()
    again: Intervals = ()
    not_held: Intervals = ()
    not_asked: Intervals = ()
    unknown: Intervals = ()
    why: Why | None = None
    skip: Skip | None = None
    detail: str = ""

    @property
    def is_present(self) -> bool:
        """Whether the present observation is asked for, rather than a range of hours."""
        return self.why is Why.PRESENT

    @property
    def reason(self) -> str:
        """The word for the reason, as shown to a person."""
        return str(self.why or self.skip)

    @property
    def covered_hours(self) -> int:
        """Hours of the wanted range that earlier runs covered; the present is never."""
        if self.is_present:
            return 0
        return total_hours(intersect((self.wanted,), self.covered))

    @property
    def not_asked_hours(self) -> int:
        """Hours of the wanted range that an earlier run did not ask for."""
        return 0 if self.is_present else total_hours(intersect((self.wanted,), self.not_asked))

    @property
    def unknown_hours(self) -> int:
        """Of `covered_hours`, those that nothing but the checkpoint says were answered."""
        known = intersect(self.covered, self.unknown)
        return 0 if self.is_present else total_hours(intersect((self.wanted,), known))

    @property
    def hours(self) -> int:
        """Hours that will be fetched; one where it is the present observation."""
        return 1 if self.is_present else total_hours(self.pieces)


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        stations: one entry a station, in the order of execution.
        batch_hours: longest window, hours.
        pace: of the requests.
        paced: whether a window costs a request (not so for files).
        cost: how many it costs.
    """

    stations: tuple[StationPlan, ...]
    batch_hours: int
    pace: Pace
    paced: bool = True
    cost: Cost = ONE_A_WINDOW

    def windows_of(self, entry: StationPlan) -> Iterator[Interval]:
        """Yield the windows of one station in order of time, lazily."""
        return split(entry.pieces, self.batch_hours)

    def count_windows_of(self, entry: StationPlan) -> int:
        """Return how many windows `windows_of` yields."""
        return count_windows(entry.pieces, self.batch_hours)

    @cached_property
    def active(self) -> tuple[StationPlan, ...]:
        """The stations that will be worked on."""
        return tuple(entry for entry in self.stations if entry.why)

    @cached_property
    def skipped(self) -> tuple[StationPlan, ...]:
        """The stations that will not be worked on."""
        return tuple(entry for entry in self.stations if entry.skip)

    @cached_property
    def windows(self) -> int:
        """Windows to fetch."""
        return sum(map(self.count_windows_of, self.stations))

    @cached_property
    def requests(self) -> int:
        """Requests a faultless run makes, as far as `cost` knows them."""
        return sum(map(self._requests_of, self.stations)) if self.paced else 0

    def _requests_of(self, entry: StationPlan) -> int:
        """Return the requests of one station, without making its windows."""
        if not entry.pieces:
            return 0
        parts = [divmod(piece.hours, self.batch_hours) for piece in entry.pieces]
        whole = sum(full for full, _rest in parts) * self.cost.of_window(self.batch_hours)
        rests = sum(self.cost.of_window(rest) for _full, rest in parts if rest)
        return whole + rests + self.cost.of_station(entry.station.idx)

    @cached_property
    def hours(self) -> int:
        """Station-hours to fetch."""
        return sum(entry.hours for entry in self.stations)

    @property
    def duration_s(self) -> float:
        """Expected duration at the configured pace, seconds."""
        return self.pace.duration_s(self.requests)


def build_plan(
    stations: Iterable[Station],
    checkpoints: Mapping[int, Checkpoint],
    wanted: Interval | Callable[[int], Interval],
    *,
    batch_hours: int,
    pace: Pace,
    paced: bool = True,
    cost: Cost = ONE_A_WINDOW,
    named: Collection[int] = (),
    unknown: Iterable[int] = (),
    offers: Callable[[int], bool] = lambda _idx: True,
    mode: Mode = Mode.RESUME,
    gaps: Mapping[int, Intervals] = MappingProxyType({}),
    lookback_hours: int = 0,
    held: Mapping[int, Intervals] | None = None,
) -> Plan:
    """Plan which hours of which stations are to be fetched.

    Args:
        stations: the stations selected, in the order of execution.
        checkpoints: what is known of them, by station index.
        wanted: the range asked for, UTC; or a function giving it by station index.
        batch_hours: longest window, hours; at least 1.
        pace: of the requests.
        paced: whether a window costs a request.
        cost: how many it costs.
        named: stations whose earlier failure does not keep them out.
        unknown: ids asked for that are no known station.
        offers: whether the source has the station at all.
        mode: which hours of the range are fetched.
        gaps: for modes gaps and missing, by station index: hours without a reading to be asked for
            again.
        lookback_hours: for modes resume and missing: hours before the covered end to be read again.
        held: the only hours the source can speak of, by station index; None for all.
    """

    def pieces_of(checkpoint: Checkpoint | None, interval: Interval) -> tuple[Intervals, Why]:
        if mode is Mode.REFETCH:
            return (interval,), Why.REFETCH
        known = gaps.get(checkpoint.station_idx, ()) if checkpoint else ()
        holes = intersect((interval,), known)
        if mode is Mode.GAPS:
            return enclose(holes, batch_hours), Why.GAPS
        pieces, why = _uncovered(checkpoint, interval, lookback_hours)
        if mode is Mode.MISSING and holes:
            why = why if pieces else Why.GAPS
            pieces = enclose(union((*pieces, *holes)), batch_hours)
        return pieces, why

    entries = []
    for station in stations:
        idx = station.idx
        interval = wanted(idx) if callable(wanted) else wanted
        if not offers(idx):
            entries.append(StationPlan(station, interval, skip=Skip.NOT_OFFERED))
        else:
            known = checkpoints.get(idx)
            entry = _plan_station(station, known, interval, pieces_of, named=idx in named)
            entries.append(entry if held is None else _restrict(entry, held.get(idx, ())))
    for idx in unknown:
        interval = wanted(idx) if callable(wanted) else wanted
        entries.append(StationPlan(Station(idx), interval, skip=Skip.UNKNOWN))
    return Plan(tuple(entries), batch_hours, pace, paced, cost)


def _plan_station(
    station: Station,
    checkpoint: Checkpoint | None,
    wanted: Interval,
    pieces_of: Callable[[Checkpoint | None, Interval], tuple[Intervals, Why]],
    *,
    named: bool,
) -> StationPlan:
    entry = StationPlan(station, wanted)
    if checkpoint:
        entry = replace(
            entry,
            covered=checkpoint.covered,
            not_asked=checkpoint.not_asked,
            unknown=checkpoint.unknown,
        )
        if checkpoint.unreadable:
            return replace(entry, skip=Skip.UNREADABLE, detail=checkpoint.error_message or "")
        if checkpoint.status is Status.FAILED and not named:
            return replace(entry, skip=Skip.FAILED, detail=checkpoint.error_message or "")
    pieces, why = pieces_of(checkpoint, wanted)
    if pieces:
        again = intersect(pieces, entry.covered)
        covered = subtract(entry.covered, again)
        not_asked = subtract(entry.not_asked, pieces)
        return replace(
            entry, pieces=pieces, why=why, again=again, covered=covered, not_asked=not_asked
        )
    if why is Why.GAPS:
        return replace(entry, skip=Skip.NO_GAPS)
    if checkpoint and checkpoint.status is Status.COMPLETED:
        return replace(entry, skip=Skip.COVERED)
    return replace(entry, why=Why.FINISH)


def no_kept_answer(hours: Intervals) -> str:
    """Describe hours that a replay found no answer for."""
    return f"no kept answer for {total_hours(hours):,} hours, which stay as they were"


def _restrict(entry: StationPlan, held: Intervals) -> StationPlan:
    """Return the entry for a source that holds some hours only; the others stay as they were."""
    pieces = intersect(entry.pieces, held)
    not_held = subtract(entry.pieces, pieces)
    covered = union((*entry.covered, *intersect(entry.again, not_held)))
    again = intersect(entry.again, pieces)
    entry = replace(entry, pieces=pieces, covered=covered, again=again, not_held=not_held)
    if not_held and not pieces:
        return replace(entry, why=None, skip=Skip.NOT_KEPT, detail=no_kept_answer(not_held))
    return entry


def _uncovered(
    checkpoint: Checkpoint | None, wanted: Interval, lookback_hours: int
) -> tuple[Intervals, Why]:
    """Return the hours not covered, with the tail to be read again, and the reason."""
    if checkpoint is None:
        return (wanted,), Why.NEW
    pieces = subtract((wanted,), checkpoint.progress.settled)
    done = intersect((wanted,), checkpoint.covered)
    if checkpoint.status is Status.FAILED:
        why = Why.RETRY
    elif checkpoint.status is Status.IN_PROGRESS:
        why = Why.RESUME
    else:
        why = Why.EXTEND if pieces else Why.LOOKBACK
    if lookback_hours and done:
        tail = Interval(done[-1].end - lookback_hours, done[-1].end)
        pieces = union((*pieces, *intersect(done, (tail,))))
    return pieces, why


def plan_json(plan: Plan, wanted: Interval) -> dict[str, Any]:
    """Return the JSON form of a plan; windows follow from the pieces and the batch size."""
    return {
        "range": {"start": iso(wanted.start), "end": iso(wanted.end)},
        "batch_hours": plan.batch_hours,
        "pace": {"delay_s": plan.pace.delay_s, "max_per_hour": plan.pace.max_per_hour},
        "totals": {
            "stations": len(plan.stations),
            "active_stations": len(plan.active),
            "skipped_stations": len(plan.skipped),
            "windows": plan.windows,
            "requests": plan.requests,
            "requests_counted": plan.cost.counted or None,
            "hours": plan.hours,
            "not_asked_hours": sum(entry.not_asked_hours for entry in plan.stations),
            "unknown_hours": sum(entry.unknown_hours for entry in plan.stations),
            "duration_s": plan.duration_s,
            "quota_share": plan.pace.quota_share(plan.requests),
        },
        "stations": [
            {
                "station_idx": entry.station.idx,
                "name": entry.station.name,
                "reason": entry.reason,
                "detail": entry.detail or None,
                "start": iso(entry.wanted.start),
                "end": iso(entry.wanted.end),
                "covered_hours": entry.covered_hours,
                "hours": entry.hours,
                "windows": plan.count_windows_of(entry),
                "not_held_hours": total_hours(entry.not_held),
                "not_asked_hours": entry.not_asked_hours,
                "unknown_hours": entry.unknown_hours,
                "pieces": [[iso(piece.start), iso(piece.end)] for piece in entry.pieces],
            }
            for entry in plan.stations
        ],
    }
