"""Open OpenAQ for a job: its API, its archive, what a window costs. Imported by need only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from runner.core.errors import OpenAqError
from runner.core.plan import (
    Cost,
)
from runner.jobs.backfill.asking import Source
from runner.jobs.opening import http_client
from runner.process.job import Job
from runner.process.secrets import Secret
from runner.sources.http import HttpClient
from runner.sources.openaq.answers import OpenAqReader
from runner.sources.openaq.api import LOOK_UPS, OpenAqSource, requests_for
from runner.sources.openaq.archive import OpenAqArchive
from runner.sources.openaq.rows import KeepMeasured, Terms
from runner.sources.pacing import Pacing
from runner.sources.patience import FailedTries


def openaq_archive(job: Job) -> OpenAqArchive:
    """Return the source that reads local copies of OpenAQ's archive; it keeps nothing yet."""
    source = job.config.source
    return OpenAqArchive(
        Path(source.path or ""),
        source.openaq.locations,
        scale=source.openaq.scale,
        least_coverage=source.openaq.least_coverage,
        wanted=job.wanted,
    )


def openaq_cost(job: Job) -> Cost:
    """Return how many requests OpenAQ takes, as far as it is known before its sensors are."""
    openaq = job.config.source.openaq
    return Cost(
        of_window=requests_for,
        of_station=lambda idx: LOOK_UPS * len(openaq.locations.get(idx, ())),
        counted=f"{LOOK_UPS} a location, and one sensor a station that has every hour; "
        "further sensors (pollutants, locations) add theirs, hours after their ends cost none",
    )


@contextmanager
def open_openaq(
    job: Job, key: Secret, pacer: Pacing, failed: FailedTries, keep: KeepMeasured | None = None
) -> Iterator[OpenAqSource]:
    """Open the OpenAQ API until the block ends.

    Args:
        job: for its settings.
        key: the API key.
        pacer: gives a permit for every request.
        failed: counts the tries that came to nothing.
        keep: keeps the concentrations; None if they are not kept.
    """
    settings = job.config.source.openaq
    with openaq_client(job, key, pacer, failed) as (client, reader):
        yield OpenAqSource(
            client,
            reader,
            settings.locations,
            scale=settings.scale,
            terms=Terms(settings.least_coverage, settings.accept_flagged),
            keep=keep,
        )


def attributions_of(source: Source) -> list[dict[str, Any]]:
    """Return whose measurements a source gave, by place; nothing of sources that do not say."""
    return source.attributions() if isinstance(source, OpenAqSource | OpenAqArchive) else []


@contextmanager
def openaq_client(
    job: Job, key: Secret, pacer: Pacing, failed: FailedTries
) -> Iterator[tuple[HttpClient, OpenAqReader]]:
    """Open the way to OpenAQ until the block ends; arguments as in `open_openaq`."""
    source = job.config.source
    reader = OpenAqReader(key, pacer.pause, source.retry.backoff_s)
    headers = {"X-API-Key": key}
    with closing(http_client(job, source.base_url, pacer, failed, OpenAqError, headers)) as client:
        yield client, reader
