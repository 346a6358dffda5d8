"""The engine over fakes at its ports: order, isolation of failures, stops."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Barrier, Lock
from typing import Any

import pytest
import structlog

from runner.core.checkpoint import Checkpoint, Empties, Empty, Progress, Status, Tally, gaps
from runner.core.errors import (
    CheckpointChangedError,
    FailedElsewhereError,
    LeaseError,
    Scope,
    StoreError,
    StoreUnavailableError,
)
from runner.core.intervals import Interval, to_datetime, union
from runner.core.outcome import Coverage, Outcome, State, StationOutcome
from runner.core.plan import Mode, Pace, Plan, Skip, StationPlan, build_plan
from runner.core.readings import Answer, Reading, Reason, Reject
from runner.core.stations import Station
from runner.jobs.backfill.engine import Engine, Executed
from runner.process.stop import StopFlag
from runner.sources.aqicn.answers import AqicnApiError, AqicnClientError
from runner.sources.provider import Source

RANGE = Interval(470_000, 470_010)
BATCH = 4
Fetch = Callable[[Station, Interval], Answer]


def answer(_station: Station, window: Interval) -> Answer:
    def local(hour: int) -> str:
        return (to_datetime(hour) + timedelta(hours=7)).strftime("%Y-%m-%d %H:%M:%S")

    hours = range(window.start, window.end)
    return Answer([{"aqi": 1, "time": {"s": local(hour), "tz": "+07:00"}} for hour in hours])


@dataclass
class FakeSource(Source):
    behave: Fetch = answer
    name: str = "fake"

    def fetch(self, station: Station, window: Interval) -> Answer:
        return self.behave(station, window)


@dataclass
class Journal:
    """A sink that notes what it is told, in order."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    fail_on: str = ""

    def note(self, *event: Any) -> None:
        with self.lock:
            self.events.append(event)
        if event[0] == self.fail_on:
            raise StoreUnavailableError("the database is gone")

    def begin(self, entry: StationPlan) -> Progress:
        self.note("begin", entry.station.idx)
        return Progress(entry.covered)

    def store(
        self, station: Station, window: Interval, readings: Sequence[Reading], _: Sequence[Reject]
    ) -> Tally:
        self.note("store", station.idx, window)
        return Tally(inserted=len(readings))

    def advance(self, entry: StationPlan, progress: Progress, _: Tally) -> None:
        self.note("advance", entry.station.idx, progress.covered)

    def complete(self, station: Station) -> None:
        self.note("complete", station.idx)

    def fail(self, station: Station, message: str) -> None:
        self.note("fail", station.idx, message)

    def leave(self, station: Station) -> None:
        self.note("leave", station.idx)

    def of(self, idx: int) -> list[tuple[Any, ...]]:
        return [event for event in self.events if event[1] == idx]


class Nobody:
    def window_done(self, station_idx: int, tally: Tally) -> None: ...

    def station_done(self, outcome: StationOutcome) -> None: ...

    def tick(self) -> None: ...


def plan_of(*ids: int) -> Plan:
    stations = [Station(idx) for idx in ids]
    return build_plan(stations, {}, RANGE, batch_hours=BATCH, pace=Pace(0, 0))


def execute(
    plan: Plan,
    behave: Fetch = answer,
    sink: Journal | None = None,
    *,
    stop: StopFlag | None = None,
    workers: int = 4,
    shared: bool = False,
) -> Executed:
    return Engine(
        plan,
        FakeSource(behave),
        sink or Journal(),
        Nobody(),
        workers=workers,
        stop=stop or StopFlag(),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        shared=shared,
    ).execute()


def test_windows_of_a_station_are_stored_in_order_and_recorded_only_afterwards() -> None:
    journal = Journal()
    windows = [Interval(470_000, 470_004), Interval(470_004, 470_008), Interval(470_008, 470_010)]
    executed = execute(plan_of(1), sink=journal)
    expected: list[tuple[Any, ...]] = [("begin", 1)]
    for window in windows:
        expected.append(("store", 1, window))
        expected.append(("advance", 1, (Interval(RANGE.start, window.end),)))
    assert journal.events == [*expected, ("complete", 1), ("leave", 1)]
    (outcome,) = executed.stations
    assert (outcome.state, outcome.fetched_hours, outcome.tally.inserted) == ("completed", 10, 10)


def test_outcomes_come_in_the_order_of_the_plan_whoever_finishes_first() -> None:
    executed = execute(plan_of(*range(1, 30)))
    assert [outcome.station.idx for outcome in executed.stations] == list(range(1, 30))


def test_stations_are_worked_on_at_the_same_time_up_to_the_number_of_workers() -> None:
    meeting = Barrier(3, timeout=30)

    def meet(station: Station, window: Interval) -> Answer:
        if window.start == RANGE.start:
            meeting.wait()
        return answer(station, window)

    executed = execute(plan_of(1, 2, 3), meet, workers=3)
    assert [outcome.state for outcome in executed.stations] == [State.COMPLETED] * 3


def test_one_failing_station_does_not_stop_another() -> None:
    def fail_second(station: Station, window: Interval) -> Answer:
        if station.idx == 2 and window.start > RANGE.start:
            raise AqicnApiError("Unknown station", scope=Scope.STATION)
        return answer(station, window)

    journal = Journal()
    executed = execute(plan_of(1, 2, 3), fail_second, journal)
    assert [outcome.state for outcome in executed.stations] == ["completed", "failed", "completed"]
    failed = executed.stations[1]
    assert (failed.fetched_hours, failed.missing_hours, failed.detail) == (4, 6, "Unknown station")
    assert journal.of(2)[-2:] == [("fail", 2, "Unknown station"), ("leave", 2)]
    assert executed.error is None


def test_a_failure_that_outlasted_its_retries_fails_the_station_only() -> None:
    def unlucky(station: Station, window: Interval) -> Answer:
        if station.idx == 1:
            raise AqicnClientError("timed out")
        return answer(station, window)

    executed = execute(plan_of(1, 2), unlucky)
    assert [outcome.state for outcome in executed.stations] == ["failed", "completed"]


@pytest.mark.parametrize("step", ["begin", "store", "advance", "complete"])
def test_a_document_that_the_database_refuses_fails_its_station_only(step: str) -> None:
    class Refusing(Journal):
        def note(self, *event: Any) -> None:
            super().note(*event)
            if event[:2] == (step, 1):
                raise StoreError("refused", scope=Scope.STATION, hint="mend it")

    journal = Refusing()
    executed = execute(plan_of(1, 2, 3), sink=journal, workers=1)
    assert [outcome.state for outcome in executed.stations] == ["failed", "completed", "completed"]
    assert executed.stations[0].detail == "refused. mend it"
    assert executed.error is None
    assert journal.of(1)[-2:] == [("fail", 1, "refused"), ("leave", 1)]


def test_a_station_that_cannot_even_be_marked_as_failed_stops_no_other() -> None:
    class Refusing(Journal):
        def note(self, *event: Any) -> None:
            super().note(*event)
            if event[0] in ("store", "fail") and event[1] == 1:
                raise StoreError("refused", scope=Scope.STATION)

    executed = execute(plan_of(1, 2), sink=Refusing(), workers=1)
    assert [outcome.state for outcome in executed.stations] == ["failed", "completed"]
    assert executed.error is None


@pytest.mark.parametrize("step", ["begin", "advance", "complete"])
def test_a_checkpoint_that_somebody_else_changed_leaves_its_station_to_the_next_run(
    step: str,
) -> None:
    class Changed(Journal):
        def note(self, *event: Any) -> None:
            super().note(*event)
            if event[:2] == (step, 1):
                raise CheckpointChangedError("changed by somebody else")

    journal = Changed()
    executed = execute(plan_of(1, 2), sink=journal, workers=1)
    left, done = executed.stations
    assert (left.state, left.detail) == (State.LEFT, "changed by somebody else")
    assert done.state is State.COMPLETED
    assert executed.error is None
    assert journal.of(1)[-1] == ("leave", 1)
    assert not [event for event in journal.events if event[0] == "fail"]
    assert Outcome(job="backfill", run_id="r", stations=executed.stations).exit_code == 4


def test_the_log_says_which_station_of_how_many_how_far_it_is_and_what_it_ended_with() -> None:
    with structlog.testing.capture_logs() as lines:
        execute(plan_of(*range(1, 13)), workers=1)
    started = [line for line in lines if line["event"] == "station.started"]
    assert [(line["number"], line["of"]) for line in started] == [(at, 12) for at in range(1, 13)]
    going = [line for line in lines if line["event"] == "station.progress"]
    assert [line["percent"] for line in going[:3]] == [33.3, 66.7, 100.0]
    done = [line for line in lines if line["event"] == "station.completed"]
    assert {line["readings"] for line in done} == {10}
    levels = {line["event"]: line["log_level"] for line in lines}
    assert levels["station.progress"] == "debug"
    assert levels["station.started"] == "info"


def test_a_defect_of_ours_fails_its_station_loudly_and_no_other() -> None:
    def broken(station: Station, window: Interval) -> Answer:
        if station.idx == 1:
            raise ZeroDivisionError
        return answer(station, window)

    executed = execute(plan_of(1, 2), broken)
    assert [outcome.state for outcome in executed.stations] == ["failed", "completed"]
    assert executed.stations[0].internal
    assert "ZeroDivisionError" in executed.stations[0].detail


def test_a_refused_key_ends_the_run_at_once_not_station_by_station() -> None:
    asked: list[int] = []

    def refuse(station: Station, _window: Interval) -> Answer:
        asked.append(station.idx)
        raise AqicnApiError("Invalid key", scope=Scope.RUN, hint="set AQICN_API_KEY")

    journal = Journal()
    executed = execute(plan_of(*range(1, 20)), refuse, journal, workers=1)
    assert asked == [1]
    assert executed.error is not None
    assert executed.error.message == "Invalid key"
    assert {outcome.state for outcome in executed.stations} == {State.LEFT}
    assert not [event for event in journal.events if event[0] == "fail"]


@pytest.mark.parametrize("step", ["begin", "store", "advance", "complete"])
def test_a_database_that_is_gone_ends_the_run_and_leaves_the_stations_resumable(step: str) -> None:
    executed = execute(plan_of(1, 2), sink=Journal(fail_on=step), workers=1)
    assert isinstance(executed.error, StoreUnavailableError)
    assert [outcome.state for outcome in executed.stations] == [State.LEFT, State.LEFT]


def test_a_stop_finishes_the_window_in_hand_and_leaves_the_rest() -> None:
    stop = StopFlag()
    journal = Journal()

    def stop_meanwhile(station: Station, window: Interval) -> Answer:
        stop.ask()
        return answer(station, window)

    executed = execute(plan_of(1, 2), stop_meanwhile, journal, stop=stop, workers=1)
    assert [event[0] for event in journal.events] == ["begin", "store", "advance", "leave"]
    assert [outcome.state for outcome in executed.stations] == [State.LEFT, State.LEFT]
    assert [outcome.fetched_hours for outcome in executed.stations] == [4, 0]
    assert executed.error is None


def test_a_stopped_run_that_is_resumed_fetches_no_window_twice() -> None:
    stop, fetched = StopFlag(), []

    def count(station: Station, window: Interval) -> Answer:
        fetched.append(window)
        if len(fetched) == 2:
            stop.ask()
        return answer(station, window)

    journal = Journal()
    execute(plan_of(1), count, journal, stop=stop)
    covered = next(event[2] for event in reversed(journal.events) if event[0] == "advance")
    from runner.core.checkpoint import Checkpoint, Status

    resumed = build_plan(
        [Station(1)],
        {1: Checkpoint(1, Status.IN_PROGRESS, covered)},
        RANGE,
        batch_hours=BATCH,
        pace=Pace(0, 0),
    )
    execute(resumed, count)
    assert len(fetched) == 3
    assert union(fetched) == (RANGE,)


def test_what_was_known_to_be_empty_when_the_station_was_taken_stays_known() -> None:
    known = (Empty(RANGE.start - 5, RANGE.start - 2, RANGE.end),)
    told: list[Empties] = []

    class Knowing(Journal):
        def begin(self, entry: StationPlan) -> Progress:
            return Progress(entry.covered, known)

        def advance(self, entry: StationPlan, progress: Progress, _: Tally) -> None:
            super().advance(entry, progress, _)
            told.append(progress.empty)

    execute(plan_of(1), sink=Knowing())
    assert len(told) > 1
    assert set(told) == {known}


def test_skipped_stations_are_never_asked_for() -> None:
    plan = build_plan(
        [Station(1)], {}, RANGE, batch_hours=BATCH, pace=Pace(0, 0), offers=lambda _idx: False
    )
    journal = Journal()
    executed = execute(plan, sink=journal)
    assert journal.events == []
    assert [outcome.state for outcome in executed.stations] == [State.SKIPPED]


def shifted(station: Station, window: Interval) -> Answer:
    return answer(station, Interval(window.start + 24, window.end + 24))


def test_an_answer_about_other_hours_fails_the_station_loudly_and_stores_no_reading() -> None:
    plan = build_plan([Station(1)], {}, RANGE, batch_hours=10, pace=Pace(0, 0))
    journal = Journal()
    engine = Engine(
        plan,
        FakeSource(shifted),
        journal,
        Nobody(),
        workers=1,
        stop=StopFlag(),
        reject_share=0.5,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    (outcome,) = engine.execute().stations
    assert outcome.state is State.FAILED
    assert "10 of 10 records" in outcome.detail
    assert "outside_window 10" in outcome.detail
    assert [event[0] for event in journal.events] == ["begin", "store", "fail", "leave"]


@pytest.mark.parametrize(("refused", "state"), [(15, State.COMPLETED), (25, State.FAILED)])
def test_the_share_of_unusable_records_is_one_of_all_also_of_those_the_source_refused(
    refused: int, state: State
) -> None:
    def partly(station: Station, window: Interval) -> Answer:
        whole = answer(station, window).records
        bad = [
            Reject(Reason.CONCENTRATION_UNUSABLE, {}, window.start + at) for at in range(refused)
        ]
        return Answer(whole[refused:], bad)

    wanted = Interval(RANGE.start, RANGE.start + 40)
    plan = build_plan([Station(1)], {}, wanted, batch_hours=40, pace=Pace(0, 0))
    engine = Engine(
        plan,
        FakeSource(partly),
        Journal(),
        Nobody(),
        workers=1,
        stop=StopFlag(),
        reject_share=0.5,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    (outcome,) = engine.execute().stations
    assert outcome.state is state
    if state is State.FAILED:
        assert "25 of 40 records" in outcome.detail


def test_hours_the_source_itself_has_no_value_for_fail_nothing() -> None:
    def dashes(station: Station, window: Interval) -> Answer:
        return Answer([{**record, "aqi": "-"} for record in answer(station, window).records])

    plan = build_plan([Station(1)], {}, RANGE, batch_hours=10, pace=Pace(0, 0))
    executed = execute(plan, dashes)
    assert executed.stations[0].state is State.COMPLETED
    assert executed.stations[0].tally.rejected_hours == 10


class HeldByAnother(Journal):
    """Station 1 is another run's, for three looks; then that run has fetched all of it."""

    looks = 0

    def begin(self, entry: StationPlan) -> Progress:
        super().begin(entry)
        if entry.station.idx != 1:
            return Progress(entry.covered)
        self.looks += 1
        if self.looks <= 3:
            raise LeaseError("leased by run other", free_in_s=0.01)
        return Progress((RANGE,))


def test_a_run_that_shares_waits_for_another_to_the_end_and_asks_nothing_twice() -> None:
    asked: list[int] = []

    def noting(station: Station, window: Interval) -> Answer:
        asked.append(station.idx)
        return answer(station, window)

    executed = execute(plan_of(1, 2), noting, HeldByAnother(), workers=1, shared=True)
    elsewhere, done = executed.stations
    assert set(asked) == {2}
    assert (elsewhere.state, elsewhere.skip) == (State.SKIPPED, Skip.ELSEWHERE)
    assert (elsewhere.covered_before, elsewhere.missing_hours) == (RANGE.hours, 0)
    assert done.state is State.COMPLETED
    outcome = Outcome(job="backfill", run_id="r", stations=executed.stations)
    assert (outcome.exit_code, outcome.success_rate) == (0, 100.0)


@pytest.mark.parametrize(("shared", "state"), [(True, State.SKIPPED), (False, State.COMPLETED)])
def test_of_a_station_that_is_covered_but_not_completed_yet_a_run_that_shares_claims_nothing(
    shared: bool, state: State
) -> None:
    covered = Checkpoint(1, Status.IN_PROGRESS, covered=(RANGE,))
    plan = build_plan([Station(1)], {1: covered}, RANGE, batch_hours=10, pace=Pace(0, 0))
    assert [(bool(entry.why), entry.pieces) for entry in plan.stations] == [(True, ())]

    class Covered(Journal):
        def begin(self, entry: StationPlan) -> Progress:
            super().begin(entry)
            return Progress((RANGE,))

    journal = Covered()
    executed = execute(plan, sink=journal, shared=shared)
    assert executed.stations[0].state is state
    assert ("complete", 1) in [event[:2] for event in journal.events]


def test_a_run_that_shares_stops_waiting_when_it_is_asked_to_stop() -> None:
    class Forever(HeldByAnother):
        def begin(self, entry: StationPlan) -> Progress:
            self.looks = 0
            if len(self.events) > 5:
                stop.ask()
            return super().begin(entry)

    stop = StopFlag()
    executed = execute(plan_of(1), sink=Forever(), shared=True, stop=stop)
    assert executed.stations[0].skip is Skip.LEASED


def test_a_station_that_failed_in_another_run_meanwhile_is_not_asked_for_again() -> None:
    class Failed(Journal):
        def begin(self, entry: StationPlan) -> Progress:
            super().begin(entry)
            raise FailedElsewhereError("Unknown station")

    journal = Failed()
    executed = execute(plan_of(1), sink=journal)
    assert [event[0] for event in journal.events] == ["begin"]
    (outcome,) = executed.stations
    assert (outcome.skip, outcome.detail) == (Skip.FAILED, "Unknown station")
    assert executed.error is None


def test_a_leased_station_is_tried_again_at_the_end_and_then_skipped_with_its_holder() -> None:
    class Leased(Journal):
        def begin(self, entry: StationPlan) -> Progress:
            super().begin(entry)
            if entry.station.idx == 1:
                raise LeaseError("leased by run other", free_in_s=0.01)
            return Progress(entry.covered)

    journal = Leased()
    executed = execute(plan_of(1, 2), sink=journal, workers=1)
    assert [event[1] for event in journal.events if event[0] == "begin"] == [1, 2, 1]
    leased, done = executed.stations
    assert (leased.state, leased.skip, leased.detail) == (
        State.SKIPPED,
        Skip.LEASED,
        "leased by run other",
    )
    assert done.state is State.COMPLETED


def test_the_stations_of_other_runs_are_one_line_of_log_and_one_of_the_summary() -> None:
    class Leased(Journal):
        def begin(self, entry: StationPlan) -> Progress:
            if entry.station.idx <= 30:
                raise LeaseError("leased by run other", free_in_s=0.01)
            return super().begin(entry)

    with structlog.testing.capture_logs() as lines:
        executed = execute(plan_of(*range(1, 33)), sink=Leased(), workers=2)
    (waiting,) = (line for line in lines if line["log_level"] == "warning")
    assert (waiting["event"], waiting["stations"]) == ("stations.waiting", 30)
    assert waiting["up_to_s"] >= 0
    summary = Outcome(job="backfill", run_id="r", stations=executed.stations).summary()
    assert "  30 stations: leased by run other" in summary.splitlines()
    assert summary.count("leased by run other") == 1


def test_hours_that_another_run_covered_meanwhile_are_not_fetched() -> None:
    covered = (Interval(RANGE.start, RANGE.start + 8),)

    class Meanwhile(Journal):
        def begin(self, entry: StationPlan) -> Progress:
            super().begin(entry)
            return Progress(covered)

    asked: list[Interval] = []

    def noting(station: Station, window: Interval) -> Answer:
        asked.append(window)
        return answer(station, window)

    executed = execute(plan_of(1), noting, Meanwhile())
    assert asked == [Interval(RANGE.start + 8, RANGE.end)]
    outcome = executed.stations[0]
    assert (outcome.covered_before, outcome.missing_hours) == (8, 0)


def engine_over(
    behave: Fetch, sink: Journal, plan: Plan, *, reject_share: float = 0.5
) -> StationOutcome:
    (outcome,) = (
        Engine(
            plan,
            FakeSource(behave),
            sink,
            Nobody(),
            workers=1,
            stop=StopFlag(),
            reject_share=reject_share,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        .execute()
        .stations
    )
    return outcome


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_an_answer_of_unusable_records_alone_fails_its_window_whatever_its_size(
    count: int, share: float
) -> None:
    def refused(_station: Station, _window: Interval) -> Answer:
        return Answer([{"status": "error", "msg": "Over quota"}] * count)

    journal = Journal()
    outcome = engine_over(refused, journal, plan_of(1), reject_share=share)
    assert (outcome.state, outcome.fetched_hours) == (State.FAILED, 0)
    assert f"{count} of {count} records" in outcome.detail
    assert (outcome.tally.rejects, outcome.tally.records) == (
        count,
        count,
    )  # kept and accounted for
    assert [event[0] for event in journal.events] == ["begin", "store", "fail", "leave"]


@pytest.mark.parametrize("count", [9, 10, 24])
def test_a_record_with_one_odd_sub_index_is_a_reading_however_many_there_are(count: int) -> None:
    def partly(station: Station, window: Interval) -> Answer:
        odd = {"pm25": {"v": 40}, "wg": {"v": None}}
        records = answer(station, window).records
        return Answer([{**record, "iaqi": odd} for record in [*records, *records]])

    wanted = Interval(RANGE.start, RANGE.start + count)
    plan = build_plan([Station(1)], {}, wanted, batch_hours=24, pace=Pace(0, 0))
    outcome = engine_over(partly, Journal(), plan)
    assert outcome.state is State.COMPLETED
    tally = outcome.tally
    assert (tally.inserted, tally.partial, tally.repeated) == (count, 2 * count, count)


def test_a_record_is_counted_once_however_much_of_it_is_odd() -> None:
    def odd_and_doubled(station: Station, window: Interval) -> Answer:
        records = answer(station, window).records
        odd = [{**record, "iaqi": {"wg": {"v": None}}} for record in records]
        return Answer([*odd, *[{**record, "aqi": 2} for record in odd[:9]]])

    plan = build_plan([Station(1)], {}, RANGE, batch_hours=10, pace=Pace(0, 0))
    outcome = engine_over(odd_and_doubled, Journal(), plan, reject_share=0.4)
    assert "9 of 19 records" in outcome.detail
    assert "duplicate_hour 9" in outcome.detail


class Noting(Journal):
    """Keeps the last progress."""

    progress = Progress()

    def advance(self, entry: StationPlan, progress: Progress, _: Tally) -> None:
        super().advance(entry, progress, _)
        self.progress = progress


def unasked(hours: Interval) -> Fetch:
    """Return a source that was not asked for some hours, and had nothing in its first one."""

    def behave(station: Station, window: Interval) -> Answer:
        start, end = max(window.start, hours.start), min(window.end, hours.end)
        asked = [
            record
            for hour in range(window.start, window.end)
            if not hours.start <= hour < hours.end and hour != RANGE.start
            for record in answer(station, Interval(hour, hour + 1)).records
        ]
        return Answer(asked, not_asked=(Interval(start, end),) if start < end else ())

    return behave


def test_hours_not_asked_for_are_neither_covered_nor_empty_and_the_account_adds_up() -> None:
    sink = Noting()
    not_asked = Interval(RANGE.start + 2, RANGE.start + 8)  # of three windows, all of the second
    outcome = engine_over(unasked(not_asked), sink, plan_of(1))
    assert outcome.state is State.COMPLETED
    assert sink.progress.not_asked == (not_asked,)
    assert sink.progress.covered == (
        Interval(RANGE.start, not_asked.start),
        Interval(not_asked.end, RANGE.end),
    )
    assert [item[:2] for item in sink.progress.empty] == [(RANGE.start, RANGE.start + 1)]
    assert (outcome.fetched_hours, outcome.not_asked_hours, outcome.missing_hours) == (4, 6, 0)
    run = Outcome("backfill", "r", (outcome,))
    coverage = Coverage.of(run.stations)
    assert (coverage.readings, coverage.empty, coverage.not_asked) == (3, 1, 6)
    assert sum(asdict(coverage).values()) == 2 * coverage.total
    assert "not asked 6" in run.summary()
    assert run.windows["ok"] + run.windows["not_asked"] == run.windows["planned"] == 3
    assert (run.windows["not_asked"], run.windows["empty"]) == (1, 0)
    assert (run.exit_code, run.success_rate) == (0, 100.0)


class Known(Noting):
    """A sink whose checkpoint has a progress already."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.known = progress

    def begin(self, entry: StationPlan) -> Progress:
        super().begin(entry)
        return self.known


def test_hours_not_asked_for_are_planned_again_by_modes_that_look_for_gaps_only() -> None:
    part = Interval(RANGE.start + 2, RANGE.start + 8)
    rest = (Interval(RANGE.start, part.start), Interval(part.end, RANGE.end))
    found = Checkpoint(1, Status.COMPLETED, covered=rest, not_asked=(part,))

    def planned(mode: Mode) -> Plan:
        holes = {1: gaps(found.progress, rest, asked_since=0)}
        return build_plan(
            [Station(1)], {1: found}, RANGE, batch_hours=10, pace=Pace(0, 0), mode=mode, gaps=holes
        )

    (skipped,) = planned(Mode.RESUME).stations
    assert (skipped.skip, skipped.pieces) == (Skip.COVERED, ())
    assert (skipped.covered_hours, skipped.not_asked_hours) == (4, 6)
    (untouched,) = execute(planned(Mode.RESUME)).stations
    assert (untouched.not_asked_hours, untouched.missing_hours) == (6, 0)
    for mode in (Mode.GAPS, Mode.MISSING):
        sink = Known(found.progress)
        outcome = engine_over(answer, sink, planned(mode))
        assert sink.progress == Progress((RANGE,))
        assert (outcome.fetched_hours, outcome.not_asked_hours) == (6, 0)


def test_hours_that_only_a_checkpoint_says_are_covered_are_not_counted_as_covered_by_runs() -> None:
    found = Checkpoint(1, Status.COMPLETED, covered=(RANGE,), unknown=(RANGE,))
    plan = build_plan([Station(1)], {1: found}, RANGE, batch_hours=10, pace=Pace(0, 0))
    run = Outcome("backfill", "r", execute(plan).stations)
    coverage = Coverage.of(run.stations)
    assert (coverage.covered_before, coverage.unknown) == (0, RANGE.hours)
    assert sum(asdict(coverage).values()) == 2 * coverage.total
    holes = {1: gaps(found.progress, (), asked_since=0)}
    plan = build_plan(
        [Station(1)], {1: found}, RANGE, batch_hours=10, pace=Pace(0, 0), mode=Mode.GAPS, gaps=holes
    )
    assert plan.hours == RANGE.hours
