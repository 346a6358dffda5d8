"""`job=replay`: try kept rejects again after a fix, without asking the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from runner.core.checkpoint import Tally
from runner.core.errors import LeaseError
from runner.core.intervals import Interval, hour_of
from runner.core.outcome import Outcome, State, StationOutcome
from runner.core.plan import Skip
from runner.core.readings import Reading, Reason, to_readings
from runner.core.stations import Station
from runner.jobs.backfill.database_plan import plan_database
from runner.jobs.backfill.engine import Sink
from runner.jobs.backfill.job import sink_of
from runner.jobs.choosing import choose_stations, is_narrowed
from runner.process.job import Job
from runner.sources import providers
from runner.store.database import Store, open_store
from runner.store.rejects import KeptReject

_SOURCE = "replay of rejects"


@dataclass(frozen=True, slots=True)
class _Candidate:
    reject: KeptReject
    reading: Reading

    @property
    def hour(self) -> int:
        return hour_of(self.reading["ts"])

    def completes(self, stored: dict[str, object]) -> bool:
        """Whether it is the stored reading with sub-indices that were unusable before."""
        iaqi = stored.get("iaqi")
        return (
            self.reject.reason == Reason.SUB_INDEX_UNUSABLE
            and stored.get("aqi") == self.reading["aqi"]
            and stored.get("time") == self.reading["time"]
            and isinstance(iaqi, dict)
            and iaqi.items() <= self.reading["iaqi"].items()
        )


def run(job: Job) -> Outcome:
    """Try the kept rejects of the chosen stations again.

    A record that is a reading by now is stored where its hour has none. Where the hour has one,
    that one stays: it is what the source said in its place, or later. Either way the reject goes.

    Raises:
        RunnerError: MongoDB could not do it.
    """
    with open_store(job) as store:
        replay = _Replay(job, store)
        with nullcontext() if job.config.dry_run else store.leases.renewing():
            replay.run()
    counts = replay.counts
    would = "would become" if job.config.dry_run else "became"
    written = " (dry run: nothing was written)" if job.config.dry_run else ""
    job.tell(
        f"{counts['tried']:,} rejects tried: {counts['stored']:,} {would} readings, "
        f"{counts['settled']:,} were settled (their hours have a reading, which stays), "
        f"{counts['refused']:,} are still rejected; {counts['untried']:,} could not be tried "
        f"(cut, of files, or of a station without a checkpoint){written}"
    )
    if replay.left:
        job.tell(f"{counts['left']:,} were left, because another run has their stations:")
        for item in replay.left:
            job.tell(f"  {item.station}: {item.detail}")
    return replace(job.outcome(), stations=tuple(replay.left))


class _Replay:
    """Goes through the rejects, station by station, each under a lease."""

    def __init__(self, job: Job, store: Store) -> None:
        self._job = job
        self._store = store
        self._dry = job.config.dry_run
        self._other_shape = {
            one.name for one in providers().values() if not one.rejects_are_records
        }
        outage = store.outage(job.stop)
        self._sink: Sink = sink_of(job, store, _SOURCE, outage)
        self.counts: Counter[str] = Counter()
        self.left: list[StationOutcome] = []

    def run(self) -> None:
        chosen = choose_stations(self._job, self._store) if is_narrowed(self._job) else None
        ids = None if chosen is None else [station.idx for station in chosen.stations]
        written = (self._store.readings, self._store.revisions)
        hours = self._store.rejects.hours_kept(ids)
        database = plan_database(self._job, self._store, written, hours)
        if database.refusal:
            raise database.refusal
        if not self._dry:
            database.make()
        summary = self._store.rejects.summary(ids)
        stations = {item.station_idx for item in summary if item.station_idx is not None}
        checkpoints = self._store.checkpoints.load(with_empty=False)
        for idx in sorted(stations):
            if self._job.stop.asked:
                break
            # Nothing to hold a lease; a backfill fetches it anew, or says what is wrong with it.
            if idx not in checkpoints or checkpoints[idx].unreadable:
                self.counts["untried"] += self._store.rejects.count(idx)
                continue
            try:
                self._station(idx)
            except LeaseError as error:
                self.counts["left"] += self._store.rejects.count(idx)
                self.left.append(_left(self._job, idx, error.message))

    def _station(self, idx: int) -> None:
        if not self._dry:
            self._store.checkpoints.begin(idx, None, self._job.now())
        kept, untried = self._store.rejects.of_station(idx, self._other_shape)
        self.counts["untried"] += untried
        self.counts["tried"] += len(kept)
        found = [item for reject in kept if (item := _candidate(reject))]
        said = _by_hour(found)  # where two differ, nobody knows which one the source meant
        clear = [item for item in found if all(item.reading == one for one in said[item.hour])]
        self.counts["refused"] += len(kept) - len(clear)
        windows: dict[Interval, list[_Candidate]] = {}
        for item in clear:
            windows.setdefault(item.reject.window, []).append(item)
        for window, items in sorted(windows.items()):
            self._window(idx, window, items)
        if not self._dry:
            self._store.checkpoints.leave(idx)

    def _window(self, idx: int, window: Interval, items: Sequence[_Candidate]) -> None:
        stored = self._store.readings.at(idx, [item.hour for item in items])
        fresh = [
            item for item in items if item.hour not in stored or item.completes(stored[item.hour])
        ]
        readings = {item.hour: item.reading for item in fresh}
        tally = self._sink.store(
            Station(idx), window, [readings[hour] for hour in sorted(readings)], []
        )
        self.counts["stored"] += tally.inserted + tally.updated
        self.counts["settled"] += len(items) - tally.inserted - tally.updated
        if self._dry:
            return
        gained = Tally(tally.inserted, tally.updated)
        hours = [item.hour for item in items]
        self._store.checkpoints.note_filled(idx, hours, gained, self._job.now())
        with self._store.leases.hold(idx):
            self._store.rejects.remove([item.reject.key for item in items])


def _by_hour(items: Iterable[_Candidate]) -> dict[int, list[Reading]]:
    """Return the readings that the rejects of every hour became."""
    found: dict[int, list[Reading]] = {}
    for item in items:
        found.setdefault(item.hour, []).append(item.reading)
    return found


def _left(job: Job, idx: int, why: str) -> StationOutcome:
    return StationOutcome(Station(idx), job.wanted, State.SKIPPED, skip=Skip.LEASED, detail=why)


def _candidate(reject: KeptReject) -> _Candidate | None:
    """Return the reading a reject is by now, judged as of when it was met; None for none."""
    if reject.reason == Reason.DUPLICATE_HOUR:  # another record was chosen for the hour
        return None
    made = to_readings([reject.record], reject.station_idx, reject.window, reject.met_at)
    if len(made.readings) != 1 or made.rejects:
        return None
    return _Candidate(reject, made.readings[0])
