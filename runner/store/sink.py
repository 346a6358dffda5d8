"""Where the engine writes: the database, or nothing at all in a dry run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from runner.core.checkpoint import Empties, Progress, Tally
from runner.core.intervals import Interval, Intervals
from runner.core.plan import StationPlan, Why
from runner.core.readings import Reading, Reject
from runner.core.stations import Station
from runner.store.checkpoints import Checkpoints
from runner.store.leases import Leases
from runner.store.outage import Outage
from runner.store.readings import Readings, Written
from runner.store.rejects import Rejects
from runner.store.revisions import Revisions

_HAD_NOT_FAILED = (Why.NEW, Why.RESUME, Why.EXTEND, Why.LOOKBACK, Why.FINISH)
"""A station planned for one of these that is failed now has failed in another run since."""


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
        idx, tries = station.idx, itertools.count()

        def store() -> Tally:
            next(tries)
            return self._store(station, window, readings, rejects)

        self.uncounted.add(idx)
        tally = self.outage.outlast(store)
        if next(tries) > 1:  # what was stored although no answer came was found unchanged
            here = self.outage.outlast(lambda: self.readings.inserted_here(idx, window))
            more = min(max(0, here - tally.inserted), tally.unchanged)
            tally = replace(tally, inserted=tally.inserted + more, unchanged=tally.unchanged - more)
        return tally

    def _store(
        self,
        station: Station,
        window: Interval,
        readings: Sequence[Reading],
        rejects: Sequence[Reject],
    ) -> Tally:
        self.leases.keep(station.idx)
        if rejects:
            self.rejects.keep(
                self.run_id, station.idx, window, rejects, source=self.source, now=self.now()
            )
        written = self.readings.upsert(station.idx, window, readings)
        self.revisions.keep(self.run_id, self.source, written.revisions, self.now())
        return _tally(written)

    def advance(self, entry: StationPlan, covered: Intervals, empty: Empties, tally: Tally) -> None:
        """Record what is covered now in the station's checkpoint."""
        idx, wanted = entry.station.idx, _range(entry)
        self.outage.outlast(
            lambda: self.checkpoints.advance(idx, wanted, covered, empty, tally, self.now())
        )
        self.uncounted.discard(idx)

    def complete(self, station: Station) -> None:
        """Set the checkpoint to completed."""
        self.outage.outlast(lambda: self.checkpoints.complete(station.idx, self.now()))

    def fail(self, station: Station, message: str) -> None:
        """Set the checkpoint to failed, with the reason."""
        self.outage.outlast(lambda: self.checkpoints.fail(station.idx, message, self.now()))

    def leave(self, station: Station) -> None:
        """Give the station's lease back."""
        self.checkpoints.leave(station.idx, counted=station.idx not in self.uncounted)


@dataclass(frozen=True, slots=True)
class DrySink:
    """Writes nothing; says what an upsert would do by looking at what is stored."""

    readings: Readings

    def begin(self, entry: StationPlan) -> Progress:
        """Write nothing."""
        return Progress(entry.covered)

    def store(
        self,
        station: Station,
        window: Interval,
        readings: Sequence[Reading],
        _rejects: Sequence[Reject],
    ) -> Tally:
        """Return what an upsert would count."""
        return _tally(self.readings.compare(station.idx, window, readings))

    def advance(self, entry: StationPlan, covered: Intervals, empty: Empties, tally: Tally) -> None:
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
