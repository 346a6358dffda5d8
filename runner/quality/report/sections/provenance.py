"""Where everything on the page comes from: run, settings, versions, scale, whose readings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.core.aqi import AQICN_PM25
from runner.core.text import counted, harmless
from runner.quality.report.attribution import USUAL_SCALE, attribution, places, scale_in_words
from runner.quality.report.html import Markup, text
from runner.quality.report.run_files import RunFiles
from runner.quality.report.scale import SCALE_SOURCE
from runner.quality.report.sections.pieces import clipped, folded
from runner.quality.report.words import share

_LONGEST = 40_000
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*@")
_KNOTS = ", ".join(f"{index} at {ugm3:g}" for ugm3, index in AQICN_PM25.knots[1:])


def provenance(run: RunFiles) -> Markup:
    """Return the facts, the settings, and the terms."""
    document, window = run.document, run.document["window"]
    versions = ", ".join(
        f"{name} {version}" for name, version in sorted(document["versions"].items())
    )
    active = window["expected"] == "active"
    facts = [
        ("Command", f"<code>{text(document['config']['command'])}</code>"),
        ("Run", clipped(f"{document['run_id']} ({document['job']})")),
        ("Source, database", clipped(f"{document['source']}, {document['database']}")),
        ("Range, UTC", clipped(f"{window['start']} to {window['end']}, the end not included")),
        ("Expected hours", "from a station's first to its last reading" if active else
                           "every hour of the range, at every station"),
        *_scale(run),
        ("Versions", clipped(versions, 300)),
        ("Same question", f"fingerprint <code>{clipped(document['config']['fingerprint'])}</code>"),
        *_compared(document),
    ]  # fmt: skip
    listed = "".join(f"<div><dt>{name}</dt><dd>{html}</dd></div>" for name, html in facts)
    terms = f'<div class="terms">{attribution(document).html}{places(run).html}</div>'
    return Markup(f'<dl class="facts wide-facts">{listed}</dl>{_settings(run)}{terms}')


def _scale(run: RunFiles) -> list[tuple[str, str]]:
    words = scale_in_words(run)
    if words != USUAL_SCALE:  # more about it stands below, with the places
        return [("Scale", clipped(f"{words}. Not the daily AQI.", 600))]
    words = (
        f"{words}: the concentration of one hour is put through breakpoints made for 24 hours (AQI "
        f"{_KNOTS} µg/m³). Not the daily AQI. Whether AQICN took over the breakpoints of May 2024 "
        "is not known."
    )
    return [("Scale", clipped(words, 600)), ("Scale's source", clipped(SCALE_SOURCE, 600))]


def _compared(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    compare = document["compare"]
    if not compare:
        return [("Compared with", "no earlier run of the same stations and range")]
    differences = [
        f"run {compare['with']} ({compare.get('status')})",
        f"{counted(compare['common_days'], 'station-days')} in both",
        f"{counted(compare['lost_readings'], 'readings')} lost",
        f"{counted(compare['changed_days'], 'days')} with other values",
    ]
    if capture := (compare.get("counts") or {}).get("capture"):
        differences.append(f"capture was {share(capture)}")
    if compare["config_diff"]:
        differences.append(f"settings that differ: {', '.join(compare['config_diff'])}")
    return [("Compared with", clipped("; ".join(differences), 500))]


def _settings(run: RunFiles) -> str:
    """Return the composed settings of the run; they hold no secret, and addresses lose theirs."""
    content = _read(run.directory.parent / ".hydra" / "config.yaml")
    if not content:
        return ""
    clean = _CREDENTIALS.sub("***@", content[:_LONGEST])
    lines = "\n".join(text(harmless(line)) for line in clean.split("\n"))
    return folded("All settings of the run", f"<pre><code>{lines}</code></pre>")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
