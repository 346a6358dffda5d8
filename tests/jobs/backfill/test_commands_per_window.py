"""What a window costs the database: docs/scale.md counts on it."""

from typing import Any

from pymongo import MongoClient, monitoring
from pymongo.database import Database

from runner.core.checkpoint import Progress, Tally
from runner.core.intervals import Interval, to_datetime
from runner.core.plan import Pace, build_plan
from runner.core.readings import to_readings
from runner.core.stations import Station
from runner.jobs.backfill.sink import MongoSink
from runner.process.stop import StopFlag
from runner.sources.sandbox.climatology import Climatology
from runner.store.checkpoints import Checkpoints
from runner.store.leases import Leases
from runner.store.outage import Outage
from runner.store.readings import Readings
from runner.store.rejects import Rejects
from runner.store.revisions import Revisions

BATCH_HOURS = 168
START = 464_592  # 2023-01-01T00:00Z
WEEK = Interval(START, START + BATCH_HOURS)
NOW = to_datetime(WEEK.end + 24)


class Commands(monitoring.CommandListener):
    """Notes the commands that a client sends."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def test_a_new_window_costs_one_look_one_insert_and_one_update(
    mongo_uri: str, database: Database[dict[str, Any]]
) -> None:
    sent = Commands()
    with MongoClient[dict[str, Any]](mongo_uri, tz_aware=True, event_listeners=[sent]) as client:
        mine = client[database.name]
        leases = Leases(mine, "run", 60)
        checkpoints, readings = Checkpoints(mine, leases), Readings(mine)
        checkpoints.ensure()
        readings.ensure()
        sink = MongoSink(
            readings,
            Rejects(mine, 10),
            Revisions(mine),
            checkpoints,
            leases,
            Outage(1, StopFlag()),
            "run",
            "sandbox",
            lambda: NOW,
        )
        plan = build_plan([Station(1)], {}, WEEK, batch_hours=BATCH_HOURS, pace=Pace(0, 0))
        entry = plan.stations[0]
        sink.begin(entry)
        made = to_readings(Climatology(1).records(1, WEEK), 1, WEEK, NOW).readings
        sent.names.clear()
        sink.store(entry.station, WEEK, made, [])
        sink.advance(entry, Progress((WEEK,)), Tally(windows=1))
        names = [*sent.names]
    assert names == ["find", "insert", "update"]
