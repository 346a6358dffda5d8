"""The settings of OpenAQ and its archive; a part of `runner.config.settings`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.core.aqi import SCALES

OPENAQ_RANGES: dict[str, tuple[float, float, str]] = {
    "source.openaq.least_coverage": (0, 100, "percent of an hour"),
    "source.openaq.match_km": (0.01, 100, "kilometres"),
}
"""As `runner.config.rules.RANGES`."""

_INT32 = range(-(2**31), 2**31)


def broken_openaq_rules(openaq: OpenAq) -> Iterator[str]:
    """Yield a line for every value that is not possible."""
    key = "source.openaq"
    used: Counter[int] = Counter()
    for idx, locations in openaq.locations.items():
        used.update(set(locations))
        if idx not in _INT32 or idx == 0:
            yield f"{key}.locations: {idx} is no station index"
        elif not locations or min(locations) < 1 or len(set(locations)) < len(locations):
            yield f"{key}.locations: {idx}: {list(locations)}: name OpenAQ locations, each once"
    for location, times in used.items():
        if times > 1:
            yield f"{key}.locations: location {location} cannot be {times} stations"
    if openaq.scale not in SCALES:
        yield f"{key}.scale={openaq.scale}: there are {', '.join(sorted(SCALES))}"
    if len(openaq.country) != 2 or not openaq.country.isalpha():  # noqa: PLR2004 - ISO 3166-1
        yield f"{key}.country={openaq.country}: write the two letters of a country, as VN"


@dataclass(slots=True)
class OpenAq:
    """Which OpenAQ locations a station is, and what becomes of their concentrations.

    Attributes:
        locations: station index to OpenAQ location ids. Where several have an hour, the first does.
        scale: names the scale that sub-indices are computed with.
        least_coverage: percent of an hour that was measured; below it the hour is refused.
        accept_flagged: take hours that OpenAQ has a flag for, rather than refuse them.
        country: ISO code of the country whose locations `job=match` looks through.
        match_km: kilometres from a station within which `job=match` proposes a location.
    """

    locations: dict[int, list[int]] = field(
        default_factory=lambda: {8641: [2539, 7441], 8767: [2446, 7440]}
    )
    scale: str = "aqicn"
    least_coverage: float = 75.0
    accept_flagged: bool = False
    country: str = "VN"
    match_km: float = 2.0
