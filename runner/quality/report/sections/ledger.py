"""The account of the run: every window, record and hour, in sums that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.quality.report.html import Markup, text
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections.pieces import note
from runner.quality.report.words import CAUSES

_ONLY_HOURS = (
    "No recorded run is known to have been asked for all of these stations and hours: "
    "only the hours are accounted."
)


def ledger(run: RunFiles) -> Markup:
    """Return three sums side by side: windows asked, records received, hours of the range."""
    account = run.document["ledger"]
    cards = [*_of_run(account)] if account else []
    cards.append(_hours(run.document))
    missing = "" if account else note(_ONLY_HOURS)
    return Markup(f'<div class="sums">{"".join(cards)}</div>{missing}{_requests(account)}')


def _of_run(account: Mapping[str, Any]) -> list[str]:
    windows, readings = account["windows"], account["readings"]
    answered = windows.get("ok", 0)
    empty = windows.get("empty", 0)
    return [
        _sum(
            "Windows planned",
            windows.get("planned", 0),
            "in all",
            [
                (answered - empty, "answered with readings"),
                (empty, "answered without a reading"),
                (windows.get("not_asked", 0), "not asked for"),
                (windows.get("failed", 0), "failed"),
                (windows.get("not_attempted", 0), "not attempted"),
            ],
        ),
        _sum(
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
        ),
    ]


def _hours(document: Mapping[str, Any]) -> str:
    missing = document["gaps"]["hours_missing"]
    return _sum(
        "Station-hours of the range",
        document["counts"]["expected_hours"],
        "expected",
        [
            (document["counts"]["readings"], "have a reading"),
            *((missing.get(cause, 0), words) for cause, words in CAUSES.items()),
        ],
    )


def _sum(title: str, total: int, word: str, parts: Sequence[tuple[int, str]]) -> str:
    """Return a sum; parts that are zero and rare are left out after the first."""
    shown = [part for at, part in enumerate(parts) if part[0] or at == 0]
    rows = "".join(f"<tr><td>{number:,}</td><th>{text(name)}</th></tr>" for number, name in shown)
    off = total - sum(number for number, _name in parts)
    check = (
        '<span class="better">✓ adds up</span>'
        if not off
        else f'<span class="worse">✗ {abs(off):,} {"unexplained" if off > 0 else "too many"}</span>'
    )
    return (
        f"<div><h3>{text(title)}</h3><table><tbody>{rows}</tbody>"
        f"<tfoot><tr><td>{total:,}</td><th>{text(word)} {check}</th></tr></tfoot></table></div>"
    )


def _requests(account: Mapping[str, Any] | None) -> str:
    if not account or not account["requests"]:
        return ""
    return note(
        f"Requests: {account['requests']:,}. Of these came to nothing and were tried again: "
        f"{account['retries']:,}; were refused for asking too often: {account['rate_limited']:,}."
    )
