"""Which stored readings are brought to another scale, and which ones stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.core.aqi import SCALES
from runner.core.concentrations import CONTEXT_H, Measured, MeasuredHour, settle
from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.readings import LocalTime, to_readings
from runner.core.rescaling import KeptHour, Left, Rescaled, rescale

HOUR = 420_000
WINDOW = Interval(HOUR, HOUR + 12)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Stored = dict[int, dict[str, Any]]

values = st.floats(0, 400, width=32)
scales = st.sampled_from(sorted(SCALES))


def local(hour: int) -> LocalTime:
    return {"s": f"{to_datetime(hour) + timedelta(hours=7):%Y-%m-%d %H:%M:%S}", "tz": "+07:00"}


def pm25(hour: int, value: float) -> Measured:
    return Measured(hour, local(hour), "pm25", value, "ug/m3", 7441, 21632)


def kept(hours: Sequence[MeasuredHour], source: str = "openaq", age: int = 0) -> list[KeptHour]:
    at = NOW - timedelta(days=age)
    return [
        KeptHour((source, one.hour), source, at, replace(one, gave=None), (one,)) for one in hours
    ]


def loaded(measured: Sequence[Measured], scale: str) -> tuple[list[KeptHour], Stored]:
    """Return what a load leaves: concentrations, and documents by hour."""
    settled = settle(measured, [7441], scale, WINDOW)
    made = to_readings(settled.records, 8641, WINDOW, NOW).readings
    return kept(settled.hours), {
        hour_of(item["ts"]): {"_id": number, **item} for number, item in enumerate(made)
    }


def after(found: Rescaled, stored: Stored) -> Stored:
    """Return the documents that the changes leave."""
    documents = {hour: {**document} for hour, document in stored.items()}
    for change in found.changes:
        documents.pop(change.new.hour, None)
        if change.reading:
            documents[change.new.hour] = {**change.reading}
    return without_ids(documents)


def without_ids(stored: Stored) -> Stored:
    return {
        hour: {name: document[name] for name in document if name != "_id"}
        for hour, document in sorted(stored.items())
    }


def to(scale: str, some: Sequence[KeptHour], stored: Stored) -> Rescaled:
    return rescale(some, stored, 8641, WINDOW, scale, NOW)


@given(
    st.dictionaries(st.integers(HOUR - CONTEXT_H, HOUR + 11), values, min_size=1), scales, scales
)
def test_what_was_loaded_on_one_scale_becomes_what_a_load_on_another_would_have_stored(
    by_hour: dict[int, float], first: str, second: str
) -> None:
    measured = [pm25(hour, value) for hour, value in sorted(by_hour.items())]
    some, stored = loaded(measured, first)
    fresh, wanted = loaded(measured, second)
    found = to(second, some, stored)
    assert after(found, stored) == without_ids(wanted)
    assert not found.left
    assert not found.released
    hours = {one.measured.hour: one.may_be[0] for one in fresh if one.measured.hour >= HOUR}
    assert {one.new.hour: one.new for one in found.changes} == hours
    again = to(second, fresh, wanted)
    assert all(one.is_done for one in again.changes)
    assert {one.hour for one in found.rejects} == stored.keys() - wanted.keys()


def test_a_reading_that_these_concentrations_did_not_give_stays_and_they_are_released() -> None:
    some, stored = loaded([pm25(HOUR, 35.5), pm25(HOUR + 1, 35.5), pm25(HOUR + 2, 35.5)], "aqicn")
    stored[HOUR]["aqi"] = 77
    stored[HOUR + 1]["attributions"] = [{"name": "of the live job"}]
    del stored[HOUR + 2]
    found = to("vn_aqi", some, stored)
    assert found.left == {HOUR: Left.OTHERS, HOUR + 1: Left.OTHERS, HOUR + 2: Left.MISSING}
    assert found.changes == []
    assert found.released == some


def test_concentrations_of_an_older_version_are_left_as_they_are() -> None:
    some, stored = loaded([pm25(HOUR, 35.5)], "aqicn")
    found = to("vn_aqi", [replace(some[0], may_be=())], stored)
    assert (found.left, found.changes, found.released) == ({HOUR: Left.OLDER}, [], [])


def test_of_two_sources_the_one_that_gave_the_stored_reading_gives_the_new_one() -> None:
    (theirs,), stored = loaded([pm25(HOUR, 35.5)], "aqicn")
    settled = settle([pm25(HOUR, 12.0)], [7441], "aqicn", WINDOW)
    archive = kept(settled.hours, "openaq_archive", age=-1)
    found = to("epa_2012", [theirs, *archive], stored)
    assert [one.kept for one in found.changes] == [theirs]
    assert found.released == archive
    both = kept(settle([pm25(HOUR, 35.49)], [7441], "aqicn", WINDOW).hours, "openaq_archive", -1)
    assert both[0].may_be[0].gave == theirs.may_be[0].gave
    (change,) = to("epa_2012", [theirs, *both], stored).changes
    assert change.kept == both[0]


def test_a_change_that_was_cut_off_goes_on_from_either_side_and_to_any_scale() -> None:
    measured = [pm25(hour, 35.5) for hour in range(HOUR, HOUR + 6)]
    some, before = loaded(measured, "aqicn")
    other, changed = loaded(measured, "epa_2024")
    half = [
        replace(one, may_be=(*one.may_be, *new.may_be))
        for one, new in zip(some, other, strict=True)
    ]
    between = {hour: (before if hour % 2 else changed).get(hour) for hour in before}
    stored = {hour: document for hour, document in between.items() if document}
    for scale in SCALES:
        found = to(scale, half, stored)
        assert after(found, stored) == without_ids(loaded(measured, scale)[1])
        assert not any(one.is_done for one in found.changes)


def test_an_hour_asked_for_because_of_later_ones_gets_no_reading() -> None:
    some = kept([MeasuredHour(HOUR, (pm25(HOUR, 35.5),), {"pm25": 21632})])
    found = to("aqicn", some, {})
    assert (found.changes, found.left, found.rejects) == ([], {}, [])
