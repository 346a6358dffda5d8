"""A run's account as its record keeps it: station by station, so that a part can be counted again.

`job=validate` asks about some stations and hours. A run answers for its account only where it was
asked for all of them; of a run of more stations, their part counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from runner.core.intervals import Interval, iso
from runner.core.outcome import Outcome, StationOutcome


def by_station(stations: Iterable[StationOutcome]) -> list[dict[str, Any]]:
    """Return the accounts for the record: range asked for, windows, and the counts not zero."""
    return [
        {
            "station_idx": one.station.idx,
            "start": iso(one.wanted.start),
            "end": iso(one.wanted.end),
            "windows": Outcome("", "", (one,)).windows,
            "totals": {name: count for name, count in asdict(one.tally).items() if count},
        }
        for one in stations
    ]


def account_of(
    outcome: Mapping[str, Any], stations: Collection[int], window: Interval
) -> dict[str, Any] | None:
    """Return a recorded outcome with the account of some stations alone.

    Args:
        outcome: as recorded.
        stations: indices asked about.
        window: hours asked about.

    Returns:
        The outcome with `windows` and `totals` of these stations; `of_more_hours` and
        `of_more_stations` say what of it cannot be separated. None if the run was not asked
        for all of them, or its record does not say so: records of older versions do not.
    """
    entries = outcome.get("accounts")
    if not isinstance(entries, list):
        return None
    known = {entry["station_idx"]: entry for entry in entries}
    if not stations or not set(stations) <= set(known):
        return None
    asked = [known[idx] for idx in stations]
    start, end = iso(window.start), iso(window.end)
    if any(one["start"] > start or one["end"] < end for one in asked):
        return None
    return {
        **outcome,
        "windows": _sum(one["windows"] for one in asked),
        "totals": _sum(one["totals"] for one in asked),
        "of_more_hours": any((one["start"], one["end"]) != (start, end) for one in asked),
        "of_more_stations": len(known) > len(set(stations)),
    }


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
