"""The verdict in words, six numbers, what to do next, and the account of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.core.causes import CAUSE_WORDS
from runner.core.text import counted
from runner.core.verdict import blamed_words
from runner.quality.report.attribution import flaws, notice, scale_in_words
from runner.quality.report.html import Markup, show
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections.checks import bound, observed, when
from runner.quality.report.words import BADGES, change, local, share

_MOST_CHECKS = 6
_KINDS = {
    "flat_line": ("a flat line", " (an instrument that hangs)"),
    "spike": ("a spike", " (a value from nowhere)"),
    "gap": ("a gap", " (the source has nothing)"),
    "dash": ("dashes", " (records without a value)"),
    "level": ("a level shift", " (out of calibration)"),
}
_SAYS = {
    "fail": "The data fail the checks",
    "warn": "Usable, with warnings",
    "pass": "All checks pass",
}


def header(run: RunFiles) -> Markup:
    """Return the lines at the top."""
    document, window = run.document, run.document["window"]
    start, end = (local(window[side], run.offset_h) for side in ("start", "end"))
    compare = document["compare"]
    facts = [
        ("Range", f"{start} to {end} {run.zone}"),
        ("Source", f"{document['source']}, into {document['database']}"),
        ("Run", document["run_id"]),
        ("Checked", f"{local(document['generated_at'], run.offset_h)} {run.zone}"),
        *([("Compared with", compare["with"])] if compare else []),
    ]
    return show(
        "header",
        run=run,
        document=document,
        facts=facts,
        notice=notice(document),
        flaws=flaws(document),
        kinds=_KINDS,
        scale=scale_in_words(run),
    )


def next_steps(run: RunFiles) -> Markup:
    """Return the actions of quality.json, in their order."""
    actions = run.document["actions"]
    return show("next", counted(len(actions), "steps"), actions=actions, names=run.names)


def verdict(run: RunFiles) -> Markup:
    """Return the card and the numbers."""
    document = run.document
    status = document["status"]
    badge, counts = BADGES.get(status, BADGES["fail"]), _counts(document)
    return show(
        "verdict",
        f"{badge.word}: {counts}",
        document=document,
        badge=badge,
        lead=_SAYS.get(status, ""),
        counts=counts,
        reasons=_reasons(run),
        most=_MOST_CHECKS,
        names=run.names,
        six=_six(document),
    )


def _counts(document: Mapping[str, Any]) -> str:
    checks = document["counts"]["checks"]
    counts_shown = [
        f"of {counted(sum(checks.values()), 'checks')} {checks['fail']} fail",
        *([f"{checks['error']} broke"] if checks["error"] else []),
        f"{checks['warn']} warn",
        f"{checks['pass']} pass",
    ]
    idle = checks["not_evaluated"]
    return ", ".join(counts_shown) + (f"; {idle} not evaluated" if idle else "")


def _reasons(run: RunFiles) -> list[dict[str, Any]]:
    """Return the checks that are the reason for the verdict."""
    wanted = ("fail", "error") if run.document["status"] == "fail" else ("warn",)
    bad = [item for item in run.document["checks"] if item["status"] in wanted]
    return [
        {
            **item,
            "found": observed(item),
            "blamed": blamed_words(item["n_stations"]),
            "word": (word := "fail" if item["status"] == "fail" else "warn"),
            "bound": bound(item, word),
            "when": when(item, run.offset_h, run.names),
        }
        for item in bad
    ]


def _six(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the numbers, what they count, and how they changed."""
    counts = document["counts"]
    before = (document["compare"] or {}).get("counts") or {}
    gaps = document["gaps"]["ge_24h"]
    gaps_before = ((document["compare"] or {}).get("gaps") or {}).get("ge_24h")
    good, stations = counts.get("stations_ge_75"), counts["stations"]
    flagged = counts.get("flagged")
    return [
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
    ]  # fmt: skip


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
