"""Source records to reading documents, or to rejects with their reason. Nothing is invented.

A record is what a source hands over, in AQICN's shape:

    {"current_aqi": 45, "time": {"s": "2023-01-01 12:00:00", "tz": "+07:00"},
     "current_iaqi": {"pm25": {"v": 45}}}

(`aqi`/`iaqi` are read beside `current_aqi`/`current_iaqi`.) A reading is the documented document:

    {"ts": 2023-01-01T05:00Z, "meta": {"station_idx": 8641}, "aqi": 45,
     "time": {"s": "2023-01-01 12:00:00", "tz": "+07:00"}, "iaqi": {"pm25": {"v": 45}}}
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict, TypeGuard

from runner.core.intervals import EPOCH, Interval, Intervals

Number = int | float

LARGEST_AQI = 2**31 - 1
"""BSON int32. A bound of the storage, not of the air: values above 500 are real and are kept."""

MOST_SUB_INDICES = 64
"""Kept of one record; AQICN knows about twenty. MongoDB refuses documents without such a bound."""


class Meta(TypedDict):
    """The metaField of the collection."""

    station_idx: int


class LocalTime(TypedDict):
    """Local wall clock as the source wrote it."""

    s: str
    tz: str


class SubIndex(TypedDict):
    """One AQI sub-index or weather value."""

    v: Number


class Reading(TypedDict):
    """One stored reading: these fields and no others."""

    ts: datetime
    meta: Meta
    aqi: Number
    time: LocalTime
    iaqi: dict[str, SubIndex]


class Reason(StrEnum):
    """Why a record did not become a reading (or lost a part of itself)."""

    NOT_AN_OBJECT = "not_an_object"
    AQI_MISSING = "aqi_missing"
    AQI_DASH = "aqi_dash"
    AQI_NOT_A_NUMBER = "aqi_not_a_number"
    AQI_NEGATIVE = "aqi_negative"
    AQI_NOT_WHOLE = "aqi_not_whole"
    AQI_TOO_LARGE = "aqi_too_large"
    TIME_UNPARSEABLE = "time_unparseable"
    TIME_NOT_ON_THE_HOUR = "time_not_on_the_hour"
    OUTSIDE_WINDOW = "outside_window"
    IN_FUTURE = "in_future"
    DUPLICATE_HOUR = "duplicate_hour"
    WRONG_STATION = "wrong_station"
    SUB_INDEX_UNUSABLE = "sub_index_unusable"
    QC_MISSING = "qc_missing"
    QC_INVALID = "qc_invalid"
    QC_SUSPECT = "qc_suspect"
    QC_OTHER = "qc_other"
    CONCENTRATION_UNUSABLE = "concentration_unusable"
    VALUE_MISSING = "value_missing"
    OUTSIDE_SCALE = "outside_scale"
    """A filler such as -999, or the end of the instrument's scale: there is no measurement."""
    FLAGGED = "flagged"
    COVERAGE_LOW = "coverage_low"
    WRONG_SENSOR = "wrong_sensor"
    NO_INDEX = "no_index"
    BELOW_ZERO = "below_zero"
    """A concentration below zero, on a scale that has no index for it."""
    ROW_UNREADABLE = "row_unreadable"
    """A row of a file with too many cells, or too few."""
    PARAMETER_UNKNOWN = "parameter_unknown"
    UNITS_MIXED = "units_mixed"
    """Measurements of one hour in units that cannot be converted into each other."""


SAID_BY_THE_SOURCE = frozenset(
    {
        Reason.AQI_MISSING,
        Reason.AQI_DASH,
        Reason.QC_MISSING,
        Reason.QC_INVALID,
        Reason.QC_SUSPECT,
        Reason.QC_OTHER,
        Reason.VALUE_MISSING,
        Reason.OUTSIDE_SCALE,
        Reason.FLAGGED,
        Reason.COVERAGE_LOW,
        Reason.NO_INDEX,
        Reason.BELOW_ZERO,
        Reason.PARAMETER_UNKNOWN,
    }
)
"""The source itself says that it has no value for the hour, or no usable one, or the scale has no
index for what it measured (or nobody here knows the parameter): no sign of a wrong answer."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not become a reading, kept raw.

    Attributes:
        reason: why.
        raw: the record as the source sent it.
        hour: the UTC hour the record speaks of, where that much could be read.
    """

    reason: Reason
    raw: Any
    hour: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source answered for one window of one station.

    Attributes:
        records: AQICN-shaped records, unvalidated.
        rejects: records the source itself already had to refuse (quality-control flags of files).
        repaired: records whose hour label the source corrected by a documented rule.
        asked: the hour in which the source was asked; None for the present one.
        not_asked: hours of the window, UTC, that the source was not asked for; it has said nothing
            about them, so they are not empty at the source.
    """

    records: list[Any]
    rejects: list[Reject] = field(default_factory=list)
    repaired: int = 0
    asked: int | None = None
    not_asked: Intervals = ()


@dataclass(frozen=True, slots=True)
class Transformed:
    """Readings of one window, sorted by hour, at most one an hour; and everything refused.

    Attributes:
        hours: of the readings, UTC, sorted.
        readings: the readings.
        rejects: everything refused.
        repeated: records that said the same of an hour as an earlier one.
    """

    hours: list[int]
    readings: list[Reading]
    rejects: list[Reject]
    repeated: int = 0


_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})", re.ASCII)
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(Z|[+-]\d{2}:?\d{2})", re.ASCII)
_SUB_INDEX_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_LONGEST_KEY = 32
_LONGEST_OFFSET = len("+07:00")
_LONGEST_TIME = len("2023-01-01 12:00:00")


def to_readings(
    records: Iterable[Any], station_idx: int, window: Interval, now: datetime
) -> Transformed:
    """Turn the records of one window into readings, refusing what is not one.

    Of two records for one hour the later in the answer wins; the other is a reject, unless both
    say the same.

    Args:
        records: AQICN-shaped records, unvalidated.
        station_idx: the station that was asked for.
        window: the hours that were asked for, UTC, half-open.
        now: the present, aware; no reading may lie after it.
    """
    by_hour: dict[int, tuple[Reading, Any]] = {}
    rejects: list[Reject] = []
    repeated = 0
    for record in records:
        parsed = _parse(record, station_idx, window, now)
        if isinstance(parsed, Reject):
            rejects.append(parsed)
            continue
        hour, reading, spoiled = parsed
        if spoiled:
            rejects.append(Reject(Reason.SUB_INDEX_UNUSABLE, record, hour))
        earlier = by_hour.get(hour)
        if earlier is not None:
            if earlier[0] == reading:
                repeated += 1
            else:
                rejects.append(Reject(Reason.DUPLICATE_HOUR, earlier[1], hour))
        by_hour[hour] = (reading, record)
    hours = sorted(by_hour)
    return Transformed(hours, [by_hour[hour][0] for hour in hours], rejects, repeated)


def moment_in(record: Any) -> tuple[datetime, int, LocalTime] | None:
    """Return the instant that a record speaks of, its UTC hour, and the wall clock as written.

    None if it cannot be read.
    """
    return _moment(record.get("time")) if isinstance(record, dict) else None


def hour_in(record: Any) -> int | None:
    """Return the UTC hour that a record speaks of; None if it cannot be read."""
    moment = moment_in(record)
    return None if moment is None else moment[1]


def _parse(
    record: Any, station_idx: int, window: Interval, now: datetime
) -> tuple[int, Reading, bool] | Reject:
    """Return (hour, reading, whether a sub-index was unusable), or the reject."""
    if not isinstance(record, dict):
        return Reject(Reason.NOT_AN_OBJECT, record)
    moment = _moment(record.get("time"))
    if moment is None:
        return Reject(Reason.TIME_UNPARSEABLE, record)
    utc, hour, local = moment
    if utc.minute or utc.second:
        return Reject(Reason.TIME_NOT_ON_THE_HOUR, record, hour)
    if "idx" in record and record["idx"] != station_idx:
        return Reject(Reason.WRONG_STATION, record, hour)
    if utc > now:
        return Reject(Reason.IN_FUTURE, record, hour)
    if not window.start <= hour < window.end:
        return Reject(Reason.OUTSIDE_WINDOW, record, hour)
    aqi = _aqi(record["current_aqi"] if "current_aqi" in record else record.get("aqi"))
    if isinstance(aqi, Reason):
        return Reject(aqi, record, hour)
    iaqi, spoiled = _sub_indices(record.get("current_iaqi", record.get("iaqi")))
    reading: Reading = {
        "ts": utc,
        "meta": {"station_idx": station_idx},
        "aqi": aqi,
        "time": local,
        "iaqi": iaqi,
    }
    return hour, reading, spoiled


def _aqi(value: Any) -> int | Reason:
    if type(value) is int and 0 <= value <= LARGEST_AQI:  # nearly all of them
        return value
    if value is None:
        return Reason.AQI_MISSING
    if value == "-":
        return Reason.AQI_DASH
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Reason.AQI_NOT_A_NUMBER
    if isinstance(value, float) and not math.isfinite(value):
        return Reason.AQI_NOT_A_NUMBER
    if value < 0:
        return Reason.AQI_NEGATIVE
    if value != int(value):
        return Reason.AQI_NOT_WHOLE
    if value > LARGEST_AQI:
        return Reason.AQI_TOO_LARGE
    return int(value)


def _sub_indices(value: Any) -> tuple[dict[str, SubIndex], bool]:
    """Return the usable sub-indices as the source gave them, and whether any was not usable."""
    if value is None:
        return {}, False
    if not isinstance(value, dict):
        return {}, True
    usable: dict[str, SubIndex] = {}
    for key, entry in value.items():
        if len(usable) == MOST_SUB_INDICES:
            break
        number = entry.get("v") if isinstance(entry, dict) else None
        if _is_storable_number(number) and len(key) <= _LONGEST_KEY and _is_sub_index_key(key):
            usable[key] = {"v": number}
    return usable, len(usable) < len(value)


def _is_sub_index_key(key: str) -> bool:
    return _SUB_INDEX_KEY.fullmatch(key) is not None


def _is_storable_number(value: Any) -> TypeGuard[Number]:
    if type(value) is not int and type(value) is not float:  # a bool is neither
        return False
    return -LARGEST_AQI <= value <= LARGEST_AQI  # false for NaN and infinities too


def _moment(time: Any) -> tuple[datetime, int, LocalTime] | None:
    """Return the instant in UTC, its hour since 1970, and the wall clock as written.

    From `s`+`tz`, else from `iso`; never from `v`: it is the local wall clock read as if it were
    UTC (seven hours off).
    """
    if not isinstance(time, dict):
        return None
    s, tz, iso = time.get("s"), time.get("tz"), time.get("iso")
    if isinstance(s, str) and isinstance(tz, str):
        written: LocalTime = {"s": s.strip(), "tz": tz.strip()}
        text = written["s"]
    elif isinstance(iso, str):
        parts = _ISO.fullmatch(iso.strip())
        text, tz = (parts[1], parts[2]) if parts else ("", "")
        written = {"s": text.replace("T", " "), "tz": tz}
    else:
        return None
    if len(text) > _LONGEST_TIME or len(written["tz"]) > _LONGEST_OFFSET:
        return None
    instant = _instant(text, written["tz"])
    return None if instant is None else (*instant, written)


def _instant(text: str, tz: str) -> tuple[datetime, int] | None:
    """Return the instant of a wall clock in UTC, and its hour since 1970; None if it is none."""
    offset = _offset(tz)
    if offset is None or _LOCAL.fullmatch(text) is None:
        return None
    try:
        since = datetime.fromisoformat(text) - offset - _NAIVE_EPOCH
    except (ValueError, OverflowError):
        return None
    if since.days < 0:
        return None
    return EPOCH + since, since.days * 24 + since.seconds // 3600


def _offset(written: str) -> timedelta | None:
    """Return how far a zone like +07:00, +0700 or Z is ahead of UTC; None if it is none."""
    if written == "Z":
        return timedelta()
    parts = _OFFSET.fullmatch(written)
    if parts is None or int(parts[2]) > 14 or int(parts[3]) > 59:  # noqa: PLR2004 - UTC+14:00 is the largest offset in use
        return None
    sign = -1 if parts[1] == "-" else 1
    return sign * timedelta(hours=int(parts[2]), minutes=int(parts[3]))
