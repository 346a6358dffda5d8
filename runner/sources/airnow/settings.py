"""The settings of AirNow's files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.config.section import Section, setting
from runner.core.stations import site_of


class Sites(Section):
    """Which station a site of the files is; they stand beside the settings of all sources."""

    sites: dict[str, Any] = setting(
        {"Hanoi": 8641, "Ho Chi Minh City": 8767},
        "AirNow site name to station id; a site other than Hanoi and Ho Chi Minh City needs its "
        "offset from UTC, in whole hours and all year: "
        "`\"+source.sites={Ulaanbaatar: {station: 8551, utc_offset: '+08:00'}}\"`",
    )

    def broken(self) -> Iterator[str]:
        """Yield a line for every site that cannot be read."""
        for site, where in self.sites.items():
            try:
                site_of(site, where)
            except ValueError as error:
                yield f"source.sites: {site}: {error}"
