"""Whose readings these are: the terms of use ask that every page says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner import sources
from runner.core.aqi import SCALES
from runner.core.aqi.aqicn import AQICN
from runner.quality.report.html import Markup, paragraph
from runner.quality.report.run_files import RunFiles
from runner.sources.provider import Notice

_MOST = 200
"""Places shown; the file attributions.json has them all."""
_NOT_SAID = "licence not stated: look it up at the source before passing these readings on"
USUAL_SCALE = "hourly AQI (AQICN InstantCast), US EPA 2012 PM2.5 breakpoints"
SCALE_SOURCE = (
    "Breakpoints: US EPA for 24-hour means of PM2.5 (40 CFR 58, appendix G, as from 2012 until "
    "May 2024), as AQICN documents them (aqicn.org/faq/2013-09-09) and applies them to single "
    "hours (aqicn.org/faq/2015-03-15), without the steps of 0.1 between EPA's bands. Checked "
    "against concentrations that AirNow published for station 8767 in 2021: 112 of 113 hours."
)
"""Who made the usual scale, where it is written down, and how it was checked."""
_OTHER_SCALE = (
    "These indices are on the scale {scale}. What this report says of AQICN's scale, and the "
    "concentrations that it computes back from indices, do not hold for them: those are in "
    "ingest_concentrations."
)


def places(run: RunFiles, station_idx: int | None = None) -> Markup:
    """Return a line for every place of a run, or of one station; nothing where none is known."""
    places = [one for one in run.attributions if station_idx in (None, one.get("station_idx"))]
    provider = sources.providers().get(run.document["source"])
    title = provider.title if provider else ""
    lines = [paragraph(_line(one, title), "note") for one in places[:_MOST]]
    if not scales_of(run.document):  # a run of an older version took all for AQICN's
        lines += [paragraph(_OTHER_SCALE.format(scale=one), "bad") for one in _other_scales(places)]
    if len(places) > _MOST:
        lines.append(paragraph(f"And {len(places) - _MOST:,} more in attributions.json.", "note"))
    return sum(lines, Markup(""))


def scale_in_words(run: RunFiles) -> str:
    """Return the scale of a run's indices; of an older run AQICN's, unless its places differ."""
    names = scales_of(run.document) or _other_scales(run.attributions)
    if set(names) <= {AQICN.name}:
        return USUAL_SCALE
    titles = [SCALES[name].title if name in SCALES else name for name in names]
    return f"hourly AQI on the scale {' and '.join(titles)}"


def scales_of(document: Mapping[str, Any]) -> list[str]:
    """Return the scales that the stations' indices are on; none if an older version checked."""
    return sorted({one["scale"] for one in document.get("stations", ()) if one.get("scale")})


def _other_scales(places: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({str(one["scale"]) for one in places if one.get("scale")} - {AQICN.name})


def _line(place: Mapping[str, Any], title: str) -> str:
    named = [str(place[key]) for key in ("name", "provider", "owner") if place.get(key)]
    licences = [_licence(one) for one in place.get("licences") or () if isinstance(one, dict)]
    return (
        f"Station {place.get('station_idx')}: {title} location {place.get('location')} "
        f"({', '.join(dict.fromkeys(named))}); {'; '.join(licences) or _NOT_SAID}."
    )


def _licence(one: Mapping[str, Any]) -> str:
    words = str(one.get("name") or "a licence without a name")
    if one.get("attribution"):
        words += f", attribution: {one['attribution']}"
    if one.get("url"):
        words += f" ({one['url']})"
    period = [str(one[key]) for key in ("from", "to") if one.get(key)]
    return words + (f", since {' to '.join(period)}" if period else "")


_FLAWED = "Some were changed on purpose, see the top of the report."


def providers(document: Mapping[str, Any]) -> Sequence[str]:
    """Return whose the readings of a quality.json are; older ones name their source alone."""
    found: Sequence[str] = (document.get("origin") or {}).get("providers") or ()
    return found or [document["source"]]


def flaws(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the flaws that the source put into the readings of a quality.json on purpose."""
    return (document.get("origin") or {}).get("flaws") or ()


def notice(document: Mapping[str, Any]) -> Notice | None:
    """Return what a source warns of at the top of a report, if any does."""
    given = (one.notice(document) for one in sources.providers().values())
    return next(filter(None, given), None)


def attribution(document: Mapping[str, Any]) -> Markup:
    """Return the lines for the foot of a page about the readings of a quality.json."""
    credited = {
        name: text for one in sources.providers().values() for name, text in one.credits.items()
    }
    lines = [credited.get(name, f"Readings: {name}.") for name in providers(document)]
    given = notice(document)
    lines += [given.credit] if given and given.credit else []
    if flaws(document):
        lines.append(_FLAWED)
    return paragraph(" ".join(lines), "note")
