"""Open OpenAQ for a job: its API, its archive, what a window costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from runner.core.errors import ConfigError
from runner.core.plan import Cost
from runner.core.stations import Station
from runner.process.job import Job
from runner.sources.http import HttpClient
from runner.sources.openaq.answers import OpenAqError, OpenAqReader
from runner.sources.openaq.api import LOOK_UPS, OpenAqSource, requests_for
from runner.sources.openaq.archive import OpenAqArchive
from runner.sources.openaq.rows import Terms
from runner.sources.openaq.settings import OpenAq
from runner.sources.provider import Access, Prepared


def prepared_api(job: Job, stations: Sequence[Station]) -> Prepared:
    """Return OpenAQ's API, with the requests it takes as far as known before its sensors are."""
    mapped = _mapped(job, stations)
    locations = job.config.section("source.openaq", OpenAq).locations
    cost = Cost(
        of_window=requests_for,
        of_station=lambda idx: LOOK_UPS * len(locations.get(idx, ())),
        counted=f"{LOOK_UPS} a location, and one sensor a station that has every hour; "
        "further sensors (pollutants, locations) add theirs, hours after their ends cost none",
    )
    return Prepared(_open_api, lambda idx: idx in mapped, cost)


def prepared_archive(job: Job, stations: Sequence[Station]) -> Prepared:
    """Return local copies of OpenAQ's archive."""
    _mapped(job, stations)
    path, settings = job.config.source.path, job.config.section("source.openaq", OpenAq)
    archive = OpenAqArchive(
        Path(path or ""),
        settings.locations,
        scale=settings.scale,
        least_coverage=settings.least_coverage,
        wanted=job.wanted,
    )
    if not any(archive.offers(station.idx) for station in stations):
        raise ConfigError(
            f"source={job.source}: {path} has no folder locationid=… of a location of "
            f"the {len(stations)} chosen stations",
            hint="source.path holds records/csv.gz of the archive, or its folders themselves",
        )

    @contextmanager
    def open_archive(access: Access) -> Iterator[OpenAqArchive]:
        archive.keep = access.keep_measured
        yield archive

    return Prepared(open_archive, archive.offers, paced=False)


def _mapped(job: Job, stations: Sequence[Station]) -> Collection[int]:
    """Return the stations that OpenAQ locations are confirmed for.

    Raises:
        ConfigError: none of the chosen ones is among them.
    """
    mapped = job.config.section("source.openaq", OpenAq).locations
    if not any(station.idx in mapped for station in stations):
        raise ConfigError(
            f"source={job.source}: source.openaq.locations names none of the "
            f"{len(stations)} chosen stations",
            hint=f"It names: 'stations.ids=[{','.join(map(str, sorted(mapped)))}]'; "
            "job=match source=openaq proposes locations for others",
        )
    return mapped


@contextmanager
def _open_api(access: Access) -> Iterator[OpenAqSource]:
    settings = access.job.config.section("source.openaq", OpenAq)
    with open_client(access) as (client, reader):
        yield OpenAqSource(
            client,
            reader,
            settings.locations,
            scale=settings.scale,
            terms=Terms(settings.least_coverage, settings.accept_flagged),
            keep=access.keep_measured,
        )


@contextmanager
def open_client(access: Access) -> Iterator[tuple[HttpClient, OpenAqReader]]:
    """Open the way to OpenAQ until the block ends."""
    retry = access.job.config.source.retry
    reader = OpenAqReader(access.key, access.pacer.pause, retry.backoff_s)
    headers = {"X-API-Key": access.key}
    with closing(access.client(OpenAqError, secret_headers=headers)) as client:
        yield client, reader
