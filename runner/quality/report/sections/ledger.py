"""The account of the run: every window, record and hour, in sums that add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.core.causes import CAUSE_WORDS
from runner.quality.report.html import Markup, show
from runner.quality.report.run_files import RunFiles


def ledger(run: RunFiles) -> Markup:
    """Return three sums side by side: windows asked, records received, hours of the range."""
    account = run.document["ledger"]
    sums = [*(_of_run(account) if account else ()), _hours(run.document)]
    return show("ledger", sums=sums, account=account)


def _of_run(account: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    windows, readings = account["windows"], account["readings"]
    empty = windows.get("empty", 0)
    yield _sum(
        "Windows planned",
        windows.get("planned", 0),
        "in all",
        [
            (windows.get("ok", 0) - empty, "answered with readings"),
            (empty, "answered without a reading"),
            (windows.get("not_asked", 0), "not asked for"),
            (windows.get("failed", 0), "failed"),
            (windows.get("not_attempted", 0), "not attempted"),
        ],
    )
    yield _sum(
        "Records received",
        readings.get("fetched", 0),
        "fetched",
        [
            (readings.get("inserted", 0), "inserted"),
            (readings.get("updated", 0), "updated"),
            (readings.get("unchanged", 0), "unchanged"),
            (readings.get("kept", 0), "kept as they were"),
            (readings.get("rejected", 0), "rejected"),
            (-readings.get("partial", 0), "of these stored without the bad value"),
            (readings.get("repeated", 0), "said the same twice"),
        ],
    )


def _hours(document: Mapping[str, Any]) -> dict[str, Any]:
    missing = document["gaps"]["hours_missing"]
    return _sum(
        "Station-hours of the range",
        document["counts"]["expected_hours"],
        "expected",
        [
            (document["counts"]["readings"], "have a reading"),
            *((missing.get(cause, 0), words) for cause, words in CAUSE_WORDS.items()),
        ],
    )


def _sum(title: str, total: int, word: str, parts: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return a sum, and by how much it is off; parts that are zero are left out after the first."""
    off = total - sum(number for number, _name in parts)
    shown = [part for at, part in enumerate(parts) if part[0] or at == 0]
    return {"title": title, "total": total, "word": word, "parts": shown, "off": off}
