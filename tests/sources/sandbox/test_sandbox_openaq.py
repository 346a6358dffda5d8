"""The sandbox's side of OpenAQ's API v3: what the documentation and the recordings say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import pytest
import requests

from runner.core.aqi import AQICN_PM25, sub_index
from runner.core.intervals import Interval, hour_of, iso
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.openaq import MOVED, OpenAqAnswers, concentrations_of
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults

NOW = datetime(2018, 3, 1, tzinfo=UTC)
START = hour_of(datetime(2018, 1, 1, tzinfo=UTC))


def every_hour(_idx: int, window: Interval) -> Mapping[str, Sequence[tuple[int, float]]]:
    return {"pm25": [(hour, float(hour % 100)) for hour in range(window.start, window.end)]}


ANSWERS = OpenAqAnswers(
    {8641: [2539, 7441]}, {8641: "Hanoi"}, every_hour, lambda: NOW, synthetic=False
)


def hours(sensor: int = 21632, /, **query: Any) -> tuple[HTTPStatus, Any]:
    asked = {"datetime_from": iso(START), "datetime_to": iso(START + 3), "limit": "1000", **query}
    return ANSWERS.answer(f"/v3/sensors/{sensor}/hours", asked)


def labels(content: Any) -> list[int]:
    return [
        hour_of(datetime.fromisoformat(row["period"]["datetimeTo"]["utc"]))
        for row in content["results"]
    ]


def test_the_filter_is_on_the_end_of_the_hour_from_excluded_and_to_included() -> None:
    status, content = hours()
    assert status is HTTPStatus.OK
    assert labels(content) == [START + 1, START + 2, START + 3]
    first = content["results"][0]["period"]
    assert first["datetimeFrom"]["utc"] == iso(START)
    assert first["datetimeTo"]["local"] == "2018-01-01T08:00:00+07:00"


def test_a_time_without_a_zone_is_the_stations_own() -> None:
    local = {"datetime_from": "2018-01-01T07:00:00", "datetime_to": "2018-01-01T10:00:00"}
    assert labels(hours(**local)[1]) == [START + 1, START + 2, START + 3]


def test_there_is_nothing_after_the_present() -> None:
    now = hour_of(NOW)
    asked = {"datetime_from": iso(now - 2), "datetime_to": iso(now + 5)}
    assert labels(hours(**asked)[1]) == [now - 1, now]


def test_pages_are_cut_and_how_many_there_are_is_said_as_text_while_there_are_more() -> None:
    asked = {"datetime_to": iso(START + 5), "limit": "2"}
    pages = [hours(**asked, page=str(page))[1] for page in (1, 2, 3, 4)]
    assert [len(content["results"]) for content in pages] == [2, 2, 1, 0]
    assert [content["meta"]["found"] for content in pages] == [">2", ">2", 1, 0]


@pytest.mark.parametrize(
    "query",
    [
        {"datetime_to": iso(START)},
        {"datetime_from": "yesterday"},
        {"limit": "1001"},
        {"limit": "0"},
        {"page": "0"},
    ],
)
def test_what_makes_no_sense_is_refused_in_text(query: dict[str, str]) -> None:
    status, content = hours(**query)
    assert status is HTTPStatus.UNPROCESSABLE_ENTITY
    assert isinstance(content, str)


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v3/sensors/1/hours", "Sensor not found"),
        ("/v3/locations/1", "Location not found"),
        ("/v3/locations/1/sensors", "Location not found"),
        ("/v3/nothing", "Not Found"),
    ],
)
def test_what_is_not_there_is_not_found(path: str, detail: str) -> None:
    query = {"datetime_from": iso(START), "datetime_to": iso(START + 1)}
    assert ANSWERS.answer(path, query) == (HTTPStatus.NOT_FOUND, {"detail": detail})


def test_one_location_follows_the_other() -> None:
    around = {"datetime_from": iso(MOVED - 3), "datetime_to": iso(MOVED + 1)}
    assert labels(hours(5049, **around)[1]) == [MOVED - 2, MOVED - 1]
    assert labels(hours(21632, **around)[1]) == [MOVED, MOVED + 1]
    (told,) = ANSWERS.answer("/v3/locations/7441", {}).content["results"]
    assert told["licenses"][0]["name"] == "US Public Domain"
    assert told["datetimeFirst"]["utc"] == iso(MOVED)


def test_invented_concentrations_have_the_sub_indices_of_the_other_api() -> None:
    window = Interval(START, START + 200)
    values = Climatology(1)
    told = {
        hour_of(datetime.fromisoformat(item["time"]["s"] + item["time"]["tz"])): item
        for item in values.records(1584, window)
    }
    found = concentrations_of(values)(1584, window)["pm25"]
    assert len(found) > 150
    for hour, value in found:
        assert sub_index(AQICN_PM25, value) == told[hour]["current_iaqi"]["pm25"]["v"]


def test_a_key_is_asked_for_in_the_header_and_every_answer_tells_the_limit() -> None:
    with Sandbox({}, Climatology(1), token="right", openaq=ANSWERS, clock=lambda: NOW) as api:
        url = f"{api.url}/v3/locations"
        refused = requests.get(url, headers={"X-API-Key": "wrong"}, timeout=10)
        assert (refused.status_code, refused.json()) == (401, {"detail": "Invalid credentials"})
        told = requests.get(url, headers={"X-API-Key": "right"}, timeout=10)
        assert [one["id"] for one in told.json()["results"]] == [2539, 7441]
        assert told.headers["x-ratelimit-remaining"] == "59"
        assert api.stats()["routes"]["openaq"] == 2


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("rate_429", 429, '{"detail":"Too many requests"}'),
        ("rate_5xx", 500, '"Internal Server Error"'),
        ("rate_over_quota", 408, "smaller time frame"),
    ],
)
def test_it_fails_in_its_own_words(fault: str, status: int, said: str) -> None:
    always: Any = {fault: 1.0}
    with Sandbox({}, Climatology(1), Faults(**always), openaq=ANSWERS) as api:
        failed = requests.get(f"{api.url}/v3/locations", headers={"X-API-Key": "k"}, timeout=10)
    assert failed.status_code == status
    assert said in failed.text
    assert failed.headers["x-ratelimit-reset"] == "1"


def test_a_quota_that_is_used_up_says_in_seconds_when_there_is_more() -> None:
    faults = Faults(quota_per_hour=1)
    with Sandbox({}, Climatology(1), faults, openaq=ANSWERS, clock=lambda: NOW) as api:
        told = [
            requests.get(f"{api.url}/v3/locations", headers={"X-API-Key": "k"}, timeout=10)
            for _ in range(2)
        ]
    assert [one.status_code for one in told] == [200, 429]
    assert told[1].headers["x-ratelimit-reset"] == "3600"
