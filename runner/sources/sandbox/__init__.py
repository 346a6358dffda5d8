"""source=sandbox: a loopback server with readings invented or played back, and faults on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from runner.sources.provider import (
    Access,
    KeptAnswers,
    Notice,
    Origin,
    Provider,
    Source,
    StationFinder,
    opened_by,
)

if TYPE_CHECKING:
    from runner.config.section import Section
    from runner.process.job import Job

_SUFFIX = "_sandbox"


def _history(access: Access) -> AbstractContextManager[Source]:
    from runner.sources.sandbox.opening import open_history  # noqa: PLC0415 - a whole server

    return open_history(access)


def _stations(access: Access) -> AbstractContextManager[StationFinder]:
    from runner.sources.sandbox.opening import open_stations  # noqa: PLC0415 - a whole server

    return open_stations(access)


def _serve(job: Job, names: Mapping[int, str]) -> AbstractContextManager[str]:
    from runner.sources.sandbox.opening import served  # noqa: PLC0415 - a whole server

    return served(job, names)


def _origin(job: Job, stations: Iterable[int], _kept: KeptAnswers) -> Origin:
    from runner.sources.sandbox.opening import origin  # noqa: PLC0415 - a whole server

    return origin(job, stations)


def _settings() -> Iterable[tuple[str, type[Section]]]:
    from runner.sources.sandbox.settings import Sandbox  # noqa: PLC0415 - brings pydantic

    return (("sandbox", Sandbox),)


def _is_synthetic(job: Job) -> bool:
    from runner.sources.sandbox.settings import Sandbox  # noqa: PLC0415 - as above

    return not job.config.section("sandbox", Sandbox).replay


def _notice(document: Mapping[str, Any]) -> Notice | None:
    """Warn of readings that come from a sandbox, or lie in its database."""
    is_source = document["source"] == "sandbox"
    if not is_source and not str(document["database"]).endswith(_SUFFIX):
        return None
    # Records of older versions name their source alone.
    whose = (document.get("origin") or {}).get("providers") or [document["source"]]
    named = any("synthetic" in (one["name"] or "") for one in document["stations"])
    if "invented" in whose or named:
        text = "The readings on this page were invented by the sandbox. Nothing was measured."
        return Notice("SYNTHETIC DATA", text)
    text = "The readings on this page were served by the sandbox, not by the real API."
    if "airnow" not in whose:
        return Notice("SANDBOX DATA", text)
    text += " They are those of AirNow files, measured at their hours."
    return Notice("SANDBOX DATA", text, "Served by the sandbox, from files." if is_source else "")


PROVIDERS = (
    Provider(
        name="sandbox",
        prepare=opened_by(_history),
        credits={
            "invented": "Synthetic readings of the sandbox: nothing was measured.",
            "sandbox": "Readings: the sandbox, which invents them or plays files back; the record "
            "does not say which. Do not take them for measured.",
        },
        settings=_settings,
        database_suffix=_SUFFIX,
        origin=_origin,
        is_synthetic=_is_synthetic,
        notice=_notice,
        stations=_stations,
        serve=_serve,
    ),
)
