"""The outcome: hours that add up, exit codes by precedence, a summary a person can act on."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.checkpoint import Tally, tally_window
from runner.core.errors import Exit, worst
from runner.core.intervals import Interval
from runner.core.outcome import (
    Coverage,
    Outcome,
    State,
    StationOutcome,
    duration_text,
)
from runner.core.plan import Skip
from runner.core.readings import Reason, Reject
from runner.core.stations import Station

RANGE = Interval(470_000, 470_100)
START = datetime(2026, 1, 1, tzinfo=UTC)


def station(idx: int, state: State, **fields: object) -> StationOutcome:
    return replace(StationOutcome(Station(idx, f"S{idx}"), RANGE, state), **fields)  # type: ignore[arg-type]


def outcome(*stations: StationOutcome, **fields: object) -> Outcome:
    made = Outcome(
        "backfill", "run-1", stations, started_at=START, ended_at=START + timedelta(hours=2)
    )
    return replace(made, **fields)  # type: ignore[arg-type]


DONE = station(
    1, State.COMPLETED, fetched_hours=100, tally=Tally(inserted=90, empty_hours=8, rejected_hours=2)
)


@given(st.sets(st.integers(0, 99)), st.lists(st.none() | st.integers(-20, 120), max_size=30))
def test_every_hour_of_a_window_is_read_or_rejected_or_empty(
    read: set[int], rejected: list[int | None]
) -> None:
    hours = frozenset(RANGE.start + hour for hour in read)
    rejects = [
        Reject(Reason.AQI_DASH, {}, None if hour is None else RANGE.start + hour)
        for hour in rejected
    ]
    tally = tally_window(RANGE, hours, rejects, repaired=0)
    assert len(hours) + tally.rejected_hours + tally.empty_hours == RANGE.hours
    assert tally.rejects == len(rejected)
    assert tally.empty_hours >= 0


def test_the_parts_of_the_coverage_add_up_to_the_selected_station_hours() -> None:
    stations = (
        DONE,
        station(2, State.FAILED, covered_before=10, fetched_hours=20, tally=Tally(updated=20)),
        station(3, State.LEFT, covered_before=5, fetched_hours=15, tally=Tally(unchanged=15)),
        station(4, State.SKIPPED, covered_before=100, skip=Skip.COVERED),
        station(5, State.SKIPPED, skip=Skip.FAILED),
    )
    made = Coverage.of(stations)
    parts = (made.readings, made.empty, made.rejected, made.failed, made.left, made.skipped)
    assert parts == (125, 8, 2, 70, 80, 100)
    assert sum(parts) + made.covered_before == made.total == 500


@pytest.mark.parametrize(
    ("expected", "made"),
    [
        (0, outcome(DONE)),
        (0, outcome(DONE, station(2, State.SKIPPED, skip=Skip.COVERED, covered_before=100))),
        (4, outcome(DONE, station(2, State.FAILED))),
        (4, outcome(DONE, station(2, State.LEFT))),
        (4, outcome(DONE, station(2, State.SKIPPED, skip=Skip.FAILED))),
        (4, outcome(DONE, station(2, State.SKIPPED, skip=Skip.UNKNOWN))),
        (1, outcome(station(2, State.LEFT), error="key refused")),
        (1, outcome(station(2, State.FAILED, internal=True))),
        (130, outcome(station(2, State.LEFT), stopped_by=130)),
        (143, outcome(station(2, State.FAILED), stopped_by=143, error="x")),
        (2, outcome(error="no key", configuration_error=True)),
    ],
)
def test_the_exit_code_says_what_happened(expected: int, made: Outcome) -> None:
    assert made.exit_code == expected


def test_of_several_exit_codes_the_gravest_stands_whatever_the_order() -> None:
    for codes in permutations([Exit.DONE, Exit.QUALITY_GATE, Exit.INCOMPLETE, Exit.COULD_NOT_RUN]):
        assert worst(codes) == Exit.COULD_NOT_RUN
    assert worst([1, 130, 2]) == 2
    assert worst([1, 130]) == 130
    assert worst([3, 4]) == 4
    assert worst([]) == 0


def test_the_summary_block_is_the_documented_one() -> None:
    text = outcome(DONE, requests=1_750).summary()
    expected = """\
===============================================================================
BACKFILL JOB SUMMARY
===============================================================================
Total stations: 1
Completed stations: 1
Failed stations: 0
Skipped stations: 0
Total readings inserted: 90
Total readings updated: 0
Total readings unchanged: 0
Total records rejected: 0
Coverage: 90 of 100 station-hours (90.0%); empty at source 8, failed 0, rejected 2
Total API requests: 1,750
Duration: 2:00:00
Success rate: 100.0%
==============================================================================="""
    assert text == expected


def test_failed_stations_are_named_with_their_error_and_the_retry_command() -> None:
    failed = station(7, State.FAILED, detail="Unknown station")
    text = outcome(failed, retry_command="python -m runner job=retry").summary()
    assert "7 S7: Unknown station" in text
    assert text.endswith("Try the failed stations again: python -m runner job=retry")


def test_a_stopped_run_says_how_to_resume() -> None:
    text = outcome(station(1, State.LEFT), stopped_by=130, resume_command="RESUME").summary()
    assert "Resume where this run ended: RESUME" in text


def test_a_run_with_nothing_to_do_says_covered_not_zero_percent() -> None:
    covered = station(1, State.SKIPPED, skip=Skip.COVERED, covered_before=100)
    made = outcome(covered)
    assert "nothing was left to fetch; 100 covered by earlier runs" in made.summary()
    assert "Skipped stations: 1 (covered: 1)" in made.summary()
    assert made.success_rate == 100.0


def test_hours_nobody_asked_for_do_not_count_as_nothing_left_to_fetch() -> None:
    made = Coverage.of([station(1, State.COMPLETED, not_asked_hours=100)])
    assert made.not_asked == made.total == 100
    assert "nothing was left to fetch" not in str(made)
    assert "not asked 100" in str(made)


def test_the_json_form_is_json() -> None:
    made = json.loads(json.dumps(outcome(DONE).to_json()))
    assert (made["exit_code"], made["counts"]["completed"]) == (0, 1)


def test_durations_count_days_as_hours() -> None:
    assert duration_text(8130) == "2:15:30"
    assert duration_text(100 * 3600 + 59) == "100:00:59"


def test_a_wait_for_the_shared_budget_is_told_and_none_is_not() -> None:
    told = "Waited for the budget shared by all with this key: 0:12:30"
    waited = outcome(DONE, budget_wait_s=750.0)
    assert told in waited.summary().splitlines()
    assert waited.to_json()["budget_wait_s"] == 750.0
    assert "budget" not in outcome(DONE, budget_wait_s=0.4).summary()
