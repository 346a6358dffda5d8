"""Where everything on the page comes from: run, settings, versions, scale, whose readings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner.core.aqi import AQICN_PM25
from runner.core.text import counted, shortened
from runner.quality.report.attribution import (
    SCALE_SOURCE,
    USUAL_SCALE,
    attribution,
    places,
    scale_in_words,
)
from runner.quality.report.html import Markup, show
from runner.quality.report.run_files import RunFiles
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
        ("Run", f"{document['run_id']} ({document['job']})"),
        ("Source, database", f"{document['source']}, {document['database']}"),
        *_brought(document),
        ("Range, UTC", f"{window['start']} to {window['end']}, the end not included"),
        ("Expected hours", "from a station's first to its last reading" if active else
                           "every hour of the range, at every station"),
        *_scale(run),
        ("Versions", versions),
        ("Compared with", _compared(document)),
    ]  # fmt: skip
    return show(
        "provenance",
        config=document["config"],
        facts=[(name, shortened(value, 600)) for name, value in facts],
        settings=_settings(run),
        attribution=attribution(document),
        places=places(run),
    )


def _brought(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return which sources the stored readings came from, and for which hours each was asked."""
    of_source: dict[str, list[Mapping[str, Any]]] = {}
    for one in (document.get("origin") or {}).get("stations") or ():
        of_source.setdefault(one["source"], []).append(one)
    said = [
        f"{source}: {counted(len(found), 'stations')}, asked for "
        f"{min(one['start'] for one in found)} to {max(one['end'] for one in found)}"
        for source, found in of_source.items()
    ]
    return [("Stored by", "; ".join(said))] if said else []


def _scale(run: RunFiles) -> list[tuple[str, str]]:
    words = scale_in_words(run)
    if words != USUAL_SCALE:  # more about it stands below, with the places
        return [("Scale", f"{words}. Not the daily AQI.")]
    words = (
        f"{words}: the concentration of one hour is put through breakpoints made for 24 hours (AQI "
        f"{_KNOTS} µg/m³). Not the daily AQI. Whether AQICN took over the breakpoints of May 2024 "
        "is not known."
    )
    return [("Scale", words), ("Scale's source", SCALE_SOURCE)]


def _compared(document: Mapping[str, Any]) -> str:
    compare = document["compare"]
    if not compare:
        return "no earlier run of the same stations and range"
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
    return "; ".join(differences)


def _settings(run: RunFiles) -> str:
    """Return the composed settings of the run; they hold no secret, and addresses lose theirs."""
    path = run.directory.parent / ".hydra" / "config.yaml"
    try:
        content = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return _CREDENTIALS.sub("***@", content[:_LONGEST])
