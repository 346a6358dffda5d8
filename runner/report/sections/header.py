"""What the page is about: run, range, clock, scale, and whether anything was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report.attribution import flaws, providers
from runner.report.markup import Markup, text
from runner.report.places import scale_in_words
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import clipped, names, where
from runner.report.sections.words import local

_SANDBOX = "_sandbox"
_MOST_FLAWS = 6
_KINDS = {
    "flat_line": "<b>a flat line</b> (an instrument that hangs)",
    "spike": "<b>a spike</b> (a value from nowhere)",
    "gap": "<b>a gap</b> (the source has nothing)",
    "dash": "<b>dashes</b> (records without a value)",
    "level": "<b>a level shift</b> (out of calibration)",
}


def is_sandbox(document: Mapping[str, Any]) -> bool:
    """Whether the readings come from the sandbox, or lie in its database."""
    return document["source"] == "sandbox" or str(document["database"]).endswith(_SANDBOX)


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
    return Markup(
        f'<dl class="facts">{listed}</dl>{_synthetic(run)}<p class="note">{text(zone)}</p>'
    )


def _synthetic(run: RunFiles) -> str:
    document = run.document
    if not is_sandbox(document):
        return ""
    whose = providers(document)
    named = any("synthetic" in (one["name"] or "") for one in document["stations"])
    if "invented" in whose or named:
        title = "SYNTHETIC DATA"
        said = "The readings on this page were invented by the sandbox. Nothing was measured."
    else:
        title = "SANDBOX DATA"
        said = "The readings on this page were served by the sandbox, not by the real API."
        if "airnow" in whose:
            said += " They are those of AirNow files, measured at their hours."
    return f'<div class="synthetic"><b>{title}</b> {said}{_flaws(run)}{_api(document)}</div>'


def _api(document: Mapping[str, Any]) -> str:
    if not (document.get("origin") or {}).get("api_fails_on_purpose"):
        return ""
    return (
        "<p>The API failed on purpose, too (<code>sandbox.faults</code>): requests were refused or "
        "broke off, and were tried again.</p>"
    )


def _flaws(run: RunFiles) -> str:
    """Return what the sandbox spoilt on purpose, so that nobody looks for its cause."""
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
        "<p>Faults were put into the readings on purpose (<code>sandbox.flaws</code>), and the "
        f"checks below should find them:</p><ul>{items}{more}</ul>"
    )
