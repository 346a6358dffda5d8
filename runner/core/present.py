"""A source of the present: one observation a station, whatever hour it is of. Pure.

Which hours may be written is decided by `backfill.lag_hours`. With 1 or more, a live job owns the
newest hours, and they are left to it, as in every other run. With 0 the present is ours: also the
observation labelled with the hour that has just begun, since labels name the end of an hour.
Nothing may lie in the future. An observation of an hour covers that hour and no other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from runner.core.checkpoint import Checkpoint, Tally
from runner.core.intervals import Interval, Intervals, hour_of, to_datetime
from runner.core.plan import Pace, Plan, Skip, StationPlan, Why
from runner.core.readings import Reason, Reject, moment_in
from runner.core.stations import Station

LONGEST_RUN_H = 24
"""Hours that a run may last and still take the observation of the hour it has come to."""


class Observed(StrEnum):
    """How a present observation was handled."""

    CURRENT = "current"
    STALE = "stale"
    """Older than `source.max_age_hours`: not stored."""
    OFFLINE = "offline"
    """The source shows the station without a time: it has no observation."""
    NO_VALUE = "without a value"
    """The source has the hour, and "-" for its AQI."""
    LEFT = "left to the live job"
    TAKEN = "stored by another writer"
    """At a minute of the hour that is not its first; not stored a second time."""
    UNUSABLE = "unusable"


def hours_asked(now: datetime, lag_hours: int, max_age_hours: int) -> Interval:
    """Return the hours that a present observation may be of.

    Args:
        now: the present, aware.
        lag_hours: newest full hours left to a live job; 0 for none, then the present is ours.
        max_age_hours: older observations are stale.
    """
    this_hour = hour_of(now)
    end = this_hour - lag_hours if lag_hours else this_hour + 1
    return Interval(end - max_age_hours, end)


def plan_present(
    stations: Iterable[Station],
    checkpoints: Mapping[int, Checkpoint],
    asked: Interval,
    *,
    pace: Pace,
    unknown: Iterable[int] = (),
    is_ours: bool = False,
) -> Plan:
    """Plan one request a station, also of stations that failed or are covered.

    Args:
        stations: the stations selected, in the order of execution.
        checkpoints: what is known of them, by station index.
        asked: the hours that an observation may be of, see `hours_asked`.
        pace: of the requests.
        unknown: ids asked for that are no known station.
        is_ours: whether the present is ours; then the window goes on while the run does.
    """
    window = Interval(asked.start, asked.end + LONGEST_RUN_H * is_ours)
    one = Interval(asked.end - 1, asked.end)
    entries = []
    for station in stations:
        known = checkpoints.get(station.idx)
        covered = known.covered if known else ()
        entries.append(
            StationPlan(station, one, pieces=(window,), covered=covered, why=Why.PRESENT)
        )
    entries += [StationPlan(Station(idx), one, skip=Skip.UNKNOWN) for idx in unknown]
    return Plan(tuple(entries), window.hours, pace)


def tally_observation(
    read: Collection[int], rejects: Sequence[Reject], repaired: int, not_asked: Intervals = ()
) -> Tally:
    """Account for the one observation of a station.

    Args:
        read: hours with a reading.
        rejects: what the source or the runner refused.
        repaired: records whose hour label was corrected by a documented rule.
        not_asked: not empty if the observation belongs to another writer, so that the source said
            nothing of the hour this run wanted.
    """
    unasked = bool(not_asked) and not read
    return Tally(
        rejects=len(rejects),
        repaired=repaired,
        rejected_hours=int(bool(rejects) and not read),
        empty_hours=int(not rejects and not read and not unasked),
        windows=1,
        empty_windows=int(not read and not unasked),
        unasked_windows=int(unasked),
        partial=sum(reject.reason is Reason.SUB_INDEX_UNUSABLE for reject in rejects),
    )


def floored(record: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a record whose label is the beginning of the UTC hour that its moment lies in.

    Citizen stations are labelled with the moment of the last measurement. One that cannot be read
    or lies in the future stays as it is, to be refused.
    """
    moment = moment_in(record)
    if moment is None or moment[0] > now:
        return {**record}
    utc, hour, written = moment
    begin = to_datetime(hour)
    if begin == utc:
        return {**record}
    local = datetime.fromisoformat(written["s"].replace(" ", "T")).replace(tzinfo=UTC)
    label = local - timedelta(seconds=(utc - begin).total_seconds())
    time = {"s": label.strftime("%Y-%m-%d %H:%M:%S"), "tz": written["tz"]}
    return {**record, "time": time}
