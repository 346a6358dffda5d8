"""The verdict in words, and six numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.text import counted, harmless
from runner.quality.report.attribution import flaws, notice, scale_in_words
from runner.quality.report.html import Markup, text
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections.checks import bound, observed, when
from runner.quality.report.sections.pieces import clipped, names, where
from runner.quality.report.words import BADGES, change, local, share

_MOST_FLAWS = 6
_KINDS = {
    "flat_line": "<b>a flat line</b> (an instrument that hangs)",
    "spike": "<b>a spike</b> (a value from nowhere)",
    "gap": "<b>a gap</b> (the source has nothing)",
    "dash": "<b>dashes</b> (records without a value)",
    "level": "<b>a level shift</b> (out of calibration)",
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
    listed = "".join(
        f"<div><dt>{text(name)}</dt><dd>{clipped(value, 120)}</dd></div>" for name, value in facts
    )
    zone = (
        f"All times are {run.zone} unless they say UTC, wherever this page is read. "
        f"Values are {scale_in_words(run)}; they are not validated."
    )
    return Markup(f'<dl class="facts">{listed}</dl>{_notice(run)}<p class="note">{text(zone)}</p>')


def _notice(run: RunFiles) -> str:
    given = notice(run.document)
    if given is None:
        return ""
    warning = f"<b>{text(given.title)}</b> {text(given.text)}"
    return f'<div class="synthetic">{warning}{_flaws(run)}{_api(run.document)}</div>'


def _api(document: Mapping[str, Any]) -> str:
    if not (document.get("origin") or {}).get("api_fails_on_purpose"):
        return ""
    return (
        f"<p>The API failed on purpose, too (<code>{text(document['source'])}.faults</code>): "
        "requests were refused or broke off, and were tried again.</p>"
    )


def _flaws(run: RunFiles) -> str:
    """Return what the source spoilt on purpose, so that nobody looks for its cause."""
    listed = flaws(run.document)
    if not listed:
        return ""
    known = names(run)
    items = "".join(
        f"<li>{_KINDS.get(one['kind'], text(one['kind']))} at "
        f"{where([one['station_idx']], known)}, "
        f"{local(one['start'], run.offset_h)} to {local(one['end'], run.offset_h)}</li>"
        for one in listed[:_MOST_FLAWS]
    )
    left = len(listed) - _MOST_FLAWS
    more = f"<li>and {left:,} more</li>" if left > 0 else ""
    return (
        "<p>Faults were put into the readings on purpose "
        f"(<code>{text(run.document['source'])}.flaws</code>), and the checks below should find "
        f"them:</p><ul>{items}{more}</ul>"
    )


def next_steps(run: RunFiles) -> Markup:
    """Return the actions of quality.json, in their order."""
    actions = run.document["actions"]
    if not actions:
        return Markup("<p>Nothing: no hour is open, and no record was refused.</p>")
    known = names(run)
    items = []
    for one in actions:
        stations = where(one["stations"], known)
        at = f' <span class="note">({stations})</span>' if stations else ""
        command = f"<pre><code>{text(one['command'])}</code></pre>" if one["command"] else ""
        said = harmless(one["text"])
        items.append(f"<li>{text(said[:1].upper() + said[1:])}.{at}{command}</li>")
    return Markup(f'<ol class="next">{"".join(items)}</ol>', counted(len(actions), "steps"))


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
    counts_shown = [
        f"of {counted(sum(checks.values()), 'checks')} {checks['fail']} fail",
        *([f"{checks['error']} broke"] if checks["error"] else []),
        f"{checks['warn']} warn",
        f"{checks['pass']} pass",
    ]
    skipped = f"; {checks['skip']} had nothing to look at" if checks["skip"] else ""
    return ", ".join(counts_shown) + skipped


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
    moment = when(item, run.offset_h)
    return f", <b>{moment}</b>" if moment else ""


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
