"""summary.md: the verdict in at most 20 lines, to be pasted into a chat or a mail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner.core.causes import cause_words
from runner.core.text import counted, harmless
from runner.core.verdict import blamed_words
from runner.quality.report.words import share

MOST_LINES = 20
_MOST_CHECKS = 7
_MOST_NEXT = 2
_MOST_NAMES = 3
_ORDER = ("fail", "error", "warn")


def digest(document: Mapping[str, Any]) -> str:
    """Return the text.

    Args:
        document: quality.json.
    """
    counts, gaps, window = document["counts"], document["gaps"], document["window"]
    checks = ", ".join(
        f"{counts['checks'][name]} {name.replace('_', ' ')}"
        for name in (*_ORDER, "pass", "not_evaluated")
    )
    missing = cause_words(gaps["hours_missing"])
    lines = [
        f"# Quality: {document['status'].upper()}",
        "",
        f"Run {plain(document['run_id'])}, {window['start']} to {window['end']} (UTC).",
        f"Database {plain(document['database'])}, source {document['source']}. Checks: {checks}.",
        "",
        f"- {counted(counts['readings'], 'readings')} of {counted(counts['stations'], 'stations')}",
        f"- capture: {share(counts['capture'])} of {counts['expected_hours']:,} station-hours",
        f"- missing: {missing or 'nothing'}; gaps of a day or more: {gaps['ge_24h']:,}",
    ]
    names = {one["station_idx"]: one["name"] or "" for one in document["stations"]}
    bad = [one for name in _ORDER for one in document["checks"] if one["status"] == name]
    lines += [_check(one, names) for one in bad[:_MOST_CHECKS]]
    if len(bad) > _MOST_CHECKS:
        lines.append(f"- and {counted(len(bad) - _MOST_CHECKS, 'more checks')}")
    commands = [one for one in document["actions"] if one["command"]]
    lines += [
        f"- next: {plain(one['text'])}: `{one['command'].replace('`', '')}`"
        for one in commands[:_MOST_NEXT]
    ]
    return "\n".join(lines[:MOST_LINES]) + "\n"


def _check(one: Mapping[str, Any], names: Mapping[int, str]) -> str:
    where = [f"{idx} {plain(names.get(idx, ''))}".strip() for idx in one["stations"]]
    shown = ", ".join(where[:_MOST_NAMES])
    if len(where) > _MOST_NAMES:
        shown += f" and {len(where) - _MOST_NAMES} more"
    amount = counted(one["n_failed"], one["unit"])
    if one["direction"] == "min" and one["observed"] is not None:
        amount = share(one["observed"])
    if one["status"] == "error":
        amount = "the check broke"
    line = f"- **{one['status']}** {one['id']} {plain(one['title'])}: {amount}"
    blamed = blamed_words(one["n_stations"])
    return f"{line} ({f'{blamed}: ' * bool(blamed)}{shown})" if shown else line


def plain(text: str) -> str:
    """Return text from outside as Markdown that shows it and nothing else."""
    escaped = harmless(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|#~])", r"\\\1", escaped)
