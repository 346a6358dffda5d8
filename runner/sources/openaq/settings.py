"""The settings of OpenAQ and its archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runner.config.section import Section, setting
from runner.core.aqi import SCALES
from runner.core.stations import INT32


class OpenAq(Section):
    """Which OpenAQ locations a station is, and what its concentrations become."""

    locations: dict[int, list[int]] = setting(
        {8641: [2539, 7441], 8767: [2446, 7440]},
        "station id to OpenAQ locations; of several that have an hour the first counts",
    )
    scale: str = setting(
        "aqicn",
        "the scale of the sub-indices: `aqicn`, `epa_2012`, `epa_2024` or `vn_aqi`",
    )
    least_coverage: float = setting(
        75.0,
        "percent of an hour that has to be measured",
        ge=0,
        le=100,
        unit="percent of an hour",
    )
    accept_flagged: bool = setting(False, "take hours that OpenAQ has a flag for")
    country: str = setting("VN", "`job=match` looks through its locations")
    match_km: float = setting(
        2.0,
        "`job=match` proposes locations within this distance, kilometres",
        ge=0.01,
        le=100,
        unit="kilometres",
    )

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule that is broken."""
        key = "source.openaq"
        used: Counter[int] = Counter()
        for idx, locations in self.locations.items():
            used.update(set(locations))
            if idx not in INT32 or idx == 0:
                yield f"{key}.locations: {idx} is no station index"
            elif not locations or min(locations) < 1 or len(set(locations)) < len(locations):
                yield f"{key}.locations: {idx}: {list(locations)}: name OpenAQ locations, each once"
        for location, times in used.items():
            if times > 1:
                yield f"{key}.locations: location {location} cannot be {times} stations"
        if self.scale not in SCALES:
            yield f"{key}.scale={self.scale}: there are {', '.join(sorted(SCALES))}"
        if len(self.country) != 2 or not self.country.isalpha():  # noqa: PLR2004 - ISO 3166-1
            yield f"{key}.country={self.country}: write the two letters of a country, as VN"
