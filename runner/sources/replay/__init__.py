"""source=replay: answers that earlier runs kept; the credit is of who gave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runner.sources.provider import KeptAnswers, Origin, Prepared, Provider

if TYPE_CHECKING:
    from runner.core.stations import Station
    from runner.process.job import Job


def _prepare(job: Job, stations: Sequence[Station], kept: KeptAnswers) -> Prepared:
    from runner.sources.replay.source import prepared  # noqa: PLC0415 - brings requests

    return prepared(job, stations, kept)


def _origin(job: Job, stations: Iterable[int], kept: KeptAnswers) -> Origin:
    return Origin(kept.held([*stations]).sources or (job.source,))


PROVIDERS = (
    Provider(
        name="replay",
        prepare=_prepare,
        credits={},
        keeps_no_answer="source=replay asks no API, so nothing is answered",
        origin=_origin,
    ),
)
