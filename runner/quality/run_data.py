"""The run as its checks see it: what was found of all stations, the ledger, the previous run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from runner.core.verdict import Status
from runner.quality.ledger import RunLedger


@dataclass(frozen=True, slots=True)
class Previous:
    """What a previous run left.

    Attributes:
        document: its quality.json.
        days: its agg/day.parquet; no row where it is gone.
        stations: its agg/stations.parquet; likewise.
    """

    document: Mapping[str, Any]
    days: pl.DataFrame
    stations: pl.DataFrame

    @property
    def run_id(self) -> str:
        """The run."""
        return str(self.document.get("run_id", ""))

    def check(self, check_id: str) -> Mapping[str, Any] | None:
        """Return what it says of a check; None where it says nothing."""
        found = (item for item in self.document.get("checks", ()) if item.get("id") == check_id)
        return next(found, None)

    def keys(self) -> dict[int, frozenset[str]]:
        """Return the `iaqi` keys of its stations."""
        if not {"station_idx", "keys"} <= set(self.stations.columns):
            return {}
        rows = self.stations.select("station_idx", "keys").iter_rows()
        return {idx: frozenset(filter(None, (keys or "").split(","))) for idx, keys in rows}


@dataclass(frozen=True)
class RunData:
    """What the checks of a run look at.

    Attributes:
        days: agg/day.parquet of this run.
        stations: agg/stations.parquet of this run.
        series: returns a station's hours and usable aqi, from its extracted readings.
        ledger: the account of the run; None where there is none.
        previous: the previous run; None without one.
        statuses: the other checks' statuses, for D04.
    """

    days: pl.DataFrame
    stations: pl.DataFrame
    series: Callable[[int], pl.DataFrame]
    ledger: RunLedger | None = None
    previous: Previous | None = None
    statuses: Mapping[str, Status] = field(default_factory=dict)

    @property
    def ids(self) -> Sequence[int]:
        """The stations."""
        return self.stations["station_idx"].to_list()
