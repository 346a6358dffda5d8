"""The validation queries: what they find, that none writes, and what cannot be asked."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of
from runner.quality.report.query_page import NAME, QueryPage, run_live
from runner.store.queries import MOST_ROWS, Queries, documented

Mongo = Database[dict[str, Any]]
START = datetime(2024, 1, 1, tzinfo=UTC)
WINDOW = Interval(hour_of(START), hour_of(START) + 48)
READINGS = "waqi_station_readings"
WRITING = ("$out", "$merge", "$set", "$function", "$where")


def reading(idx: int, hour: int, **changed: Any) -> dict[str, Any]:
    made = {
        "ts": START + timedelta(hours=hour),
        "meta": {"station_idx": idx},
        "aqi": 50,
        "time": {"s": "2024-01-01 07:00:00", "tz": "+07:00"},
        "iaqi": {"pm25": {"v": 50}},
    }
    return made | changed


@pytest.fixture
def filled(database: Mongo) -> Mongo:
    """Two stations, a double, a document without its fields, one with an aqi of text."""
    database[READINGS].insert_many(
        [
            *(reading(1, hour) for hour in range(30)),
            reading(1, 3),
            reading(2, 0, aqi="-"),
            {"ts": START, "meta": {"station_idx": 2}},
            reading(2, 99),
        ]
    )
    database["ingest_checkpoints"].insert_many(
        [{"_id": 1, "status": "completed"}, {"_id": 2, "status": "failed\x1b[31m"}]
    )
    return database


def test_the_answers_are_those_of_the_database(filled: Mongo) -> None:
    made = Queries(filled).answers([1, 2], 1, WINDOW)
    latest, counts, states, fields, doubles = (one["rows"] for one in made["queries"])
    assert [one["error"] for one in made["queries"]] == [None] * 5
    assert len(latest) == 10
    assert latest[0]["ts"] == "2024-01-02T05:00:00Z"
    assert [(row["_id"], row["readings"]) for row in counts] == [(2, 2), (1, 31)]
    assert states == [{"_id": "completed", "stations": 1}, {"_id": "failed[31m", "stations": 1}]
    assert fields == [
        {
            "documents": 33,
            "ts is no date": 0,
            "no aqi": 1,
            "aqi is no number": 2,
            "no local time": 1,
            "no zone": 1,
            "no iaqi": 1,
        }
    ]
    found = [(row["_id"]["station"], row["documents"]) for row in doubles]
    assert found == [(1, 2), (2, 2)]
    assert json.loads(json.dumps(made)) == made


def test_no_query_writes(filled: Mongo) -> None:
    for query in documented([1, 2], 1, WINDOW):
        assert not any(word in query.text for word in WRITING)
    before = {name: list(filled[name].find()) for name in filled.list_collection_names()}
    Queries(filled).answers([1, 2], 1, WINDOW)
    assert {name: list(filled[name].find()) for name in filled.list_collection_names()} == before


def test_long_answers_are_cut_and_say_so(filled: Mongo) -> None:
    many = range(100, 150)
    filled[READINGS].insert_many([reading(idx, 1) for idx in many])
    counts = Queries(filled).answers([*many], 100, WINDOW)["queries"][1]
    assert len(counts["rows"]) == MOST_ROWS
    assert counts["more_rows"]


def test_a_server_that_does_not_answer_is_told_query_by_query() -> None:
    uri = "mongodb://127.0.0.1:1/"
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=100) as client:
        answers = Queries(client["x"]).answers([1], 1, WINDOW)["queries"]
    assert all("stopped answering" in one["error"] for one in answers)


def finished_run(directory: Path, database: str) -> Path:
    quality = directory / "quality"
    quality.mkdir()
    stations: list[dict[str, Any]] = [
        {"station_idx": idx, "status": "pass", "capture": 1.0, "checks": {"fail": [], "warn": []}}
        for idx in (1, 2)
    ]
    window = {"start": "2024-01-01T00:00:00Z", "end": "2024-02-01T00:00:00Z"}
    document = {"schema_version": 1, "database": database, "stations": stations, "window": window}
    (quality / "quality.json").write_text(json.dumps(document))
    return directory


def test_an_analyst_with_the_address_gets_the_answers_of_now(
    filled: Mongo, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = finished_run(tmp_path, filled.name)
    stored = Queries(filled).answers([1, 2], 1, WINDOW)
    (run_dir / "quality" / NAME).write_text(json.dumps(stored))
    monkeypatch.delenv("MONGO_URI", raising=False)
    assert "as the runner got them" in QueryPage.of(run_dir).note
    filled[READINGS].delete_many({"meta.station_idx": 1})
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    page = QueryPage.of(run_dir)
    assert "asked just now" in page.note
    assert page.answer(0).html.endswith("<p>No document.</p>")
    assert run_live(stored)["queries"][1]["rows"][0]["_id"] == 2


def test_of_a_run_that_asked_nothing_the_queries_are_shown_and_can_be_asked(
    filled: Mongo, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = finished_run(tmp_path, filled.name)
    monkeypatch.delenv("MONGO_URI", raising=False)
    page = QueryPage.of(run_dir)
    assert "report=none" in page.introduction().html
    assert "No answer: not asked" in page.answer(4).html
    live = Queries(filled).answers([1, 2], 1, Interval(*page.run.window))
    texts = [one["query"] for one in page.asked["queries"]]
    assert texts == [one["query"] for one in live["queries"]]
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    asked = QueryPage.of(run_dir).asked["queries"]
    assert [one["rows"] for one in asked] == [one["rows"] for one in live["queries"]]


def test_with_the_database_gone_the_stored_answers_are_shown_with_a_note(
    filled: Mongo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = finished_run(tmp_path, filled.name)
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200")
    monkeypatch.setattr("runner.quality.report.query_page._PATIENCE_S", 0.5)
    assert "out of reach" in QueryPage.of(run_dir).introduction().html
    assert "No answer" in QueryPage.of(run_dir).answer(0).html
    stored = Queries(filled).answers([1, 2], 1, WINDOW)
    (run_dir / "quality" / NAME).write_text(json.dumps(stored))
    page = QueryPage.of(run_dir)
    assert "asking again failed" in page.note
    assert "2024-01-02T05:00:00Z" in page.answer(0).html
