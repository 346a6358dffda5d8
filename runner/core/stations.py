"""A station, and how the API spells its address."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Station:
    """One monitoring station.

    Attributes:
        idx: AQICN's station index, int32; negative for citizen stations.
        name: name for people; may be empty.
        latitude: degrees north, None where unknown.
        longitude: degrees east, None where unknown.
    """

    idx: int
    name: str = ""
    latitude: float | None = None
    longitude: float | None = None

    @property
    def feed(self) -> str:
        """Path segment of `/feed/`: `@1583`, or `A476599` for the citizen station -476599."""
        return f"A{-self.idx}" if self.idx < 0 else f"@{self.idx}"

    def __str__(self) -> str:
        return f"{self.idx} {self.name}".rstrip()
