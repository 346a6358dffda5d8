"""Every check finds its own fault where it is, and nothing else; clean data passes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from runner.config.files import standard_checks
from runner.config.quality import OF_THE_RUN
from runner.core.intervals import to_datetime
from runner.quality.checks import checks
from tests.quality.faults import FAULTS, MIDDLE
from tests.quality.world import KNOWN, World, check, fired, world


@pytest.mark.parametrize("check_id", sorted(checks()))
def test_a_fault_fires_its_own_check_at_the_known_station(tmp_path: Path, check_id: str) -> None:
    fault = FAULTS[check_id]
    faulty = world(tmp_path)
    fault.inject(faulty)
    made = faulty.check()
    assert {check_id} <= set(fired(made)) <= {check_id, *fault.also}
    found = check(made, check_id)
    assert found["status"] in ("warn", "fail")
    assert found["n_failed"] > 0
    if fault.somewhere:
        assert KNOWN in found["stations"]
        blamed = next(item for item in made["stations"] if item["station_idx"] == KNOWN)
        assert check_id in blamed["checks"][found["status"]]
        assert found["samples"]
        assert (tmp_path / "quality" / found["failures_file"]).is_file()


def test_the_catalogue_the_standard_and_the_faults_are_the_same_checks() -> None:
    assert set(checks()) == set(standard_checks()) == set(FAULTS)


@pytest.mark.parametrize("seed", range(20))
def test_clean_data_raises_no_alarm(tmp_path: Path, seed: int) -> None:
    made = world(tmp_path, seed, (8641, 8767)).check()
    assert fired(made) == {}
    assert made["status"] == "pass"
    assert made["counts"]["capture"] == 1.0


def test_a_shift_of_level_is_found_on_its_day_and_by_its_factor(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    FAULTS["T04"].inject(faulty)
    found = check(faulty.check(), "T04")
    step = next(one for one in found["samples"] if one["statistic"].startswith("step30.pm25"))
    off = datetime.fromisoformat(step["start"]).replace(tzinfo=None) - to_datetime(MIDDLE).replace(
        tzinfo=None
    )
    assert abs(off) <= timedelta(days=7)
    assert 1.8 < float(step["what"].removeprefix("x")) < 6


HUNDRED = (8767, *range(30_001, 30_100))
AGAINST_BEFORE = ("D01", "D02", "D03")


def test_every_fault_at_one_of_a_hundred_stations_is_found_there_and_nowhere_else(
    tmp_path: Path,
) -> None:
    """Each fault has a station of its own; no share of the network hides it."""
    one = world(tmp_path, stations=HUNDRED)
    clean = one.as_previous()
    assert fired({**clean.document}) == {}
    kept = dict(one.frames), dict(one.ledgers), one.scope
    of_stations = sorted(set(checks()) - OF_THE_RUN - set(AGAINST_BEFORE))
    blamed = faults_at(one, of_stations)
    assert blamed.pop(8767) == {"X03"}  # its feed stands under another number, too
    assert_found(of_stations, blamed)
    one.frames, one.ledgers, one.scope = kept
    one.previous = clean
    assert_found(AGAINST_BEFORE, faults_at(one, AGAINST_BEFORE))


def faults_at(faulty: World, check_ids: Sequence[str]) -> dict[int, set[str]]:
    """Put each fault into a station of its own; return which checks blame which stations."""
    for number, check_id in enumerate(check_ids, 1):
        faulty.known = HUNDRED[number]
        FAULTS[check_id].inject(faulty)
    made = faulty.check()
    found = {}
    for one in made["stations"]:
        if bad := {*one["checks"]["fail"], *one["checks"]["warn"]}:
            found[one["station_idx"]] = bad
    for one in made["checks"]:
        if one["status"] in ("fail", "warn") and one["n_stations"] is not None:
            assert one["worst"]["station_idx"] == one["stations"][0]
            assert one["n_stations"]["fail"] + one["n_stations"]["warn"] == len(one["stations"])
    return found


def assert_found(check_ids: Sequence[str], blamed: dict[int, set[str]]) -> None:
    """Every fault is found by its own check at its station; no other station is blamed."""
    allowed = {
        HUNDRED[number]: {check_id, *FAULTS[check_id].also}
        for number, check_id in enumerate(check_ids, 1)
    }
    assert blamed.keys() == allowed.keys()
    for number, check_id in enumerate(check_ids, 1):
        idx = HUNDRED[number]
        assert {check_id} <= blamed[idx] <= allowed[idx]
