"""source=openaq and source=openaq_archive: the API of OpenAQ and its daily files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runner.sources.provider import Access, KeptAnswers, Key, Prepared, Provider

if TYPE_CHECKING:
    from runner.config.section import Section
    from runner.core.stations import Station
    from runner.process.job import Job


def _api(job: Job, stations: Sequence[Station], _kept: KeptAnswers) -> Prepared:
    from runner.sources.openaq.opening import prepared_api  # noqa: PLC0415 - brings requests

    return prepared_api(job, stations)


def _archive(job: Job, stations: Sequence[Station], _kept: KeptAnswers) -> Prepared:
    from runner.sources.openaq.opening import prepared_archive  # noqa: PLC0415 - as above

    return prepared_archive(job, stations)


def _match(access: Access, stations: Sequence[Station]) -> list[str]:
    from runner.sources.openaq.match import proposals  # noqa: PLC0415 - as above

    return proposals(access, stations)


def _settings() -> Iterable[tuple[str, type[Section]]]:
    from runner.sources.openaq.settings import OpenAq  # noqa: PLC0415 - brings pydantic

    return (("source.openaq", OpenAq),)


_KEEPS = "what OpenAQ measured is kept anyway, in ingest_concentrations"

PROVIDERS = (
    Provider(
        name="openaq",
        title="OpenAQ",
        prepare=_api,
        key=Key(
            "OPENAQ_API_KEY",
            "api.openaq.org",
            "https://explore.openaq.org/register",
            ("OPENAQ_KEY", "OPENAQ_TOKEN", "OPEN_AQ_API_KEY"),
        ),
        credits={
            "openaq": "Readings: computed from hourly concentrations of OpenAQ (openaq.org) and of "
            "those who measured them, each under a licence of its own. As reported, not validated."
        },
        settings=_settings,
        keeps_no_answer=_KEEPS,
        rejects_are_records=False,
        scale_setting="source.openaq.scale",
        match=_match,
    ),
    Provider(
        name="openaq_archive",
        title="OpenAQ",
        prepare=_archive,
        credits={
            "openaq_archive": "Readings: computed from the OpenAQ archive (openaq.org) and those "
            "who measured, each under a licence of its own. As reported, not validated."
        },
        settings=_settings,
        reads_files=True,
        keeps_no_answer=_KEEPS,
        rejects_are_records=False,
        scale_setting="source.openaq.scale",
    ),
)
