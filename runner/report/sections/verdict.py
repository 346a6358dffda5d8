"""The verdict in words, and six numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.amounts import bound, observed
from runner.report.sections.pieces import clipped, names, where
from runner.report.sections.when import when
from runner.report.sections.words import BADGES, change, counted, share

_MOST_CHECKS = 6
_SAYS = {
    "fail": "The data fail the checks",
    "warn": "Usable, with warnings",
    "pass": "All checks pass",
}


def verdict(run: RunFiles) -> Markup:
    """Return the card and the numbers."""
    document = run.document
    status = document["status"]
    one = BADGES.get(status, BADGES["fail"])
    html = (
        f'<div class="verdict {one.kind}"><div class="word"><i aria-hidden="true">{one.icon}</i>'
        f' {one.word.upper()}</div><div><p class="lead">{_SAYS.get(status, "")}: '
        f'{_counts(document)}.</p>{_reasons(run)}<p class="note">{_gate(document)}</p></div></div>'
    )
    return Markup(html + _six(document), f"{one.word}: {_counts(document)}")


def _counts(document: Mapping[str, Any]) -> str:
    checks = document["counts"]["checks"]
    told = [
        f"of {counted(sum(checks.values()), 'checks')} {checks['fail']} fail",
        *([f"{checks['error']} broke"] if checks["error"] else []),
        f"{checks['warn']} warn",
        f"{checks['pass']} pass",
    ]
    skipped = f"; {checks['skip']} had nothing to look at" if checks["skip"] else ""
    return ", ".join(told) + skipped


def _reasons(run: RunFiles) -> str:
    """Return the checks that are the reason for the verdict, in words."""
    wanted = ("fail", "error") if run.document["status"] == "fail" else ("warn",)
    bad = [item for item in run.document["checks"] if item["status"] in wanted]
    if not bad:
        return ""
    known = names(run)
    listed = "".join(
        f"<li><b>{text(item['id'])}</b> {text(item['title'])}: <b>{observed(item)}</b>"
        f"{_bound(item)}{_where(item, known)}{_when(run, item)}</li>"
        for item in bad[:_MOST_CHECKS]
    )
    more = len(bad) - _MOST_CHECKS
    return f"<ul>{listed}{f'<li>and {more} more, see below</li>' if more > 0 else ''}</ul>"


def _bound(item: Mapping[str, Any]) -> str:
    name = "fail" if item["status"] == "fail" else "warn"
    limit = bound(item, name)
    return f' <span class="note">({name}s {text(limit)})</span>' if limit else ""


def _where(item: Mapping[str, Any], known: Mapping[int, str]) -> str:
    return f" — {where(item['stations'], known)}" if item["stations"] else ""


def _when(run: RunFiles, item: Mapping[str, Any]) -> str:
    told = when(item, run.offset_h)
    return f", <b>{told}</b>" if told else ""


def _gate(document: Mapping[str, Any]) -> str:
    rule = clipped(document["fail_on"])
    if document["exit_code"]:
        return f"The quality gate (quality.fail_on={rule}) turns this into exit code 3."
    return f"The quality gate (quality.fail_on={rule}) lets this pass."


def _six(document: Mapping[str, Any]) -> str:
    counts = document["counts"]
    before = (document["compare"] or {}).get("counts") or {}
    gaps = document["gaps"]["ge_24h"]
    gaps_before = ((document["compare"] or {}).get("gaps") or {}).get("ge_24h")
    good, stations = counts.get("stations_ge_75"), counts["stations"]
    flagged = counts.get("flagged")
    cards = (
        (f"{counts['readings']:,}", "readings",
         change(counts["readings"], before.get("readings"))),
        (f"{stations:,}", "stations" if stations != 1 else "station",
         change(stations, before.get("stations"))),
        (share(counts["capture"]), f"captured of {counts['expected_hours']:,} station-hours",
         change(counts["capture"], before.get("capture"), points=True)),
        ("—" if good is None else f"{good:,} of {stations:,}", "stations with 75 % or more",
         change(good, before.get("stations_ge_75"))),
        (f"{gaps:,}", "gaps of 24 h or more", change(gaps, gaps_before)),
        ("—" if flagged is None else f"{flagged:,}", "flagged rows: readings a check doubts",
         change(flagged, before.get("flagged"))),
    )  # fmt: skip
    return "".join(
        (
            '<ul class="six">',
            *(
                f"<li><b>{text(number)}</b><span>{text(label)}</span>"
                + (f"<small>{text(delta)}</small>" if delta else "")
                + "</li>"
                for number, label, delta in cards
            ),
            "</ul>",
        )
    )
