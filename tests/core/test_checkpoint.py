"""What is known to be empty, and which covered hours are gaps."""

from hypothesis import given
from hypothesis import strategies as st

from runner.core.checkpoint import Empties, Empty, Progress, gaps, note_empties
from runner.core.intervals import Interval, union

HOURS = st.integers(0, 60)
WINDOW = st.tuples(HOURS, st.integers(1, 20)).map(lambda pair: Interval(pair[0], sum(pair)))
ANSWER = WINDOW.flatmap(
    lambda window: st.tuples(
        st.just(window), st.sets(st.integers(window.start, window.end - 1)), st.integers(0, 5)
    )
)


@given(st.lists(ANSWER, max_size=8))
def test_what_is_empty_is_what_the_last_answer_for_each_hour_said(
    answers: list[tuple[Interval, set[int], int]],
) -> None:
    known: Empties = ()
    model: dict[int, int] = {}
    for window, empty, asked in answers:
        known = note_empties(known, window, empty, asked)
        for hour in range(*window):
            model.pop(hour, None)
        model.update(dict.fromkeys(empty, asked))
    told = {hour: item.asked for item in known for hour in range(item.start, item.end)}
    assert told == model
    assert list(known) == sorted(known)


def test_a_gap_is_covered_without_a_reading_and_not_known_to_be_empty_lately() -> None:
    covered = (Interval(0, 100),)
    stored = union([Interval(0, 20), Interval(30, 90)])
    empties = (Empty(20, 25, 1000), Empty(25, 30, 500))
    progress = Progress(covered, empties)
    assert gaps(progress, stored, asked_since=900) == (Interval(25, 30), Interval(90, 100))
