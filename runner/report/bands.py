"""The bands of the index and the causes of missing hours: names and colours."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """One band of the US index; VN_AQI (decision 1459/QD-TCMT) has the same limits and colours.

    Attributes:
        label: as in agg/category.parquet.
        name: in words.
        colour: the official one.
        highest: the highest index in it.
    """

    label: str
    name: str
    colour: str
    highest: float


BANDS = (
    Band("0-50", "good", "#00e400", 50),
    Band("51-100", "moderate", "#ffff00", 100),
    Band("101-150", "unhealthy for sensitive groups", "#ff7e00", 150),
    Band("151-200", "unhealthy", "#ff0000", 200),
    Band("201-300", "very unhealthy", "#8f3f97", 300),
    Band("301+", "hazardous", "#7e0023", math.inf),
)

CAUSE_COLOURS = {
    "not_asked": "#101010",
    "empty": "#c9ced6",
    "rejected": "#6b7f99",
    "lost": "#00a5c8",
    "kept": "#8a5a2b",
    "unknown": "#e78ac3",
}
"""Causes of missing hours, see `runner.quality`; none is a colour of a band."""

OUTSIDE = "#ffffff"
"""Hours outside the range."""
