"""What a check observed and where it warns and fails, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report.markup import text
from runner.report.sections.words import counted, share


def observed(check: Mapping[str, Any]) -> str:
    """Return what was observed, as HTML: `22 gaps (5.3 %)`, or a share where less is worse."""
    if check["status"] == "error":
        return "the check broke"
    if check["status"] == "skip":
        return "nothing to look at"
    if check["direction"] == "min":
        return text(share(check["observed"]))
    of_all = check["n_evaluated"] > 1 and check["n_failed"]
    beside = f' <span class="note">({share(check["share"])})</span>' if of_all else ""
    return text(counted(check["n_failed"], check["unit"])) + beside


def bound(check: Mapping[str, Any], name: str) -> str:
    """Return a threshold: `over 1 %`, `under 75 %`, `if any`; empty where it has none.

    Args:
        check: of quality.json.
        name: warn or fail.
    """
    limit = check[name]
    if limit is None:
        return ""
    side = "under" if check["direction"] == "min" else "over"
    value = f"{100 * limit['value']:g} %" if limit["is_share"] else f"{limit['value']:,}"
    if (side, value) in (("over", "0"), ("over", "0 %")):
        return "if any"
    return f"{side} {value}"


def before(check: Mapping[str, Any]) -> str:
    """Return how the previous run compares, as HTML; a dash without one."""
    old = check["previous"]
    if not old or old.get("observed") is None or check["observed"] is None:
        return f"was {text(old['status'])}" if old and old.get("status") else "—"
    now, then = check["observed"], old["observed"]
    low_is_bad = check["direction"] == "min"
    told = share(then) if low_is_bad else f"{then:,}"
    if now == then:
        return f'= same <span class="note">({text(told)})</span>'
    worse = now < then if low_is_bad else now > then
    word, kind = ("▲ worse", "worse") if worse else ("▼ better", "better")
    return f'<span class="{kind}">{word}</span> <span class="note">(was {text(told)})</span>'
