"""A sandbox for the stations of a job. A part of `runner.jobs.opening`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.core.intervals import Interval
from runner.core.stations import Station
from runner.process.job import Job
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.faults import Faults
from runner.sources.sandbox.flaws import Flawed
from runner.sources.sandbox.openaq import Hours, OpenAqAnswers, concentrations_of
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.values import Replay, Values


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
    from runner.sources.airnow.source import AirNowSource  # noqa: PLC0415 - brings polars

    files = AirNowSource(Path(directory), sites)
    return lambda station_idx, window: {"pm25": files.measured(station_idx, window)}


def sandbox_server(job: Job, names: Mapping[int, str]) -> Sandbox:
    """Return a sandbox for some stations; it serves inside a with block."""
    settings = job.config.sandbox
    values: Values = Climatology(settings.seed, missing_rate=settings.missing_share)
    if settings.replay:
        values = Replay(_replayed(settings.replay, job))
    return Sandbox(
        names,
        Flawed(values, job.flaws),
        Faults(**settings.faults.model_dump(), seed=settings.seed),
        port=settings.port,
        openaq=openaq_side(job, names),
    )


def _replayed(directory: str, job: Job) -> Callable[[int, Interval], list[dict[str, Any]]]:
    """Return how to look up the records of AirNow files by station and window."""
    from runner.sources.airnow.source import AirNowSource  # noqa: PLC0415 - brings polars

    files = AirNowSource(Path(directory), job.config.source.sites)

    def records(station_idx: int, window: Interval) -> list[dict[str, Any]]:
        return files.fetch(Station(station_idx), window).records

    return records
