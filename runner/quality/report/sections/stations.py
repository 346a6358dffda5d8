"""All stations with their numbers."""

from __future__ import annotations

from runner.core.text import counted
from runner.quality.report.html import Markup, show
from runner.quality.report.run_files import RunFiles


def stations(run: RunFiles) -> Markup:
    """Return the table, the stations that look worst first."""
    placed = any(one["latitude"] is not None for one in run.stations)
    return show("stations", counted(len(run.stations), "stations"), run=run, placed=placed)
