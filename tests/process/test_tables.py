"""Plans and states as a person sees them, with names that nobody can trust."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from runner.core.checkpoint import Checkpoint, Status, Tally
from runner.core.intervals import Interval, hour_of
from runner.core.outcome import Outcome, State, StationOutcome
from runner.core.plan import Cost, Pace, Plan, build_plan
from runner.core.present import plan_present
from runner.core.stations import Station
from runner.process.tables import (
    MOST_ROWS,
    plain,
    plan_lines,
    plan_table,
    rejects_table,
    status_line,
    status_table,
)
from runner.store.rejects import RejectSummary

START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
RANGE = Interval(START, START + 48)
PACE = Pace(4.0, 900)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVIL = "\x1b]0;owned\x07\x1b[2J\r\n\t\x9b31m\u202e[bold]x[/bold] [/] [link=http://e]y[/link]"


def rendered(table: RenderableType) -> list[str]:
    """Return the lines of a table on a terminal that understands colours."""
    out = StringIO()
    Console(file=out, width=200, force_terminal=True, color_system=None).print(table)
    return out.getvalue().rstrip("\n").split("\n")


def cells(table: RenderableType) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in rendered(table)]
    return [row for row in rows if row and not row[0].startswith("─")]


def is_harmless(text: str) -> bool:
    return all(
        unicodedata.category(char) != "Cc"
        and char not in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        for char in text
    )


def checkpoint(idx: int, status: Status, *covered: Interval, error: str = "") -> Checkpoint:
    return Checkpoint(
        idx,
        status,
        covered=covered,
        start_hour=RANGE.start,
        target_end_hour=RANGE.end,
        total=Tally(inserted=1200, updated=30, unchanged=4),
        error_message=error or None,
    )


KNOWN = {
    2: checkpoint(2, Status.COMPLETED, RANGE),
    3: checkpoint(
        3, Status.IN_PROGRESS, Interval(START, START + 12), Interval(START + 24, START + 36)
    ),
    4: checkpoint(4, Status.FAILED, error="Unknown station"),
}
STATIONS = [Station(1, "Đà Nẵng"), Station(2, "Huế"), Station(3, "Hà Nội"), Station(4)]


def plan_of(
    stations: list[Station] = STATIONS,
    known: Mapping[int, Checkpoint] = KNOWN,
    *,
    pace: Pace = PACE,
    paced: bool = True,
) -> Plan:
    return build_plan(stations, known, RANGE, batch_hours=24, pace=pace, paced=paced)


def test_the_plan_table_says_of_every_station_what_is_fetched_and_why_or_why_not() -> None:
    header, *rows = cells(plan_table(plan_of()))
    assert header == ["station", "name", "why", "hours", "windows", "covered", "to fetch"]
    assert rows == [
        ["1", "Đà Nẵng", "new", "48", "2", "0", "2023-01-01 00:00 … 2023-01-03 00:00"],
        ["2", "Huế", "covered", "0", "0", "48"],
        [
            *("3", "Hà Nội", "resume", "24", "2", "24"),
            "2023-01-01 12:00 … 2023-01-02 00:00, 2023-01-02 12:00 … 2023-01-03 00:00",
        ],
        ["4", "failed earlier", "0", "0", "0", "Unknown station"],
    ]


def test_more_than_three_pieces_are_counted() -> None:
    covered = [Interval(START + at, START + at + 1) for at in range(2, 20, 4)]
    known = {1: checkpoint(1, Status.IN_PROGRESS, *covered)}
    shown = " ".join(rendered(plan_table(plan_of([Station(1, "a")], known))))
    assert shown.count("…") == 3
    assert ", and 3 more pieces" in " ".join(shown.split())


@pytest.mark.parametrize(("stations", "more"), [(MOST_ROWS, False), (MOST_ROWS + 1234, True)])
def test_a_long_plan_is_cut_and_says_where_the_rest_is(stations: int, more: bool) -> None:
    plan = plan_of([Station(idx, "a") for idx in range(1, stations + 1)], {})
    rows = cells(plan_table(plan))[1:]
    assert len(rows) == MOST_ROWS + more
    assert (rows[-1] == ["… and 1,234 more, see plan.json"]) is more


def test_a_long_state_is_cut_and_shows_what_failed_first() -> None:
    stations = [Station(idx, "a") for idx in range(1, MOST_ROWS + 1235)]
    done = {item.idx: checkpoint(item.idx, Status.COMPLETED, RANGE) for item in stations}
    failed, going = 700, 900
    done[failed] = checkpoint(failed, Status.FAILED, error="HTTP 500")
    done[going] = checkpoint(going, Status.IN_PROGRESS)
    del done[1000]
    rows = cells(status_table(stations, done))[1:]
    assert [row[0] for row in rows[:4]] == ["700", "900", "1000", "1"]
    assert len(rows) == MOST_ROWS + 1
    assert rows[-1] == ["… and 1,234 more, see output=json"]


def test_the_lines_of_a_plan_say_work_reasons_pace_duration_and_end() -> None:
    assert plan_lines(plan_of(), RANGE, NOW) == [
        "Plan: 4 stations, 2023-01-01 00:00 to 2023-01-03 00:00 UTC",
        "  skipped   2 stations (covered: 1, failed earlier: 1)",
        "  work      72 station-hours in 4 windows of up to 24 h (new: 1, resume: 1)",
        "  requests  4, one every 4.04 s, at most 900 an hour (0% of the hourly quota)",
        "  duration  0:00:12, until about 2026-01-01 00:00:12 UTC",
    ]


def test_a_plan_that_cannot_count_every_request_says_what_is_counted() -> None:
    cost = Cost(of_station=lambda _idx: 2, counted="two look-ups")
    plan = build_plan(STATIONS, KNOWN, RANGE, batch_hours=24, pace=PACE, cost=cost)
    assert plan_lines(plan, RANGE, NOW)[3:] == [
        "  requests  8 counted, one every 4.04 s, at most 900 an hour (1% of the hourly quota)",
        "  counted   two look-ups",
        "  duration  0:00:28 for those, until about 2026-01-01 00:00:28 UTC",
    ]


def test_a_plan_of_the_present_says_that_no_range_counts() -> None:
    plan = plan_present([Station(1)], {}, RANGE, pace=PACE)
    (line,) = [line for line in plan_lines(plan, RANGE, NOW) if "range" in line]
    assert all(name in line for name in ("years", "days", "lookback_hours"))


def test_a_plan_without_a_limit_speaks_of_none() -> None:
    lines = plan_lines(plan_of(pace=Pace(0.5, 0)), RANGE, NOW)
    assert "  requests  4, one every 0.5 s" in lines


def test_a_plan_over_files_has_no_requests_and_no_duration() -> None:
    lines = plan_lines(plan_of(paced=False), RANGE, NOW)
    assert lines[-1] == "  requests  none: this source asks no API"


def test_a_plan_that_is_done_says_that_there_is_nothing_to_fetch() -> None:
    lines = plan_lines(plan_of([STATIONS[1]]), RANGE, NOW)
    assert lines[-1] == "  covered   all 48 station-hours: nothing to fetch"
    lines = plan_lines(plan_of([STATIONS[1], STATIONS[3]]), RANGE, NOW)
    assert lines[-1] == "  nothing to fetch; covered already: 48 station-hours"


def test_the_status_table_says_of_every_station_how_far_it_is() -> None:
    header, *rows = cells(status_table(STATIONS, KNOWN))
    assert header == [
        *("station", "name", "state", "progress", "covered (UTC)", "inserted", "last error")
    ]
    assert rows == [
        ["1", "Đà Nẵng", "not started"],
        [
            *("2", "Huế", "completed", "100.0%"),
            *("2023-01-01 00:00 … 2023-01-03 00:00", "1,200"),
        ],
        [
            *("3", "Hà Nội", "in_progress", "50.0%"),
            *("2023-01-01 00:00 … 2023-01-02 12:00 (1 holes)", "1,200"),
        ],
        ["4", "failed", "0.0%", "1,200", "Unknown station"],
    ]


def test_a_checkpoint_written_by_hand_has_no_progress_to_show() -> None:
    (row,) = cells(status_table([Station(1)], {1: Checkpoint(1, Status.IN_PROGRESS)}))[1:]
    assert row == ["1", "in_progress", "0"]


def test_a_checkpoint_that_cannot_be_understood_is_listed_with_the_reason() -> None:
    known = {1: Checkpoint(1, Status.FAILED, error_message="no date", unreadable=True)}
    (row,) = cells(status_table([Station(1)], known))[1:]
    assert row == ["1", "unreadable", "0", "no date"]
    assert status_line([Station(1)], known) == "1 unreadable"
    (planned,) = cells(plan_table(plan_of([Station(1)], known)))[1:]
    assert planned == ["1", "unreadable checkpoint", "0", "0", "0", "no date"]


def test_the_states_are_counted_in_one_line() -> None:
    assert status_line(STATIONS, KNOWN) == "1 completed, 1 failed, 1 in_progress, 1 not started"
    assert status_line([], KNOWN) == ""


def test_markup_and_escapes_in_names_and_errors_are_shown_harmlessly() -> None:
    known = {1: checkpoint(1, Status.FAILED, error=EVIL)}
    stations = [Station(1, EVIL)]
    for table in (plan_table(plan_of(stations, known)), status_table(stations, known)):
        lines = rendered(table)
        assert all(map(is_harmless, lines))
        assert len(cells(table)) == 2  # header and row: no line of its own making
        assert "[bold]x[/bold] [/]" in " ".join(lines)  # as it is written, not as it is meant


@given(st.text(max_size=60))
def test_no_name_or_error_can_steer_the_terminal(text: str) -> None:
    known = {1: checkpoint(1, Status.FAILED, error=text)}
    for table in (
        plan_table(plan_of([Station(1, text)], known)),
        status_table([Station(1, text)], known),
        status_table([Station(1, text)], {}),
    ):
        assert all(map(is_harmless, rendered(table)))


def test_names_in_any_script_are_shown_as_they_are() -> None:
    assert plain("Đà Nẵng 北京 नई دلی 🌫").plain == "Đà Nẵng 北京 नई دلی 🌫"


def test_the_arabic_letter_mark_is_taken_out_as_the_other_direction_marks_are() -> None:
    assert plain("a\u061cb").plain == "ab"


def test_names_and_errors_in_the_summary_are_shown_harmlessly() -> None:
    station = StationOutcome(Station(1, EVIL), RANGE, State.FAILED, detail=EVIL)
    outcome = Outcome("backfill", "run-7", (station,), error=EVIL)
    assert all(map(is_harmless, outcome.summary().split("\n")))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_long_example_of_a_reject_takes_no_room_from_station_reason_and_count(width: int) -> None:
    found = [RejectSummary(-476599, "time_not_on_the_hour", 12_345, {"current_aqi": "-" * 500})]
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(rejects_table(found))
    (row,) = [line for line in out.getvalue().splitlines() if "476599" in line]
    assert "-476599   time_not_on_the_hour" in row
    assert "12,345" in row
    assert "…" in row


@pytest.mark.parametrize(("wait_s", "free"), [(0.0, "free now"), (61.0, "free in 0:01:01")])
def test_the_plan_shows_when_a_shared_budget_is_free(wait_s: float, free: str) -> None:
    lines = plan_lines(plan_of(), RANGE, NOW, wait_s)
    assert f"  budget    shared by all with this key: {free}" in lines
    assert len(lines) == len(plan_lines(plan_of(), RANGE, NOW)) + 1


@pytest.mark.parametrize("width", [80, 140])
def test_times_and_figures_are_whole_at_any_width(width: int) -> None:
    out = StringIO()
    screen = Console(file=out, width=width, force_terminal=True, color_system=None)
    screen.print(status_table(STATIONS, KNOWN))
    screen.print(plan_table(plan_of()))
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    for whole in ("2023-01-01 00:00", "2023-01-03 00:00", "in_progress", "completed", "1,200"):
        assert whole in shown
