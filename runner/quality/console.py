"""The summary of the checks for a person: at most 25 lines, plain text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.core.causes import cause_words
from runner.core.text import counted, shortened
from runner.core.verdict import blamed_words

MOST_LINES = 25
_MOST_CHECKS = 14
_MOST_NAMES = 3
_MOST_FLAWS = 3
_TITLE, _AMOUNT = 52, 26
_LONGEST_NAME, _LONGEST_LINE = 40, 160
_ORDER = ("fail", "error", "warn")


def summary_lines(document: Mapping[str, Any], directory: Path) -> list[str]:
    """Return the lines to print.

    Args:
        document: quality.json.
        directory: where it is.
    """
    counts = document["counts"]["checks"]
    counts_text = "  ".join(
        f"{counts[name]} {name.replace('_', ' ')}"
        for name in (*_ORDER, "pass", "not_evaluated")
        if counts[name]
    )
    lines = [f"Quality: {document['status'].upper()}   {counts_text}{_before(document)}"]
    lines += _flaws(document)
    bad = [item for name in _ORDER for item in document["checks"] if item["status"] == name]
    names = {item["station_idx"]: _name(item) for item in document["stations"]}
    lines += [_check_line(item, names) for item in bad[:_MOST_CHECKS]]
    if len(bad) > _MOST_CHECKS:
        lines.append(f"  ... {len(bad) - _MOST_CHECKS} more, see quality.json")
    lines += _accepted(document)
    lines += [_coverage(document), *_next(document)]
    lines.append(f"Details: {directory / 'quality.json'}   gaps: {directory / 'gaps.csv'}")
    return lines[: MOST_LINES - 1] + lines[-1:] if len(lines) > MOST_LINES else lines


def _flaws(document: Mapping[str, Any]) -> list[str]:
    """Return a line if the source spoilt the readings on purpose."""
    flaws = document["origin"].get("flaws")
    if not flaws:
        return []
    named = [f"{one['kind'].replace('_', ' ')} at {one['station_idx']}" for one in flaws]
    more = f" and {len(named) - _MOST_FLAWS} more" if len(named) > _MOST_FLAWS else ""
    setting = f"{document['source']}.flaws"
    return [f"  These faults are deliberate ({setting}): {', '.join(named[:_MOST_FLAWS])}{more}"]


def _before(document: Mapping[str, Any]) -> str:
    compare = document["compare"]
    if not compare or not compare.get("counts"):
        return ""
    counts = compare["counts"]["checks"]
    return f"   (previous: {counts.get('fail', 0)} fail  {counts.get('warn', 0)} warn)"


def _name(station: Mapping[str, Any]) -> str:
    return shortened(f"{station['station_idx']} {station['name'] or ''}".strip(), _LONGEST_NAME)


def _check_line(item: Mapping[str, Any], names: Mapping[int, str]) -> str:
    where = [names.get(idx, str(idx)) for idx in item["stations"]]
    blamed = blamed_words(item["n_stations"])
    shown = f"{blamed}: " * bool(blamed) + ", ".join(where[:_MOST_NAMES])
    if len(where) > _MOST_NAMES:
        shown += f" and {len(where) - _MOST_NAMES} more"
    if item["status"] == "error":
        line = f"  ERROR {item['id']} {item['title']}: the check broke: {item['message']}"
        return shortened(line, _LONGEST_LINE)
    amount = f"{counted(item['n_failed'], item['unit'])}{_share(item)}"
    if item["direction"] == "min":
        amount = f"{100 * item['observed']:.1f} %{_at_worst(item)}"
    title = shortened(item["title"], _TITLE)
    line = f"  {item['status'].upper()}  {item['id']} {title:<{_TITLE}} {amount}"
    return f"{line:<{_TITLE + _AMOUNT + 12}}  {shown}".rstrip()


def _share(item: Mapping[str, Any]) -> str:
    """Return the worst station's share beside a count, unless it would read as zero."""
    worst = item["worst"] or {"share": item["share"], "n_evaluated": item["n_evaluated"]}
    share = 100 * (worst["share"] or 0)
    if share < 0.05 or worst["n_evaluated"] <= 1:  # noqa: PLR2004 - reads as 0.0
        return ""
    return f" ({share:.1f} %{_at_worst(item)})"


def _at_worst(item: Mapping[str, Any]) -> str:
    """Return what a share is of: a month, the worst of several stations, or all there is."""
    month = (item["worst"] or {}).get("month")
    return f" of {month}" if month else " at worst" * bool(blamed_words(item["n_stations"]))


def _accepted(document: Mapping[str, Any]) -> list[str]:
    live = [
        (item["id"], one)
        for item in document["checks"]
        for one in item["accepted"]
        if one["n_failed"]
    ]
    return [
        shortened(
            f"  {'expired' if one['expired'] else 'accepted'} {id_} "
            f"{one['station_idx'] or 'all stations'} until {one['until']}: {one['reason']}",
            _LONGEST_LINE,
        )
        for id_, one in live[:3]
    ]


def _coverage(document: Mapping[str, Any]) -> str:
    counts, gaps = document["counts"], document["gaps"]
    capture = counts["capture"]
    share = "none expected" if capture is None else f"{100 * capture:.1f} %"
    missing = cause_words(gaps["hours_missing"])
    text = (
        f"Capture {share}   {counts['readings']:,} of {counts['expected_hours']:,} station-hours   "
        f"gaps >= 24 h: {gaps['ge_24h']:,}"
    )
    return text + (f"   missing: {missing}" if missing else "")


def _next(document: Mapping[str, Any]) -> list[str]:
    commands = [item for item in document["actions"] if item["command"]]
    return [f"Next: {item['text']}: {item['command']}" for item in commands[:2]]
