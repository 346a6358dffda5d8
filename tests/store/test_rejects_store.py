from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pymongo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from runner.core.errors import StoreUnavailableError
from runner.core.intervals import Interval, to_datetime
from runner.core.readings import Reason, Reject
from runner.store.rejects import LONGEST_RAW, NAME, Rejects

Documents = Database[dict[str, Any]]

START = 464_592  # 2023-01-01T00:00Z
WEEK = Interval(START, START + 168)
NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
DASH = {"aqi": "-", "time": {"s": "2023-01-01 07:00:00", "tz": "+07:00"}}


@pytest.fixture
def rejects(database: Documents) -> Rejects:
    store = Rejects(database)
    store.ensure()
    return store


def keep(rejects: Rejects, *kept: Reject, run_id: str = "first", now: datetime = NOW) -> int:
    return rejects.keep(run_id, 8641, WEEK, kept, "aqicn", now)


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def test_a_reject_is_kept_raw_with_station_window_and_reason(
    database: Documents, rejects: Rejects
) -> None:
    assert keep(rejects, Reject(Reason.AQI_DASH, DASH, START)) == 1
    (document,) = database[NAME].find()
    assert len(document.pop("_id")) == 32
    assert document == {
        "station_idx": 8641,
        "reason": "aqi_dash",
        "ts": to_datetime(START),
        "raw": DASH,
        "raw_form": "plain",
        "source": "aqicn",
        "window": {"start": to_datetime(START), "end": to_datetime(START + 168)},
        "run_id": "first",
        "first_seen_at": NOW,
        "last_run_id": "first",
        "last_seen_at": NOW,
    }
    assert database[NAME].count_documents({"station_idx": {"$type": "int"}}) == 1


def test_the_same_bad_record_never_piles_up(database: Documents, rejects: Rejects) -> None:
    bad = Reject(Reason.AQI_DASH, DASH, START)
    reordered = Reject(Reason.AQI_DASH, dict(reversed(DASH.items())), START)
    assert keep(rejects, bad, reordered, bad) == 1
    assert keep(rejects, bad, run_id="second", now=LATER) == 0
    (document,) = database[NAME].find()
    assert (document["run_id"], document["first_seen_at"]) == ("first", NOW)
    assert (document["last_run_id"], document["last_seen_at"]) == ("second", LATER)


def test_the_limit_counts_what_is_acknowledged_and_once(database: Documents) -> None:
    rejects = Rejects(database, most=2)
    bad = [Reject(Reason.AQI_DASH, DASH, START + hour) for hour in range(3)]
    for _try in range(3):
        with pytest.raises(StoreUnavailableError), pymongo.timeout(1e-6):  # an outage
            keep(rejects, *bad)
    assert rejects.dropped == 0
    assert keep(rejects, *bad) == 2
    assert rejects.dropped == 1
    assert database[NAME].count_documents({}) == 2


def test_another_station_reason_hour_or_record_is_another_reject(rejects: Rejects) -> None:
    bad = Reject(Reason.AQI_DASH, DASH, START)
    keep(rejects, bad)
    assert rejects.keep("first", -5, WEEK, [bad], "aqicn", NOW) == 1
    assert keep(rejects, Reject(Reason.WRONG_STATION, DASH, START)) == 1
    assert keep(rejects, Reject(Reason.AQI_DASH, DASH, START + 1)) == 1
    assert keep(rejects, Reject(Reason.AQI_DASH, DASH | {"idx": 1}, START)) == 1
    assert keep(rejects) == 0
    assert (rejects.count(), rejects.count(8641), rejects.count(-5)) == (5, 4, 1)
    assert rejects.count(7) == 0


@pytest.mark.parametrize(
    "raw",
    [None, True, -1.5, "text", [], {}, {"": ""}, [[1, {"a": None}]], nested(32), 2**63 - 1, "\0"],
)
def test_what_mongodb_can_hold_is_stored_as_it_came(
    database: Documents, rejects: Rejects, raw: Any
) -> None:
    assert keep(rejects, Reject(Reason.NOT_AN_OBJECT, raw)) == 1
    (document,) = database[NAME].find()
    assert (document["raw"], document["raw_form"]) == (raw, "plain")
    assert document["ts"] is None


@pytest.mark.parametrize(
    "raw",
    [
        {"$where": "sleep(1000)"},
        {"a.b": {"$gt": ""}},
        {"nul\0": 1},
        {"aqi": 2**63},
        [float("inf")],
        {"name": "\ud800"},
        {"\udfff": 1},
        nested(33),
        nested(400),
    ],
)
def test_what_mongodb_cannot_hold_is_stored_as_json_text(
    database: Documents, rejects: Rejects, raw: Any
) -> None:
    bad = Reject(Reason.NOT_AN_OBJECT, raw)
    assert keep(rejects, bad) == 1
    assert keep(rejects, bad) == 0
    (document,) = database[NAME].find()
    assert document["raw_form"] == "json"
    assert json.loads(document["raw"]) == raw


@pytest.mark.parametrize(
    "raw",
    [
        nested(100_000),
        {1: "a", "b": 2, None: 3},
        {(1, 2): 3},
        {"aqi": 10**5000},
        {"when": datetime(2025, 1, 1, tzinfo=UTC)},
        float("nan"),
        b"bytes",
    ],
)
def test_what_json_cannot_express_is_still_kept_once(
    database: Documents, rejects: Rejects, raw: Any
) -> None:
    bad = Reject(Reason.NOT_AN_OBJECT, raw)
    assert keep(rejects, bad) == 1
    assert keep(rejects, bad) == 0
    (document,) = database[NAME].find()
    assert document["raw_form"] == "json"
    assert json.loads(document["raw"]) is not None


def test_a_huge_record_is_cut_and_says_so(database: Documents, rejects: Rejects) -> None:
    huge = {"aqi": "x" * 10_000_000}
    other = {"aqi": "x" * 10_000_000 + "y"}
    assert keep(rejects, *(Reject(Reason.AQI_NOT_A_NUMBER, raw) for raw in (huge, other))) == 2
    for document in database[NAME].find():
        assert document["raw_form"] == "cut"
        assert document["raw"] == '{"aqi":"' + "x" * (LONGEST_RAW - 8)


def test_two_runs_keep_the_same_rejects_once(rejects: Rejects) -> None:
    bad = [Reject(Reason.AQI_DASH, {"n": number}) for number in range(200)]
    kept: list[int] = []
    runs = [Thread(target=lambda: kept.append(keep(rejects, *bad))) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sum(kept) == rejects.count() == 200


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec=None), max_size=5), inner, max_size=4)
    ),
)


@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(raw=json_like)
def test_whatever_an_api_sends_is_kept_exactly_once(
    database: Documents, rejects: Rejects, raw: Any
) -> None:
    database[NAME].delete_many({})
    bad = Reject(Reason.NOT_AN_OBJECT, raw)
    assert keep(rejects, bad, bad) == 1
    assert keep(rejects, bad) == 0
    (document,) = database[NAME].find()
    stored = document["raw"] if document["raw_form"] == "plain" else json.loads(document["raw"])
    assert json.dumps(stored, sort_keys=True) == json.dumps(raw, sort_keys=True)
