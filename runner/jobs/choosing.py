"""Choose the stations of a job; imports nothing that asks an API."""

from __future__ import annotations

from dataclasses import replace

from runner.config.files import bundled_stations
from runner.config.stations import Stations, StationSelector
from runner.core.stations import Box, Selection, Selector, select
from runner.process.job import Job
from runner.store.database import Store


def choose_stations(job: Job, store: Store) -> Selection:
    """Return the stations the configuration chooses.

    Raises:
        ConfigError: it chooses none.
    """
    chosen = job.config.stations
    known, no_stations = store.stations.read()
    return select(
        ids=chosen.ids,
        named=chosen.named,
        selectors=[*map(selector_of, chosen.selectors.values())],
        narrow=selector_of(chosen),
        known=[replace(station, name=job.redact(station.name)) for station in known],
        bundled=bundled_stations(),
        no_stations=no_stations,
    )


def selector_of(setting: Stations | StationSelector) -> Selector:
    """Return what a setting wants of a station."""
    return Selector(setting.name, Box(*setting.bbox) if setting.bbox else None)


def is_narrowed(job: Job) -> bool:
    """Whether the person chose stations, rather than taking all of them by default."""
    chosen = job.config.stations
    everything = any(not (item.name or item.bbox) for item in chosen.selectors.values())
    return bool(chosen.ids or chosen.name or chosen.bbox or not everything)
