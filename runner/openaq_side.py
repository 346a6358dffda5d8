"""The sandbox's side of OpenAQ: the same hours as its AQICN side, as concentrations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.job import Job
from runner.sandbox.climatology import Climatology
from runner.sandbox.openaq import Hours, OpenAqAnswers, concentrations_of


def openaq_side(job: Job, names: Mapping[int, str]) -> OpenAqAnswers:
    """Return what the sandbox answers under `/v3/`; files are read when somebody asks there.

    Args:
        job: for its settings.
        names: station index to name.
    """
    settings = job.config.sandbox
    hours = (
        _measured(settings.replay, job.config.source.sites)
        if settings.replay
        else concentrations_of(Climatology(settings.seed))
    )
    return OpenAqAnswers(
        job.config.source.openaq.locations,
        names,
        hours,
        lambda: datetime.now(UTC),
        synthetic=not settings.replay,
    )


def _measured(directory: str, sites: Mapping[str, Any]) -> Hours:
    from runner.sources.airnow import AirNowSource  # noqa: PLC0415 - brings polars

    files = AirNowSource(Path(directory), sites)
    return lambda station_idx, window: {"pm25": files.measured(station_idx, window)}
