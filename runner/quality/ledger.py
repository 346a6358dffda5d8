"""What the ingest ledger knows: of the run, and hour by hour of a station."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runner.core.checkpoint import Checkpoint
from runner.core.intervals import Interval, Intervals, intersect, total_hours, union


class Cause(StrEnum):
    """Why an hour has no reading."""

    NOT_FETCHED = "not_fetched"
    """Nobody has asked the source for it yet, or the asking failed."""
    SOURCE_EMPTY = "source_empty"
    """The source was asked, and had nothing."""
    REJECTED = "rejected"
    """The source had a record that is no reading; it is kept in `ingest_rejects`."""
    LOST = "lost"
    """A reading was stored, by the ledger, and is not there any more."""


CAUSES = tuple(Cause)
"""In the order in which the worse wins where a gap has as many hours of one as of another."""

CAUSE_WORDS = {
    "source_empty": "the source had nothing",
    "not_fetched": "not fetched yet",
    "rejected": "rejected",
    "lost": "lost after it was stored",
}
"""What a person is told of a cause, everywhere the same."""


def missing_words(hours: Mapping[str, int]) -> str:
    """Return the missing hours by cause: `24 h the source had nothing, 3 h rejected`."""
    return ", ".join(
        f"{count:,} h {CAUSE_WORDS.get(cause, cause)}" for cause, count in hours.items() if count
    )


@dataclass(frozen=True, slots=True)
class StationLedger:
    """What the ledger knows of one station.

    Attributes:
        status: of the checkpoint: in_progress, completed, failed; empty without a checkpoint.
        error: why it failed, in words; empty unless failed.
        covered: hours whose answer was stored.
        empty: covered hours that had no reading then.
        rejected: hours a reject is kept of.
        accounts: whether the ledger accounts for every covered hour. Not so where coverage was
            written by hand or by the system before: what was empty then is not known.
    """

    status: str = ""
    error: str = ""
    covered: Intervals = ()
    empty: Intervals = ()
    rejected: Collection[int] = frozenset()
    accounts: bool = False

    @classmethod
    def of(cls, checkpoint: Checkpoint | None, rejected: Collection[int]) -> StationLedger:
        """Return what a checkpoint and the hours of the kept rejects say."""
        if checkpoint is None:
            return cls(rejected=rejected)
        empty = union(Interval(item.start, item.end) for item in checkpoint.empty)
        unexplained = total_hours(checkpoint.covered) - total_hours(
            intersect(empty, checkpoint.covered)
        )
        return cls(
            status=str(checkpoint.status),
            error=checkpoint.error_message or "",
            covered=checkpoint.covered,
            empty=empty,
            rejected=rejected,
            accounts=checkpoint.total.readings >= unexplained > 0,
        )

    def causes(self, window: Interval) -> bytearray:
        """Return, for every hour of a window, the index in CAUSES if it has no reading."""
        index = {cause: CAUSES.index(cause) for cause in Cause}
        answered = index[Cause.LOST if self.accounts else Cause.SOURCE_EMPTY]
        found = bytearray([index[Cause.NOT_FETCHED]]) * window.hours
        for piece in intersect(self.covered, (window,)):
            _fill(found, window, piece, answered)
            for hole in intersect(self.empty, (piece,)):
                _fill(found, window, hole, index[Cause.SOURCE_EMPTY])
        for hour in self.rejected:
            if window.start <= hour < window.end:
                found[hour - window.start] = index[Cause.REJECTED]
        return found


def _fill(found: bytearray, window: Interval, piece: Interval, value: int) -> None:
    found[piece.start - window.start : piece.end - window.start] = bytes([value]) * piece.hours


@dataclass(frozen=True, slots=True)
class RunLedger:
    """The account of a run.

    Attributes:
        run_id: the run.
        windows: planned, ok, empty (those ok without a reading), failed, not_attempted.
        readings: fetched, inserted, updated, unchanged, kept, rejected, partial (readings that lost
            a value to a reject), repeated (records that said the same twice).
        requests: tries of requests, all of them.
        failed_requests: those that came to nothing: 5xx, timeouts, broken answers.
        throttled_requests: those refused for asking too often.
        of_more_hours: whether the run was asked for more hours than are checked; where in them
            something failed is not recorded.
        of_more_stations: whether it was asked for more stations; its requests cannot be told apart,
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
    """Return the account that an outcome's JSON form gives; None where it gives none.

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
        windows={name: int(count) for name, count in stations.items()},
        readings=readings,
        requests=int(outcome.get("requests", 0)),
        failed_requests=int(outcome.get("failed_requests", 0)),
        throttled_requests=int(outcome.get("throttled_requests", 0)),
        of_more_hours=bool(outcome.get("of_more_hours")),
        of_more_stations=bool(outcome.get("of_more_stations")),
    )
