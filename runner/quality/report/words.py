"""What the page calls things: numbers, instants, statuses, for a person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

CAUSE_COLOURS = {
    "not_asked": "#101010",
    "empty": "#c9ced6",
    "rejected": "#6b7f99",
    "lost": "#00a5c8",
    "kept": "#8a5a2b",
    "unknown": "#e78ac3",
}
"""Causes of missing hours, see `runner.quality`; none is a colour of a band."""

OUTSIDE = "#ffffff"
"""Hours outside the range."""


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_ONE_PERCENT, _ALMOST_ALL = 1.0, 99.95
_DAY_H = 24
_MOST_HOURS = 72
"""Hours up to which a duration is shown in hours alone."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A status for the eye and for those who see no colours.

    Attributes:
        icon: one character.
        word: what it is called.
        kind: CSS class.
    """

    icon: str
    word: str
    kind: str


BADGES = {
    "fail": Badge("✗", "Fail", "fail"),
    "error": Badge("✗", "Broke", "fail"),
    "warn": Badge("!", "Warn", "warn"),
    "pass": Badge("✓", "Pass", "pass"),
    "not_evaluated": Badge("—", "Not evaluated", "skip"),
}


def share(value: float | None) -> str:
    """Return a share (0..1) as percent; nothing that is not all reads as 100 %, nor as 0 %."""
    if value is None:
        return "—"
    percent = 100 * value
    if _ALMOST_ALL <= percent < 100:  # noqa: PLR2004 - percent
        return "> 99.9 %"
    if percent == 0:
        return "0 %"
    return f"{percent:.1f} %" if percent >= _ONE_PERCENT else f"{percent:.2g} %"


def duration(hours: int) -> str:
    """Return hours, with days beside them where they are many."""
    if hours < _MOST_HOURS:
        return f"{hours} h"
    return f"{hours:,} h ({hours / _DAY_H:,.0f} days)"


def change(now: float | None, before: float | None, *, points: bool = False) -> str:
    """Return the change against the previous run; empty where there is nothing to compare.

    Args:
        now: of this run.
        before: of the previous run.
        points: whether both are shares, shown in percentage points.
    """
    if now is None or before is None:
        return ""
    if now == before:
        return "as in the previous run"
    difference = 100 * (now - before) if points else now - before
    sign = "+" if difference > 0 else "−"  # noqa: RUF001 - a minus as printed
    size = f"{abs(difference):,.2f} points" if points else f"{abs(difference):,}"
    return f"{sign}{size} since the previous run"


def local(instant: str | None, offset_h: int) -> str:
    """Return a UTC instant with a Z as text on the local clock; a dash for none."""
    if not instant:
        return "—"
    moment = datetime.strptime(instant, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return f"{moment + timedelta(hours=offset_h):%Y-%m-%d %H:%M}"


def is_instant(value: Any) -> bool:
    """Whether a value of quality.json is a UTC instant."""
    return isinstance(value, str) and _INSTANT.fullmatch(value) is not None


def month_name(month: str) -> str:
    """Return `May 2024` for `2024-05`."""
    year, _, number = month.partition("-")
    return f"{MONTHS[int(number) - 1]} {year}"
