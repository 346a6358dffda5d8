"""OpenAQ on real sockets: what is asked, what an hour means, every way it says no, and no key."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict
from structlog.testing import capture_logs

from runner.core.concentrations import Measured, MeasuredHour
from runner.core.errors import Scope
from runner.core.intervals import Interval, hour_of, iso, subtract
from runner.core.readings import Answer, Reason, to_readings
from runner.core.stations import Station
from runner.process.secrets import Environment, Redactor, Secret
from runner.process.stop import StopFlag
from runner.sources import key_names
from runner.sources.http import HttpClient, Reply
from runner.sources.openaq.answers import (
    MOST_REFUSALS,
    MOST_TIMEOUTS,
    OpenAqError,
    OpenAqRateLimitError,
    OpenAqReader,
    OpenAqTimeoutError,
)
from runner.sources.openaq.api import OpenAqSource
from runner.sources.openaq.rows import Sensor, Terms, label_of, measured_of, terms_of
from runner.sources.pacing import Pacer
from tests.sources.loopback import POLICY, TIMEOUTS, Loopback, Scripted, answer, page, says

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "payloads" / "openaq"
needs_recorded = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded answers are not at ../shared/data/payloads/openaq"
)

CANARY = "CANARY-oaq/+ k=9"
REDACT = Redactor(Environment({"OPENAQ_API_KEY": CANARY}, Path(".env"), key_names))
HANOI = Station(8641, "Hanoi US Embassy")
START = hour_of(datetime(2018, 1, 1, tzinfo=UTC))
WEEK = Interval(START, START + 168)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PM25 = {"id": 2, "name": "pm25", "units": "µg/m³", "displayName": None}
ONE_SENSOR = Sensor(21632, 7441, "pm25", "µg/m³")


def instants(hour: int) -> dict[str, str]:
    utc = datetime.fromtimestamp(hour * 3600, UTC)
    local = datetime.fromtimestamp((hour + 7) * 3600, UTC)
    return {"utc": f"{utc:%Y-%m-%dT%H:%M:%SZ}", "local": f"{local:%Y-%m-%dT%H:%M:%S}+07:00"}


def row(hour: int, value: Any = 35.5, **changes: Any) -> dict[str, Any]:
    """Return the row of the hour that ends at a label."""
    period = {"label": "1hour", "interval": "01:00:00"}
    ends = {"datetimeFrom": instants(hour - 1), "datetimeTo": instants(hour)}
    whole: dict[str, Any] = {
        "value": value,
        "flagInfo": {"hasFlags": False},
        "parameter": PM25,
        "period": {**period, **ends},
        "coverage": {"percentComplete": 100.0},
    }
    return {**whole, **changes}


def results(*rows: Any, found: Any = ">1000") -> Scripted:
    return says({"meta": {"limit": 1000, "found": found}, "results": [*rows]})


def sensors(*told: tuple[int, str], first: str | None = None, last: str | None = None) -> Scripted:
    ends = {"datetimeFrom": None}
    if first and last:
        ends = {"datetimeFirst": {"utc": first}, "datetimeLast": {"utc": last}}  # type: ignore[dict-item]
    return results(
        *({"id": number, "parameter": {**PM25, "name": name}, **ends} for number, name in told)
    )


LOCATION = results({"id": 7441, "name": "Hanoi", "licenses": None})
ONE = (LOCATION, sensors((21632, "pm25")))


@dataclass
class Opened:
    """A source, and what it was asked for and gave away."""

    source: OpenAqSource
    api: Loopback
    kept: list[MeasuredHour] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)

    def asked(self) -> list[tuple[str, dict[str, str]]]:
        return [(one.path, one.query) for one in self.api.asked]


@contextmanager
def opened(
    *replies: Scripted,
    locations: Sequence[int] = (7441,),
    scale: str = "aqicn",
    **terms: Any,
) -> Iterator[Opened]:
    key, stop = Secret(CANARY), StopFlag()
    with Loopback(*replies) as api:
        pacer = Pacer(0, stop)
        client = HttpClient(
            api.url,
            pacer,
            stop,
            REDACT,
            POLICY,
            TIMEOUTS,
            failure=OpenAqError,
            secret_headers={"X-API-Key": key},
        )
        kept: list[MeasuredHour] = []
        paused: list[float] = []
        source = OpenAqSource(
            client,
            OpenAqReader(key, paused.append, 0.5),
            {8641: locations},
            scale=scale,
            terms=Terms(**terms),
            keep=lambda _station, hours: kept.extend(hours),
        )
        yield Opened(source, api, kept, paused)
        client.close()


def read(got: Answer, window: Interval = WEEK) -> dict[int, int | float]:
    """Return aqi by hour, as the readings have it."""
    made = to_readings(got.records, 8641, window, NOW)
    assert made.rejects == []
    return {hour_of(reading["ts"]): reading["aqi"] for reading in made.readings}


def test_the_key_goes_in_a_header_and_the_hours_asked_for_end_inside_the_window() -> None:
    with opened(*ONE, results(row(START), row(START + 167, 12.0))) as to:
        got = to.source.fetch(HANOI, WEEK)
    assert to.asked() == [
        ("/v3/locations/7441", {}),
        ("/v3/locations/7441/sensors", {}),
        (
            "/v3/sensors/21632/hours",
            {
                "datetime_from": "2017-12-31T12:00:00Z",  # not included: from < end <= to
                "datetime_to": "2018-01-07T23:00:00Z",
                "limit": "1000",
                "page": "1",
            },
        ),
    ]
    assert {one.headers["x-api-key"] for one in to.api.asked} == {CANARY}
    assert read(got) == {START: 100, START + 167: 50}
    assert got.rejects == []


def test_a_scale_of_the_hour_alone_asks_for_the_hours_before_for_the_sake_of_others() -> None:
    with opened(*ONE, results(row(START - 1, 20.0), row(START))) as to:
        got = to.source.fetch(HANOI, WEEK)
    assert list(read(got)) == [START]
    assert [(one.hour, one.scale) for one in to.kept] == [(START - 1, ""), (START, "aqicn")]


def test_a_scale_of_means_asks_for_the_hours_before_and_tells_the_window_alone() -> None:
    rows = [row(hour, 10.0 + hour % 7) for hour in range(START - 11, START + 168)]
    bad = row(START - 3, None)
    with opened(*ONE, results(bad, *rows), scale="epa_2024") as to:
        got = to.source.fetch(HANOI, WEEK)
        halves = [
            to.source.fetch(HANOI, Interval(START, START + 60)),
            to.source.fetch(HANOI, Interval(START + 60, START + 168)),
        ]
    assert to.asked()[2][1]["datetime_from"] == iso(START - 12)
    assert list(read(got)) == list(range(START, START + 168))
    assert got.rejects == []
    scales = {one.hour: one.scale for one in to.kept if one.hour < START or one.scale}
    before = set(range(START - 11, START))  # kept as well: another scale may need them
    assert set(scales) == before | set(range(START, START + 168))
    assert {hour for hour in scales if not scales[hour]} == before
    assert [record for half in halves for record in half.records] == got.records


def test_an_hour_has_the_label_of_its_end_on_the_wall_clock_there() -> None:
    with opened(*ONE, results(row(START))) as to:
        (record,) = to.source.fetch(HANOI, WEEK).records
    assert record["time"] == {"s": "2018-01-01 07:00:00", "tz": "+07:00"}
    (reading,) = to_readings([record], 8641, WEEK, NOW).readings
    assert reading["ts"] == datetime(2018, 1, 1, tzinfo=UTC)


def test_a_location_is_looked_up_once_a_run() -> None:
    with opened(*ONE, results()) as to:
        for _ in range(3):
            to.source.fetch(HANOI, WEEK)
    paths = [path for path, _query in to.asked()]
    assert paths == ["/v3/locations/7441", "/v3/locations/7441/sensors"] + 3 * [
        "/v3/sensors/21632/hours"
    ]


def test_pages_are_asked_for_until_one_is_not_full_whatever_is_said_to_be_found() -> None:
    window = Interval(START, START + 1500)
    full = [row(hour) for hour in range(START, START + 1000)]
    rest = [row(hour) for hour in range(START + 1000, START + 1500)]
    with opened(*ONE, results(*full, found=3), results(*rest, found=">1")) as to:
        got = to.source.fetch(HANOI, window)
    assert [query["page"] for _path, query in to.asked()[2:]] == ["1", "2"]
    assert len(got.records) == 1500


@pytest.mark.parametrize(
    ("limit", "requests"),
    [
        (100, 2),  # the API's own page, less than was asked for
        (None, 3),  # not said: up to an empty page
        ("100", 3),
        (True, 3),
        (0, 3),
        (5000, 3),  # more than there is: no size of a page
    ],
)
def test_a_page_is_full_with_as_many_rows_as_the_api_says_not_as_were_asked_for(
    limit: Any, requests: int
) -> None:
    def part(first: int, end: int) -> Scripted:
        rows = [row(hour) for hour in range(START + first, START + end)]
        return says({"meta": {"limit": limit, "found": ">100"}, "results": rows})

    with opened(*ONE, part(0, 100), part(100, 168), part(0, 0)) as to:
        got = to.source.fetch(HANOI, WEEK)
    assert sorted(read(got)) == list(range(START, START + 168))
    assert [query["page"] for _path, query in to.asked()[2:]] == [
        str(page) for page in range(1, requests + 1)
    ]


@pytest.mark.parametrize("limit", [None, 1, 1000])
def test_a_page_that_comes_again_and_again_is_refused(limit: int | None) -> None:
    rows = [row(START)] * (limit or 5)
    same = says({"meta": {"limit": limit}, "results": rows})
    with opened(*ONE, same) as to, pytest.raises(OpenAqError) as failed:
        to.source.fetch(HANOI, WEEK)
    assert failed.value.scope is Scope.STATION
    assert "/v3/sensors/21632/hours" in failed.value.message
    assert len(to.api.asked) == 2 + 2


def test_pages_that_differ_and_never_end_are_refused() -> None:
    endless = [says({"meta": {}, "results": [row(START, 1.0 + page)] * 400}) for page in range(9)]
    with opened(*ONE, *endless) as to, pytest.raises(OpenAqError) as failed:
        to.source.fetch(HANOI, WEEK)
    assert failed.value.scope is Scope.STATION
    assert len(to.api.asked) == 2 + 3  # 1,200 rows, where 180 hours and a page more may be


def test_pages_without_end_fail_the_station_rather_than_spend_the_key() -> None:
    full = [row(START)] * 1000
    with opened(*ONE, results(*full)) as to, pytest.raises(OpenAqError) as failed:
        to.source.fetch(HANOI, WEEK)
    assert failed.value.scope is Scope.STATION
    assert len(to.api.asked) == 2 + 2


def test_never_more_than_a_year_is_asked_for_at_once() -> None:
    with opened(*ONE, results()) as to:
        to.source.fetch(HANOI, Interval(START, START + 8784))
    frames = [(q["datetime_from"], q["datetime_to"]) for _path, q in to.asked()[2:]]
    assert frames == [
        (iso(START - 12), iso(START + 8748)),
        (iso(START + 8748), iso(START + 8783)),
    ]


def test_every_pollutant_is_asked_for_and_weather_is_not() -> None:
    told = sensors((1, "pm25"), (2, "temperature"), (3, "o3"), (4, "um003"), (5, "pm1"))
    co = {**PM25, "name": "o3", "units": "ppm"}
    answers = (results(row(START)), results(row(START, 0.03, parameter=co)))
    with opened(LOCATION, told, *answers) as to:
        to.source.fetch(HANOI, WEEK)
    assert [path for path, _query in to.asked()[2:]] == [
        "/v3/sensors/1/hours",
        "/v3/sensors/3/hours",
    ]
    (hour,) = to.kept
    assert {(one.pollutant, one.value, one.unit) for one in hour.measured} == {
        ("pm25", 35.5, "ug/m3"),
        ("o3", 0.03, "ppm"),
    }


def test_a_sensor_that_had_ended_long_before_is_not_asked() -> None:
    ended = sensors((1, "pm25"), first="2016-01-30T01:00:00Z", last="2016-11-09T16:00:00Z")
    alive = sensors((2, "pm25"), first="2016-11-09T18:00:00Z", last="2017-12-31T23:00:00Z")
    with opened(LOCATION, ended, LOCATION, alive, results(), locations=(2539, 7441)) as to:
        to.source.fetch(HANOI, WEEK)
    assert [path for path, _query in to.asked()] == [
        "/v3/locations/2539",
        "/v3/locations/2539/sensors",
        "/v3/locations/7441",
        "/v3/locations/7441/sensors",
        "/v3/sensors/2/hours",  # its end may be out of date by now
    ]


MARGIN = 14 * 24


@pytest.mark.parametrize(
    ("first", "last", "asked"),
    [
        (None, None, (START, START + 2000)),
        (START - 100, START + 5000, (START, START + 2000)),
        (START + 1000, START + 5000, (START + 1000 - MARGIN, START + 2000)),
        (START - 100, START + 99, (START, START + 100 + MARGIN)),
        (START + 5000, START + 6000, None),
        (START - 9000, START - 5000, None),
        (START + 5000, START - 5000, (START, START + 2000)),  # said the wrong way round
    ],
)
def test_hours_outside_the_life_of_a_sensor_are_not_asked_for_and_said_to_be(
    first: int | None, last: int | None, asked: tuple[int, int] | None
) -> None:
    window = Interval(START, START + 2000)
    ends = {"first": iso(first), "last": iso(last)} if first and last else {}
    rows = [row(hour) for hour in range(*(asked or (0, 0)))]
    pages = [results(*rows[at : at + 1000]) for at in range(0, len(rows) + 1, 1000)]
    with opened(LOCATION, sensors((1, "pm25"), **ends), *pages) as to:
        got = to.source.fetch(HANOI, window)
    assert got.not_asked == subtract((window,), [Interval(*asked)] if asked else [])
    assert sorted(read(got, window)) == list(range(*(asked or (0, 0))))
    if asked and asked[0] > START:
        assert to.asked()[2][1]["datetime_from"] == iso(asked[0] - 1)


def test_an_hour_that_one_sensor_was_asked_for_was_asked_for() -> None:
    old = sensors((1, "pm25"), first=iso(START - 9000), last=iso(START - 9000))
    alive = sensors((2, "pm10"), first=iso(START), last=iso(START + 9000))
    replies = (LOCATION, old, LOCATION, alive, results())
    with opened(*replies, locations=(2539, 7441)) as to:
        assert to.source.fetch(HANOI, WEEK).not_asked == ()


@pytest.mark.parametrize("told", [(), ((1, "temperature"),), ((1, "PM2.5"),)])
def test_a_location_without_a_sensor_of_a_pollutant_was_asked_for_nothing(
    told: tuple[tuple[int, str], ...],
) -> None:
    with opened(LOCATION, sensors(*told)) as to, capture_logs() as logs:
        assert to.source.fetch(HANOI, WEEK).not_asked == (WEEK,)
    warned = [one for one in logs if one["event"] == "openaq.sensors_not_read"]
    assert len(warned) == (told == ((1, "PM2.5"),))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": None}, Reason.VALUE_MISSING),
        ({"value": "35.5"}, Reason.CONCENTRATION_UNUSABLE),
        ({"value": True}, Reason.CONCENTRATION_UNUSABLE),
        ({"value": -999.0}, Reason.OUTSIDE_SCALE),
        ({"value": 985.0}, Reason.OUTSIDE_SCALE),
        ({"value": 10**400}, Reason.CONCENTRATION_UNUSABLE),
        ({"parameter": {**PM25, "units": "particles/cm³"}}, Reason.CONCENTRATION_UNUSABLE),
        ({"parameter": {**PM25, "name": "no2"}}, Reason.WRONG_SENSOR),
        ({"flagInfo": {"hasFlags": True}}, Reason.FLAGGED),
        ({"coverage": {"percentComplete": 74.9}}, Reason.COVERAGE_LOW),
        ({"period": None}, Reason.TIME_UNPARSEABLE),
        ({"period": {"datetimeTo": {"utc": "2018-01-01T00:00:00"}}}, Reason.TIME_UNPARSEABLE),
        (
            {
                "period": {
                    "datetimeFrom": instants(START - 1),
                    "datetimeTo": {**instants(START), "local": "2018-01-01T08:00:00+07:00"},
                }
            },
            Reason.TIME_UNPARSEABLE,
        ),
        (
            {"period": {"datetimeFrom": instants(START - 2), "datetimeTo": instants(START)}},
            Reason.TIME_NOT_ON_THE_HOUR,
        ),
        (
            {
                "period": {
                    "datetimeFrom": instants(START + 167),
                    "datetimeTo": instants(START + 168),
                }
            },
            Reason.OUTSIDE_WINDOW,
        ),
        (
            {"period": {"datetimeFrom": instants(START - 13), "datetimeTo": instants(START - 12)}},
            Reason.OUTSIDE_WINDOW,
        ),
    ],
)
def test_what_is_no_hour_of_air_is_refused_with_its_reason(
    changes: dict[str, Any], reason: Reason
) -> None:
    bad = row(START, **changes)
    with opened(*ONE, results(bad, row(START + 5))) as to:
        got = to.source.fetch(HANOI, WEEK)
    assert [(one.reason, one.raw) for one in got.rejects] == [(reason, bad)]
    assert list(read(got)) == [START + 5]


@pytest.mark.parametrize(
    ("scale", "indices", "refused"),
    [("aqicn", {}, [Reason.BELOW_ZERO]), ("epa_2012", {START: 0}, [])],
)
def test_a_small_negative_hour_has_the_index_that_its_scale_gives_it_and_is_kept(
    scale: str, indices: dict[int, int], refused: list[Reason]
) -> None:
    hours = [row(START - age, -0.8) for age in range(3)]
    with opened(*ONE, results(*hours), scale=scale) as to:
        got = to.source.fetch(HANOI, WEEK)
    assert read(got) == indices
    assert [one.reason for one in got.rejects] == refused
    assert {one.hour: one.measured[0].value for one in to.kept}[START] == -0.8


def test_an_hour_of_unknown_coverage_counts() -> None:
    with opened(*ONE, results(row(START + 1, coverage=None))) as to:
        assert read(to.source.fetch(HANOI, WEEK)) == {START + 1: 100}


def test_flags_and_coverage_are_a_matter_of_settings() -> None:
    bad = row(START, flagInfo={"hasFlags": True}, coverage={"percentComplete": 10})
    with opened(*ONE, results(bad), least_coverage=10, accept_flagged=True) as to:
        assert read(to.source.fetch(HANOI, WEEK)) == {START: 100}
    assert to.kept[0].measured[0].coverage == 10


def test_an_hour_that_comes_twice_counts_once_and_the_later_of_two_values_wins() -> None:
    rows = (row(START), row(START), row(START + 1, 12.0), row(START + 1, 55.5))
    with opened(*ONE, results(*rows)) as to:
        got = to.source.fetch(HANOI, WEEK)
    assert read(got) == {START: 100, START + 1: 150}
    assert [(one.reason, one.raw["value"]) for one in got.rejects] == [
        (Reason.DUPLICATE_HOUR, 12.0)
    ]


def test_what_timed_out_is_asked_for_in_halves_after_a_pause() -> None:
    slow = says({"detail": "Connection timed out: Try to provide more specific query"}, 408)
    first = [row(hour) for hour in range(START, START + 84)]
    second = [row(hour) for hour in range(START + 84, START + 168)]
    with opened(*ONE, slow, results(*first), results(*second)) as to:
        got = to.source.fetch(HANOI, WEEK)
    assert len(got.records) == 168
    frames = [(q["datetime_from"], q["datetime_to"]) for _path, q in to.asked()[2:]]
    assert frames == [
        (iso(START - 12), iso(START + 167)),
        (iso(START - 12), iso(START + 78)),
        (iso(START + 78), iso(START + 167)),
    ]
    assert to.paused == [0.5]


def test_a_sensor_that_always_times_out_fails_its_station_and_a_second_one_ends_the_run() -> None:
    slow = says({"detail": "Connection timed out"}, 408)
    window = Interval(START, START + 984)
    with opened(*ONE, slow) as to:
        with pytest.raises(OpenAqTimeoutError) as failed:
            to.source.fetch(HANOI, window)
        assert failed.value.scope is Scope.STATION
        assert len(to.api.asked) == 2 + 6 + POLICY.max_attempts  # 984 hours in halves of halves
        assert to.paused == [0.5, 1, 2, 4, 8, 16]
        told = [failed.value]
        while told[-1].scope is Scope.STATION:
            with pytest.raises(OpenAqTimeoutError) as failed:
                to.source.fetch(HANOI, window)
            told.append(failed.value)
    assert told[-1].scope is Scope.RUN
    assert "banned" in told[-1].message
    assert len(to.api.asked) == 2 + MOST_TIMEOUTS


def test_a_refusal_waits_as_long_as_the_header_says_in_seconds() -> None:
    full = answer(
        429,
        b'{"detail":"Too many requests"}',
        {"x-ratelimit-reset": "1", "x-ratelimit-remaining": "0"},
    )
    with opened(*ONE, full, results(row(START))) as to:
        to.source.fetch(HANOI, WEEK)
    times = [one.at for one in to.api.asked]
    assert times[3] - times[2] >= 1


def reader(clock: Any = lambda: 0.0) -> tuple[OpenAqReader, list[float]]:
    paused: list[float] = []
    return OpenAqReader(Secret(CANARY), paused.append, 0.5, clock), paused


def reply(status: int, body: Any, **headers: str) -> Reply:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, CaseInsensitiveDict(told), json.dumps(body).encode())


def test_waits_double_with_each_refusal_in_a_row_and_then_the_run_ends() -> None:
    now = [0.0]
    of, _paused = reader(lambda: now[0])
    refusal = reply(429, {"detail": "Too many requests"}, x_ratelimit_reset="30")
    waits = []
    for _ in range(MOST_REFUSALS - 1):
        with pytest.raises(OpenAqRateLimitError) as failed:
            of.results(refusal)
        assert failed.value.scope is Scope.RETRY
        assert failed.value.retry_after_s is not None
        waits.append(failed.value.retry_after_s)
        now[0] += failed.value.retry_after_s
    assert waits == [30, 60, 120, 240]
    with pytest.raises(OpenAqRateLimitError, match="banned") as failed:
        of.results(refusal)
    assert failed.value.scope is Scope.RUN


def test_requests_under_way_when_one_was_refused_are_no_further_refusal_in_a_row() -> None:
    of, _paused = reader()
    for _ in range(20):  # all at the same instant
        with pytest.raises(OpenAqRateLimitError) as failed:
            of.results(reply(429, {"detail": "Too many requests"}))
        assert failed.value.retry_after_s == 60


def test_an_answer_forgives_earlier_refusals_and_the_last_permit_pauses_everyone() -> None:
    now = [0.0]
    of, paused = reader(lambda: now[0])
    for _ in range(3 * MOST_REFUSALS):
        with pytest.raises(OpenAqRateLimitError):
            of.results(reply(429, {}))
        now[0] += 10_000
        of.results(reply(200, {"results": []}, x_ratelimit_remaining="1", x_ratelimit_reset="7"))
    assert paused == []
    of.results(reply(200, {"results": []}, x_ratelimit_remaining="0", x_ratelimit_reset="41"))
    assert paused == [41]


@pytest.mark.parametrize(
    ("status", "body", "scope", "word"),
    [
        (401, {"detail": "Invalid credentials"}, Scope.RUN, "OPENAQ_API_KEY"),
        (403, {"detail": "Forbidden"}, Scope.RUN, "banned"),
        (404, {"detail": "Sensor not found"}, Scope.STATION, "Sensor not found"),
        (410, {"detail": "Gone"}, Scope.RUN, "API v3"),
        (301, "", Scope.RUN, "redirect"),
        (422, "[{'type': 'value_error', 'loc': ('query',)}]", Scope.STATION, "value_error"),
        (422, {"detail": [{"msg": "Input should be"}]}, Scope.STATION, "Input should be"),
        (500, None, Scope.RETRY, "500"),
        (503, {"detail": "x"}, Scope.RETRY, "503"),
        (200, {"results": None}, Scope.RETRY, "no list"),
        (200, {"detail": "Invalid credentials"}, Scope.RUN, "OPENAQ_API_KEY"),
        (200, {"detail": "Too many requests", "results": []}, Scope.RETRY, "Too many"),
        (200, {"results": [{"detail": "Sensor not found"}]}, Scope.STATION, "not found"),
        (200, {"results": [{"detail": "Something else"}]}, Scope.RETRY, "Something else"),
        (200, [], Scope.RETRY, "no list"),
    ],
)
def test_every_failure_says_how_far_it_reaches(
    status: int, body: Any, scope: Scope, word: str
) -> None:
    of, _paused = reader()
    with pytest.raises(OpenAqError) as failed:
        of.results(reply(status, body))
    assert failed.value.scope is scope
    assert word in f"{failed.value.message} {failed.value.hint}"
    assert pickle.loads(pickle.dumps(failed.value)).scope is scope  # noqa: S301 - our own


@pytest.mark.parametrize(
    "scripted",
    [
        says({"detail": f"no such key: {CANARY}"}, 401),
        says({"detail": CANARY}, 404),
        says(f"[{CANARY}]", 422),
        page(502),
        answer(200, CANARY.encode()),
    ],
)
def test_the_key_is_in_no_error_and_no_log_line(scripted: Scripted) -> None:
    with opened(scripted) as to, capture_logs() as logs, pytest.raises(OpenAqError) as failed:
        to.source.fetch(HANOI, WEEK)
    told = "".join(traceback.format_exception(failed.value)) + failed.value.hint + repr(logs)
    assert CANARY not in told
    assert CANARY not in repr(vars(failed.value))


def test_a_station_is_told_which_address_failed() -> None:
    with opened(says({"detail": "Location not found"}, 404)) as to, pytest.raises(OpenAqError) as e:
        to.source.fetch(HANOI, WEEK)
    assert "/v3/locations/7441" in e.value.message


def test_nothing_is_kept_of_an_answer_that_failed_half_way() -> None:
    told = sensors((1, "pm25"), (2, "pm10"))
    gone = says({"detail": "Sensor not found"}, 404)
    with opened(LOCATION, told, results(row(START)), gone) as to, pytest.raises(OpenAqError):
        to.source.fetch(HANOI, WEEK)
    assert to.kept == []


@needs_recorded
def test_recorded_measurements_are_read_as_the_hours_they_end_with() -> None:
    body = json.loads((RECORDED / "vn_sensor_7772024_measurements_page1.json").read_text("utf-8"))
    of, _paused = reader()
    rows = of.results(reply(200, body))
    sensor = Sensor(7772024, 2161292, "co", "µg/m³")
    window = Interval(hour_of(datetime(2024, 1, 1, tzinfo=UTC)), hour_of(NOW))
    measured = [measured_of(one, sensor, window, Terms()) for one in rows]
    assert {type(one) for one in measured} == {Measured}
    first, *_others, last = (one for one in measured if isinstance(one, Measured))
    assert len(measured) == 100
    assert first.value == 909.0
    assert first.hour == hour_of(datetime(2024, 1, 29, 16, tzinfo=UTC))
    assert first.local == {"s": "2024-01-29 23:00:00", "tz": "+07:00"}
    assert last.hour > first.hour


@needs_recorded
def test_recorded_sdk_measurements_have_labels_on_their_own_clock() -> None:
    body = json.loads((RECORDED / "sdk_measurements.json").read_text("utf-8"))
    told = [label_of(one["period"]) for one in body["results"]]
    assert [one and one[1] for one in told] == [
        {"s": "2023-10-16 07:00:00", "tz": "-06:00"},
        {"s": "2023-10-16 08:00:00", "tz": "-06:00"},
    ]


@needs_recorded
def test_recorded_sensors_are_asked_for_the_hours_they_measured() -> None:
    body = json.loads((RECORDED / "sdk_sensors.json").read_text("utf-8"))
    window = Interval(START, START + 24)
    with opened(LOCATION, says(body), results()) as to:
        to.source.fetch(HANOI, window)
    asked = {path for path, _query in to.asked()[2:]}
    assert "/v3/sensors/3920/hours" in asked  # pm25
    names = {one["id"]: one["parameter"]["name"] for one in body["results"]}
    assert {names[int(path.split("/")[3])] for path in asked} <= {
        *("pm25", "pm10", "o3", "no2", "so2", "co")
    }


@needs_recorded
def test_the_licence_of_a_recorded_location_is_told_and_none_is_made_up() -> None:
    body = json.loads((RECORDED / "vn_locations_page1.json").read_text("utf-8"))
    by_id = {one["id"]: one for one in body["results"]}
    hanoi = terms_of(7441, 8641, [by_id[7441]])
    assert hanoi["provider"] == "AirNow"
    assert hanoi["licences"] == [
        {
            "name": "US Public Domain",
            "attribution": "Unknown Governmental Organization",
            "url": None,
            "from": "2016-01-30",
            "to": None,
        }
    ]
    assert terms_of(2539, 8641, [by_id[2539]])["licences"] == []
    assert terms_of(1, 1, [])["name"] is None
