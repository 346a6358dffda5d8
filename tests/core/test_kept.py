"""Answers that were kept, for windows that are cut otherwise."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.core.intervals import Interval, to_datetime
from runner.core.kept import KeptAnswer, answer_of
from runner.core.readings import Reason

START = 464_592  # 2023-01-01T00:00Z
ASKED = datetime(2023, 6, 1, tzinfo=UTC)


def record(hour: int, aqi: int = 1) -> dict[str, Any]:
    return {"aqi": aqi, "time": {"s": f"{to_datetime(hour):%Y-%m-%d %H:%M:%S}", "tz": "+00:00"}}


def kept(start: int, end: int, *records: Any, asked: datetime = ASKED) -> KeptAnswer:
    return KeptAnswer(Interval(START + start, START + end), asked, json.dumps(records).encode())


def read(answer: KeptAnswer) -> list[Any]:
    found: list[Any] = json.loads(answer.body)
    return found


def answers(*of: KeptAnswer, start: int = 0, end: int = 4) -> Any:
    return answer_of(of, Interval(START + start, START + end), read)


def test_of_answers_that_overlap_the_newest_counts_for_its_hours() -> None:
    later = ASKED + timedelta(hours=5)
    old = kept(0, 4, *(record(START + n, 1) for n in range(4)))
    new = kept(1, 3, record(START + 2, 2), asked=later)  # the source has nothing for hour 1 by now
    found = answers(old, new)
    said = sorted((item["time"]["s"][11:13], item["aqi"]) for item in found.records)
    assert said == [("00", 1), ("02", 2), ("03", 1)]
    assert to_datetime(found.asked) == ASKED


def test_hours_that_no_answer_holds_were_not_asked_for_and_are_never_empty() -> None:
    found = answers(kept(1, 2, record(START + 1)))
    assert found.not_asked == (
        Interval(START, START + 1),
        Interval(START + 2, START + 4),
    )
    assert len(found.records) == 1
    assert answers().not_asked == (Interval(START, START + 4),)
    assert answers(kept(0, 4)).not_asked == ()


def test_records_refused_then_stay_refused_and_are_told_of_once() -> None:
    asked = to_datetime(START + 2)
    answer = kept(0, 4, {"aqi": 5}, record(START - 1), record(START + 3), asked=asked)
    first, second = answers(answer, end=2), answers(answer, start=2)
    assert first.records == [{"aqi": 5}]
    reasons = {reject.reason for reject in first.rejects}
    assert reasons == {Reason.OUTSIDE_WINDOW, Reason.IN_FUTURE}
    assert (second.records, second.rejects) == ([], [])
