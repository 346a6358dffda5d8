"""Whose readings these are: the terms of use ask that every page says so."""

from __future__ import annotations

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
    "sandbox": "Synthetic readings of the sandbox: nothing was measured.",
}


def attribution(source: str) -> Markup:
    """Return the line for the foot of a page about readings of a source."""
    return paragraph(_OF.get(source, f"Readings: {source}."), "note")
