"""All settings of a run: the sections, one file each, and the rules between them.

Nothing secret has a setting: keys and the database address come from the environment or `.env`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from runner.config.backfill import Backfill
from runner.config.country import Country, Discovery
from runner.config.export import Export
from runner.config.job import Job, JobName, Limits, Output, Prune
from runner.config.mongo import Mongo
from runner.config.quality import Quality
from runner.config.rate_limit import RateLimit
from runner.config.report import Report
from runner.config.section import Section, setting
from runner.config.source import Source
from runner.config.stations import Stations
from runner.core.plan import Mode

_WITH_JSON = (JobName.status, JobName.plan, JobName.runs)


class LogLevel(Enum):
    """The least severe lines that are logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(Enum):
    """How lines on standard error look; spelt as typed."""

    console = "console"
    json = "json"


class Config(Section):
    """All settings of one run."""

    job: Job = setting(Job(), "what to do")
    stations: Stations = setting(Stations(), "for which stations")
    backfill: Backfill = setting(Backfill(), "for which hours, in what portions")
    rate_limit: RateLimit = setting(RateLimit(), "how fast requests may follow each other")
    source: Source = setting(Source(), "where readings come from")
    mongo: Mongo = setting(Mongo(), "where they go")
    quality: Quality = setting(Quality(), "checks of the readings")
    report: Report = setting(Report(), "page and notebooks about the run")
    limits: Limits = setting(Limits(), "how much may go wrong before somebody must look")
    export: Export = setting(Export(), "what `job=export` writes, and where")
    prune: Prune = setting(Prune(), "what `job=prune` removes")
    country: Country = setting(Country(), "what `job=stations` keeps to")
    discover: Discovery = setting(Discovery(), "how `job=stations` finds stations")
    worker: int | None = setting(
        None,
        "a number: this run is one of several equal ones that share the stations, see "
        '"Several runs at once"',
        ge=0,
        le=99_999,
        unit="any number that tells it apart",
    )
    dry_run: bool = setting(
        False,
        "fetch and validate; write nothing but the requests in the shared budget",
    )
    log_level: LogLevel = setting(LogLevel.INFO, "`DEBUG`, `INFO`, `WARNING` or `ERROR`")
    log_format: LogFormat | None = setting(
        None,
        "lines on standard error: `console`, or `json` for containers; empty: `LOG_FORMAT`, else "
        "`console`",
    )

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule between sections that is broken."""
        if self.job.output is Output.json and self.job.name not in _WITH_JSON:
            names = ", ".join(f"job={one.name}" for one in _WITH_JSON)
            yield f"output=json: job={self.job.name.name} has no JSON; {names} have"
        if self.job.output is Output.openmetrics and self.job.name is not JobName.status:
            yield f"output=openmetrics: job={self.job.name.name} has none; job=status has"
        again = self.backfill.mode is not Mode.RESUME or self.backfill.lookback_hours > 0
        if self.worker is not None and (again or self.dry_run):
            yield (
                f"worker={self.worker}: workers share hours that are not covered, each is asked "
                "for once; so no dry_run, backfill.mode=resume and backfill.lookback_hours=0 only"
            )
        if self.quality.run_dir is not None and self.job.name is not JobName.validate:
            yield "quality.run_dir: only job=validate judges what a run has kept"
