"""Hour intervals: nothing lost, nothing doubled, in any order."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.intervals import (
    Interval,
    count_windows,
    enclose,
    hour_of,
    intersect,
    iso,
    split,
    subtract,
    to_datetime,
    total_hours,
    union,
)

HOURS = st.integers(min_value=0, max_value=400)
INTERVALS = st.lists(st.builds(Interval, HOURS, HOURS), max_size=12)


def hours_in(intervals: object) -> set[int]:
    return {hour for start, end in intervals for hour in range(start, end)}  # type: ignore[attr-defined]


@given(INTERVALS)
def test_union_holds_exactly_the_hours_of_its_parts(parts: list[Interval]) -> None:
    assert hours_in(union(parts)) == hours_in(parts)


@given(INTERVALS, st.randoms(use_true_random=False))
def test_union_does_not_depend_on_the_order_of_coverage(
    parts: list[Interval], random: object
) -> None:
    shuffled = parts[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one_by_one: tuple[Interval, ...] = ()
    for part in shuffled:
        one_by_one = union((*one_by_one, part))
    assert one_by_one == union(parts)


@given(INTERVALS)
def test_union_is_sorted_and_leaves_a_gap_between_its_parts(parts: list[Interval]) -> None:
    merged = union(parts)
    assert all(earlier.end < later.start for earlier, later in pairwise(merged))


@given(INTERVALS, INTERVALS)
def test_subtract_leaves_exactly_the_hours_not_covered(
    wanted: list[Interval], covered: list[Interval]
) -> None:
    assert hours_in(subtract(wanted, covered)) == hours_in(wanted) - hours_in(covered)


@given(INTERVALS, INTERVALS)
def test_intersect_keeps_exactly_the_common_hours(
    first: list[Interval], second: list[Interval]
) -> None:
    assert hours_in(intersect(first, second)) == hours_in(first) & hours_in(second)


@given(INTERVALS, st.integers(1, 50))
def test_windows_cover_every_hour_exactly_once(parts: list[Interval], batch: int) -> None:
    merged = union(parts)
    windows = list(split(merged, batch))
    seen = [hour for window in windows for hour in range(window.start, window.end)]
    assert seen == sorted(hours_in(parts))
    assert len(windows) == count_windows(merged, batch)
    assert all(0 < window.hours <= batch for window in windows)
    assert total_hours(merged) == len(seen)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001 - the zone is drawn too
def test_an_hour_is_the_floor_of_any_moment_in_it(moment: datetime, offset: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(hours=offset)))
    start = to_datetime(hour_of(aware))
    assert start <= aware < start + timedelta(hours=1)
    assert start.tzinfo is UTC


def test_a_naive_moment_has_no_hour() -> None:
    with pytest.raises(ValueError, match="naive"):
        hour_of(datetime(2023, 1, 1))  # noqa: DTZ001 - the point of the test


def test_an_hour_prints_as_utc() -> None:
    assert iso(hour_of(datetime(2023, 1, 1, 7, tzinfo=timezone(timedelta(hours=7))))) == (
        "2023-01-01T00:00:00Z"
    )


@given(INTERVALS, st.integers(1, 50))
def test_enclosing_windows_hold_every_hour_and_are_as_few_as_can_be(
    parts: list[Interval], batch: int
) -> None:
    pieces = union(parts)
    windows = enclose(pieces, batch)
    assert hours_in(pieces) <= hours_in(windows)
    assert all(0 < window.hours <= batch for window in windows)
    assert all(earlier.end <= later.start for earlier, later in pairwise(windows))
    fewest, reach = 0, -1
    for hour in sorted(hours_in(pieces)):  # greedy from the left is optimal for points
        if hour >= reach:
            fewest, reach = fewest + 1, hour + batch
    assert len(windows) == fewest
