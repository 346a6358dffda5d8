"""`job=stations`: stations that the API or a file knows are noted in waqi_stations.

The API is asked by keyword (`search`), then by box (`map/bounds`, split where it shows more), then
one by one for what is still not known of a station. What does not lie in the country is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from runner.config.files import bundled_stations
from runner.core.country import Country, country_of, look_through, overlap, tiles
from runner.core.errors import ConfigError, RunnerError, Scope, SourceError
from runner.core.outcome import Outcome, duration_text
from runner.core.sightings import Refused, Sighting, objection, placed
from runner.core.stations import Box, Selector, Station
from runner.core.text import counted, harmless
from runner.jobs.choosing import selector_of
from runner.jobs.opening import access_to, api_key, budget_of, key_lines
from runner.process.job import Job
from runner.process.secrets import Secret
from runner.sources import provider_of
from runner.sources.pacing import Pacing
from runner.sources.provider import StationFinder
from runner.sources.station_files import stations_of
from runner.store.database import Store, open_store
from runner.store.stations import StationsRecorded

log = structlog.get_logger()

_MOST_SHOWN = 10
"""Refused stations named to the person; stations.json has all of them."""


@dataclass(slots=True)
class Census:
    """The stations seen so far, and those refused.

    Attributes:
        country: where they must lie.
        narrow: what they must be like besides.
        ids: exactly these, if any; groups do not count then.
        named: those of the chosen groups.
        selectors: of the chosen groups.
        found: by index.
        refused: reason and words for a person, by index or place in the file.
        swapped: stations whose position was the wrong way round.
        poor: stations whose details could not be had.
    """

    country: Country
    narrow: Selector
    ids: frozenset[int]
    named: frozenset[int]
    selectors: tuple[Selector, ...]
    found: dict[int, Sighting] = field(default_factory=dict)
    refused: dict[int | str, tuple[Refused, str]] = field(default_factory=dict)
    swapped: set[int] = field(default_factory=set)
    poor: dict[int, str] = field(default_factory=dict)

    def add(self, seen: Sighting) -> bool:
        """Take in what is said of a station, unless it does not belong here; return whether.

        What was said earlier fills in what is not said now.
        """
        seen, was_swapped = placed(seen, self.country)
        earlier = self.found.get(seen.idx)
        seen = seen.filled_from(earlier) if earlier else seen
        reason = objection(seen, self.country)
        if reason is None and not self._is_chosen(seen.station):
            reason = Refused.NOT_CHOSEN
        if reason is not None:
            self.found.pop(seen.idx, None)
            self.refused[seen.idx] = (reason, _told(seen))
            return False
        if was_swapped:
            self.swapped.add(seen.idx)
        self.found[seen.idx] = seen
        self.refused.pop(seen.idx, None)
        return True

    def _is_chosen(self, station: Station) -> bool:
        if not self.narrow.matches(station):
            return False
        if self.ids:
            return station.idx in self.ids
        return station.idx in self.named or any(one.matches(station) for one in self.selectors)


def run(job: Job) -> Outcome:
    """Find stations and note them; what was found before an error or a stop is noted, too.

    Raises:
        RunnerError: the API, the file or MongoDB could not answer.
    """
    chosen, country = job.config.stations, job.config.country
    census = Census(
        country_of(country.name, country.parts, country.words, country.others),
        selector_of(chosen),
        frozenset(chosen.ids),
        frozenset(chosen.named),
        tuple(map(selector_of, chosen.selectors.values())),
    )
    from_file = job.config.discover.file
    key = None if from_file else api_key(job)
    requests, waited_s = 0, 0.0
    with open_store(job) as store:
        broken: RunnerError | None = None
        try:
            if key is None:
                _read(Path(from_file or ""), census)
            else:
                job.tell("\n".join(key_lines(job)))
                with _asking(job, store, key) as (api, pacer):
                    try:
                        _ask(job, api, census, store)
                    finally:
                        requests, waited_s = pacer.permits, pacer.waited_s
        except ConfigError:
            raise
        except RunnerError as error:
            broken = error
        recorded = store.stations.record(census.found.values(), dry_run=job.config.dry_run)
    job.write_json("stations.json", _json(census, recorded))
    job.tell("\n".join(_lines(job, census, recorded, requests)))
    if broken is not None:
        raise broken
    return replace(job.outcome(), requests=requests, budget_wait_s=waited_s)


@contextmanager
def _asking(job: Job, store: Store, key: Secret) -> Iterator[tuple[StationFinder, Pacing]]:
    find = provider_of(job).stations
    if find is None:
        raise ConfigError(f"job=stations: source={job.source} knows no stations")
    outage = store.outage(job.stop)
    names = {**bundled_stations(), **job.config.stations.named}
    access = access_to(job, store, key, outage, budget_of(job, store, key), names)
    with find(access) as finder:
        yield finder, access.pacer


def _read(path: Path, census: Census) -> None:
    """Take in the stations of a file; the first of two for one station counts."""
    for where, seen in stations_of(path):
        if seen is None:
            census.refused[where] = (Refused.NO_INDEX, where)
        elif seen.idx in census.found:
            census.refused[where] = (Refused.TWICE, f"{where}: {_told(seen)}")
        else:
            census.add(seen)


def _ask(job: Job, api: StationFinder, census: Census, store: Store) -> None:
    """Look for stations, then ask for what is not known of them."""
    by_id = census.ids or census.named
    wanted = [Sighting(idx) for idx in sorted(by_id)]
    if not census.ids and census.selectors:
        _look(job, api, census)
        complete = set() if job.config.discover.refresh else store.stations.complete()
        stored = {station.idx for station in store.stations.known()}
        seen_there = sorted(census.found.items())
        wanted += [seen for idx, seen in seen_there if idx not in complete | by_id]
        for idx in stored & census.found.keys():  # a list knows less than what is stored
            census.found[idx] = Sighting(idx)
    if wanted:
        took = duration_text(job.pace.duration_s(len(wanted)))
        job.tell(f"Asking {len(wanted):,} stations for what is not known of them: about {took}")
    for seen in wanted:
        _ask_one(api, census, seen)


def _look(job: Job, api: StationFinder, census: Census) -> None:
    settings = job.config.discover
    grid = [tile for box in _boxes(census) for tile in tiles(box, settings.tile_degrees)]
    job.tell(
        f"Looking for stations in {census.country.name or 'the box'}: "
        f"{counted(len(grid), 'tiles')}, split "
        f"where more is found; one request every {job.pace.delay_s:g} s"
    )

    def inside(tile: Box) -> list[int]:
        return _take(census, api.inside(tile))

    for tile in grid:
        asked = sum(1 for _box in look_through(tile, inside, settings.smallest_tile_degrees))
        sides = [tile.south, tile.west, tile.north, tile.east]
        log.info("tile.done", tile=sides, requests=asked, stations=len(census.found))
    for word in census.country.words:
        _take(census, api.search(word))


def _boxes(census: Census) -> list[Box]:
    """Return where to look: in the boxes of the selectors, as far as they are chosen and here."""
    world = Box(-90, -180, 90, 180)
    here = overlap(census.country.box, census.narrow.box or world)
    if here is None:
        raise ConfigError(f"stations.bbox lies outside {census.country.name}")
    found = (overlap(here, one.box or world) for one in census.selectors)
    boxes = [*dict.fromkeys(box for box in found if box)]
    if not boxes:
        raise ConfigError(f"the boxes of the chosen groups lie outside {census.country.name}")
    return [here] if here in boxes else boxes


def _take(census: Census, found: Iterable[Sighting]) -> list[int]:
    """Return which of the stations belong here."""
    return [seen.idx for seen in found if census.add(seen)]


def _ask_one(api: StationFinder, census: Census, seen: Sighting) -> None:
    try:
        details = api.details(seen.station)
    except SourceError as error:
        if error.scope is Scope.RUN or error.unreachable:
            raise
        census.poor[seen.idx] = error.message
        log.warning("station.no_details", station_idx=seen.idx, error=error.message)
    else:
        census.add(details)


def _told(seen: Sighting) -> str:
    place = "" if seen.latitude is None else f" ({seen.latitude:g}, {seen.longitude:g})"
    return harmless(f"{seen.station}{place}")


def _lines(job: Job, census: Census, recorded: StationsRecorded, requests: int) -> list[str]:
    where = f" in {census.country.name}" if census.country.name else ""
    dry = " (dry run: nothing was written)" if job.config.dry_run else ""
    first = (
        f"Stations{where}: {len(census.found):,} found, {len(recorded.new):,} new, "
        f"{len(recorded.changed):,} changed, {len(recorded.unchanged):,} unchanged in "
        f"{job.database_name}{dry}; {requests:,} requests"
    )
    lines = [first]
    if census.swapped:
        ids = ", ".join(map(str, sorted(census.swapped)[:_MOST_SHOWN]))
        lines.append(
            f"Positions the wrong way round, swapped to latitude, longitude: "
            f"{len(census.swapped):,} ({ids}{', …' * (len(census.swapped) > _MOST_SHOWN)})"
        )
    for reason in Refused:
        refused = [words for why, words in census.refused.values() if why is reason]
        if refused:
            more = "; …" * (len(refused) > _MOST_SHOWN)
            lines.append(
                f"Refused, {reason}: {len(refused):,}: {'; '.join(refused[:_MOST_SHOWN])}{more}"
            )
    if recorded.refused:
        ids = ", ".join(map(str, recorded.refused[:_MOST_SHOWN]))
        lines.append(
            f"Refused by the validator of waqi_stations, which asks for more than is known: "
            f"{len(recorded.refused):,} ({ids}{', …' * (len(recorded.refused) > _MOST_SHOWN)})"
        )
    if census.poor:
        lines.append(f"Details that could not be had: {len(census.poor):,} stations")
        lines += [f"  {idx}: {harmless(why)}" for idx, why in [*census.poor.items()][:_MOST_SHOWN]]
    return lines


def _json(census: Census, recorded: StationsRecorded) -> dict[str, Any]:
    return {
        "found": sorted(census.found),
        "new": list(recorded.new),
        "changed": list(recorded.changed),
        "unchanged": list(recorded.unchanged),
        "refused_by_validator": list(recorded.refused),
        "swapped": sorted(census.swapped),
        "refused": [
            {"station": str(key), "reason": str(why), "detail": words}
            for key, (why, words) in census.refused.items()
        ],
        "without_details": {str(idx): why for idx, why in census.poor.items()},
    }
