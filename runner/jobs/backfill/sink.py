"""Where the engine writes: the database, or nothing at all in a dry run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pymongo

from runner.core.checkpoint import Progress, Tally
from runner.core.errors import LeaseError
from runner.core.intervals import Interval
from runner.core.plan import StationPlan, Why
from runner.core.readings import Reading, Reject
from runner.core.stations import Station
from runner.store.attempt import Attempt, Written
from runner.store.checkpoints import Checkpoints
from runner.store.collection import Document
from runner.store.leases import Leases
from runner.store.outage import Outage
from runner.store.readings import Readings
from runner.store.rejects import Rejects
from runner.store.revisions import Revisions

_HAD_NOT_FAILED = (Why.NEW, Why.RESUME, Why.EXTEND, Why.LOOKBACK, Why.FINISH)
"""A station planned for one of these that is failed now has failed in another run since."""

_PARTING_S = 10.0
"""Seconds to give a lease back; it expires by itself."""


@dataclass(frozen=True, slots=True)
class MongoSink:
    """Writes readings, rejects and checkpoints of one run.

    Attributes:
        readings: `waqi_station_readings`.
        rejects: `ingest_rejects`.
        revisions: `ingest_revisions`.
        checkpoints: `ingest_checkpoints`.
        leases: of this run.
        outage: waits while the database does not answer.
        run_id: stands in every reject.
        source: the source's name, likewise.
        now: the present, UTC.
        uncounted: stations of which a write failed, so that part of it may be stored.
    """

    readings: Readings
    rejects: Rejects
    revisions: Revisions
    checkpoints: Checkpoints
    leases: Leases
    outage: Outage
    run_id: str
    source: str
    now: Callable[[], datetime]
    uncounted: set[int] = field(default_factory=set)

    def begin(self, entry: StationPlan) -> Progress:
        """Take the station and set its checkpoint to in_progress; return how far it is.

        For a present observation the checkpoint keeps its state and its range.
        """
        idx, wanted = entry.station.idx, _range(entry)
        may_have_failed = entry.why not in _HAD_NOT_FAILED
        return self.outage.outlast(
            lambda: self.checkpoints.begin(idx, wanted, self.now(), even_failed=may_have_failed)
        )

    def store(
        self,
        station: Station,
        window: Interval,
        readings: Sequence[Reading],
        rejects: Sequence[Reject],
    ) -> Tally:
        """Keep the rejects, then upsert the readings, if the station is still ours."""
        idx, attempt = station.idx, Attempt()
        if rejects:  # by themselves: kept again after an outage, they would count twice
            self.outage.outlast(lambda: self._keep(idx, window, rejects))
        self.uncounted.add(idx)
        try:
            return self.outage.outlast(lambda: self._store(idx, window, readings, attempt))
        except LeaseError:
            # What left this process just before it slept may have arrived after the lease ended.
            self.readings.take_back(idx, window, attempt)
            raise

    def _keep(self, idx: int, window: Interval, rejects: Sequence[Reject]) -> None:
        with self.leases.hold(idx):
            self.rejects.keep(self.run_id, idx, window, rejects, self.source, self.now())

    def _store(
        self, idx: int, window: Interval, readings: Sequence[Reading], attempt: Attempt
    ) -> Tally:
        with self.leases.hold(idx) as check:
            written = self.readings.upsert(
                idx, window, readings, attempt, check=check, note=self._note
            )
            check()
            self._note(written.revisions)
        return _tally(written)

    def _note(self, revisions: Sequence[tuple[Document, Reading]]) -> None:
        self.revisions.keep(self.run_id, self.source, revisions, self.now())

    def advance(self, entry: StationPlan, progress: Progress, tally: Tally) -> None:
        """Record what is known of the station's hours now in its checkpoint."""
        idx, wanted = entry.station.idx, _range(entry)
        self._within_lease(
            idx, lambda: self.checkpoints.advance(idx, wanted, progress, tally, self.now())
        )
        self.uncounted.discard(idx)

    def complete(self, station: Station) -> None:
        """Set the checkpoint to completed."""
        idx = station.idx
        self._within_lease(idx, lambda: self.checkpoints.complete(idx, self.now()))

    def fail(self, station: Station, message: str) -> None:
        """Set the checkpoint to failed, with the reason."""
        idx = station.idx
        self._within_lease(idx, lambda: self.checkpoints.fail(idx, message, self.now()))

    def _within_lease(self, idx: int, change: Callable[[], None]) -> None:
        """Change the checkpoint; nothing is sent after the lease ended."""

        def held() -> None:
            with self.leases.hold(idx):
                change()

        self.outage.outlast(held)

    def leave(self, station: Station) -> None:
        """Give the station's lease back."""
        with pymongo.timeout(_PARTING_S):
            self.checkpoints.leave(station.idx, counted=station.idx not in self.uncounted)


@dataclass(frozen=True, slots=True)
class DrySink:
    """Writes nothing; says what an upsert would do by looking at what is stored."""

    readings: Readings

    def begin(self, entry: StationPlan) -> Progress:
        """Write nothing."""
        return Progress(entry.covered, not_asked=entry.not_asked, unknown=entry.unknown)

    def store(
        self,
        station: Station,
        window: Interval,
        readings: Sequence[Reading],
        _rejects: Sequence[Reject],
    ) -> Tally:
        """Return what an upsert would count."""
        return _tally(self.readings.compare(station.idx, window, readings))

    def advance(self, entry: StationPlan, progress: Progress, tally: Tally) -> None:
        """Write nothing."""

    def complete(self, station: Station) -> None:
        """Write nothing."""

    def fail(self, station: Station, message: str) -> None:
        """Write nothing."""

    def leave(self, station: Station) -> None:
        """Write nothing."""


def _range(entry: StationPlan) -> Interval | None:
    return None if entry.is_present else entry.wanted


def _tally(written: Written) -> Tally:
    kept = len(written.revisions)
    return Tally(written.inserted, written.updated, written.unchanged, kept=kept)
