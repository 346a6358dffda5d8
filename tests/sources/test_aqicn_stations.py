"""Stations of the API and of files: recorded answers, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import ConfigError, Scope
from runner.core.sightings import Sighting
from runner.core.stations import Box, Station
from runner.process.secrets import Environment, Redactor, Secret
from runner.process.stop import StopFlag
from runner.sources import key_names
from runner.sources.aqicn.answers import AqicnClientError
from runner.sources.aqicn.stations import AqicnStations
from runner.sources.http import HttpClient
from runner.sources.pacing import Pacer
from runner.sources.station_files import stations_of
from tests.sources.loopback import PATIENT, POLICY, Loopback, Scripted, page, says

WAQI = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "payloads" / "waqi"
needs_answers = pytest.mark.skipif(
    not WAQI.is_dir(), reason="the recorded answers are not at ../shared/data/payloads/waqi"
)
CANARY = "CANARY-stations-1a2b"


@contextmanager
def api(*replies: Scripted) -> Iterator[tuple[AqicnStations, Loopback]]:
    stop = StopFlag()
    redact = Redactor(Environment({"AQICN_API_KEY": CANARY}, Path(".env"), key_names))
    with Loopback(*replies) as server:
        client = HttpClient(
            server.url, Pacer(0, stop), stop, redact, POLICY, PATIENT, failure=AqicnClientError
        )
        try:
            yield AqicnStations(client, Secret(CANARY)), server
        finally:
            client.close()


def recorded(name: str) -> Any:
    return json.loads((WAQI / name).read_text("utf-8"))


@needs_answers
def test_a_recorded_search_gives_name_position_page_and_zone() -> None:
    with api(says(recorded("search_klundert.json"))) as (stations, server):
        (seen,) = stations.search("klundert")
        assert seen == Sighting(
            6337,
            "Klundert, Brabant",
            51.6689355,
            4.541659,
            "https://aqicn.org/city/netherland/brabant/klundert",
            "+02:00",
        )
        assert server.asked[0].path == "/search/"
        assert server.asked[0].query == {"keyword": "klundert", "token": CANARY}


@needs_answers
def test_an_unknown_keyword_finds_nothing() -> None:
    with api(says(recorded("search_unknown.json"))) as (stations, _server):
        assert stations.search("nowhere") == []


@needs_answers
def test_a_recorded_feed_gives_everything_that_is_known_of_a_station() -> None:
    with api(says(recorded("station_number_feed_372382.json"))) as (stations, server):
        seen = stations.details(Station(-372382))
        assert server.asked[0].path == "/feed/A372382/"
    assert (seen.idx, seen.name, seen.tz) == (-372382, "Building Cure", "-07:00")
    assert (seen.latitude, seen.longitude) == (47.616673, -122.33384)
    assert seen.url == "https://aqicn.org/station/@372382"
    assert seen.attributions[0]["name"] == "Purple Air"
    assert set(seen.attributions[0]) == {"name", "url"}


@needs_answers
def test_an_offline_station_has_a_place_and_a_zone_all_the_same() -> None:
    with api(says(recorded("station_number_feed_10002.json"))) as (stations, _server):
        seen = stations.details(Station(10002))
    assert (seen.latitude, seen.longitude, seen.tz) == (60.93642, 25.96135, "+03:00")
    assert len(seen.attributions) == 2


def test_a_box_is_asked_for_by_its_corners_with_citizens() -> None:
    item = {"lat": 21.0, "lon": 105.8, "uid": -5, "aqi": "-", "station": {"name": "Home"}}
    broken: list[Any] = [None, 5, {}, {"uid": "x"}, {"uid": 7, "lat": None, "station": None}]
    with api(says({"status": "ok", "data": [item, *broken]})) as (stations, server):
        assert stations.inside(Box(20.5, 105, 21.25, 106)) == [
            Sighting(-5, "Home", 21.0, 105.8),
            Sighting(7),
        ]
        assert server.asked[0].query["latlng"] == "20.5,105,21.25,106"
        assert server.asked[0].query["networks"] == "all"


@pytest.mark.parametrize(
    ("said", "scope"),
    [
        (says({"status": "error", "data": f"Invalid key {CANARY}"}), Scope.RUN),
        (says({"status": "error", "message": "404"}), Scope.RUN),
        (says({"status": "ok", "data": {"status": "error", "msg": "Unknown ID"}}), Scope.STATION),
        (says({"status": "ok", "data": []}), Scope.RETRY),
        (says({"status": "ok", "data": {"aqi": 1, "idx": 9}}), Scope.RETRY),
        (page(200), Scope.RETRY),
    ],
)
def test_a_failure_says_how_far_it_reaches_and_never_the_key(said: Scripted, scope: Scope) -> None:
    with api(said) as (stations, _server), pytest.raises(AqicnClientError) as caught:
        stations.details(Station(1583))
    assert caught.value.scope is scope or scope is Scope.RETRY
    assert CANARY not in f"{caught.value.message} {caught.value.hint}"


EXPORT = """[{"_id": 1583, "time": {"tz": "+0700"}, "latest_reading_at": "x", "city": {
    "name": "Hanoi", "url": "https://x",
    "geo": {"type": "Point", "coordinates": [105.8, 21.0]}}}]"""
FULL = Sighting(1583, "Hanoi", 21.0, 105.8, "https://x", "+07:00")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.jsonl",
            '{"idx":1583,"name":"Hanoi","lat":21,"lon":105.8,"tz":"+07:00","url":"https://x"}\n\n',
            [FULL],
        ),
        (
            "an_export.json",
            EXPORT,
            [FULL],
        ),
        (
            "wrapped.json",
            '{"stations":[{"uid":"-7","geo":[21,105.8]}]}',
            [Sighting(-7, "", 21, 105.8)],
        ),
        (
            "a.csv",
            "\ufeffstation_id,name,latitude,longitude\n1583,Hanoi,21.0,105.8\n9,,,\n,x,1,2\n",
            [Sighting(1583, "Hanoi", 21.0, 105.8), Sighting(9), None],
        ),
        (
            "search.json",
            (
                '{"status":"ok","data":[{"uid":1583,"aqi":"-","time":{"tz":"+0700","stime":"x"},'
                '"station":{"name":"Hanoi","geo":[21.0,105.8],"url":"vietnam/hanoi"}}]}'
            ),
            [
                Sighting(
                    1583, "Hanoi", 21.0, 105.8, "https://aqicn.org/city/vietnam/hanoi", "+07:00"
                )
            ],
        ),
        (
            "bounds.json",  # the time is in a zone of AQICN's, not in the station's
            (
                '{"status":"ok","data":[{"lat":21.0,"lon":105.8,"uid":1583,"aqi":"71",'
                '"station":{"name":"Hanoi","time":"2023-08-09T03:00:00+09:00"}}]}'
            ),
            [Sighting(1583, "Hanoi", 21.0, 105.8)],
        ),
        (
            "feed.json",
            (
                '{"status":"ok","data":{"aqi":5,"idx":1583,"time":{"s":"x","tz":"+07:00"},'
                '"city":{"name":"Hanoi","geo":[21.0,105.8],"url":"https://x"}}}'
            ),
            [FULL],
        ),
        (
            "map.json",
            (
                '{"type":"FeatureCollection","features":[{"type":"Feature","geometry":'
                '{"type":"Point","coordinates":[105.8,21.0]},"properties":{"idx":1583,'
                '"name":"Hanoi","url":"https://x","tz":"+07:00"}}]}'
            ),
            [FULL],
        ),
        ("refusal.json", '{"status":"error","data":"Invalid key"}', [None]),
        ("empty.jsonl", "", []),
        ("odd.json", '[5, {"name":"no index"}, {"idx":0}]', [None, None, None]),
    ],
)
def test_files_are_read_in_every_spelling(
    tmp_path: Path, name: str, text: str, expected: list[Sighting | None]
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert [seen for _where, seen in stations_of(tmp_path / name)] == expected


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.jsonl", '{"idx":1}\n{oops', "line 2 is not JSON"),
        ("a.json", "5", "no list of stations"),
        ("a.json", "[" * 100_000, ""),
        ("a.csv", "a,b\n1,2\n", "none of the columns idx"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_name(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"discover\.file=") as caught:
        list(stations_of(tmp_path / name))
    assert told in caught.value.message
