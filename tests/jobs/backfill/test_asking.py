"""Asking again: a wrong answer costs requests, not hours; a source that means it is believed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from runner.core.intervals import Interval, to_datetime
from runner.core.readings import Answer, Reason, Reject
from runner.core.stations import Station
from runner.jobs.backfill.asking import BELIEVED, MOST, Asker
from runner.sources.provider import Source

WINDOW = Interval(470_000, 470_004)
STATION = Station(8641, "Hanoi")


def record(hour: int, aqi: Any = 50) -> dict[str, Any]:
    local = to_datetime(hour).strftime("%Y-%m-%d %H:%M:%S")
    return {"current_aqi": aqi, "time": {"s": local, "tz": "+00:00"}}


RIGHT = [record(hour) for hour in range(*WINDOW)]
SHIFTED = [record(hour) for hour in range(470_002, 470_006)]
NAN = [record(470_000, float("nan")), *RIGHT[1:]]


class Script(Source):
    """Answers in turn; the last answer again and again."""

    name = "script"

    def __init__(self, *answers: list[Any], rejects: tuple[Reject, ...] = ()) -> None:
        self.answers = answers
        self.rejects = list(rejects)
        self.asked = 0

    def fetch(self, _station: Station, _window: Interval) -> Answer:
        self.asked += 1
        return Answer(self.answers[min(self.asked, len(self.answers)) - 1], self.rejects)


def asker(source: Script) -> Asker:
    return Asker(source, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def asked_with(*answers: list[Any]) -> tuple[int, int, int]:
    """Return requests, readings and unusable records."""
    source = Script(*answers)
    answer = asker(source).ask(STATION, WINDOW)
    return source.asked, len(answer.readings), answer.unusable.total()


def test_a_right_answer_is_asked_for_once() -> None:
    assert asked_with(RIGHT) == (1, 4, 0)


def test_an_answer_for_another_window_is_asked_for_again_until_it_is_for_this_one() -> None:
    assert asked_with(SHIFTED, RIGHT) == (2, 4, 0)
    assert asked_with(SHIFTED, NAN, SHIFTED, RIGHT) == (4, 4, 0)


def test_what_the_source_says_three_times_is_believed() -> None:
    assert asked_with(SHIFTED) == (BELIEVED, 2, 2)
    assert asked_with(NAN) == (BELIEVED, 3, 1)


def test_after_the_most_requests_the_answer_with_the_fewest_unusable_records_counts() -> None:
    changing = [[record(470_000 + shift, shift) for shift in range(4, 9)] for _ in range(MOST)]
    for number, answer in enumerate(changing):
        answer[0] = record(470_010 + number)
    changing[3] = [*RIGHT[:3], record(470_009)]
    assert asked_with(*changing) == (MOST, 3, 1)


def test_hours_without_a_value_at_the_source_are_no_reason_to_ask_again() -> None:
    assert asked_with([record(470_000, "-"), *RIGHT[1:]]) == (1, 3, 0)
    missing = Reject(Reason.QC_MISSING, {}, 470_001)
    source = Script(RIGHT, rejects=(missing,))
    assert asker(source).ask(STATION, WINDOW).rejects == [missing]
    assert source.asked == 1


def test_a_source_that_always_means_it_is_soon_not_doubted_any_more() -> None:
    source = Script(NAN)
    asks = asker(source)
    for _window in range(20):
        assert len(asks.ask(STATION, WINDOW).readings) == 3
    assert source.asked == 3 * BELIEVED + 17


def test_a_source_that_heals_stays_doubted() -> None:
    class Alternating(Script):
        def fetch(self, _station: Station, _window: Interval) -> Answer:
            self.asked += 1
            return Answer(SHIFTED if self.asked % 2 else RIGHT)

    source = Alternating()
    ask: Callable[[Station, Interval], Any] = asker(source).ask
    assert all(len(ask(STATION, WINDOW).readings) == 4 for _window in range(20))
    assert source.asked == 40
