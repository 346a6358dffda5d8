"""A recorded run answers for its account only where it was asked, and only of what is asked now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.core.checkpoint import Tally
from runner.core.intervals import Interval, hour_of
from runner.core.outcome import Outcome, State, StationOutcome
from runner.core.recorded import account_of, by_station
from runner.core.stations import Station

START = hour_of(datetime(2024, 1, 1, tzinfo=UTC))
YEAR = Interval(START, START + 8784)
GOOD = StationOutcome(
    Station(1584), YEAR, State.COMPLETED, planned_windows=53,
    tally=Tally(records=90, inserted=90, windows=53, empty_windows=2),
)  # fmt: skip
BAD = StationOutcome(
    Station(8641), YEAR, State.FAILED, planned_windows=53, tally=Tally(records=7, rejects=7,
    windows=10),
)  # fmt: skip


def recorded(*stations: StationOutcome) -> dict[str, Any]:
    outcome = Outcome("backfill", "run-1", stations, requests=70, started_at=datetime.now(UTC),
                      ended_at=datetime.now(UTC) + timedelta(hours=1))  # fmt: skip
    return {**outcome.to_json(), "stations": None, "accounts": by_station(stations)}


def test_the_same_question_has_the_whole_account() -> None:
    record = recorded(GOOD, BAD)
    told = account_of(record, [8641, 1584], YEAR)
    assert told is not None
    assert told["windows"] == record["windows"]
    assert told["totals"] == {name: n for name, n in record["totals"].items() if n}
    assert (told["of_more_hours"], told["of_more_stations"]) == (False, False)


def test_of_a_run_of_more_stations_their_part_counts() -> None:
    told = account_of(recorded(GOOD, BAD), [1584], YEAR)
    assert told is not None
    windows = {"planned": 53, "ok": 53, "empty": 2, "not_asked": 0, "failed": 0, "not_attempted": 0}
    assert told["windows"] == windows
    assert told["totals"]["records"] == 90
    assert "rejects" not in told["totals"]
    assert told["of_more_stations"]


def test_of_a_run_of_more_hours_the_account_is_marked() -> None:
    told = account_of(recorded(GOOD), [1584], Interval(START + 24, START + 48))
    assert told is not None
    assert told["of_more_hours"]


@pytest.mark.parametrize(
    ("stations", "window"),
    [([1584, 1], YEAR), ([1584], Interval(START - 1, START + 24)),
     ([1584], Interval(START, START + 8785)), ([], YEAR)],
)  # fmt: skip
def test_a_run_that_was_asked_for_less_has_no_answer(stations: list[int], window: Interval) -> None:
    assert account_of(recorded(GOOD, BAD), stations, window) is None


def test_a_record_of_an_older_version_has_no_answer() -> None:
    assert account_of({"windows": {"planned": 1}, "totals": {}}, [1584], YEAR) is None
