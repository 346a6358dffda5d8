"""Every check finds its own fault where it is, and nothing else; clean data passes."""

from pathlib import Path

import pytest

from runner.conf_files import standard_checks
from runner.quality.catalogue import checks
from tests.quality.faults import FAULTS
from tests.quality.world import KNOWN, check, fired, world


@pytest.mark.parametrize("check_id", sorted(checks()))
def test_a_fault_fires_its_own_check_at_the_known_station(tmp_path: Path, check_id: str) -> None:
    fault = FAULTS[check_id]
    faulty = world(tmp_path)
    fault.inject(faulty)
    made = faulty.check()
    assert set(fired(made)) == {check_id, *fault.also}
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
