"""Whose readings these are: the terms of use ask that every page says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.report.markup import Markup, paragraph

_OF = {
    "aqicn": (
        "Readings: World Air Quality Index project (aqicn.org, waqi.info) and the agencies that "
        "measured them. Not validated. They may not be passed on as cached or archived data."
    ),
    "airnow": (
        "Readings: U.S. Department of State and U.S. EPA AirNow (airnow.gov). Not fully verified "
        "or validated."
    ),
    "openaq": (
        "Readings: computed from hourly concentrations of OpenAQ (openaq.org) and of those who "
        "measured them, each under a licence of its own. As reported, not validated."
    ),
    "openaq_archive": (
        "Readings: computed from the OpenAQ archive (openaq.org) and those who measured, each "
        "under a licence of its own. As reported, not validated."
    ),
    "invented": "Synthetic readings of the sandbox: nothing was measured.",
    "sandbox": (
        "Readings: the sandbox, which invents them or plays files back; the record does not say "
        "which. Do not take them for measured."
    ),
}
_FLAWED = "Some were changed on purpose, see the top of the report."


def providers(document: Mapping[str, Any]) -> Sequence[str]:
    """Return whose the readings of a quality.json are; older ones name their source alone."""
    found: Sequence[str] = (document.get("origin") or {}).get("providers") or ()
    return found or [document["source"]]


def flaws(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the flaws that a sandbox put into the readings of a quality.json."""
    return (document.get("origin") or {}).get("flaws") or ()


def attribution(document: Mapping[str, Any]) -> Markup:
    """Return the lines for the foot of a page about the readings of a quality.json."""
    told = [_OF.get(name, f"Readings: {name}.") for name in providers(document)]
    if document["source"] == "sandbox" and "airnow" in providers(document):
        told.append("Served by the sandbox, from files.")
    if flaws(document):
        told.append(_FLAWED)
    return paragraph(" ".join(told), "note")
