"""Pieces of HTML that several sections use; everything from outside is escaped here or before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.core.text import shortened
from runner.quality.report.html import text
from runner.quality.report.run_files import RunFiles
from runner.quality.report.words import BADGES

_LONGEST_NAME = 80
_MOST_NAMES = 3


def clipped(value: Any, most: int = _LONGEST_NAME) -> str:
    """Return text from outside as HTML, cut where it would never end."""
    return text(shortened(str(value), most))


def badge(status: str) -> str:
    """Return a status as icon, word and colour."""
    one = BADGES.get(status, BADGES["skip"])
    return f'<span class="badge {one.kind}"><i aria-hidden="true">{one.icon}</i> {one.word}</span>'


def station(name: str | None, station_idx: int) -> str:
    """Return a station in a line: its name, which may be cut by the layout, and its number."""
    shown = clipped(name or "no name")
    return (
        f'<span class="station" title="{shown}"><bdi>{shown}</bdi></span>'
        f' <span class="idx">{station_idx}</span>'
    )


def where(idxs: Iterable[int], names: Mapping[int, str], between: str = ", ") -> str:
    """Return stations to look at, linked to the table of stations."""
    listed = list(idxs)
    shown = [
        f'<a href="#station{idx}"><bdi>{clipped(names.get(idx) or f"station {idx}", 34)}</bdi></a>'
        for idx in listed[:_MOST_NAMES]
    ]
    more = [f"and {len(listed) - _MOST_NAMES:,} more"] if len(listed) > _MOST_NAMES else []
    return between.join(shown + more)


def names(run: RunFiles) -> dict[int, str]:
    """Return the stations' names."""
    return {one["station_idx"]: one["name"] or "" for one in run.document["stations"]}


def short_titles(run: RunFiles) -> dict[str, str]:
    """Return the checks' titles up to a colon: `Flat lines`."""
    return {one["id"]: one["title"].partition(":")[0] for one in run.document["checks"]}


def by_capture(run: RunFiles) -> list[Mapping[str, Any]]:
    """Return the stations, the least captured first: one order for all that lists stations."""
    return sorted(
        run.document["stations"],
        key=lambda one: (-1.0 if one["capture"] is None else one["capture"], one["station_idx"]),
    )


def folded(summary: str, html: str, *, unfolded: bool = False) -> str:
    """Return HTML that opens on demand, or is open; the browser does it, not a script."""
    return (
        f"<details{' open' if unfolded else ''}><summary>{text(summary)}</summary>{html}</details>"
    )


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Return a legend.

    Args:
        entries: CSS of the patch, and what it stands for.
    """
    patches = "".join(
        f'<li><i style="{style}"></i>{text(meaning)}</li>' for style, meaning in entries
    )
    return f'<ul class="legend">{patches}</ul>'


def note(content: str) -> str:
    """Return a remark."""
    return f'<p class="note">{text(content)}</p>'
