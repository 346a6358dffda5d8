"""What the ingest ledger knows: of the run, and hour by hour of a station."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from runner.core.aqi.aqicn import AQICN
from runner.core.checkpoint import Checkpoint, Progress
from runner.core.verdict import Status

if TYPE_CHECKING:
    from runner.quality.network import Scores


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
        """Return what it says of a check; None if it says nothing."""
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
        ledger: the account of the run; None if there is none.
        previous: the previous run; None without one.
        statuses: the other checks' statuses, for D04.
        scores: how unusual each station's months are; None without readings of them.
    """

    days: pl.DataFrame
    stations: pl.DataFrame
    series: Callable[[int], pl.DataFrame]
    ledger: RunLedger | None = None
    previous: Previous | None = None
    statuses: Mapping[str, Status] = field(default_factory=dict)
    scores: Scores | None = None

    @property
    def ids(self) -> Sequence[int]:
        """The stations."""
        return self.stations["station_idx"].to_list()


NOTHING_KNOWN = Progress()


@dataclass(frozen=True, slots=True)
class StationLedger:
    """What is known of one station besides its readings.

    Attributes:
        status: of the checkpoint: in_progress, completed, failed; empty without a checkpoint.
        error: why it failed, in words; empty unless failed.
        progress: what the checkpoint knows of its hours; its `empty` without the time of asking.
        reasons: why a record of an hour was refused, for hours that a reject is kept of.
        stored: readings that the run in hand stored of the hours checked; None if not known.
        scale: name of the scale that its stored indices are on, see `runner.core.aqi.SCALES`.
    """

    status: str = ""
    error: str = ""
    progress: Progress = NOTHING_KNOWN
    reasons: Mapping[int, str] = field(default_factory=dict)
    stored: int | None = None
    scale: str = AQICN.name

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint | None,
        reasons: Mapping[int, str],
        stored: int | None = None,
        scale: str = AQICN.name,
    ) -> StationLedger:
        """Return what a checkpoint, the kept rejects and a run's account know.

        Args:
            checkpoint: of the station; what an older version left unsettled is settled.
            reasons: of the kept rejects, by hour.
            stored: readings that the run stored.
            scale: of its stored indices.
        """
        if checkpoint is None:
            return cls(reasons=reasons, stored=stored, scale=scale)
        return cls(
            status=str(checkpoint.status),
            error=checkpoint.error_message or "",
            progress=checkpoint.progress,
            reasons=reasons,
            stored=stored,
            scale=scale,
        )


@dataclass(frozen=True, slots=True)
class RunLedger:
    """The account of a run.

    Attributes:
        run_id: the run.
        windows: planned, ok, empty (those ok without a reading), not_asked (of which the source was
            asked for no hour), failed, not_attempted.
        readings: fetched, inserted, updated, unchanged, kept, rejected, partial (readings that lost
            a value to a reject), repeated (records that said the same twice).
        requests: tries of requests, all of them.
        failed_requests: those that came to nothing: 5xx, timeouts, broken answers.
        throttled_requests: those refused for asking too often.
        of_more_hours: whether the run was asked for more hours than are checked; where in them
            something failed is not recorded.
        of_more_stations: whether it was asked for more stations; its requests cannot be separated,
            windows and readings are those of the stations checked.
    """

    run_id: str
    windows: Mapping[str, int] = field(default_factory=dict)
    readings: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    failed_requests: int = 0
    throttled_requests: int = 0
    of_more_hours: bool = False
    of_more_stations: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the form in quality.json."""
        return {
            "run_id": self.run_id,
            "windows": dict(self.windows),
            "readings": dict(self.readings),
            "requests": self.requests,
            "retries": self.failed_requests,
            "rate_limited": self.throttled_requests,
        }


def run_ledger(outcome: Mapping[str, Any]) -> RunLedger | None:
    """Return the account that an outcome's JSON form gives; None if it gives none.

    Records of runs made by an older version lack some of it: what is not there is not judged.
    """
    totals, stations = outcome.get("totals"), outcome.get("windows")
    if not isinstance(totals, dict) or not isinstance(stations, dict):
        return None
    readings = {
        "fetched": totals.get("records", 0),
        "rejected": totals.get("rejects", 0),
        **{
            name: totals.get(name, 0)
            for name in ("inserted", "updated", "unchanged", "kept", "partial", "repeated")
        },
    }
    return RunLedger(
        run_id=str(outcome.get("run_id", "")),
        windows={"not_asked": 0, **{name: int(count) for name, count in stations.items()}},
        readings=readings,
        requests=int(outcome.get("requests", 0)),
        failed_requests=int(outcome.get("failed_requests", 0)),
        throttled_requests=int(outcome.get("throttled_requests", 0)),
        of_more_hours=bool(outcome.get("of_more_hours")),
        of_more_stations=bool(outcome.get("of_more_stations")),
    )
