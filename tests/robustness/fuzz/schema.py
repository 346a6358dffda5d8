"""What a reading must be, whatever was parsed; and that every record is accounted for."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import bson

from runner.core.intervals import Interval, hour_of
from runner.core.readings import MOST_SUB_INDICES, Reading, Reason, Transformed

INT32 = range(-(2**31), 2**31)


def check(
    made: Transformed, records: list[Any], station_idx: int, window: Interval, now: datetime
) -> None:
    """Assert that what was made of records keeps every promise."""
    for reading in made.readings:
        check_reading(reading, station_idx, window, now)
    hours = [hour_of(reading["ts"]) for reading in made.readings]
    assert hours == sorted(set(hours))
    check_account(made, records)


def check_reading(reading: Reading, station_idx: int, window: Interval, now: datetime) -> None:
    assert type(reading) is dict
    assert [*reading] == ["ts", "meta", "aqi", "time", "iaqi"]
    ts = reading["ts"]
    assert ts.tzinfo is UTC
    assert (ts.minute, ts.second, ts.microsecond) == (0, 0, 0)
    assert window.start <= hour_of(ts) < window.end
    assert ts <= now
    assert reading["meta"] == {"station_idx": station_idx}
    assert type(reading["aqi"]) is int
    assert 0 <= reading["aqi"] in INT32
    assert [*reading["time"]] == ["s", "tz"]
    assert instant(**reading["time"]) == ts
    assert len(reading["iaqi"]) <= MOST_SUB_INDICES
    for name, entry in reading["iaqi"].items():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name, re.ASCII)
        assert [*entry] == ["v"]
        assert type(entry["v"]) in (int, float)
        assert math.isfinite(entry["v"])
    document = bson.encode(reading)
    assert len(document) < 8192
    assert bson.decode(document)["meta"] == {"station_idx": station_idx}


def instant(s: str, tz: str) -> datetime:
    """Read the wall clock as another program would: strictly, with no blanks around."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", s, re.ASCII), s
    assert re.fullmatch(r"Z|[+-]\d\d:?\d\d", tz, re.ASCII), tz
    offset = timedelta(0)
    if tz != "Z":
        size = timedelta(hours=int(tz[1:3]), minutes=int(tz[-2:]))
        offset = -size if tz[0] == "-" else size
    return datetime.fromisoformat(s).replace(tzinfo=UTC) - offset


def check_account(made: Transformed, records: list[Any]) -> None:
    """Assert that a record is a reading, a reject, or says again what a reading says."""
    whole = [reject for reject in made.rejects if reject.reason is not Reason.SUB_INDEX_UNUSABLE]
    assert len(made.readings) + len(whole) <= len(records)
    given = [id(record) for record in records]
    assert all(id(reject.raw) in given for reject in made.rejects)
    refused = {id(reject.raw) for reject in whole}
    told = {hour_of(reading["ts"]) for reading in made.readings}
    silent = [record for record in records if id(record) not in refused]
    assert len(silent) >= len(told)
    assert bool(silent) == bool(told)
