"""`ingest_raw`: one answer a question, found by the hours it holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.errors import StoreError
from runner.core.intervals import Interval
from runner.core.kept import KeptAnswer
from runner.store.raw import NAME, RawAnswers

Documents = Database[dict[str, Any]]
START = 464_592  # 2023-01-01T00:00Z
WEEK = Interval(START, START + 168)
NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def raw(database: Documents) -> RawAnswers:
    store = RawAnswers(database)
    store.ensure()
    store.ensure()
    return store


def answer(body: bytes = b"{}", window: Interval = WEEK, now: datetime = NOW) -> KeptAnswer:
    return KeptAnswer(window, now, body, "aqicn", {"path": "/feed/@8641/history"})


def test_an_answer_comes_back_as_it_was_given(raw: RawAnswers) -> None:
    given = answer(b'{"status": "ok", "data": [\xff\x00]}')
    raw.keep("first", 8641, given, 90)
    assert raw.find(8641, WEEK) == [given]
    assert raw.find(8641, Interval(START + 167, START + 300)) == [given]
    assert raw.find(8641, Interval(START + 168, START + 300)) == []
    assert raw.find(8767, WEEK) == []


def test_the_same_question_is_kept_once_with_its_newest_answer(
    database: Documents, raw: RawAnswers
) -> None:
    raw.keep("first", 8641, answer(b"old"), 90)
    raw.keep("second", 8641, answer(b"new", now=NOW + timedelta(days=1)), 30)
    raw.keep("second", 8641, answer(b"other", Interval(START + 168, START + 336)), 30)
    (found,) = raw.find(8641, WEEK)
    assert found.body == b"new"
    assert database[NAME].count_documents({}) == 2
    document = database[NAME].find_one({"window.start": datetime(2023, 1, 1, tzinfo=UTC)})
    assert document is not None
    assert document["expires_at"] == NOW + timedelta(days=31)
    held = raw.held([8641, 5])
    assert held.hours == {8641: (Interval(START, START + 336),)}
    assert held.sources == ("aqicn",)


def test_a_damaged_body_is_an_error_that_names_station_and_window(
    database: Documents, raw: RawAnswers
) -> None:
    raw.keep("first", 8641, answer(), 90)
    database[NAME].update_one({}, {"$set": {"body": b"damaged"}})
    with pytest.raises(StoreError, match="station 8641, 2023-01-01"):
        raw.find(8641, WEEK)
