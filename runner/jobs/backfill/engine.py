"""Executes a plan: worker threads over stations, the windows of one station in order.

For every window: fetch, transform, keep the rejects, upsert the readings, and last of all record
the window as covered. That order makes a crash harmless: what is recorded is stored, and what is
stored but not recorded is fetched again and found unchanged.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from threading import Lock
from typing import Protocol

import structlog

from runner.core.checkpoint import Progress, Tally, refused_hours, tally_window
from runner.core.errors import (
    CheckpointChangedError,
    FailedElsewhereError,
    LeaseError,
    RunnerError,
    Scope,
    SourceError,
    StoppedError,
    StoreError,
)
from runner.core.intervals import (
    Interval,
    intersect,
    subtract,
    total_hours,
)
from runner.core.outcome import State, StationOutcome
from runner.core.plan import Plan, Skip, StationPlan, no_kept_answer
from runner.core.present import tally_observation
from runner.core.readings import Reading, Reason, Reject
from runner.core.stations import Station
from runner.jobs.backfill.asking import Answered, Asker
from runner.process.stop import StopFlag
from runner.sources.provider import Source

log = structlog.get_logger()

_SHARED_LOOK_S = 1.0
"""How often a run that shares its stations looks whether another has finished with one."""
_SIGNAL_CHECK_S = 0.2
"""How often the main thread wakes, so that Python can run signal handlers."""


class Sink(Protocol):
    """Where readings go, and where progress is kept. All methods raise StoreError."""

    def begin(self, entry: StationPlan) -> Progress:
        """Take a station for this run alone; return how far it is, whatever the plan thought.

        Raises:
            LeaseError: another run works on it.
            FailedElsewhereError: another run failed on it since the plan was made.
        """
        ...

    def store(
        self,
        station: Station,
        window: Interval,
        readings: Sequence[Reading],
        rejects: Sequence[Reject],
    ) -> Tally:
        """Store a window's rejects and readings; return inserted, updated and unchanged.

        Raises:
            LeaseError: another run works on the station by now; nothing was stored.
        """
        ...

    def advance(self, entry: StationPlan, progress: Progress, tally: Tally) -> None:
        """Record what is known of the station's hours after `store`."""
        ...

    def complete(self, station: Station) -> None:
        """Record that the whole range of a station is covered."""
        ...

    def fail(self, station: Station, message: str) -> None:
        """Record why a station cannot be fetched."""
        ...

    def leave(self, station: Station) -> None:
        """Give a station back, however it went."""
        ...


class Watcher(Protocol):
    """Counts progress, and shows it to a person."""

    def window_done(self, station_idx: int, tally: Tally) -> None:
        """Count a covered window."""
        ...

    def station_done(self, outcome: StationOutcome) -> None:
        """Count a station that is finished with, however it went."""
        ...

    def tick(self) -> None:
        """Log the progress if that is due; called all the time."""
        ...


@dataclass(frozen=True, slots=True)
class Executed:
    """What execution of a plan came to.

    Attributes:
        stations: one outcome for every station of the plan, in its order.
        error: what ended the run early; None if nothing did.
    """

    stations: tuple[StationOutcome, ...]
    error: RunnerError | None = None


class _UnusableAnswerError(SourceError):
    """An answer that cannot be right; its rejects are kept all the same.

    Attributes:
        kept: counts of the rejects, for the account of the run.
    """

    def __init__(self, message: str, rejects: Sequence[Reject]) -> None:
        super().__init__(message, scope=Scope.STATION)
        partial = sum(reject.reason is Reason.SUB_INDEX_UNUSABLE for reject in rejects)
        # Records that are no reading; the usable ones of the answer are neither stored nor counted.
        self.kept = Tally(rejects=len(rejects), partial=partial, records=len(rejects) - partial)


class Engine:
    """Executes one plan.

    Args:
        plan: what to do.
        source: where readings come from.
        sink: where they go.
        watcher: shows progress.
        workers: stations worked on at the same time.
        stop: finishes the windows in hand and leaves the rest.
        reject_share: share of a window's records that may be unusable, 0..1.
        now: the present, UTC; no reading may lie after it.
        shared: other runs like this one work on the same stations: wait for what they have, as long
            as they live, rather than once for the time of a lease.
    """

    def __init__(
        self,
        plan: Plan,
        source: Source,
        sink: Sink,
        watcher: Watcher,
        *,
        workers: int,
        stop: StopFlag,
        reject_share: float = 1.0,
        now: Callable[[], datetime],
        shared: bool = False,
    ) -> None:
        self._plan = plan
        self._asker = Asker(source, now)
        self._sink = sink
        self._watcher = watcher
        self._workers = workers
        self._stop = stop
        self._reject_share = reject_share
        self._shared = shared
        self._lock = Lock()
        self._fatal: RunnerError | None = None
        self._leased: deque[tuple[int, StationPlan, float]] = deque()
        self._started = count(1)
        self._leased_said = False

    def execute(self) -> Executed:
        """Work through the plan until it is done, stopped, or cannot go on."""
        outcomes: dict[int, StationOutcome] = {}
        todo = iter([item for item in enumerate(self._plan.stations) if item[1].why])
        workers = min(self._workers, max(1, len(self._plan.active)))
        with ThreadPoolExecutor(workers, thread_name_prefix="station") as pool:
            running = [pool.submit(self._work, todo, outcomes) for _ in range(workers)]
            while wait(running, timeout=_SIGNAL_CHECK_S).not_done:
                self._watcher.tick()
        for worker in running:
            worker.result()
        stations = tuple(
            outcomes.get(position) or self._untouched(entry)
            for position, entry in enumerate(self._plan.stations)
        )
        return Executed(stations, self._fatal)

    def _work(
        self, todo: Iterator[tuple[int, StationPlan]], outcomes: dict[int, StationOutcome]
    ) -> None:
        while not self._stop.asked:
            with self._lock:
                position, entry = next(todo, (-1, None))
            if entry is None:
                break
            self._run_station(position, entry, outcomes)
        self._say_leased()
        while not self._stop.asked:
            with self._lock:
                if not self._leased:
                    return
                position, entry, free_at = self._leased.popleft()
            try:
                self._stop.sleep(free_at - time.monotonic())
            except StoppedError:
                return
            self._run_station(position, entry, outcomes, last_try=not self._shared)

    def _run_station(
        self,
        position: int,
        entry: StationPlan,
        outcomes: dict[int, StationOutcome],
        *,
        last_try: bool = False,
    ) -> None:
        """Take a station and fetch it; one that another run has is tried again at the end.

        The other run may be dead: its lease then runs out, and what it left is fetched here.
        """
        try:
            progress = self._sink.begin(entry)
        except LeaseError as error:
            log.info(
                "station.leased", station_idx=entry.station.idx, reason=error.message, last=last_try
            )
            wait_s = min(error.free_in_s, _SHARED_LOOK_S) if self._shared else error.free_in_s
            outcome = replace(
                self._untouched(entry), state=State.SKIPPED, skip=Skip.LEASED, detail=error.message
            )
            if not last_try:
                with self._lock:
                    self._leased.append((position, entry, time.monotonic() + wait_s))
                    outcomes[position] = outcome
                return
        except RunnerError as error:
            outcome = self._not_begun(entry, error)
        else:
            pieces = entry.pieces
            if progress.covered != entry.covered:  # another run was here since the plan was made
                left = pieces if entry.is_present else subtract(pieces, progress.covered)
                entry = replace(entry, covered=progress.covered, pieces=left)
            entry = replace(entry, not_asked=progress.not_asked, unknown=progress.unknown)
            outcome = self._fetch_station(entry, progress)
            was_done = not entry.pieces and (
                pieces or self._shared
            )  # or all but the last word of it
            if was_done and outcome.state is State.COMPLETED:
                outcome = replace(outcome, state=State.SKIPPED, skip=Skip.ELSEWHERE)
            self._leave(entry.station)
        outcomes[position] = outcome
        self._watcher.station_done(outcome)

    def _not_begun(self, entry: StationPlan, error: RunnerError) -> StationOutcome:
        """Return the outcome of a station that could not be taken."""
        outcome = replace(self._untouched(entry), detail=error.message)
        if isinstance(error, FailedElsewhereError):
            return replace(outcome, state=State.SKIPPED, skip=Skip.FAILED)
        if error.scope is Scope.RUN:
            self._end_run(error)
            return outcome
        if not isinstance(error, CheckpointChangedError):
            outcome = self._fail(entry, outcome, error)
        self._leave(entry.station)
        return outcome

    def _say_leased(self) -> None:
        """Log once how many stations other runs hold, before waiting for them."""
        with self._lock:
            if self._leased_said or self._shared or not self._leased:
                return
            self._leased_said = True
            longest_s = max(free_at for _position, _entry, free_at in self._leased)
            log.warning(
                "stations.waiting",
                stations=len(self._leased),
                reason="leased by other runs",
                up_to_s=max(0, round(longest_s - time.monotonic())),
            )

    def _fetch_station(self, entry: StationPlan, progress: Progress) -> StationOutcome:
        station = entry.station
        outcome = self._untouched(entry)
        logger = log.bind(station_idx=station.idx)
        try:
            logger.info(
                "station.started",
                name=station.name,
                number=next(self._started),
                of=len(self._plan.active),
                why=entry.reason,
                hours=entry.hours,
            )
            for window in self._plan.windows_of(entry):
                self._stop.check()
                tally, answer = self._run_window(entry, window)
                if entry.is_present:
                    progress = progress.after_observation(answer.hours)
                else:
                    refused = refused_hours(window, answer.hours, answer.rejects)
                    progress = progress.after_window(
                        window, answer.hours, refused, answer.not_asked, answer.asked
                    )
                self._sink.advance(entry, progress, tally)
                outcome = _after_window(outcome, entry, window, progress, tally)
                self._watcher.window_done(station.idx, tally)
                share = 100 * outcome.tally.windows / max(1, outcome.planned_windows)
                logger.debug("station.progress", percent=round(share, 1))
            if not entry.is_present and not subtract((entry.wanted,), progress.settled):
                self._sink.complete(station)
        except StoppedError:
            logger.info("station.left", fetched_hours=outcome.fetched_hours)
            return outcome
        except (LeaseError, CheckpointChangedError) as error:
            logger.warning("station.lost", error=error.message)
            return replace(outcome, detail=error.message)
        except RunnerError as error:
            if isinstance(error, _UnusableAnswerError):
                outcome = replace(outcome, tally=outcome.tally + error.kept)
            if error.scope is not Scope.RUN:
                return self._fail(entry, outcome, error)
            self._end_run(error)
            return replace(outcome, detail=error.message)
        except Exception as error:  # a defect of ours must not take other stations with it
            logger.exception("station.broke")
            message = f"internal error ({type(error).__name__}); the log has the traceback"
            failed = self._fail(entry, outcome, RunnerError(message))
            return replace(failed, internal=True)
        logger.info("station.completed", readings=outcome.tally.readings, **_counts(outcome.tally))
        return _done(entry, outcome)

    def _run_window(self, entry: StationPlan, window: Interval) -> tuple[Tally, Answered]:
        """Ask for a window and store what came; return its counts, and the answer."""
        began = time.monotonic()
        station = entry.station
        answer = self._asker.ask(station, window)
        self._refuse_a_wrong_answer(station, window, answer)
        written = self._sink.store(station, window, answer.readings, answer.rejects)
        made = answer.hours, answer.rejects, answer.repaired
        tally = (
            tally_observation(*made, answer.not_asked)
            if entry.is_present
            else tally_window(window, *made, answer.not_asked)
        )
        tally += written
        tally += Tally(records=answer.records + answer.refused, repeated=answer.repeated)
        log.info(
            "window.stored",
            station_idx=station.idx,
            window=str(window),
            elapsed_ms=round((time.monotonic() - began) * 1000),
            **_counts(tally),
        )
        return tally, answer

    def _refuse_a_wrong_answer(self, station: Station, window: Interval, answer: Answered) -> None:
        """Fail the station if too many records are unusable, keeping them to be looked at.

        An answer of unusable records alone says nothing about the window, however few they are and
        whatever share is allowed.

        Raises:
            SourceError: for the station; no reading of the window was stored.
        """
        unusable = answer.unusable
        count = unusable.total()
        records = answer.records + answer.refused
        if not count or (count < records and count <= self._reject_share * records):
            return
        self._sink.store(station, window, [], answer.rejects)
        reasons = ", ".join(f"{reason} {times}" for reason, times in unusable.most_common(3))
        limit = f"more than limits.reject_share={self._reject_share:g}"
        raise _UnusableAnswerError(
            f"{count} of {records} records of {window} are unusable ({reasons}), "
            f"{'so the window has no answer' if count == records else limit}; "
            "job=rejects shows them",
            answer.rejects,
        )

    def _fail(
        self, entry: StationPlan, outcome: StationOutcome, error: RunnerError
    ) -> StationOutcome:
        idx = outcome.station.idx
        log.error("station.failed", station_idx=idx, error=error.message)
        try:
            if not entry.is_present:  # its history may be sound
                self._sink.fail(outcome.station, error.message)
        except StoreError as refusal:
            if refusal.scope is Scope.RUN:
                self._end_run(refusal)
            else:
                log.warning("station.not_marked", station_idx=idx, error=refusal.message)
        # What a document is to be mended by stands in the hint; a source's hint is the run's.
        hint = error.hint if isinstance(error, StoreError) else ""
        detail = f"{error.message}. {hint}" if hint else error.message
        return replace(outcome, state=State.FAILED, detail=detail)

    def _leave(self, station: Station) -> None:
        if isinstance(self._fatal, StoreError):
            return  # nobody there to tell
        try:
            self._sink.leave(station)
        except StoreError as error:  # the lease ends by itself
            log.warning("lease.not_released", station_idx=station.idx, error=error.message)

    def _untouched(self, entry: StationPlan) -> StationOutcome:
        """Return the outcome of a station before anything was done for it."""
        state = State.SKIPPED if entry.skip else State.LEFT
        return StationOutcome(
            entry.station,
            entry.wanted,
            State.FAILED if entry.skip is Skip.UNREADABLE else state,
            covered_before=entry.covered_hours,
            not_asked_hours=entry.not_asked_hours,
            unknown_hours=entry.unknown_hours,
            planned_windows=self._plan.count_windows_of(entry),
            skip=entry.skip,
            detail=entry.detail,
        )

    def _end_run(self, error: RunnerError) -> None:
        with self._lock:
            first = self._fatal is None
            self._fatal = self._fatal or error
        if first:
            log.error("run.ended", error=error.message)
            self._stop.halt()


def _after_window(
    outcome: StationOutcome, entry: StationPlan, window: Interval, progress: Progress, tally: Tally
) -> StationOutcome:
    """Return the outcome after a window is recorded."""
    fetched = total_hours(intersect((window,), (entry.wanted,)))
    if entry.is_present:
        unasked = fetched * tally.unasked_windows
        fetched -= unasked
    else:
        fetched -= total_hours(intersect(intersect((window,), (entry.wanted,)), progress.not_asked))
        unasked = total_hours(intersect((entry.wanted,), progress.not_asked))
    return replace(
        outcome,
        tally=outcome.tally + tally,
        fetched_hours=outcome.fetched_hours + fetched,
        not_asked_hours=unasked,
    )


def _done(entry: StationPlan, outcome: StationOutcome) -> StationOutcome:
    """Return the outcome of a station all of whose pieces were fetched."""
    if not entry.not_held:
        return replace(outcome, state=State.COMPLETED)
    detail = no_kept_answer(entry.not_held)
    return replace(outcome, state=State.SKIPPED, skip=Skip.NOT_KEPT, detail=detail)


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "inserted": tally.inserted,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "rejected": tally.rejects,
        "empty_hours": tally.empty_hours,
    }
