from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from runner.store.runs import NAME, Runs

Documents = Database[dict[str, Any]]

RUN_ID = "2025-01-01/12-30-00-000001"
BEGAN = datetime(2025, 1, 1, 12, 30, tzinfo=UTC)
STARTED = {"started_at": BEGAN, "job": "backfill"}


def test_a_run_is_recorded_at_its_start_and_keeps_that_at_its_end(database: Documents) -> None:
    runs = Runs(database)
    runs.ensure()
    runs.started(RUN_ID, STARTED)
    assert list(database[NAME].find()) == [{"_id": RUN_ID, **STARTED}]
    outcome = {"exit_code": 4, "stations": [{"idx": 8641}], "backfill.years": {"$weird": None}}
    runs.finished(RUN_ID, outcome)
    assert list(database[NAME].find()) == [{"_id": RUN_ID, **STARTED, "outcome": outcome}]


def test_recording_twice_makes_no_second_record(database: Documents) -> None:
    runs = Runs(database)
    for _ in range(2):
        runs.ensure()
        runs.started(RUN_ID, STARTED)
        runs.finished(RUN_ID, {"exit_code": 0})
    assert database[NAME].count_documents({}) == 1


def test_the_end_of_a_run_is_recorded_even_if_its_start_was_not(database: Documents) -> None:
    Runs(database).finished(RUN_ID, {"exit_code": 1})
    assert list(database[NAME].find()) == [{"_id": RUN_ID, "outcome": {"exit_code": 1}}]


def test_a_run_shows_that_it_lives_is_asked_to_stop_and_counts_as_lost_after_two_minutes(
    database: Documents,
) -> None:
    runs = Runs(database)
    now = datetime.now(UTC)
    for name in ("alive", "lost", "done"):
        runs.started(name, {**STARTED, "started_at": now - timedelta(hours=1), "host": "here"})
    runs.finished("done", {"exit_code": 4})
    assert not runs.beat("alive", {"percent": 7.5, "$odd": None})
    assert {one.run_id: one.state for one in runs.recent(5)} == {
        "alive": "running",
        "lost": "lost",
        "done": "ended 4",
    }
    assert runs.ask_to_stop("alive", "me")
    assert runs.beat("alive", {"percent": 8})
    (one,) = (one for one in runs.recent(5) if one.goes_on)
    assert (one.run_id, one.state, one.progress) == ("alive", "stopping", {"percent": 8})
    assert (one.about["host"], one.age_s < 60) == ("here", True)
    assert not runs.ask_to_stop("done", "me")
    assert not runs.ask_to_stop("nobody", "me")


def test_runs_of_the_present_hide_no_run_that_answers_for_a_range(database: Documents) -> None:
    runs = Runs(database)
    told = {"windows": {"planned": 1}}
    runs.started("backfill", {**STARTED, "source": "aqicn"})
    runs.finished("backfill", {**told, "exit_code": 0})
    for hour in range(60):
        began = BEGAN + timedelta(hours=1 + hour)
        runs.started(f"live {hour}", {"started_at": began, "source": "aqicn_live"})
        runs.finished(f"live {hour}", {**told, "exit_code": 4})
    assert list(runs.outcomes(["aqicn_live"])) == [{**told, "exit_code": 0}]


def test_whose_the_readings_of_a_station_are_is_what_stored_them(database: Documents) -> None:
    runs = Runs(database)

    def ran(run_id: str, source: str, whose: list[str], year: int, **totals: int) -> None:
        start, end = (f"{year + more}-01-01T00:00:00Z" for more in (0, 1))
        accounts = [{"station_idx": idx, "start": start, "end": end, "totals": totals}
                    for idx in (8641, 8767)]  # fmt: skip
        runs.started(run_id, {**STARTED, "source": source, "origin": {"providers": whose}})
        runs.finished(run_id, {"accounts": accounts})

    ran("1", "airnow", ["airnow"], 2016, inserted=5)
    ran("2", "airnow", ["airnow"], 2017, updated=1)
    ran("3", "replay", ["openaq"], 2018, inserted=1)
    ran("4", "aqicn", ["aqicn"], 2019, unchanged=7)  # it asked, and stored nothing
    assert runs.origins([8641]) == [
        {"station_idx": 8641, "source": "airnow", "providers": ["airnow"],
         "start": "2016-01-01T00:00:00Z", "end": "2018-01-01T00:00:00Z"},
        {"station_idx": 8641, "source": "replay", "providers": ["openaq"],
         "start": "2018-01-01T00:00:00Z", "end": "2019-01-01T00:00:00Z"},
    ]  # fmt: skip
    assert runs.origins([1]) == []
