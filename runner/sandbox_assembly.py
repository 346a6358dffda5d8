"""A sandbox for the stations of a job. A part of `runner.assembly`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runner.core.intervals import Interval
from runner.core.stations import Station
from runner.job import Job
from runner.openaq_side import openaq_side
from runner.sandbox.climatology import Climatology
from runner.sandbox.faults import Faults
from runner.sandbox.flaws import Flawed
from runner.sandbox.server import Sandbox
from runner.sandbox.values import Replay, Values


def sandbox_server(job: Job, names: Mapping[int, str]) -> Sandbox:
    """Return a sandbox for some stations; it serves inside a with block."""
    settings = job.config.sandbox
    values: Values = Climatology(settings.seed, missing_rate=settings.missing_share)
    if settings.replay:
        values = Replay(_replayed(settings.replay, job))
    return Sandbox(
        names,
        Flawed(values, job.flaws),
        Faults(**asdict(settings.faults), seed=settings.seed),
        port=settings.port,
        openaq=openaq_side(job, names),
    )


def _replayed(directory: str, job: Job) -> Callable[[int, Interval], list[dict[str, Any]]]:
    """Return how to look up the records of AirNow files by station and window."""
    from runner.sources.airnow import AirNowSource  # noqa: PLC0415 - brings polars

    files = AirNowSource(Path(directory), job.config.source.sites)

    def records(station_idx: int, window: Interval) -> list[dict[str, Any]]:
        return files.fetch(Station(station_idx), window).records

    return records
