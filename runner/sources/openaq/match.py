"""Which OpenAQ locations may be the chosen stations: proposals, as YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from runner.core.concentrations import POLLUTANTS
from runner.core.stations import Station, distance_km, fold
from runner.core.text import harmless
from runner.process.job import Job
from runner.sources.openaq.answers import Page, pages
from runner.sources.openaq.api import PAGE
from runner.sources.openaq.opening import open_client
from runner.sources.openaq.settings import OpenAq
from runner.sources.provider import Access

SAME_PLACE_KM = 0.3
"""Nearer than this, the name does not matter: coordinates are often rounded to a street."""
_COMMON = frozenset(
    """
    air and city county dai diplomatic duong embassy ha hanoi hcm ho chi minh monitor monitoring
    noi of outdoor phuong pho post quan quality road so station street su the thanh to tp tram us
    united states viet vietnam nam
    """.split()  # noqa: SIM905 - to be read
)
"""Words that many stations of the country have in their names, and that tell none of them apart."""


@dataclass(frozen=True, slots=True)
class Place:
    """One location of OpenAQ.

    Attributes:
        id: OpenAQ's.
        name: for people.
        latitude: degrees north.
        longitude: degrees east.
        pollutants: what it measures of those that have an index.
        first: day of its first measurement, `2016-11-09`; empty where it has none.
        last: likewise of its last one.
        terms: provider and licences in words.
    """

    id: int
    name: str
    latitude: float
    longitude: float
    pollutants: tuple[str, ...]
    first: str
    last: str
    terms: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that may be a station.

    Attributes:
        place: the place.
        km: from the station.
        shared: words that both names have, other than common ones.
    """

    place: Place
    km: float
    shared: tuple[str, ...]

    @property
    def is_likely(self) -> bool:
        """Whether it is at the same place, or near and of the same name."""
        return self.km <= SAME_PLACE_KM or bool(self.shared)


def place_of(result: Any) -> Place | None:
    """Return a location of `/v3/locations`; None if it is mobile or measures no pollutant."""
    if not isinstance(result, dict) or result.get("isMobile") or type(result.get("id")) is not int:
        return None
    position = result.get("coordinates")
    latitude, longitude = (
        position.get(key) if isinstance(position, dict) else None
        for key in ("latitude", "longitude")
    )
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    sensors = result.get("sensors")
    names = {
        sensor["parameter"].get("name")
        for sensor in (sensors if isinstance(sensors, list) else ())
        if isinstance(sensor, dict) and isinstance(sensor.get("parameter"), dict)
    }
    pollutants = tuple(name for name in POLLUTANTS if name in names)
    if not pollutants:
        return None
    return Place(
        result["id"],
        str(result.get("name") or ""),
        float(latitude),
        float(longitude),
        pollutants,
        _day(result.get("datetimeFirst")),
        _day(result.get("datetimeLast")),
        _terms(result),
    )


def candidates(station: Station, places: Iterable[Place], within_km: float) -> list[Candidate]:
    """Return the places near a station that have measured anything, the likely and near first."""
    if station.latitude is None or station.longitude is None:
        return []
    words = _words(station.name)
    found = [
        Candidate(place, km, tuple(sorted(words & _words(place.name))))
        for place in places
        if place.first
        and (
            km := distance_km(station.latitude, station.longitude, place.latitude, place.longitude)
        )
        <= within_km
    ]
    return sorted(found, key=lambda one: (not one.is_likely, one.km, one.place.id))


def in_order_of_time(found: Sequence[Candidate]) -> list[Candidate]:
    """Return the likely ones by their first day, so that a successor follows."""
    return sorted((c for c in found if c.is_likely), key=lambda c: (c.place.first, c.place.id))


def _words(name: str) -> set[str]:
    return {word for word in re.findall(r"[a-z0-9]+", fold(name)) if len(word) > 1} - _COMMON


def _day(ends: Any) -> str:
    moment = ends.get("utc") if isinstance(ends, dict) else None
    return moment[:10] if isinstance(moment, str) else ""


def _terms(result: dict[str, Any]) -> str:
    provider = result.get("provider")
    licences = result.get("licenses")
    names = [
        str(one.get("name"))
        for one in (licences if isinstance(licences, list) else ())
        if isinstance(one, dict)
    ]
    named = str(provider.get("name")) if isinstance(provider, dict) else "provider not stated"
    return f"{named}, {' and '.join(names) or 'licence not stated'}"


_MOST_PAGES = 100
"""A hundred thousand locations: more than OpenAQ has in the whole world."""
_MOST_SHOWN = 5
"""Candidates shown per station."""


def proposals(access: Access, stations: Sequence[Station]) -> list[str]:
    """Return, as lines of YAML, locations for the stations that have none confirmed.

    Raises:
        SourceError: OpenAQ could not answer.
    """
    return _proposal(access.job, stations, list(_places(access)))


def _places(access: Access) -> Iterator[Place]:
    """Yield the locations of the country, page by page up to the last one."""
    country = access.job.config.section("source.openaq", OpenAq).country.upper()
    asked = {"iso": country, "limit": str(PAGE)}
    with open_client(access) as (client, reader):

        def ask(number: int) -> Page:
            return client.get("/v3/locations", {**asked, "page": str(number)}, {}, reader.page)

        for found in islice(pages(ask), _MOST_PAGES):
            yield from filter(None, map(place_of, found))


def _proposal(job: Job, stations: Sequence[Station], places: Sequence[Place]) -> list[str]:
    settings = job.config.section("source.openaq", OpenAq)
    confirmed = [one for one in stations if one.idx in settings.locations]
    open_ones = [one for one in stations if one.idx not in settings.locations]
    placed = [one for one in open_ones if one.latitude is not None]
    found = {one.idx: candidates(one, places, settings.match_km) for one in placed}
    likely = [one for one in placed if in_order_of_time(found[one.idx])]
    unsure = [one for one in placed if found[one.idx] and one not in likely]
    used = {place for some in settings.locations.values() for place in some}
    counts = (
        f"# {len(stations)} stations, {len(places)} locations of OpenAQ in {settings.country}: "
        f"{len(confirmed)} confirmed already, {len(likely)} likely, {len(unsure)} unsure, "
        f"{len(placed) - len(likely) - len(unsure)} with none within {settings.match_km:g} km, "
        f"{len(open_ones) - len(placed)} without coordinates"
    )
    lines = [
        counts,
        "# Proposals, not facts: look at each, then put the lines you confirm into a private",
        "# profile. Of several locations that have an hour, the first counts.",
        "source:",
        "  openaq:",
        "    locations:",
    ]
    for station in (*likely, *unsure):
        ids = [one.place.id for one in in_order_of_time(found[station.idx])]
        mark = "" if ids else "# "
        shown = ids or [one.place.id for one in found[station.idx][:1]]
        lines.append(f"      {mark}{station.idx}: {shown}   # {harmless(station.name)}")
        lines += [_told(one, used) for one in found[station.idx][:_MOST_SHOWN]]
    return lines if likely or unsure else [counts]


def _told(one: Candidate, used: set[int]) -> str:
    place = one.place
    shared = f", shares {' '.join(one.shared)}" if one.shared else ""
    taken = ", CONFIRMED FOR ANOTHER STATION" if place.id in used else ""
    return harmless(
        f"      #   {place.id} {place.name!r}: {one.km:.2f} km{shared}{taken}; "
        f"{' '.join(place.pollutants)}; {place.first} to {place.last}; {place.terms}"
    )
