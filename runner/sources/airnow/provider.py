"""What the files of AirNow offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.sources.provider import KeptAnswers, Prepared, Provider

if TYPE_CHECKING:
    from runner.core.stations import Station
    from runner.process.job import Job


def _prepare(job: Job, stations: Sequence[Station], _kept: KeptAnswers) -> Prepared:
    from runner.sources.airnow.source import prepared  # noqa: PLC0415 - brings polars

    return prepared(job, stations)


PROVIDERS = (
    Provider(
        name="airnow",
        prepare=_prepare,
        credits={
            "airnow": "Readings: U.S. Department of State and U.S. EPA AirNow (airnow.gov). Not "
            "fully verified or validated."
        },
        rejects_are_records=False,
        example="source=airnow source.path=DIR",
    ),
)
