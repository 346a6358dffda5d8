"""Present observations: recorded feeds, and every way the API says no."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import Scope
from runner.core.intervals import Interval, hour_of
from runner.core.readings import Reason, to_readings
from runner.core.stations import Station
from runner.process.secrets import Environment, Redactor, Secret
from runner.process.stop import StopFlag
from runner.sources import key_names
from runner.sources.aqicn.answers import AqicnClientError, AqicnRateLimitError
from runner.sources.aqicn.live import AqicnLive
from runner.sources.http import HttpClient
from runner.sources.pacing import Pacer
from tests.sources.loopback import PATIENT, POLICY, Loopback, Scripted, says

PAYLOADS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "payloads"
needs_feeds = pytest.mark.skipif(
    not PAYLOADS.is_dir(), reason="the recorded answers are not at ../shared/data/payloads"
)
CANARY = "CANARY-live-1a2b"
NOW = datetime(2026, 1, 5, 5, 30, tzinfo=UTC)
THIS = hour_of(NOW)
DAY = Interval(THIS - 23, THIS + 25)
HANOI = Station(1583, "Hanoi")
CITIZEN = Station(-476599, "Citizen")


def feed(s: str | None = "2026-01-05 12:00:00", **changes: Any) -> dict[str, Any]:
    time = {"tz": "+07:00", "v": 0} if s is None else {"s": s, "tz": "+07:00", "v": 1767614400}
    data = {
        "aqi": 88,
        "idx": 1583,
        "iaqi": {"pm25": {"v": 88}},
        "time": time,
        "city": {"name": "x"},
    }
    return {"status": "ok", "data": {**data, **changes}}


@contextmanager
def live(
    *replies: Scripted, now: datetime = NOW, taken: bool = False
) -> Iterator[tuple[AqicnLive, Loopback]]:
    stop = StopFlag()
    redact = Redactor(Environment({"AQICN_API_KEY": CANARY}, Path(".env"), key_names))
    with Loopback(*replies) as server:
        client = HttpClient(
            server.url, Pacer(0, stop), stop, redact, POLICY, PATIENT, failure=AqicnClientError
        )
        try:
            yield AqicnLive(client, Secret(CANARY), lambda: now, lambda *_: taken), server
        finally:
            client.close()


def test_the_present_observation_becomes_one_reading_of_its_own_hour_with_one_request() -> None:
    with live(says(feed())) as (source, server):
        answer = source.fetch(HANOI, DAY)
        (reading,) = to_readings(answer.records, 1583, DAY, NOW).readings
        assert reading == {
            "ts": datetime(2026, 1, 5, 5, tzinfo=UTC),  # from s and tz, not from v
            "meta": {"station_idx": 1583},
            "aqi": 88,
            "time": {"s": "2026-01-05 12:00:00", "tz": "+07:00"},
            "iaqi": {"pm25": {"v": 88}},
        }
        assert source.observed == {"current": 1}
        assert [(asked.path, asked.query) for asked in server.asked] == [
            ("/feed/@1583/", {"token": CANARY})
        ]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (feed("2026-01-04 10:00:00"), "stale"),
        (feed(None, aqi="-", iaqi={}), "offline"),
        (feed("2026-01-08 10:00:00"), "unusable"),
        (feed("x"), "unusable"),
        (feed(idx=13427), "unusable"),
        (feed(aqi="-"), "without a value"),
        (feed(time=None), "unusable"),
    ],
)
def test_what_is_no_new_reading_is_counted_and_never_one(said: dict[str, Any], kind: str) -> None:
    with live(says(said)) as (source, _server):
        answer = source.fetch(HANOI, DAY)
        made = to_readings(answer.records, 1583, DAY, NOW)
        assert made.readings == []
        assert source.observed == {kind: 1}
        assert answer.not_asked == ()
        assert bool(made.rejects) == (kind in ("unusable", "without a value"))


def test_the_newest_hours_are_left_to_a_live_job_where_the_window_ends_before() -> None:
    with live(says(feed())) as (source, _server):
        window = Interval(THIS - 25, THIS - 1)
        answer = source.fetch(HANOI, window)
        assert (answer.records, answer.not_asked) == ([], (window,))
        assert source.observed == {"left to the live job": 1}


@pytest.mark.parametrize("taken", [False, True])
def test_a_citizen_stations_minute_goes_to_its_hour_unless_another_writer_has_it(
    taken: bool,
) -> None:
    said = feed("2026-01-05 12:20:22", idx=-476599)
    with live(says(said), taken=taken) as (source, server):
        answer = source.fetch(CITIZEN, DAY)
        made = to_readings(answer.records, -476599, DAY, NOW)
        assert server.asked[0].path == "/feed/A476599/"
        if taken:
            assert (made.readings, source.observed) == ([], {"stored by another writer": 1})
            assert answer.not_asked == (DAY,)
        else:
            (reading,) = made.readings
            assert reading["ts"] == datetime(2026, 1, 5, 5, tzinfo=UTC)
            assert reading["time"]["s"] == "2026-01-05 12:00:00"
            assert answer.repaired == 1


@pytest.mark.parametrize(
    ("said", "scope"),
    [
        ({"status": "error", "data": "Unknown station"}, Scope.STATION),
        ({"status": "error", "data": "no such station"}, Scope.STATION),
        ({"status": "ok", "data": {"status": "error", "msg": "Unknown ID"}}, Scope.STATION),
        ({"status": "error", "data": f"Invalid key {CANARY}"}, Scope.RUN),
        ({"status": "error", "message": "404"}, Scope.RUN),
        ({"status": "ok", "data": []}, Scope.STATION),
        ({"status": "ok", "data": None}, Scope.STATION),
    ],
)
def test_a_failure_says_how_far_it_reaches_and_never_the_key(said: Any, scope: Scope) -> None:
    with live(says(said)) as (source, _server), pytest.raises(AqicnClientError) as caught:
        source.fetch(HANOI, DAY)
    assert caught.value.scope in (scope, Scope.RETRY if scope is Scope.STATION else scope)
    assert CANARY not in f"{caught.value.message} {caught.value.hint}"
    assert "history" not in caught.value.message


def test_over_quota_inside_200_is_waited_out() -> None:
    quota = says({"status": "error", "data": "Over quota"})
    with live(quota, says(feed())) as (source, server):
        assert source.fetch(HANOI, DAY).records
        assert len(server.asked) == 2
    assert issubclass(AqicnRateLimitError, AqicnClientError)


def recorded() -> list[Any]:
    files = [*PAYLOADS.glob("waqi_vn_feeds/*.json"), *PAYLOADS.glob("waqi/*feed*.json")]
    return sorted(files) or [None]


@needs_feeds
def test_every_recorded_feed_is_a_reading_of_its_hour_or_counted() -> None:
    """The hour is that of iso; v is seven hours off where the clock is seven hours ahead."""
    kinds: dict[str, int] = {}
    for path in recorded():
        said = json.loads(path.read_text("utf-8"))
        data = said.get("data")
        if not (isinstance(data, dict) and "aqi" in data):
            continue
        station = Station(data["idx"])
        iso = data["time"].get("iso")
        moment = datetime.fromisoformat(iso) if iso else NOW
        window = Interval(hour_of(moment) - 1, hour_of(moment) + 1)
        with live(says(said), now=moment) as (source, _server):
            answer = source.fetch(station, window)
            made = to_readings(answer.records, station.idx, window, moment)
            (kind,) = source.observed
            kinds[kind] = kinds.get(kind, 0) + 1
            if kind == "current":
                (reading,) = made.readings
                assert hour_of(reading["ts"]) == hour_of(moment)
                assert reading["aqi"] == data["aqi"]
                assert {**reading["iaqi"]} == data["iaqi"]
            else:
                assert made.readings == []
                assert {reject.reason for reject in made.rejects} <= {Reason.AQI_DASH}
    assert kinds["current"] >= 30
    assert kinds["offline"] >= 2
    assert set(kinds) <= {"current", "offline", "without a value"}
