"""How fast: `rate_limit=NAME`."""

from __future__ import annotations

from runner.config.section import Section, setting


class RateLimit(Section):
    """How fast requests may follow each other."""

    delay_s: float = setting(
        4.0, "seconds between the starts of two requests", ge=0, le=3600, unit="seconds"
    )
    max_per_hour: int = setting(
        1000,
        "requests in any 3600 seconds; 0 for no limit",
        ge=0,
        le=10_000_000,
        unit="requests; 0 for no limit",
    )
    shared: bool = setting(
        True,
        "both limits hold for all processes and machines with the same key and database; "
        "`false`: for this process",
    )
