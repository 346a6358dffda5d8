"""Plans and checkpoints as tables and lines for a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from runner.core.checkpoint import Checkpoint, Status
from runner.core.intervals import Interval, Intervals, intersect, iso, total_hours
from runner.core.outcome import duration_text
from runner.core.plan import Plan, Skip
from runner.core.stations import Station
from runner.core.text import counted, harmless

MOST_ROWS = 200
"""Rows printed of a table; the rest of a plan stands in plan.json."""

_LONGEST_EXAMPLE = 300
_LONGEST_NAME = 36
_LONGEST_REASON = 22
_WIDEST_TIME = len("2026-01-01 00:00 …")
"""A range of time breaks between its two ends, and neither is cut."""
_WIDTH_IN_FILES = 140


class Rejected(Protocol):
    """Rejects of one station for one reason, as the store sums them up."""

    @property
    def station_idx(self) -> int | None:
        """The station."""
        ...

    @property
    def reason(self) -> str:
        """Why they were refused."""
        ...

    @property
    def count(self) -> int:
        """How many."""
        ...

    @property
    def example(self) -> Any:
        """One of the records, raw."""
        ...


class Left(Protocol):
    """Old documents of one kind, as the store counts them."""

    @property
    def collection(self) -> str:
        """Where they are."""
        ...

    @property
    def what(self) -> str:
        """What they are, in words."""
        ...

    @property
    def count(self) -> int:
        """How many."""
        ...


def console(*, stderr: bool = False) -> Console:
    """Return a console: the terminal's width on a terminal, wide enough for tables elsewhere."""
    found = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not found.is_terminal:
        found.width = _WIDTH_IN_FILES
    return found


def show(table: RenderableType) -> None:
    """Print a table; off a terminal without the blanks that fill its lines."""
    screen = console()
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    print("\n".join(lines), flush=True)  # noqa: T201 - the product's own words


def plain(text: str) -> Text:
    """Return text from outside without control characters, escapes or markup meaning."""
    return Text(harmless(text))


def _name(station: Station) -> Text:
    """Return a station's name, cut: on a narrow terminal it gives way, the figures do not."""
    name = plain(station.name)
    name.truncate(_LONGEST_NAME, overflow="ellipsis")
    return name


def _table() -> Table:
    """Return a table that leaves 80 columns to its cells."""
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def plan_table(plan: Plan) -> RenderableType:
    """Return one row per station: hours to fetch, or why it is skipped."""
    table = _table()
    table.add_column("station", justify="right", no_wrap=True)
    table.add_column("name", max_width=_LONGEST_NAME)
    table.add_column("why", no_wrap=True)
    table.add_column("hours", justify="right", no_wrap=True)
    table.add_column("windows", justify="right", no_wrap=True)
    table.add_column("covered", justify="right", no_wrap=True)
    table.add_column("to fetch", overflow="fold", min_width=_WIDEST_TIME)
    for entry in plan.stations[:MOST_ROWS]:
        table.add_row(
            str(entry.station.idx),
            _name(entry.station),
            entry.reason,
            f"{entry.hours:,}",
            f"{plan.count_windows_of(entry):,}",
            f"{entry.covered_hours:,}",
            plain(entry.detail) if entry.detail else _pieces(entry.pieces),
        )
    if len(plan.stations) > MOST_ROWS:
        rest = f"… and {len(plan.stations) - MOST_ROWS:,} more, see plan.json"
        table.add_row("", rest, "", "", "", "", "")
    return table


def _pieces(pieces: Intervals) -> str:
    shown = ", ".join(f"{_minute(piece.start)} … {_minute(piece.end)}" for piece in pieces[:3])
    return shown + (f", and {len(pieces) - 3} more pieces" if len(pieces) > 3 else "")  # noqa: PLR2004 - as shown above


def _minute(hour: int) -> str:
    return iso(hour)[:16].replace("T", " ")


def plan_lines(
    plan: Plan, wanted: Interval, now: datetime, free_in_s: float | None = None
) -> list[str]:
    """Return the totals of a plan: work, reasons, pace, duration and expected end (UTC).

    Args:
        plan: what will be done.
        wanted: the range asked for, UTC.
        now: when it begins, UTC.
        free_in_s: seconds until the shared budget is free; None if it is not shared.
    """
    reasons = Counter(entry.reason for entry in plan.active)
    skips = Counter(entry.reason for entry in plan.skipped)
    range_text = f"{_minute(wanted.start)} to {_minute(wanted.end)} UTC"
    lines = [f"Plan: {counted(len(plan.stations), 'stations')}, {range_text}"]
    if skips:
        lines.append(f"  skipped   {counted(sum(skips.values()), 'stations')} ({_counted(skips)})")
    not_held = sum(total_hours(entry.not_held) for entry in plan.stations)
    if not_held:
        lines.append(f"  not kept  {not_held:,} station-hours have no kept answer, and stay")
    lines += _doubtful(plan)
    if not plan.windows:
        covered = sum(entry.covered_hours for entry in plan.stations)
        if all(entry.why or entry.skip is Skip.COVERED for entry in plan.stations):
            lines.append(f"  covered   all {covered:,} station-hours: nothing to fetch")
        else:
            lines.append(f"  nothing to fetch; covered already: {covered:,} station-hours")
        return lines
    if all(entry.is_present for entry in plan.active):
        observed = counted(plan.windows, "stations")
        lines.append(f"  work      the present observation of {observed}")
        lines.append(
            "  range     the present only: no years, days, lookback_hours of backfill count"
        )
    else:
        work = f"{counted(plan.hours, 'station-hours')} in {counted(plan.windows, 'windows')}"
        up_to = f"of up to {plan.batch_hours} h"
        lines.append(f"  work      {work} {up_to} ({_counted(reasons)})")
    if not plan.paced:
        return [*lines, "  requests  none: this source asks no API"]
    share = plan.pace.quota_share(plan.requests)
    limit = f", at most {plan.pace.max_per_hour:,} an hour" if plan.pace.max_per_hour else ""
    quota = f" ({share:.0%} of the hourly quota)" if share is not None else ""
    end = now + timedelta(seconds=plan.duration_s)
    these, those = (" counted", " for those") if plan.cost.counted else ("", "")
    every = f"one every {round(plan.pace.interval_s, 3):g} s{limit}{quota}"
    lines.append(f"  requests  {plan.requests:,}{these}, {every}")
    if plan.cost.counted:
        lines.append(f"  counted   {plan.cost.counted}")
    if free_in_s is not None:
        free = f"free in {duration_text(free_in_s)}" if free_in_s >= 1 else "free now"
        lines.append(f"  budget    shared by all with this key: {free}")
    lines.append(
        f"  duration  {duration_text(plan.duration_s)}{those}, until about "
        f"{end:%Y-%m-%d %H:%M:%S} UTC"
    )
    return lines


def _doubtful(plan: Plan) -> list[str]:
    """Return a line for hours that count as done although no answer of the source is stored."""
    found = [
        ("not asked", sum(entry.not_asked_hours for entry in plan.stations),
         "for which earlier runs did not ask the source"),
        ("unknown", sum(entry.unknown_hours for entry in plan.stations),
         "that only a checkpoint says are covered"),
    ]  # fmt: skip
    return [
        f"  {name:<9} {counted(hours, 'station-hours')} {words}; backfill.mode=gaps asks for"
        " those without a reading"
        for name, hours, words in found
        if hours
    ]


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in sorted(reasons.items()))


def status_table(
    stations: Sequence[Station], checkpoints: Mapping[int, Checkpoint]
) -> RenderableType:
    """Return one row per station: state, progress, covered range, counts, last error.

    Of very many only some are shown, those first that somebody may have to look at.
    """
    table = _table()
    table.add_column("station", justify="right", no_wrap=True)
    table.add_column("name", max_width=_LONGEST_NAME)
    table.add_column("state", no_wrap=True)
    table.add_column("progress", justify="right", no_wrap=True)
    table.add_column("covered (UTC)", min_width=_WIDEST_TIME)
    table.add_column("inserted", justify="right", no_wrap=True)
    table.add_column("last error", overflow="fold")
    shown = stations
    if len(stations) > MOST_ROWS:
        shown = sorted(stations, key=lambda station: _calmness(checkpoints.get(station.idx)))
    for station in shown[:MOST_ROWS]:
        found = checkpoints.get(station.idx)
        if found is None:
            table.add_row(str(station.idx), _name(station), "not started", "", "", "", "")
            continue
        table.add_row(
            str(station.idx),
            _name(station),
            found.state,
            _progress(found),
            _span(found.covered),
            f"{found.total.inserted:,}",
            plain(found.error_message or ""),
        )
    if len(stations) > MOST_ROWS:
        rest = f"… and {len(stations) - MOST_ROWS:,} more, see output=json"
        table.add_row("", rest, "", "", "", "", "")
    return table


def _calmness(checkpoint: Checkpoint | None) -> int:
    """Return 0 where it failed, 1 where it is under way, 2 before it began, 3 at the end."""
    if checkpoint is None:
        return 2
    return {Status.FAILED: 0, Status.IN_PROGRESS: 1, Status.COMPLETED: 3}[checkpoint.status]


def _progress(checkpoint: Checkpoint) -> str:
    start, end = checkpoint.start_hour, checkpoint.target_end_hour
    if start is None or end is None or end <= start:
        return ""
    done = total_hours(intersect((Interval(start, end),), checkpoint.covered))
    return f"{100 * done / (end - start):.1f}%"


def _span(covered: Intervals) -> str:
    if not covered:
        return ""
    holes = f" ({len(covered) - 1} holes)" if len(covered) > 1 else ""
    return f"{_minute(covered[0].start)} … {_minute(covered[-1].end)}{holes}"


def status_line(stations: Sequence[Station], checkpoints: Mapping[int, Checkpoint]) -> str:
    """Return the count of stations by state, as `12 completed, 1 failed, 3 not started`."""
    states = Counter(
        checkpoints[station.idx].state if station.idx in checkpoints else "not started"
        for station in stations
    )
    return ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))


def leftovers_table(found: Sequence[Left], before: datetime) -> RenderableType:
    """Return a row for every kind of leftover: where it is, what it is, how many, how old."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("collection", no_wrap=True)
    table.add_column("what")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("older than (UTC)", no_wrap=True)
    for item in found:
        table.add_row(item.collection, item.what, f"{item.count:,}", f"{before:%Y-%m-%d %H:%M}")
    return table


def rejects_table(found: Sequence[Rejected]) -> RenderableType:
    """Return a row for every station and reason: how many, and an example cut short."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("station", justify="right", no_wrap=True)
    table.add_column("reason", no_wrap=True, min_width=_LONGEST_REASON)
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("example")  # the one that gives way: a column that may not wrap takes all
    for item in found[:MOST_ROWS]:
        example = plain(json.dumps(item.example, ensure_ascii=False, default=str))
        example.truncate(_LONGEST_EXAMPLE, overflow="ellipsis")
        example.no_wrap, example.overflow = True, "ellipsis"
        table.add_row(str(item.station_idx), plain(item.reason), f"{item.count:,}", example)
    if len(found) > MOST_ROWS:
        table.add_row("", f"… and {len(found) - MOST_ROWS:,} more", "", "")
    return table
