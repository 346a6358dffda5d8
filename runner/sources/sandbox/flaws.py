"""Values with flaws: what broken instruments and archives do, in the answers themselves.

So they take the way of every reading: fetched, stored, checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runner.core.intervals import Interval, hour_of
from runner.sources.sandbox.settings import Flaw, Kind
from runner.sources.sandbox.values import Record, Values

_POLLUTANTS = frozenset({"pm25", "pm10", "o3", "no2", "so2", "co"})
_HIGHEST = 500
"""Of the index; a level shift does not lead beyond it."""


class Flawed:
    """Values with flaws.

    Args:
        values: without them.
        flaws: of any stations; of one station, each works on what the one before it left.
    """

    def __init__(self, values: Values, flaws: Sequence[Flaw]) -> None:
        self._values = values
        self._flaws = tuple(flaws)

    @property
    def synthetic(self) -> bool:
        """Whether the values beneath are made up."""
        return self._values.synthetic

    def records(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the records of a station for the hours of a window, with its flaws."""
        records = self._values.records(station_idx, window)
        for flaw in self._flaws:
            if flaw.station == station_idx:
                for when in flaw.within(window):
                    records = self._spoilt(flaw, when, records)
        return records

    def _spoilt(self, flaw: Flaw, when: Interval, records: list[Record]) -> list[Record]:
        hit = [when.start <= _hour(record) < when.end for record in records]
        if flaw.kind is Kind.GAP:
            return [record for record, is_hit in zip(records, hit, strict=True) if not is_hit]
        held = self._first(flaw.station, when) if flaw.kind is Kind.FLAT_LINE else None
        return [
            _changed(record, flaw, held) if is_hit else record
            for record, is_hit in zip(records, hit, strict=True)
        ]

    def _first(self, station_idx: int, when: Interval) -> Record | None:
        """Return the first record that has an index: the one that the instrument hangs at."""
        records = self._values.records(station_idx, when)
        return next((one for one in records if isinstance(one[_aqi(one)], int | float)), None)


def _changed(record: Record, flaw: Flaw, held: Record | None) -> Record:
    """Return a record as a flaw leaves it; weather stays as it was."""
    aqi, iaqi = _aqi(record), _iaqi(record)
    values = record.get(iaqi) or {}
    weather = {name: value for name, value in values.items() if name not in _POLLUTANTS}
    if flaw.kind is Kind.DASH:
        return {**record, aqi: "-", iaqi: weather}
    if flaw.kind is Kind.SPIKE:
        index = round(flaw.value or 0)
        return {**record, aqi: index, iaqi: {**values, "pm25": {"v": index}}}
    if flaw.kind is Kind.FLAT_LINE and held is not None:
        same = {
            name: value
            for name, value in (held.get(_iaqi(held)) or {}).items()
            if name in _POLLUTANTS
        }
        return {**record, aqi: held[_aqi(held)], iaqi: {**weather, **same}}
    if flaw.kind is Kind.LEVEL and isinstance(record[aqi], int | float):
        factor = flaw.value or 1
        shifted = {
            name: {"v": _times(value["v"], factor)}
            for name, value in values.items()
            if name in _POLLUTANTS
        }
        largest = max((one["v"] for one in shifted.values()), default=_times(record[aqi], factor))
        return {**record, aqi: largest, iaqi: {**weather, **shifted}}
    return record


def _times(value: float, factor: float) -> int:
    return min(_HIGHEST, round(value * factor))


def _aqi(record: Record) -> str:
    return "current_aqi" if "current_aqi" in record else "aqi"


def _iaqi(record: Record) -> str:
    return "current_iaqi" if "current_iaqi" in record else "iaqi"


def _hour(record: Record) -> int:
    """Return the UTC hour that a record speaks of."""
    time = record["time"]
    return hour_of(datetime.fromisoformat(f"{time['s']}{time['tz']}"))
