"""How many requests a window of OpenAQ takes: what the plan counts is what is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.intervals import Interval, hour_of
from runner.core.stations import Station
from runner.process.secrets import Environment, Redactor, Secret
from runner.process.stop import StopFlag
from runner.sources import key_names
from runner.sources.http import HttpClient
from runner.sources.openaq.answers import OpenAqError, OpenAqReader
from runner.sources.openaq.api import LOOK_UPS, OpenAqSource, requests_for
from runner.sources.openaq.rows import Terms
from runner.sources.pacing import Pacer
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.openaq import OpenAqAnswers
from runner.sources.sandbox.server import Sandbox
from tests.sources.loopback import PATIENT, POLICY

START = hour_of(datetime(2018, 1, 1, tzinfo=UTC))
NOW = datetime(2025, 6, 15, tzinfo=UTC)


def every_hour(_idx: int, window: Interval) -> Mapping[str, Sequence[tuple[int, float]]]:
    return {"pm25": [(hour, 9.0) for hour in range(window.start, window.end)]}


@pytest.mark.parametrize(
    ("hours", "scale", "requests"),
    [
        (984, "aqicn", 1),
        (984, "vn_aqi", 1),
        (988, "aqicn", 1),  # with eleven hours before it, whatever the scale
        (989, "aqicn", 2),
        (1000, "aqicn", 2),  # a full page is not known to be the last one
        (989, "vn_aqi", 2),
        (1500, "aqicn", 2),
    ],
)
def test_the_requests_of_a_window_are_known_before_they_are_made(
    hours: int, scale: str, requests: int
) -> None:
    assert requests_for(hours) == requests
    key, stop = Secret("any"), StopFlag()
    answers = OpenAqAnswers({8641: [7441]}, {}, every_hour, lambda: NOW, synthetic=True)
    with Sandbox({8641: "Hanoi"}, Climatology(1), openaq=answers) as api:
        client = HttpClient(
            api.url,
            Pacer(0, stop),
            stop,
            Redactor(Environment({}, Path(".env"), key_names)),
            POLICY,
            PATIENT,
            failure=OpenAqError,
            secret_headers={"X-API-Key": key},
        )
        reader = OpenAqReader(key, lambda _s: None, 0.5)
        with closing(client):
            source = OpenAqSource(client, reader, {8641: [7441]}, scale=scale, terms=Terms())
            found = source.fetch(Station(8641), Interval(START, START + hours))
        assert api.stats()["requests"] == LOOK_UPS + requests
    assert len(found.records) == hours


def test_a_leap_year_is_asked_for_in_two_frames() -> None:
    assert requests_for(8784) == 9 + 1
