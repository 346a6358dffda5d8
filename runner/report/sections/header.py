"""What the page is about: run, range, clock, scale, and whether anything was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import clipped
from runner.report.sections.words import local

SCALE = "hourly AQI (AQICN InstantCast), US EPA 2012 PM2.5 breakpoints"
_SANDBOX = "_sandbox"


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
        f"Values are {SCALE}; they are not validated."
    )
    return Markup(
        f'<dl class="facts">{listed}</dl>{_synthetic(document)}<p class="note">{text(zone)}</p>'
    )


def _synthetic(document: Mapping[str, Any]) -> str:
    if not is_sandbox(document):
        return ""
    invented = any("synthetic" in (one["name"] or "") for one in document["stations"])
    title = "SYNTHETIC DATA" if invented else "SANDBOX DATA"
    said = (
        "The readings on this page were invented by the sandbox. Nothing was measured."
        if invented
        else "The readings on this page were served by the sandbox, not by the real API."
    )
    return f'<p class="synthetic"><b>{title}</b> {said}</p>'
