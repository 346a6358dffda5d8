"""The summary of a sweep: every job has a row, nothing is summed twice, the worst code counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.summary import PlannedJob, Summary, SweepPlan
from runner.core.checkpoint import Tally
from runner.core.errors import Exit, RunnerError, worst
from runner.core.intervals import Interval
from runner.core.outcome import Outcome, State, StationOutcome
from runner.core.plan import Skip
from runner.core.stations import Station

CODES = [0, 1, 2, 3, 4, 130, 143]


def plan(jobs: int) -> SweepPlan:
    made = [
        PlannedJob(n, (f"backfill.years={n}",), f"backfill.years={n}", str(n)) for n in range(jobs)
    ]
    return SweepPlan("/sweep", "python -m runner -m …", "basic", "2026-01-01T00:00:00", tuple(made))


def outcome(*stations: StationOutcome, **known: Any) -> dict[str, Any]:
    return Outcome(job="backfill", run_id="r", stations=stations, **known).to_json()


def fetched(idx: int, inserted: int = 0) -> StationOutcome:
    return StationOutcome(
        Station(idx), Interval(0, 10), State.COMPLETED, tally=Tally(inserted), fetched_hours=10
    )


def covered(idx: int) -> StationOutcome:
    return StationOutcome(
        Station(idx), Interval(0, 10), State.SKIPPED, covered_before=10, skip=Skip.COVERED
    )


@given(
    ends=st.lists(st.sampled_from([None, *CODES]), min_size=1, max_size=6),
    began=st.sets(st.integers(0, 5)),
    stopped=st.sampled_from([None, 130, 143]),
)
def test_every_job_has_a_row_and_the_worst_code_stands_for_all(
    ends: list[int | None], began: set[int], stopped: int | None
) -> None:
    outcomes = {
        number: {**outcome(), "exit_code": code}
        for number, code in enumerate(ends)
        if code is not None
    }
    made = Summary.of(plan(len(ends)), outcomes, began, {}, ended_at="now", stopped_by=stopped)
    content = json.loads(json.dumps(made.to_json()))
    assert [job["number"] for job in content["jobs"]] == [*range(len(ends))]
    assert [job["exit_code"] for job in content["jobs"]] == ends
    states = [job["state"] for job in content["jobs"]]
    for number, code in enumerate(ends):
        open_state = "killed" if number in began else "not run"
        assert states[number] == open_state if code is None else states[number] != open_state
    assert sum(content["totals"]["states"].values()) == len(ends)
    known = [code for code in ends if code is not None]
    lost = [stopped or 1] if None in ends else []
    lost += [1] if "killed" in states else []
    assert content["exit_code"] == worst([*known, *lost])


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, "done"), (1, "could not run"), (2, "refused"), (3, "gate failed"), (4, "incomplete"),
        (130, "stopped"), (143, "stopped"),
    ],
)  # fmt: skip
def test_a_state_says_what_the_exit_code_means(code: int, state: str) -> None:
    made = Summary.of(plan(1), {0: {**outcome(), "exit_code": code}}, {0}, {}, ended_at="now")
    assert made.to_json()["jobs"][0]["state"] == state


def test_counts_add_up_and_a_station_of_two_jobs_is_counted_once() -> None:
    outcomes = {
        0: outcome(fetched(1, 5), fetched(2, 7), requests=3),
        1: outcome(covered(1), fetched(3, 1), requests=1),
    }
    content = Summary.of(plan(2), outcomes, {0, 1}, {0: "0/report.html"}, ended_at="now").to_json()
    rows, totals = content["jobs"], content["totals"]
    assert [(row["stations"], row["fetched"], row["inserted"]) for row in rows] == [
        (2, 2, 12),
        (2, 1, 1),
    ]
    assert (totals["stations"], totals["fetched"], totals["inserted"]) == (3, 3, 13)
    assert totals["requests"] == 4
    assert [row["page"] for row in rows] == ["0/report.html", None]


def test_until_the_end_jobs_wait_or_run_and_there_is_no_code() -> None:
    content = Summary.of(plan(3), {0: outcome()}, {0, 1}, {}).to_json()
    assert [job["state"] for job in content["jobs"]] == ["done", "running", "waiting"]
    assert content["exit_code"] is None
    assert content["ended_at"] is None


@pytest.mark.parametrize(
    ("ended", "asked_nothing"),
    [
        ([outcome(covered(1)), outcome(covered(2))], True),
        ([outcome(covered(1)), outcome(fetched(2), requests=1)], False),
        ([outcome(covered(1)), {**outcome(), "job": "plan"}], False),
        ([outcome(covered(1)), {**outcome(), "exit_code": 4}], False),
        ([outcome(covered(1))], False),
    ],
)
def test_a_sweep_that_had_nothing_to_ask_says_so(
    ended: list[dict[str, Any]], asked_nothing: bool
) -> None:
    made = Summary.of(plan(2), dict(enumerate(ended)), {0, 1}, {}, ended_at="now")
    assert ("Nothing was asked" in "\n".join(made.last_words())) is asked_nothing


def test_what_is_not_finished_names_the_command_that_goes_on() -> None:
    made = Summary.of(plan(2), {0: outcome()}, {0}, {}, ended_at="now", stopped_by=Exit.SIGINT)
    assert made.exit_code == 130
    assert "Go on where the sweep ended: python -m runner -m …" in made.last_words()


def test_a_refused_job_says_why() -> None:
    error = RunnerError("no such thing")
    told = outcome(error=error.message, configuration_error=True)
    (row,) = Summary.of(plan(1), {0: told}, {0}, {}, ended_at="now").to_json()["jobs"]
    assert (row["state"], row["error"]) == ("refused", "no such thing")
