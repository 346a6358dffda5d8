"""source=airnow: hourly files of AirNow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.sources.provider import KeptAnswers, Prepared, Provider

if TYPE_CHECKING:
    from runner.config.section import Section
    from runner.config.settings import Config
    from runner.core.stations import Station
    from runner.process.job import Job


def _prepare(job: Job, stations: Sequence[Station], _kept: KeptAnswers) -> Prepared:
    from runner.sources.airnow.source import prepared  # noqa: PLC0415 - brings polars

    return prepared(job, stations)


def _settings() -> Iterable[tuple[str, type[Section]]]:
    from runner.sources.airnow.settings import Sites  # noqa: PLC0415 - brings pydantic

    return (("source", Sites),)


def _problems(config: Config) -> Iterator[str]:
    path = Path(config.source.path or "")
    if path.is_dir() and not any(one.suffix.lower() == ".csv" for one in path.iterdir()):
        yield f"source.path={config.source.path}: there is no *.csv file in it"


PROVIDERS = (
    Provider(
        name="airnow",
        prepare=_prepare,
        credits={
            "airnow": "Readings: U.S. Department of State and U.S. EPA AirNow (airnow.gov). Not "
            "fully verified or validated."
        },
        settings=_settings,
        problems=_problems,
        reads_files=True,
        keeps_no_answer="source=airnow asks no API, so nothing is answered",
        rejects_are_records=False,
        example="source=airnow source.path=DIR backfill.start_date=2016-01-01",
    ),
)
