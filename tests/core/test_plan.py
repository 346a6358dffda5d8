"""The plan: what is fetched and why, what is not and why, and what it costs."""

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.checkpoint import Checkpoint, Status
from runner.core.intervals import Interval, Intervals, intersect, total_hours, union
from runner.core.plan import (
    HOUR_S,
    SPARE_S,
    Cost,
    Mode,
    Pace,
    Plan,
    Skip,
    StationPlan,
    Why,
    build_plan,
    plan_json,
)
from runner.core.stations import Station

YEAR = Interval(470_000, 478_760)
STATION = Station(8641, "Hanoi US Embassy")
PACE = Pace(4.0, 1000)


def plan_for(
    checkpoint: Checkpoint | None, wanted: Interval = YEAR, *, named: tuple[int, ...] = ()
) -> Plan:
    known = {checkpoint.station_idx: checkpoint} if checkpoint else {}
    return build_plan([STATION], known, wanted, batch_hours=168, pace=PACE, named=named)


def checkpoint(status: Status, *covered: Interval, error: str | None = None) -> Checkpoint:
    return Checkpoint(STATION.idx, status, union(covered), error_message=error)


def test_a_station_without_a_checkpoint_is_new_and_fetched_whole() -> None:
    (entry,) = plan_for(None).stations
    assert (entry.why, entry.pieces, entry.covered_hours) == (Why.NEW, (YEAR,), 0)


def test_an_interrupted_station_is_resumed_where_it_is_not_covered() -> None:
    done = Interval(YEAR.start, YEAR.start + 1000)
    (entry,) = plan_for(checkpoint(Status.IN_PROGRESS, done)).stations
    assert (entry.why, entry.pieces) == (Why.RESUME, (Interval(done.end, YEAR.end),))


def test_a_completed_station_is_skipped_as_covered() -> None:
    plan = plan_for(checkpoint(Status.COMPLETED, YEAR))
    assert (plan.stations[0].skip, plan.windows, plan.requests) == (Skip.COVERED, 0, 0)


def test_a_longer_range_fetches_only_the_missing_hours_on_both_sides_and_in_holes() -> None:
    first, second = (
        Interval(YEAR.start + 10, YEAR.start + 50),
        Interval(YEAR.start + 60, YEAR.end - 5),
    )
    (entry,) = plan_for(checkpoint(Status.COMPLETED, first, second)).stations
    assert entry.why is Why.EXTEND
    assert entry.pieces == (
        Interval(YEAR.start, first.start),
        Interval(first.end, second.start),
        Interval(second.end, YEAR.end),
    )


def test_a_failed_station_is_skipped_with_its_error_unless_named() -> None:
    failed = checkpoint(Status.FAILED, error="Unknown station")
    (skipped,) = plan_for(failed).stations
    assert (skipped.skip, skipped.detail, skipped.pieces) == (Skip.FAILED, "Unknown station", ())
    (retried,) = plan_for(failed, named=(STATION.idx,)).stations
    assert (retried.why, retried.pieces) == (Why.RETRY, (YEAR,))


def test_a_covered_station_that_is_not_marked_completed_is_finished_without_a_request() -> None:
    plan = plan_for(checkpoint(Status.IN_PROGRESS, YEAR))
    assert (plan.stations[0].why, plan.requests) == (Why.FINISH, 0)


def test_unknown_ids_and_stations_the_source_lacks_are_skipped_and_named() -> None:
    plan = build_plan(
        [STATION, Station(1)],
        {},
        YEAR,
        batch_hours=168,
        pace=PACE,
        unknown=[99],
        offers=lambda idx: idx != 1,
    )
    assert [entry.skip for entry in plan.stations] == [None, Skip.NOT_OFFERED, Skip.UNKNOWN]
    assert [entry.reason for entry in plan.stations] == ["new", "not in this source", "unknown id"]


HOURS = st.integers(0, 500)
COVERED = st.lists(st.builds(Interval, HOURS, HOURS), max_size=6).map(union)


@given(COVERED, st.integers(0, 300), st.integers(1, 200), st.integers(1, 60))
def test_the_windows_of_any_plan_are_exactly_the_uncovered_hours(
    covered: Intervals, start: int, length: int, batch: int
) -> None:
    wanted = Interval(start, start + length)
    known = {STATION.idx: Checkpoint(STATION.idx, Status.IN_PROGRESS, covered)}
    plan = build_plan([STATION], known, wanted, batch_hours=batch, pace=PACE)
    (entry,) = plan.stations
    windows = list(plan.windows_of(entry))
    assert union((*windows, *intersect((wanted,), covered))) == (wanted,)
    assert total_hours(windows) + entry.covered_hours == wanted.hours
    assert len(windows) == plan.windows == plan.requests
    assert plan_json(plan, wanted)["totals"]["hours"] == plan.hours == total_hours(windows)


@given(COVERED, st.integers(1, 300), st.integers(1, 60))
def test_a_plan_counts_the_requests_of_every_window_and_of_every_station_that_has_one(
    covered: Intervals, length: int, batch: int
) -> None:
    cost = Cost(of_window=lambda hours: hours // 7 + 1, of_station=lambda idx: idx)
    wanted = Interval(100, 100 + length)
    known = {
        1: Checkpoint(1, Status.IN_PROGRESS, covered),
        2: Checkpoint(2, Status.COMPLETED, (wanted,)),
    }
    stations = [Station(1), Station(2)]
    plan = build_plan(stations, known, wanted, batch_hours=batch, pace=PACE, cost=cost)
    windows = list(plan.windows_of(plan.stations[0]))
    assert plan.requests == sum(window.hours // 7 + 1 for window in windows) + bool(windows)
    assert replace(plan, paced=False).requests == 0


def test_duration_is_the_time_from_first_request_to_last() -> None:
    assert PACE.duration_s(0) == 0
    assert PACE.duration_s(1) == 0
    assert Pace(0.2, 0).duration_s(100) == 99 * 0.2


def test_an_hourly_quota_below_the_pace_is_spread_over_the_hour() -> None:
    tight = Pace(1.0, 100)
    assert tight.interval_s == 36.36
    assert tight.permit_at_s(100) == 3636.0
    assert tight.quota_share(1000) == pytest.approx(0.99, abs=0.0001)


@given(
    st.integers(1, 60),
    st.lists(
        st.tuples(st.floats(0, 500), st.floats(0, SPARE_S, exclude_max=True)),
        min_size=61,
        max_size=130,
    ),
)
def test_instants_an_interval_apart_keep_every_rolling_hour_however_late_requests_arrive(
    most: int, requests: list[tuple[float, float]]
) -> None:
    interval_s = Pace(0, most).interval_s
    instant = 0.0
    arrivals = []
    for idle_s, late_s in requests:
        arrivals.append(instant + late_s)
        instant += interval_s + max(0.0, idle_s - 400)
    arrivals.sort()
    within = zip(arrivals, arrivals[most:], strict=False)
    assert all(later - earlier >= HOUR_S - 1e-6 for earlier, later in within)


@given(st.floats(0, 3600), st.integers(1, 10_000_000))
def test_a_pace_is_never_faster_than_its_limits_and_uses_98_percent_of_them(
    delay_s: float, most: int
) -> None:
    interval_s = Pace(delay_s, most).interval_s
    allowed_s = max(delay_s, HOUR_S / most)
    assert allowed_s <= interval_s <= allowed_s / 0.98


def test_the_share_of_the_hourly_quota_follows_from_the_pace() -> None:
    assert PACE.quota_share(5000) == 0.9
    assert PACE.quota_share(10) == 0.01
    assert Pace(4.0, 0).quota_share(5000) is None


def test_a_plan_for_12000_stations_and_ten_years_costs_little() -> None:
    stations = [Station(idx) for idx in range(1, 12_001)]
    decade = Interval(YEAR.start, YEAR.start + 87_660)
    tracemalloc.start()
    plan = build_plan(stations, {}, decade, batch_hours=168, pace=PACE)
    assert plan.requests == 12_000 * 522
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20  # its 6,264,000 windows alone would take some 600 MiB


def test_refetch_asks_for_everything_again_covered_or_not() -> None:
    known = {STATION.idx: checkpoint(Status.COMPLETED, YEAR)}
    plan = build_plan([STATION], known, YEAR, batch_hours=168, pace=PACE, mode=Mode.REFETCH)
    assert (plan.stations[0].why, plan.hours) == (Why.REFETCH, YEAR.hours)


def test_gaps_are_fetched_in_as_few_windows_as_the_batch_allows_and_nothing_else() -> None:
    hole = YEAR.start + 1000
    holes = {STATION.idx: (Interval(hole, hole + 1), Interval(hole + 100, hole + 168))}
    known = {STATION.idx: checkpoint(Status.COMPLETED, YEAR)}
    plan = build_plan(
        [STATION, Station(1)], known, YEAR, batch_hours=168, pace=PACE, mode=Mode.GAPS, gaps=holes
    )
    assert plan.stations[0].pieces == (Interval(hole, hole + 168),)
    assert [entry.reason for entry in plan.stations] == ["gaps", "no gaps"]


def test_mode_missing_fetches_what_is_not_covered_and_the_holes_of_what_is() -> None:
    hole = Interval(YEAR.start + 1000, YEAR.start + 1003)
    done = Interval(YEAR.start, YEAR.end - 24)
    known = {STATION.idx: checkpoint(Status.COMPLETED, done)}
    plan = build_plan(
        [STATION, Station(1)],
        known,
        YEAR,
        batch_hours=168,
        pace=PACE,
        mode=Mode.MISSING,
        gaps={STATION.idx: (hole,)},
        lookback_hours=48,
    )
    entry, new = plan.stations
    assert entry.pieces == (hole, Interval(YEAR.end - 72, YEAR.end))
    assert entry.again == (hole, Interval(YEAR.end - 72, YEAR.end - 24))
    assert (entry.why, new.why) == (Why.EXTEND, Why.NEW)


def test_mode_missing_on_a_complete_station_is_about_its_holes_or_about_nothing() -> None:
    known = {STATION.idx: checkpoint(Status.COMPLETED, YEAR)}
    hole = Interval(YEAR.start + 1000, YEAR.start + 1003)

    def planned(*holes: Interval) -> StationPlan:
        return build_plan(
            [STATION],
            known,
            YEAR,
            batch_hours=168,
            pace=PACE,
            mode=Mode.MISSING,
            gaps={STATION.idx: holes},
        ).stations[0]

    assert (planned(hole).why, planned(hole).pieces) == (Why.GAPS, (hole,))
    assert planned().skip is Skip.COVERED


def test_lookback_reads_the_last_covered_hours_again_together_with_the_new_ones() -> None:
    done = Interval(YEAR.start, YEAR.end - 24)
    known = {STATION.idx: checkpoint(Status.COMPLETED, done)}
    plan = build_plan([STATION], known, YEAR, batch_hours=168, pace=PACE, lookback_hours=48)
    assert plan.stations[0].pieces == (Interval(YEAR.end - 72, YEAR.end),)
    again = build_plan([STATION], known, done, batch_hours=168, pace=PACE, lookback_hours=48)
    assert again.stations[0].why is Why.LOOKBACK
    assert again.stations[0].pieces == (Interval(done.end - 48, done.end),)
