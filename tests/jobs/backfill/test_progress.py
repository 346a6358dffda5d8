"""The progress display on a terminal of its own, and its silence elsewhere."""

from io import StringIO
from threading import Thread

import pytest
from rich.console import Console

from runner.core.checkpoint import Tally
from runner.core.intervals import Interval
from runner.core.outcome import State, StationOutcome
from runner.core.plan import Pace, Plan, build_plan
from runner.core.stations import Station
from runner.jobs.backfill.progress import Bar, Quiet, watch

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


def test_nothing_is_shown_where_nobody_watches() -> None:
    out = StringIO()
    plan = plan_of(1)
    with watch(plan, Console(file=out)) as watcher:
        watcher.window_done(Tally(inserted=3))
        watcher.station_done(done(plan))
    assert out.getvalue() == ""
    assert (watcher.windows_done, watcher.stations_done, watcher.readings) == (1, 1, 3)


def test_a_bar_is_shown_on_a_terminal() -> None:
    console, _out = terminal()
    assert isinstance(watch(plan_of(1), console), Bar)


def test_the_bar_shows_stations_windows_readings_and_the_time_left_at_the_pace() -> None:
    plan = plan_of(1, 2)  # 10 windows, 180 s from the first request to the last
    console, out = terminal()
    with watch(plan, console) as watcher:
        for _ in range(5):
            watcher.window_done(Tally(inserted=500, updated=20, unchanged=3, rejects=9))
        watcher.station_done(done(plan))
    shown = out.getvalue()
    for part in ("1/2 stations", "5/10 windows", "2,615 readings", "0:01:30 left"):
        assert part in shown


def test_the_bar_ends_with_no_time_left() -> None:
    plan = plan_of(1)
    console, out = terminal()
    with watch(plan, console) as watcher:
        for _ in range(plan.windows):
            watcher.window_done(Tally())
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
    watcher = Quiet(plan_of(1))

    def tell() -> None:
        for _ in range(500):
            watcher.window_done(Tally(inserted=2))

    threads = [Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (watcher.windows_done, watcher.readings) == (4000, 8000)
