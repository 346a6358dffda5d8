"""The places that readings come from: who measured there, and under which licence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report.markup import Markup, paragraph
from runner.report.run_files import RunFiles

_MOST = 200
"""Places that are told; the file attributions.json has them all."""
_NOT_SAID = "licence not stated: look it up at openaq.org before passing these readings on"
_USUAL = "aqicn"
_OTHER_SCALE = (
    "These indices are on the scale {scale}. What this report says of AQICN's scale, and the "
    "concentrations that it computes back from indices, do not hold for them: those are in "
    "ingest_concentrations."
)


def places(run: RunFiles, station_idx: int | None = None) -> Markup:
    """Return a line for every place of a run, or of one station; nothing where none is known."""
    told = [one for one in run.attributions if station_idx in (None, one.get("station_idx"))]
    lines = [paragraph(_line(one), "note") for one in told[:_MOST]]
    scales = {str(one["scale"]) for one in told if one.get("scale")} - {_USUAL}
    lines += [paragraph(_OTHER_SCALE.format(scale=scale), "bad") for scale in sorted(scales)]
    if len(told) > _MOST:
        lines.append(paragraph(f"And {len(told) - _MOST:,} more in attributions.json.", "note"))
    return sum(lines, Markup(""))


def _line(place: Mapping[str, Any]) -> str:
    named = [str(place[key]) for key in ("name", "provider", "owner") if place.get(key)]
    licences = [_licence(one) for one in place.get("licences") or () if isinstance(one, dict)]
    return (
        f"Station {place.get('station_idx')}: OpenAQ location {place.get('location')} "
        f"({', '.join(dict.fromkeys(named))}); {'; '.join(licences) or _NOT_SAID}."
    )


def _licence(one: Mapping[str, Any]) -> str:
    told = str(one.get("name") or "a licence without a name")
    if one.get("attribution"):
        told += f", attribution: {one['attribution']}"
    if one.get("url"):
        told += f" ({one['url']})"
    period = [str(one[key]) for key in ("from", "to") if one.get(key)]
    return told + (f", since {' to '.join(period)}" if period else "")
