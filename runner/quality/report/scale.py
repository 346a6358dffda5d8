"""The scale by which indices are turned back into concentrations: its breakpoints and sources."""

from __future__ import annotations

from itertools import pairwise

from runner.core.aqi import AQICN_PM25
from runner.quality.report.html import Markup, paragraph, table

SCALE_SOURCE = (
    "Breakpoints: US EPA for 24-hour means of PM2.5 (40 CFR 58, appendix G, as from 2012 until "
    "May 2024), as AQICN documents them (aqicn.org/faq/2013-09-09) and applies them to single "
    "hours (aqicn.org/faq/2015-03-15), without the steps of 0.1 between EPA's bands. Checked "
    "against concentrations that AirNow published for station 8767 in 2021: 112 of 113 hours."
)
"""Who made the scale, where it is written down, and how it was checked."""


def breakpoints() -> Markup:
    """Return the scale's table, an interval a row, and where it is from."""
    knots = AQICN_PM25.knots
    rows = [
        (f"{low} to {high}", f"{from_ugm3:g} to {to_ugm3:g}")
        for (from_ugm3, low), (to_ugm3, high) in pairwise(knots)
    ]
    beyond = f"Above {knots[-1][1]} the last line goes on."
    return table((f"index ({AQICN_PM25.name})", "PM2.5, µg/m³"), rows) + paragraph(
        f"In between the scale is a straight line. {beyond} {SCALE_SOURCE}"
    )
