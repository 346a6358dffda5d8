"""What a backfill costs, in counts: they are the same on every machine, and seconds are not.

The bounds are what was reached. A change that needs less lowers them; one that needs more has to
say here why.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from tests.robustness.guards.conftest import Watched

pytestmark = pytest.mark.slow

STATIONS = {1584: "one", 13658: "another"}
WINDOWS = 6  # three weeks of two stations
ASK = (
    "stations.ids=[1584,13658]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-01-22",
    "rate_limit=unlimited",  # else one findAndModify a request more: its permit, from the budget
    "quality=off",
    "report=none",
)

PROBE = {"find waqi_station_readings": 1}  # what is stored of the window
INSERT = {"insert waqi_station_readings": 1}  # what is new in it
COVERED = {"update ingest_checkpoints": 1}  # last of all
A_STATION = {
    "update ingest_checkpoints": 4,  # made or filled up; in progress; completed; lease given back
    "findAndModify ingest_checkpoints": 1,  # its lease
    "find ingest_checkpoints": 1,  # how far it is now that nobody else moves it
}
A_RUN = {
    "ping": 1,  # is there a server
    "hello": 1,  # what time is it there
    "find waqi_stations": 2,  # which there are, to choose; which of the chosen are noted
    "find ingest_checkpoints": 1,  # how far they are, for the plan
    "find ingest_concentrations": 1,  # are stored indices on the scale of this source
    "listCollections": 1,  # which collections there are, and of what kind
    # The plan names the indexes that will be made and those by which documents expire.
    "listIndexes waqi_station_readings": 1,  # is it unique by station and hour
    "listIndexes waqi_stations": 1,
    "listIndexes ingest_checkpoints": 1,  # are they unique by station
    "listIndexes ingest_rejects": 1,
    "listIndexes ingest_revisions": 1,
    "listIndexes ingest_runs": 1,
    "update ingest_runs": 2,  # begun, ended
    "endSessions": 1,
}
FIRST = {
    "createIndexes waqi_station_readings": 1,
    "createIndexes ingest_checkpoints": 1,
    "createIndexes ingest_rejects": 1,
    "createIndexes ingest_revisions": 1,
    "createIndexes ingest_runs": 1,
    "insert waqi_stations": 1,
}
TIME_SERIES = {"delete waqi_station_readings": 1}  # can this server delete by time
FIRST_TIME_SERIES = {
    "create waqi_station_readings": 1,
    "listCollections": 1,  # as it is then
    "listIndexes waqi_station_readings": 1,
}


@dataclass(frozen=True)
class Runs:
    """What three runs of the same command did, and the requests of each."""

    kind: str
    fresh: dict[str, Any]
    again: dict[str, Any]
    nothing: dict[str, Any]
    requests: tuple[int, int, int]
    log: list[str]


@pytest.fixture(scope="module", params=["regular", "timeseries"])
def runs(request: pytest.FixtureRequest, watched: Watched) -> Runs:
    """A fresh load; the same with checkpoints deleted; the same with nothing to do."""
    watched.database.client.drop_database(watched.database.name)
    with Sandbox(STATIONS, Climatology()) as api:
        ask = (*ASK, f"source.base_url={api.url}", f"mongo.readings.kind={request.param}")
        asked = [0]

        def run() -> dict[str, Any]:
            done = watched(*ask, work=True)
            asked.append(api.stats()["requests"])
            return done

        fresh, log = run(), watched.log()
        watched.database["ingest_checkpoints"].delete_many({})
        again, nothing = run(), run()
        made = (asked[1], asked[2] - asked[1], asked[3] - asked[2])
    return Runs(request.param, fresh, again, nothing, made, log)


def check(runs: Runs, did: dict[str, Any], *parts: tuple[int, dict[str, int]]) -> None:
    """Compare the commands sent with those that some parts of the work may send."""
    allowed: Counter[str] = Counter()
    series = [(1, TIME_SERIES)] if runs.kind == "timeseries" else []
    for times, part in (*parts, (1, A_RUN), *series):
        allowed.update({name: times * count for name, count in part.items()})
    sent = Counter(did["commands"])
    assert not sent - allowed, f"sent {sum(sent.values())}, allowed {sum(allowed.values())}"
    assert sent["find waqi_stations"], "nothing was counted"


def test_a_fresh_load_takes_two_round_trips_a_window_and_one_look_a_station(runs: Runs) -> None:
    """A time-series collection refuses no double: it is looked at before and after an insert."""
    looks, made = len(STATIONS), FIRST
    if runs.kind == "timeseries":
        looks, made = 2 * WINDOWS, Counter(FIRST) + Counter(FIRST_TIME_SERIES)
    a_window = (WINDOWS, INSERT | COVERED)
    check(runs, runs.fresh, a_window, (looks, PROBE), (len(STATIONS), A_STATION), (1, made))


def test_what_is_stored_already_costs_two_round_trips_a_window(runs: Runs) -> None:
    check(runs, runs.again, (WINDOWS, PROBE | COVERED), (len(STATIONS), A_STATION))


def test_a_run_with_nothing_to_do_asks_for_no_station_and_no_window(runs: Runs) -> None:
    check(runs, runs.nothing)


def test_there_is_one_request_a_window_and_none_for_what_is_covered(runs: Runs) -> None:
    assert runs.requests == (WINDOWS, WINDOWS, 0)


def test_every_answer_is_parsed_once(runs: Runs) -> None:
    assert runs.fresh["parsed"] == [1] * WINDOWS


def test_the_settings_are_composed_once(runs: Runs) -> None:
    assert runs.fresh["composed"] == 1


def test_the_log_grows_with_windows_and_not_with_readings(runs: Runs) -> None:
    run_begins_and_ends, station_begins_ends_and_is_progress = 2, 3
    lines = len(runs.log) - station_begins_ends_and_is_progress * len(STATIONS)
    assert lines <= run_begins_and_ends + WINDOWS
