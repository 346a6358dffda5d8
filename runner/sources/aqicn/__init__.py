"""source=aqicn, source=aqicn_live: the history that AQICN grants to a key, and what it has now."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from runner.sources.provider import (
    Access,
    KeptAnswers,
    Key,
    Origin,
    Provider,
    Source,
    StationFinder,
    opened_by,
)

if TYPE_CHECKING:
    from runner.config.section import Section
    from runner.process.job import Job

_KEY = Key(
    "AQICN_API_KEY",
    "api.waqi.info",
    "https://aqicn.org/data-platform/token/",
    ("AQICN_KEY", "AQICN_TOKEN", "WAQI_TOKEN", "WAQI_API_KEY"),
)
_CREDIT = (
    "Readings: World Air Quality Index project (aqicn.org, waqi.info) and the agencies that "
    "measured them. Not validated. They may not be passed on as cached or archived data."
)


def _history(access: Access) -> AbstractContextManager[Source]:
    from runner.sources.aqicn.history import open_history  # noqa: PLC0415 - brings requests

    return open_history(access)


def _live(access: Access) -> AbstractContextManager[Source]:
    from runner.sources.aqicn.live import open_live  # noqa: PLC0415 - brings requests

    return open_live(access)


def _stations(access: Access) -> AbstractContextManager[StationFinder]:
    from runner.sources.aqicn.stations import open_stations  # noqa: PLC0415 - brings requests

    return open_stations(access)


def _origin(job: Job, _stations: Iterable[int], _kept: KeptAnswers) -> Origin:
    # Present observations are as much AQICN's data as its history. A sandbox may answer instead of
    # AQICN: its readings go to a database of that name.
    return Origin(("sandbox" if job.database_name.endswith("_sandbox") else "aqicn",))


def _settings() -> Iterable[tuple[str, type[Section]]]:
    from runner.sources.aqicn.settings import History  # noqa: PLC0415 - brings pydantic

    return (("source.history", History),)


PROVIDERS = (
    Provider(
        name="aqicn",
        prepare=opened_by(_history),
        credits={"aqicn": _CREDIT},
        key=_KEY,
        settings=_settings,
        origin=_origin,
        stations=_stations,
    ),
    Provider(
        name="aqicn_live",
        prepare=opened_by(_live),
        credits={"aqicn": _CREDIT},
        key=_KEY,
        keeps_no_answer="a present observation cannot be replayed as history",
        present_only=True,
        origin=_origin,
        stations=_stations,
    ),
)
