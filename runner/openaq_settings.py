"""The settings of OpenAQ and its archive; a part of `runner.settings`."""

from __future__ import annotations

from dataclasses import dataclass, field


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
