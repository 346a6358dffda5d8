"""`job=rescale`: stored indices computed again on another scale, from the concentrations kept.

A job of its own rather than a source of the main job: no hour becomes covered or has to be fetched
again, and every stored reading has to be looked at before it is changed.

The order in which a window is written makes a kill harmless: what the readings are about to become
is noted in the concentrations first, and that they are so last. Until then both are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import structlog

from runner.core.checkpoint import Tally
from runner.core.concentrations import CONTEXT_H
from runner.core.errors import ConfigError, LeaseError, Scope, StoreError
from runner.core.intervals import Interval, Intervals, intersect, iso, split
from runner.core.outcome import Outcome, State, StationOutcome
from runner.core.plan import Skip
from runner.core.rescaling import Change, Left, Rescaled, rescale
from runner.core.stations import Station
from runner.core.text import counted
from runner.jobs.backfill.database_plan import plan_database
from runner.jobs.backfill.job import run_identity, sink_of
from runner.jobs.backfill.sink import DrySink
from runner.jobs.choosing import choose_stations, is_narrowed
from runner.process.job import Job
from runner.store.database import Store, open_store
from runner.store.outage import Outage

log = structlog.get_logger()

_WINDOW_H = 984
"""Hours looked at together: as many as OpenAQ gives on a page."""
_LEFT = {
    Left.OTHERS: "have a reading that these concentrations did not give: another source's, or "
    "shared with another writer",
    Left.MISSING: "have no reading, though there was one or there was to be one",
    Left.OLDER: "were kept by an older version, which did not note what was computed: load them "
    "again with backfill.mode=refetch",
}


def run(job: Job) -> Outcome:
    """Bring the stored readings of OpenAQ to the scale `source.openaq.scale`.

    Without `confirm=true`, and in a dry run, nothing is written and what would change is told.

    Raises:
        ConfigError: no concentrations are kept of these stations and hours.
        RunnerError: MongoDB could not do it.
    """
    act = job.config.job.confirm and not job.config.dry_run
    with open_store(job) as store:
        ids = _chosen(job, store)
        pieces = _pieces(job, store, ids)
        work = _Rescaling(job, store, act=act)
        _begin(job, store, pieces, act=act)
        with store.leases.renewing() if act else nullcontext():
            work.run(pieces)
        if act:
            store.runs.finished(job.run_id, work.account())
        elsewhere = store.concentrations.scales(sorted(pieces)) if act else {}
    _tell(job, work, act=act)
    _tell_others(job, elsewhere)
    log.info("rescale.finished", scale=work.scale, **work.total)
    return replace(job.outcome(), stations=tuple(work.skipped))


class _Rescaling:
    """Goes through the stations, window by window, each station under a lease."""

    def __init__(self, job: Job, store: Store, *, act: bool) -> None:
        self._job = job
        self._store = store
        self._act = act
        self._outage = Outage(job.config.mongo.outage_limit_s, job.stop)
        self._sink = (
            sink_of(job, store, "rescale of openaq", self._outage)
            if act
            else DrySink(store.readings)
        )
        self.scale = job.config.source.openaq.scale
        self.counts: dict[int, Counter[str]] = {}
        self.skipped: list[StationOutcome] = []

    @property
    def total(self) -> Counter[str]:
        """Counts of all stations."""
        return sum(self.counts.values(), Counter())

    def account(self) -> dict[str, Any]:
        """Return how it went, for the run record."""
        return {
            "job": self._job.name,
            "scale": self.scale,
            "ended_at": self._job.now().isoformat(),
            "stopped_by": self._job.stop.exit_code,
            "totals": dict(self.total),
            "stations": [{"station_idx": idx, **+counts} for idx, counts in self.counts.items()],
            "left": [{"station_idx": one.station.idx, "why": one.detail} for one in self.skipped],
        }

    def run(self, pieces: Mapping[int, Intervals]) -> None:
        """Rescale the hours of every station."""
        for idx in sorted(pieces):
            if self._job.stop.asked:
                break
            try:
                self._station(idx, pieces[idx])
            except LeaseError as error:
                outcome = StationOutcome(Station(idx), self._job.wanted, State.SKIPPED)
                self.skipped.append(replace(outcome, skip=Skip.LEASED, detail=error.message))
            except StoreError as error:
                if error.scope is Scope.RUN:
                    raise
                self._store.leases.release(idx)
                outcome = StationOutcome(Station(idx), self._job.wanted, State.FAILED)
                self.skipped.append(replace(outcome, detail=error.message))

    def _station(self, idx: int, pieces: Intervals) -> None:
        store = self._store
        if self._act:  # without a range it claims the station, and state and range stay
            self._outage.outlast(lambda: store.checkpoints.begin(idx, None, self._job.now()))
        counts = self.counts.setdefault(idx, Counter())
        for window in split(pieces, _WINDOW_H):
            if self._job.stop.asked:
                break
            counts.update(self._outage.outlast(lambda window=window: self._window(idx, window)))  # type: ignore[misc]
        if self._act:
            store.checkpoints.leave(idx)

    def _window(self, idx: int, window: Interval) -> Counter[str]:
        store, start = self._store, window.start - CONTEXT_H
        kept = store.concentrations.of(idx, Interval(start, window.end))
        stored = store.readings.at(idx, range(*window))
        found = rescale(kept, stored, idx, window, self.scale, self._job.now())
        todo = [one for one in found.changes if not one.is_done]
        if self._act and todo:
            with store.leases.hold(idx):
                store.concentrations.intend(todo)
        readings = [one.reading for one in found.changes if one.reading]
        can_replace = store.readings.can_replace
        rejects = found.rejects if can_replace else []  # else their readings stay
        tally = self._sink.store(Station(idx), window, readings, rejects)
        gone = [one.stored for one in found.changes if one.stored and not one.reading]
        counts = Counter(
            inserted=tally.inserted,
            updated=tally.updated,
            unchanged=tally.unchanged,
            kept=tally.kept,
        )
        counts["removed" if can_replace else "kept"] += len(gone)
        if self._act and can_replace:
            with store.leases.hold(idx):
                store.readings.take_out(gone)
        counts.update(str(why) for why in found.left.values())
        told = {one.new.hour for one in found.changes} | found.left.keys()
        counts["beside"] = len(stored.keys() - told)
        if self._act:
            self._note(idx, found, todo, tally)
        return counts

    def _note(self, idx: int, found: Rescaled, todo: Sequence[Change], tally: Tally) -> None:
        """Note in the checkpoint which hours have a reading, then what the readings are now."""
        store = self._store
        done = [one for one in todo if store.readings.can_replace or not one.replaces]
        filled = [one.new.hour for one in done if one.reading and one.now.gave is None]
        emptied = [one.new.hour for one in done if not one.reading and one.now.gave is not None]
        if filled or emptied:
            gained = Tally(tally.inserted)
            store.checkpoints.note_filled(idx, filled, gained, self._job.now(), emptied)
        settled = [(one.kept, one.new) for one in done]
        if store.readings.can_replace:  # else what is stored may be of any scale, and stays so
            settled += [(one, replace(one.measured, scale="")) for one in found.released]
        with store.leases.hold(idx):
            store.concentrations.settle(settled)


def _chosen(job: Job, store: Store) -> list[int] | None:
    """Return the stations chosen; None for all that there are concentrations of."""
    if not is_narrowed(job):
        return None
    return [station.idx for station in choose_stations(job, store).stations]


def _pieces(job: Job, store: Store, ids: Sequence[int] | None) -> dict[int, Intervals]:
    """Return the hours of the range between the first and the last with indices, by station."""
    pieces: dict[int, Intervals] = {}
    for idx, scales in store.concentrations.scales(ids).items():
        held = [extent for _hours, extent in scales.values()]
        whole = Interval(min(one.start for one in held), max(one.end for one in held))
        if both := intersect((whole,), (job.wanted,)):
            pieces[idx] = both
    if not pieces:
        who = "any station" if ids is None else f"the {counted(len(ids), 'chosen stations')}"
        raise ConfigError(
            f"job=rescale: {job.database_name} has no concentrations of {who} from "
            f"{iso(job.wanted.start)} to {iso(job.wanted.end)} that readings come of",
            hint="source=openaq and source=openaq_archive keep them; readings of other sources "
            "come as indices, and stay on their scale",
        )
    return pieces


def _begin(job: Job, store: Store, pieces: Mapping[int, Intervals], *, act: bool) -> None:
    """Make what is missing, and record that the run began; refuse what could not be kept."""
    usual = (store.readings, store.checkpoints, store.rejects, store.revisions, store.runs)
    first = min(found[0].start for found in pieces.values())
    last = max(found[-1].end for found in pieces.values())
    database = plan_database(job, store, (*usual, store.concentrations), Interval(first, last))
    if database.refusal:
        raise database.refusal
    if not act:
        return
    database.make()
    started = {"scale": job.config.source.openaq.scale, "stations": sorted(pieces)}
    store.runs.started(job.run_id, {**run_identity(job), **started})


def _tell(job: Job, work: _Rescaling, *, act: bool) -> None:
    total, would = work.total, "" if act else "would be "
    job.tell(
        f"Scale {work.scale}, {counted(len(work.counts), 'stations')} in {job.database_name}: "
        f"{total['updated']:,} readings {would}updated, {total['inserted']:,} {would}inserted, "
        f"{total['removed']:,} {would}removed (no index on this scale), "
        f"{total['unchanged']:,} unchanged."
    )
    if total["kept"]:
        job.tell(
            f"{total['kept']:,} cannot be replaced or removed in a time-series collection before "
            "MongoDB 7.0: they stay on their scale; new values are in ingest_revisions."
        )
    for why, words in _LEFT.items():
        if total[why]:
            job.tell(f"{counted(total[why], 'hours')} left as they are: they {words}.")
    if total["beside"]:
        job.tell(
            f"{counted(total['beside'], 'readings')} of the range came from elsewhere, without "
            "concentrations: they stay on the scale they came on."
        )
    for one in work.skipped:
        job.tell(f"Station {one.station.idx} was left: {one.detail}")
    if not act:
        job.tell("Nothing was written; confirm=true without dry_run does it.")


def _tell_others(job: Job, scales: Mapping[int, Mapping[str, tuple[int, Interval]]]) -> None:
    """Say which stations have indices on other scales still: no more can be loaded beside them."""
    for idx, found in sorted(scales.items()):
        for scale, (hours, extent) in sorted(found.items()):
            if scale != job.config.source.openaq.scale:
                job.tell(
                    f"Station {idx} has {counted(hours, 'hours')} on the scale {scale} still, from "
                    f"{iso(extent.start)} to {iso(extent.end)}: rescale these, too, before more is "
                    "loaded"
                )
