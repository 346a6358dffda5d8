"""Open a sandbox for a job: as its source, to find stations, or to be used from other programs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.core.intervals import Interval, iso
from runner.core.stations import Station
from runner.process.job import PROGRAM, Job
from runner.process.secrets import Secret
from runner.sources.airnow.settings import Sites
from runner.sources.aqicn.answers import AqicnClientError
from runner.sources.aqicn.history import AqicnSource, history_source
from runner.sources.aqicn.stations import AqicnStations
from runner.sources.http import HttpClient
from runner.sources.openaq.settings import OpenAq
from runner.sources.provider import Access, Origin
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.flaws import Flawed
from runner.sources.sandbox.openaq import Hours, OpenAqAnswers, concentrations_of
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Sandbox as Settings
from runner.sources.sandbox.values import Replay, Values

_KEY = Secret("sandbox-needs-no-key")


@contextmanager
def open_history(access: Access) -> Iterator[AqicnSource]:
    """Open the history of a sandbox of the job's own until the block ends."""
    with _client(access) as client:
        yield history_source(access, client, _KEY)


@contextmanager
def open_stations(access: Access) -> Iterator[AqicnStations]:
    """Open the stations of a sandbox of the job's own until the block ends."""
    with _client(access) as client:
        yield AqicnStations(client, _KEY)


@contextmanager
def _client(access: Access) -> Iterator[HttpClient]:
    with (
        sandbox_server(access.job, access.names) as server,
        closing(access.client(AqicnClientError, base_url=server.url)) as client,
    ):
        yield client


@contextmanager
def served(job: Job, names: Mapping[int, str]) -> Iterator[str]:
    """Serve the API of some stations until the block ends; give how to use it."""
    with sandbox_server(job, names) as server:
        yield (
            f"Sandbox API at {server.url} (counts: {server.url}/_stats). "
            "Use it from another shell:\n"
            f"  AQICN_API_KEY=any-text {shlex.join(PROGRAM)} source.base_url={server.url} "
            "mongo.database=air_quality_db_sandbox\n"
            "It speaks OpenAQ's API, too: OPENAQ_API_KEY=any-text, and source=openaq besides."
        )


def origin(job: Job, stations: Iterable[int]) -> Origin:
    """Return whose the readings of some stations are, and what is wrong with them on purpose."""
    sandbox, chosen = job.config.section("sandbox", Settings), frozenset(stations)
    flaws = [
        {
            "station_idx": flaw.station,
            "kind": str(flaw.kind),
            "start": iso(when.start),
            "end": iso(when.end),
        }
        for flaw in sandbox.flaws
        if flaw.station in chosen
        for when in flaw.within(job.wanted)
    ]
    faults = sandbox.faults.model_dump()
    faulty = any(rate for name, rate in faults.items() if name.startswith("rate_"))
    return Origin(["airnow" if sandbox.replay else "invented"], flaws, faulty)


def openaq_side(job: Job, names: Mapping[int, str]) -> OpenAqAnswers:
    """Return what the sandbox answers under `/v3/`; files are read when somebody asks there.

    Args:
        job: for its settings.
        names: station index to name.
    """
    settings = job.config.section("sandbox", Settings)
    hours = (
        _measured(settings.replay, job.config.section("source", Sites).sites)
        if settings.replay
        else concentrations_of(Climatology(settings.seed))
    )
    return OpenAqAnswers(
        job.config.section("source.openaq", OpenAq).locations,
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
    settings = job.config.section("sandbox", Settings)
    values: Values = Climatology(settings.seed, missing_rate=settings.missing_share)
    if settings.replay:
        values = Replay(_replayed(settings.replay, job))
    return Sandbox(
        names,
        Flawed(values, settings.flaws),
        settings.faults,
        seed=settings.seed,
        port=settings.port,
        openaq=openaq_side(job, names),
    )


def _replayed(directory: str, job: Job) -> Callable[[int, Interval], list[dict[str, Any]]]:
    """Return how to look up the records of AirNow files by station and window."""
    from runner.sources.airnow.source import AirNowSource  # noqa: PLC0415 - brings polars

    files = AirNowSource(Path(directory), job.config.section("source", Sites).sites)

    def records(station_idx: int, window: Interval) -> list[dict[str, Any]]:
        return files.fetch(Station(station_idx), window).records

    return records
