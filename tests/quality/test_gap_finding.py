"""Gaps: with the hours that are there they are the range, and each hour has one cause."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.causes import MISSING
from runner.core.checkpoint import Empty, Progress
from runner.core.intervals import Interval, Intervals, union
from runner.core.stations import Station
from runner.core.verdict import Status
from runner.quality.checks import checks
from runner.quality.grid import SCHEMA, Scope, StationData
from runner.quality.inspect import _look
from runner.quality.judge import Tally
from runner.quality.ledger import StationLedger
from tests.quality.test_judgement import POLICY
from tests.quality.world import HOUR_MS, KNOWN, NOW

START = 450_000
LENGTH = 60
WINDOW = Interval(START, START + LENGTH)
USABLE = st.one_of(st.integers(0, 500).map(float))
NO_VALUE = st.sampled_from([None, -999.0, 999.0, -1.0])
"""What stands in `aqi` and is no usable number."""

hours = st.integers(START - 5, START + LENGTH + 5)
pieces = st.lists(st.tuples(hours, st.integers(1, 30)), max_size=4).map(
    lambda parts: union(Interval(at, at + long) for at, long in parts)
)
values = st.dictionaries(hours, st.one_of(USABLE, NO_VALUE), max_size=LENGTH)


def station(
    aqi: dict[int, float | None],
    covered: Intervals = (),
    empty: Intervals = (),
    rejected: Intervals = (),
    unknown: Intervals = (),
    *,
    active: bool = False,
) -> StationData:
    """Return a station with such values at such hours."""
    rows = [{"ts": hour * HOUR_MS, "aqi": aqi[hour], "aqi_type": "double"} for hour in sorted(aqi)]
    documents = pl.DataFrame(rows, {name: SCHEMA[name] for name in ("ts", "aqi", "aqi_type")})
    missing = {name: kind for name, kind in SCHEMA.items() if name not in documents.columns}
    documents = documents.with_columns(
        [pl.lit(None, kind).alias(name) for name, kind in missing.items()]
    ).select(*SCHEMA)
    told = tuple(Empty(start, end, 0) for start, end in empty)
    progress = Progress(covered, told, rejected=rejected, unknown=unknown)
    ledger = StationLedger("completed", "", progress)
    return StationData(Station(KNOWN), documents, ledger, Scope(WINDOW, NOW, active=active))


stations = st.builds(
    station,
    values,
    pieces,
    pieces,
    pieces,
    pieces,
    active=st.booleans(),
)


def in_gaps(data: StationData) -> list[int]:
    return [
        hour for start, end in data.gaps.select("start", "end").rows() for hour in range(start, end)
    ]


@settings(max_examples=40)
@given(data=stations)
def test_gaps_and_hours_that_are_there_make_up_the_expected_range(data: StationData) -> None:
    expected = data.hours.filter("expected")["hour"].to_list()
    present = data.hours.filter("present")["hour"].to_list()
    missing = in_gaps(data)
    assert sorted([*missing, *(hour for hour in present if hour in set(expected))]) == expected
    assert data.hours["hour"].to_list() == list(range(*WINDOW))
    assert data.expected == len(expected)
    assert data.readings == len(present)
    assert len(missing) == data.expected - data.readings


@settings(max_examples=40)
@given(data=stations)
def test_gaps_are_whole_sorted_and_apart(data: StationData) -> None:
    told = data.gaps.select("start", "end", "hours").rows()
    assert all(end - start == long > 0 for start, end, long in told)
    assert all(before[1] < after[0] for before, after in pairwise(told))


@settings(max_examples=40)
@given(data=stations)
def test_every_missing_hour_has_one_cause(data: StationData) -> None:
    by_cause = [data.gaps[str(cause)].to_list() for cause in MISSING]
    assert [sum(parts) for parts in zip(*by_cause, strict=True)] == data.gaps["hours"].to_list()
    causes = data.hours["cause"].to_list()
    told = Counter(causes[hour - START] for hour in in_gaps(data))
    assert [told[index] for index in range(len(MISSING))] == [sum(parts) for parts in by_cause]
    for row in data.gaps.iter_rows(named=True):
        most = max(row[str(cause)] for cause in MISSING)
        assert row["cause"] == next(str(cause) for cause in MISSING if row[str(cause)] == most)


@settings(max_examples=40)
@given(data=stations)
def test_a_cause_is_what_is_known_of_the_hour(data: StationData) -> None:
    progress = data.ledger.progress

    def holds(parts: Intervals, hour: int) -> bool:
        return any(part.start <= hour < part.end for part in parts)

    documents = dict(data.documents.select(pl.col("ts") // HOUR_MS, "aqi").iter_rows())
    missing = data.hours.filter(~pl.col("present"))
    for hour, index in missing.select("hour", "cause").iter_rows():
        if not holds(progress.covered, hour):
            expected = "not_asked"
        elif holds(progress.rejected, hour):
            expected = "rejected"
        elif any(item.start <= hour < item.end for item in progress.empty) and not holds(
            progress.unknown, hour
        ):
            expected = "empty"
        elif hour in documents:
            expected = "kept" if documents[hour] is None else "rejected"
        else:
            expected = "unknown" if holds(progress.unknown, hour) else "lost"
        assert MISSING[index] == expected


@settings(deadline=None, max_examples=40)
@given(data=stations)
def test_runs_of_one_cause_are_the_gaps_hour_by_hour(data: StationData) -> None:
    told = {
        hour: cause
        for start, end, cause in data.stretches.select("start", "end", "cause").iter_rows()
        for hour in range(start, end)
    }
    missing = data.hours.filter("expected", ~pl.col("present")).select("hour", "cause")
    assert told == {hour: str(MISSING[index]) for hour, index in missing.iter_rows()}


@settings(max_examples=40)
@given(aqi=values)
@pytest.mark.parametrize("check_id", ["V01", "V03"])
def test_what_has_no_value_is_not_evaluated(check_id: str, aqi: dict[int, float | None]) -> None:
    """An absent value is neither good nor bad: it may not make a share smaller."""
    data = station(aqi, (WINDOW,))
    tally = Tally()
    _look(checks()[check_id], tally, POLICY, 7, data)
    assert not tally.error
    there = sum(value is not None for value in aqi.values())
    (judged,) = tally.judged.values()
    assert judged.failed <= judged.evaluated <= there
    assert (judged.status is Status.NOT_EVALUATED) is (judged.evaluated == 0)
    assert judged.evaluated or judged.note  # never without a reason
    assert judged.evaluated == there
