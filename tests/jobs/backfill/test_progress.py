"""The live line on a terminal of its own, and the log lines of a run anywhere."""

from io import StringIO
from threading import Thread
from typing import Any

import pytest
import structlog
from rich.console import Console

from runner.core.checkpoint import Tally
from runner.core.intervals import Interval
from runner.core.outcome import State, StationOutcome
from runner.core.plan import Pace, Plan, build_plan
from runner.core.present import plan_present
from runner.core.stations import Station
from runner.jobs.backfill.progress import Bar, Counter, watch

RANGE = Interval(470_000, 470_010)
EVIL = "\x1b[2J\x07[bold]Evil[/bold] [/]"


def plan_of(*ids: int, delay_s: float = 20.0) -> Plan:
    stations = [Station(idx, EVIL) for idx in ids]
    return build_plan(stations, {}, RANGE, batch_hours=2, pace=Pace(delay_s, 0))


def terminal() -> tuple[Console, StringIO]:
    out = StringIO()
    console = Console(
        file=out,
        force_terminal=True,
        force_interactive=True,
        color_system=None,
        width=140,
        height=20,
        _environ={"TERM": "xterm"},
    )
    return console, out


def done(plan: Plan) -> StationOutcome:
    return StationOutcome(plan.stations[0].station, RANGE, State.COMPLETED)


def progress(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "run.progress"]


def test_no_line_is_drawn_off_a_terminal_nor_on_a_dumb_one() -> None:
    out = StringIO()
    plan = plan_of(1)
    dumb = Console(file=out, force_terminal=True, _environ={"TERM": "dumb"})
    for console in (Console(file=out), dumb):
        with watch(plan, console) as watcher:
            watcher.window_done(1, Tally(inserted=3))
            watcher.station_done(done(plan))
        assert out.getvalue() == ""
        assert (watcher.windows_done, watcher.stations_done, watcher.readings) == (1, 1, 3)


def test_the_log_says_how_far_a_run_is_at_every_station_and_every_minute() -> None:
    now = [0.0]
    plan = plan_of(1, 2)  # 10 windows of 20 s
    counter = Counter(plan, lambda: 7, lambda: "the pace", clock=lambda: now[0])
    with structlog.testing.capture_logs() as lines:
        for second in range(121):
            now[0] = second
            counter.tick()
            if second % 40 == 20:
                counter.window_done(1, Tally(inserted=5))
        counter.station_done(done(plan))
    minute, two_minutes, station = progress(lines)
    assert minute == {
        "event": "run.progress",
        "log_level": "info",
        "stations": 0,
        "of": 2,
        "percent": 10.0,
        "windows": 1,
        "readings": 5,
        "requests": 7,
        "time_left": "0:09:00",  # as slow as so far, not as fast as the pace allows
        "waits_for": "the pace",
    }
    assert (two_minutes["percent"], two_minutes["time_left"]) == (30.0, "0:04:40")
    assert (station["stations"], station["percent"]) == (1, 50.0)  # two windows were left out


def test_what_nobody_waits_for_is_not_named_and_the_last_station_ends_at_100_percent() -> None:
    plan = plan_of(1)
    counter = Counter(plan)
    with structlog.testing.capture_logs() as lines:
        for _ in range(plan.windows):
            counter.window_done(1, Tally())
        counter.station_done(done(plan))
    (line,) = progress(lines)
    assert "waits_for" not in line
    assert (line["percent"], line["time_left"]) == (100.0, "0:00:00")


def test_present_observations_are_logged_once_not_station_by_station() -> None:
    plan = plan_present([Station(idx) for idx in range(1, 30)], {}, RANGE, pace=Pace(1, 0))
    counter = Counter(plan)
    with structlog.testing.capture_logs() as lines:
        for entry in plan.active:
            counter.window_done(entry.station.idx, Tally(inserted=1))
            counter.station_done(StationOutcome(entry.station, RANGE, State.COMPLETED))
    (line,) = progress(lines)
    assert (line["stations"], line["of"], line["readings"]) == (29, 29, 29)


def test_a_bar_is_shown_on_a_terminal() -> None:
    console, _out = terminal()
    assert isinstance(watch(plan_of(1), console), Bar)


def test_the_bar_shows_stations_windows_readings_and_the_time_left_at_the_pace() -> None:
    plan = plan_of(1, 2)  # 10 windows, 180 s from the first request to the last
    console, out = terminal()
    with watch(plan, console) as watcher:
        for _ in range(5):
            watcher.window_done(1, Tally(inserted=500, updated=20, unchanged=3, rejects=9))
        watcher.station_done(done(plan))
    shown = out.getvalue()
    for part in ("1/2 stations", "5/10 windows", "2,615 readings", "0:01:30 left"):
        assert part in shown


def test_the_bar_ends_with_no_time_left() -> None:
    plan = plan_of(1)
    console, out = terminal()
    with watch(plan, console) as watcher:
        for _ in range(plan.windows):
            watcher.window_done(1, Tally())
    assert "5/5 windows" in out.getvalue()
    assert "0:00:00 left" in out.getvalue()


def test_a_plan_without_work_is_shown_as_well_as_any() -> None:
    console, out = terminal()
    with watch(plan_of(), console):
        pass
    assert "0/0 stations" in out.getvalue()


def test_the_terminal_is_given_back_also_after_an_error() -> None:
    console, out = terminal()
    with pytest.raises(ZeroDivisionError), watch(plan_of(1), console):
        raise ZeroDivisionError
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")  # the cursor


def test_names_of_stations_do_not_reach_the_bar() -> None:
    plan = plan_of(1)
    console, out = terminal()
    with watch(plan, console) as watcher:
        watcher.station_done(done(plan))
    assert "Evil" not in out.getvalue()
    assert "\x07" not in out.getvalue()


def test_what_many_workers_tell_at_the_same_time_is_counted_completely() -> None:
    watcher = Counter(plan_of(1))

    def tell() -> None:
        for _ in range(500):
            watcher.window_done(1, Tally(inserted=2))

    threads = [Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (watcher.windows_done, watcher.readings) == (4000, 8000)
