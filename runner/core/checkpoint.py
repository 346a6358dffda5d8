"""How far a station has been fetched: the pure form of an `ingest_checkpoints` document."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runner.core.intervals import Intervals


class Status(StrEnum):
    """The documented states of a checkpoint."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one window, one station or one run; they add up with `+`.

    Attributes:
        inserted: readings that were not there before.
        updated: readings that were there with other values.
        unchanged: readings that were there with the same values.
        rejects: records kept in `ingest_rejects`.
        repaired: records whose hour label was corrected by a documented rule.
        rejected_hours: hours that have a reject and no reading.
        empty_hours: hours of covered windows about which the source said nothing.
        windows: windows covered.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejects: int = 0
    repaired: int = 0
    rejected_hours: int = 0
    empty_hours: int = 0
    windows: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.rejects + other.rejects,
            self.repaired + other.repaired,
            self.rejected_hours + other.rejected_hours,
            self.empty_hours + other.empty_hours,
            self.windows + other.windows,
        )

    @property
    def readings(self) -> int:
        """Readings the source gave, whatever became of them in the collection."""
        return self.inserted + self.updated + self.unchanged


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of one station.

    Attributes:
        station_idx: the station.
        status: the documented state.
        covered: hours whose answer is stored (readings, rejects, or an honest nothing).
        start_hour: first hour of the range last asked for; None in a hand-written checkpoint.
        target_end_hour: end (excluded) of the range last asked for; None likewise.
        last_processed_hour: last hour (included) processed in that range; None before the first.
        total: counts since the station was first fetched.
        error_message: why it failed, in words; None unless failed.
        updated_at: when the document last changed, UTC.
    """

    station_idx: int
    status: Status
    covered: Intervals = ()
    start_hour: int | None = None
    target_end_hour: int | None = None
    last_processed_hour: int | None = None
    total: Tally = field(default_factory=Tally)
    error_message: str | None = None
    updated_at: datetime | None = None
