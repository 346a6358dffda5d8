"""The sections of the quality report: each reads a run's files and returns a piece of HTML.

Nothing here decides anything; what is wrong with the data, quality.json says.
"""

from runner.quality.report.html import style
from runner.quality.report.run_files import open_run
from runner.quality.report.sections.air import calendar, categories, diurnal
from runner.quality.report.sections.checks import checks
from runner.quality.report.sections.coverage import coverage, gaps, stations
from runner.quality.report.sections.overview import header, ledger, next_steps, verdict
from runner.quality.report.sections.provenance import provenance

__all__ = [
    "calendar",
    "categories",
    "checks",
    "coverage",
    "diurnal",
    "gaps",
    "header",
    "ledger",
    "next_steps",
    "open_run",
    "provenance",
    "stations",
    "style",
    "verdict",
]
