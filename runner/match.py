"""job=match: which OpenAQ locations may be the chosen stations; prints YAML, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from runner.assembly import api_key, budget_of, pacer_of
from runner.core.errors import ConfigError
from runner.core.matching import Candidate, Place, candidates, in_order_of_time, place_of
from runner.core.outcome import Outcome
from runner.core.stations import Station
from runner.core.text import harmless
from runner.job import Job
from runner.openaq_assembly import openaq_client
from runner.pacing import Pacing
from runner.secrets import Secret
from runner.sources.openaq import PAGE
from runner.sources.openaq_answers import Page, pages
from runner.sources.patience import FailedTries
from runner.store.outage import Outage
from runner.store_assembly import open_store
from runner.work import choose_stations

_MOST_PAGES = 100
"""A hundred thousand locations: more than OpenAQ has in the whole world."""
_MOST_TOLD = 5
"""Candidates of a station that are told."""


def match(job: Job) -> Outcome:
    """Propose OpenAQ locations for the chosen stations that have none confirmed.

    Raises:
        ConfigError: the source is not OpenAQ.
        RunnerError: OpenAQ or MongoDB could not answer.
    """
    if job.source_kind != "openaq":
        raise ConfigError(
            "job=match looks through the locations of OpenAQ",
            hint="Write: python -m runner job=match source=openaq",
        )
    key = api_key(job)
    with open_store(job) as store:
        stations = choose_stations(job, store).stations
        outage = Outage(job.config.mongo.outage_limit_s, job.stop)
        pacer = pacer_of(job, budget_of(job, store, key), outage)
        job.tell("\n".join(f"# {line.strip()}" for line in job.key_lines))
        places = list(_places(job, key, pacer))
    job.tell("\n".join(_proposal(job, stations, places)))
    return replace(job.outcome(), requests=pacer.permits, budget_wait_s=pacer.waited_s)


def _places(job: Job, key: Secret, pacer: Pacing) -> Iterator[Place]:
    """Yield the locations of the country, page by page up to the last one."""
    asked = {"iso": job.config.source.openaq.country.upper(), "limit": str(PAGE)}
    with openaq_client(job, key, pacer, FailedTries()) as (client, reader):

        def ask(number: int) -> Page:
            return client.get("/v3/locations", {**asked, "page": str(number)}, {}, reader.page)

        for found in islice(pages(ask), _MOST_PAGES):
            yield from filter(None, map(place_of, found))


def _proposal(job: Job, stations: Sequence[Station], places: Sequence[Place]) -> list[str]:
    settings = job.config.source.openaq
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
        lines += [_told(one, used) for one in found[station.idx][:_MOST_TOLD]]
    return lines if likely or unsure else [counts]


def _told(one: Candidate, used: set[int]) -> str:
    place = one.place
    shared = f", shares {' '.join(one.shared)}" if one.shared else ""
    taken = ", CONFIRMED FOR ANOTHER STATION" if place.id in used else ""
    return harmless(
        f"      #   {place.id} {place.name!r}: {one.km:.2f} km{shared}{taken}; "
        f"{' '.join(place.pollutants)}; {place.first} to {place.last}; {place.terms}"
    )
