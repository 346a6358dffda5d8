"""OpenAQ's API v3 on loopback, with the measured hours of AirNow files or invented ones."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from runner.core.stations import Station
from runner.sources.airnow.source import AirNowSource
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.openaq import OpenAqAnswers, concentrations_of
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from runner.sources.sandbox.values import Replay

PLACES: Mapping[int, Sequence[int]] = {8641: [2539, 7441], 8767: [2446, 7440]}
NAMES = {8641: "US Diplomatic Post: Hanoi", 8767: "US Diplomatic Post: Ho Chi Minh City"}
SITES = {"Hanoi": 8641, "Ho Chi Minh City": 8767}


def now() -> datetime:
    return datetime.now(UTC)


def measured_api(directory: Path) -> Sandbox:
    """Serve the usable hours of AirNow files."""
    files = AirNowSource(directory, SITES)
    return Sandbox(
        NAMES,
        Replay(lambda idx, window: files.fetch(Station(idx), window).records),
        openaq=OpenAqAnswers(
            PLACES,
            NAMES,
            lambda idx, window: {"pm25": files.measured(idx, window)},
            now,
            synthetic=False,
        ),
    )


def invented_api(
    faults: Faults | None = None,
    token: str | None = None,
    places: Mapping[int, Sequence[int]] = PLACES,
    seed: int = 0,
) -> Sandbox:
    """Serve invented hours, with faults on request."""
    values = Climatology(1)
    answers = OpenAqAnswers(places, NAMES, concentrations_of(values), now, synthetic=True)
    return Sandbox(NAMES, values, faults, seed=seed, token=token, openaq=answers)
