"""The document that machines read: totals that add up, and no field that comes and goes."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from runner.core.checkpoint import Checkpoint, Holder, Status, Tally
from runner.core.intervals import Interval, total_hours, union
from runner.core.stations import Station
from runner.jobs.status import status_json

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
DAY = Interval(24, 48)

pieces = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), max_size=5).map(
    lambda drawn: union(Interval(start, start + hours) for start, hours in drawn)
)
known = st.dictionaries(st.integers(1, 12), st.tuples(st.sampled_from(Status), pieces))


@given(known)
def test_the_totals_are_those_of_the_stations(drawn: dict[int, tuple[Status, object]]) -> None:
    checkpoints = {
        idx: Checkpoint(idx, status, covered, start_hour=24, target_end_hour=48)  # type: ignore[arg-type]
        for idx, (status, covered) in drawn.items()
    }
    stations = [Station(idx) for idx in range(1, 11)]
    made = status_json(stations, checkpoints, {})
    rows = {row["station_idx"]: row for row in made["stations"]}
    assert [*rows] == [station.idx for station in stations]
    assert sum(made["totals"]["states"].values()) == made["totals"]["stations"] == len(rows)
    for idx in rows.keys() & checkpoints.keys():
        covered = checkpoints[idx].covered
        assert rows[idx]["covered_hours"] == total_hours(covered)
        hours = {hour for start, end in covered for hour in range(start, end)}
        assert rows[idx]["missing_hours"] == len(set(range(*DAY)) - hours)
    for name in ("covered_hours", "readings_inserted"):
        assert made["totals"][name] == sum(row[name] for row in rows.values())
    assert len({tuple(row) for row in rows.values()}) == 1


def test_a_station_says_its_state_range_error_and_holder() -> None:
    found = Checkpoint(
        7,
        Status.FAILED,
        (Interval(24, 30), Interval(40, 48)),
        start_hour=24,
        target_end_hour=48,
        total=Tally(inserted=5, unchanged=2),
        error_message="HTTP 500",
        updated_at=NOW,
    )
    made = status_json([Station(7, "Huế")], {7: found}, {7: Holder("a-run", NOW)}, [8])
    assert made["unknown"] == [8]
    assert made["totals"]["leased"] == 1
    assert made["stations"] == [
        {
            "station_idx": 7,
            "name": "Huế",
            "state": "failed",
            "start": "1970-01-02T00:00:00Z",
            "end": "1970-01-03T00:00:00Z",
            "covered_start": "1970-01-02T00:00:00Z",
            "covered_end": "1970-01-03T00:00:00Z",
            "covered_hours": 14,
            "missing_hours": 10,
            "holes": 1,
            "readings_inserted": 5,
            "last_error": "HTTP 500",
            "updated_at": "2026-01-02T03:04:05Z",
            "lease": {"run_id": "a-run", "expires_at": "2026-01-02T03:04:05Z"},
        }
    ]


def test_a_checkpoint_that_cannot_be_understood_has_a_state_of_its_own_and_says_why() -> None:
    found = Checkpoint(7, Status.FAILED, error_message="`covered` is 'all'", unreadable=True)
    made = status_json([Station(7), Station(8)], {7: found}, {})
    assert made["totals"]["states"] == {
        "completed": 0,
        "in_progress": 0,
        "failed": 0,
        "unreadable": 1,
        "not_started": 1,
    }
    assert made["stations"][0]["last_error"] == "`covered` is 'all'"
