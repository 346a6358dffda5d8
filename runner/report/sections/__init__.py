"""The sections of the quality report: each reads a run's files and returns a piece of HTML.

Nothing here decides anything; what is wrong with the data, quality.json says.
"""

from runner.report.run_files import open_run
from runner.report.sections.calendar import calendar
from runner.report.sections.categories import categories
from runner.report.sections.checks import checks
from runner.report.sections.coverage import coverage
from runner.report.sections.diurnal import diurnal
from runner.report.sections.gaps import gaps
from runner.report.sections.header import header
from runner.report.sections.ledger import ledger
from runner.report.sections.next_steps import next_steps
from runner.report.sections.provenance import provenance
from runner.report.sections.stations import stations
from runner.report.sections.verdict import verdict
from runner.report.style import style

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
