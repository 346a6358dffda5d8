"""What values the settings of OpenAQ and its archive may have; a part of `runner.rules`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runner.core.aqi import SCALES
from runner.openaq_settings import OpenAq

OPENAQ_RANGES: dict[str, tuple[float, float, str]] = {
    "source.openaq.least_coverage": (0, 100, "percent of an hour"),
    "source.openaq.match_km": (0.01, 100, "kilometres"),
}
"""As `runner.rules.RANGES`."""

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
