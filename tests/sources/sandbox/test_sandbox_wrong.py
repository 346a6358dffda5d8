"""Wrong answers: each form is what it says, on the wire and to the transformation."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from runner.core.intervals import Interval, hour_of
from runner.core.readings import to_readings
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from runner.sources.sandbox.wrong import Wrong, spoilt, wrong_of

START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
WINDOW = Interval(START, START + 48)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RIGHT = {"status": "ok", "data": Climatology(1).records(1583, WINDOW)}
LATER = {"status": "ok", "data": Climatology(1).records(1583, Interval(START + 24, START + 72))}


def reasons(kind: Wrong) -> set[str]:
    answer = json.loads(spoilt(kind, RIGHT, lambda: LATER))
    made = to_readings(answer["data"], 1583, WINDOW, NOW)
    return {str(reject.reason) for reject in made.rejects}


def test_every_form_is_reached() -> None:
    assert {wrong_of(step / 100) for step in range(100)} == set(Wrong)


@pytest.mark.parametrize("kind", [Wrong.DEEP, Wrong.LONG_NUMBER, Wrong.NOT_UTF8])
def test_some_forms_are_not_readable_at_all(kind: Wrong) -> None:
    with pytest.raises((ValueError, RecursionError)):
        json.loads(spoilt(kind, RIGHT, lambda: LATER))


@pytest.mark.parametrize("kind", [Wrong.DOUBLED, Wrong.SHUFFLED, Wrong.HUGE])
def test_some_forms_say_the_same_as_the_right_answer(kind: Wrong) -> None:
    body = spoilt(kind, RIGHT, lambda: LATER)
    assert body != spoilt(Wrong.SHIFTED, RIGHT, lambda: RIGHT)
    made = to_readings(json.loads(body)["data"], 1583, WINDOW, NOW)
    right = to_readings(RIGHT["data"], 1583, WINDOW, NOW)
    assert (made.readings, len(made.rejects)) == (right.readings, len(right.rejects))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Wrong.OTHER_STATION, {"wrong_station"}),
        (Wrong.SHIFTED, {"outside_window"}),
        (Wrong.NOT_A_NUMBER, {"aqi_not_a_number"}),
        (Wrong.LARGE_NUMBER, {"aqi_too_large"}),
    ],
)
def test_the_rest_is_told_by_its_records(kind: Wrong, expected: set[str]) -> None:
    assert reasons(kind) - {"aqi_dash"} == expected


def test_wrong_answers_come_with_status_200_and_are_counted() -> None:
    with Sandbox({1583: "A"}, Climatology(1), Faults(rate_wrong=1)) as api:
        query: dict[str, Any] = {"start": "2023-01-01T00:00:00Z", "end": "2023-01-02T00:00:00Z"}
        url = f"{api.url}/feed/@1583/history"
        answer = requests.get(url, params={**query, "token": "any"}, timeout=30)
        assert answer.status_code == 200
        assert api.stats()["outcomes"]["rate_wrong"] == 1
        assert api.stats()["windows"] == {}
