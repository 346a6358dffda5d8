"""Every route and every refusal of the sandbox, over real HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from runner.core.intervals import Interval, hour_of, iso
from runner.core.readings import to_readings
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.values import Record, Replay

NOW = datetime(2025, 2, 14, 8, 20, tzinfo=UTC)
STATIONS = {1583: "Hà Nội", 8767: "Hồ Chí Minh", -476599: "Phố Nguyễn Đình Thi"}
PAYLOADS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "payloads" / "waqi"
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(STATIONS, Climatology(), clock=lambda: NOW) as server:
        yield server


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as one:
        yield one


@pytest.fixture
def get(sandbox: Sandbox, session: requests.Session) -> Any:
    def ask(path: str, **query: str) -> Any:
        answer = session.get(sandbox.url + path, params={"token": "any", **query}, timeout=30)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.json()

    return ask


def window(start: int, hours: int) -> dict[str, str]:
    return {"start": iso(start), "end": iso(start + hours)}


def recorded(name: str) -> Any:
    if not PAYLOADS.is_dir():
        pytest.skip("the recorded payloads are not on this machine")
    return json.loads((PAYLOADS / name).read_text(encoding="utf-8"))


def test_history_answers_the_hours_of_the_window_as_readings(get: Any) -> None:
    answer = get("/feed/@1583/history", **window(START, 168))
    assert answer["status"] == "ok"
    hours = Interval(START, START + 168)
    found = to_readings(answer["data"], 1583, hours, NOW)
    assert len(found.readings) > 150
    assert all(reject.reason == "aqi_dash" for reject in found.rejects)
    first = answer["data"][0]
    assert set(first) == {"current_aqi", "time", "current_iaqi"}
    assert first["time"] == {"s": "2023-01-01 07:00:00", "tz": "+07:00"}
    assert first["current_aqi"] == max(first["current_iaqi"][k]["v"] for k in ("pm25", "pm10"))


def test_history_of_a_citizen_station_is_addressed_by_its_a_id(get: Any) -> None:
    assert get("/feed/A476599/history/", **window(START, 24))["data"]


def test_history_ends_at_the_present(get: Any) -> None:
    now = hour_of(NOW)
    data = get("/feed/@1583/history", **window(now - 30, 60))["data"]
    assert data[-1]["time"]["s"] <= "2025-02-14 15:00:00"
    assert get("/feed/@1583/history", **window(now + 1, 24))["data"] == []


def test_a_window_gives_the_same_records_asked_as_one_or_split(get: Any) -> None:
    whole = get("/feed/@8767/history", **window(START, 240))["data"]
    split = [
        record
        for at in range(START, START + 240, 24)
        for record in get("/feed/@8767/history", **window(at, 24))["data"]
    ]
    assert split == whole


def test_two_servers_with_the_same_seed_agree(get: Any, session: requests.Session) -> None:
    with Sandbox({1583: "another name"}, Climatology(), clock=lambda: NOW) as other:
        query = {"token": "t", **window(START, 100)}
        theirs = session.get(other.url + "/feed/@1583/history", params=query, timeout=30).json()
    assert theirs == get("/feed/@1583/history", **window(START, 100))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2023-01-01", "2023-01-02T00:00:00Z"),
        ("2023-01-01T00:30:00Z", "2023-01-02T00:00:00Z"),
        ("2023-01-02T00:00:00Z", "2023-01-01T00:00:00Z"),
        ("", ""),
    ],
)
def test_unreadable_hours_are_refused(get: Any, start: str, end: str) -> None:
    answer = get("/feed/@1583/history", start=start, end=end)
    assert answer["status"] == "error"
    assert answer["data"].startswith("Invalid query")


def test_current_feed_has_the_recorded_shape(get: Any) -> None:
    data = get("/feed/@1583/")["data"]
    real = recorded("station_number_feed_6337.json")["data"]
    assert set(real) - set(data) <= {"forecast"}
    assert set(data["city"]) == set(real["city"])
    assert set(data["time"]) == set(real["time"])
    assert data["city"]["name"] == "Hà Nội (synthetic)"
    assert data["city"]["geo"] == pytest.approx([21.03, 105.85], abs=0.05)
    assert data["idx"] == 1583


def test_current_time_v_is_the_local_wall_clock_read_as_utc(get: Any) -> None:
    time = get("/feed/@1583/")["data"]["time"]
    naive = datetime.fromisoformat(time["s"])
    assert time["v"] == naive.replace(tzinfo=UTC).timestamp()
    true = datetime.fromisoformat(time["iso"])
    assert true.replace(tzinfo=None) == naive
    assert timedelta(0) <= NOW - true < timedelta(hours=24)


def test_a_citizen_station_answers_a_negative_idx_and_a_true_epoch(get: Any) -> None:
    data = get("/feed/A476599/")["data"]
    assert data["idx"] == -476599
    assert data["time"]["iso"].endswith("Z")
    assert datetime.fromisoformat(data["time"]["iso"]).timestamp() == data["time"]["v"]
    assert set(data) == set(recorded("station_number_feed_372382.json")["data"])


def test_geo_answers_the_nearest_station(get: Any) -> None:
    assert get("/feed/geo:10.8;106.7/")["data"]["idx"] == 8767
    assert get("/feed/geo:5000;5000/")["status"] == "ok"


def test_search_ignores_case_and_diacritics(get: Any) -> None:
    (found,) = get("/search/", keyword="ha noi")["data"]
    real = recorded("search_klundert.json")["data"][0]
    assert found.keys() == real.keys()
    assert found["time"].keys() == real["time"].keys()
    assert found["station"].keys() == real["station"].keys()
    assert isinstance(found["aqi"], str)
    assert found["uid"] == 1583
    local = datetime.fromisoformat(found["time"]["stime"] + found["time"]["tz"])
    assert local.timestamp() == found["time"]["vtime"]
    assert get("/search/", keyword="nowhere") == recorded("search_unknown.json")


@pytest.mark.parametrize("path", ["/map/bounds/", "/map/bounds", "/v2/map/bounds"])
def test_bounds_answers_the_stations_of_the_box(get: Any, path: str) -> None:
    (found,) = get(path, latlng="10,106,11,107")["data"]
    assert found["uid"] == 8767
    assert isinstance(found["aqi"], str)
    assert found["station"]["name"] == "Hồ Chí Minh (synthetic)"
    assert found["station"]["time"].endswith("+09:00")
    assert len(get(path, latlng="30,120,0,90")["data"]) == 3


@pytest.mark.parametrize("path", ["/feed/@1583/history", "/feed/@1583/", "/search/", "/map/bounds"])
@pytest.mark.parametrize("token", ["", "invalid"])
def test_a_bad_token_is_an_invalid_key(get: Any, path: str, token: str) -> None:
    assert get(path, token=token) == {"status": "error", "data": "Invalid key"}


def test_a_missing_token_is_an_invalid_key(sandbox: Sandbox, session: requests.Session) -> None:
    answer = session.get(sandbox.url + "/feed/@1583/", timeout=30)
    assert answer.status_code == 200
    assert answer.json() == recorded("unauthenticated.json")


def test_a_configured_token_is_the_only_one_accepted(session: requests.Session) -> None:
    with Sandbox(STATIONS, Climatology(), token="canary") as server:
        for token, status in (("canary", "ok"), ("any", "error"), ("", "error")):
            query = {"token": token}
            answer = session.get(server.url + "/feed/@1583/", params=query, timeout=30)
            assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/feed/@5/history", "station_number_feed_unknown.json"),
        ("/feed/@5/", "station_number_feed_@123946.json"),
        ("/feed/@476599/", "station_number_feed_@123946.json"),
        ("/feed/A5/history", "station_number_feed_A10142.json"),
        ("/feed/A5/", "station_number_feed_A10142.json"),
        ("/feed/atlantis/", "city_feed_unknown.json"),
        ("/feed/atlantis/history", "city_feed_unknown.json"),
    ],
)
def test_unknown_stations_are_refused_as_recorded(get: Any, path: str, file: str) -> None:
    assert get(path, **window(START, 24)) == recorded(file)


def test_an_unknown_route_says_404_inside_http_200(get: Any) -> None:
    for path in ("/", "/feed/@1583/hourly", "/feeds/@1583/"):
        assert get(path) == {"status": "error", "message": "404"}


def test_unreadable_positions_are_refused_as_recorded(get: Any) -> None:
    assert get("/feed/geo:lol;bruh/") == {
        "status": "error",
        "data": "Invalid geo position - Can not parse 'lol,bruh'",
    }
    assert get("/map/bounds/", latlng="lol,106,11,107") == {
        "status": "error",
        "data": 'invalid bounds: strconv.ParseFloat: parsing "lol": invalid syntax',
    }
    assert get("/map/bounds/", latlng="10,106")["status"] == "error"


@pytest.mark.parametrize("path", ["/feed//@1583/", "//feed/@1583/"])
def test_a_double_slash_is_redirected_with_an_empty_body(
    sandbox: Sandbox, session: requests.Session, path: str
) -> None:
    url = f"{sandbox.url}{path}?token=t"
    # requests folds leading slashes itself, so the address is set after it was prepared.
    prepared = session.prepare_request(requests.Request("GET", url))
    prepared.url = url
    answer = session.send(prepared, allow_redirects=False, timeout=30)
    assert answer.status_code == 301
    assert answer.content == b""
    assert answer.headers["Location"] == "/feed/@1583/?token=t"


def test_replayed_values_are_served_as_they_are_and_not_called_synthetic(
    session: requests.Session,
) -> None:
    record: Record = {
        "current_aqi": 45,
        "time": {"s": "2025-02-14 12:00:00", "tz": "+07:00"},
        "current_iaqi": {"pm25": {"v": 45}},
    }
    hour = hour_of(datetime(2025, 2, 14, 5, tzinfo=UTC))

    def records(idx: int, wanted: Interval) -> list[Record]:
        return [record] if idx == 8641 and wanted.start <= hour < wanted.end else []

    names = {8641: "Hanoi US Embassy", 8767: "silent"}
    with Sandbox(names, Replay(records), clock=lambda: NOW) as server:

        def ask(path: str, **query: str) -> Any:
            query |= {"token": "t"}
            return session.get(server.url + path, params=query, timeout=30).json()["data"]

        assert ask("/feed/@8641/history", **window(hour, 1)) == [record]
        assert ask("/feed/@8641/history", **window(hour + 1, 1)) == []
        current = ask("/feed/@8641/")
        assert (current["aqi"], current["dominentpol"]) == (45, "pm25")
        assert current["city"]["name"] == "Hanoi US Embassy"
        offline = ask("/feed/@8767/")
        assert (offline["aqi"], offline["iaqi"]) == ("-", {})
        assert offline["time"] == {"tz": "+07:00", "v": 0}
        assert ask("/search/", keyword="silent")[0]["aqi"] == "-"
        assert len(ask("/map/bounds/", latlng="0,90,30,120")) == 2


def test_no_page_names_a_live_service(get: Any) -> None:
    text = json.dumps(get("/feed/@1583/"))
    assert not re.search(r"(waqi|aqicn)\.", text)
