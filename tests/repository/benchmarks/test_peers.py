"""The load is measured beside dlt where it is installed; where it is not, the table says so."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.figures import Figure, table
from benchmarks.load import against_dlt
from benchmarks.measure import Cost, clean_environment

REPOSITORY = Path(__file__).resolve().parents[3]
PINNED = REPOSITORY / "benchmarks/requirements-dlt.txt"


def took(*walls_s: float) -> list[Cost]:
    return [Cost(wall_s, cpu_s=0.0, peak_mb=0.0) for wall_s in walls_s]


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text("utf-8"), re.MULTILINE))


def test_a_peer_that_is_not_there_is_skipped_and_the_table_says_how_to_get_it() -> None:
    skipped = against_dlt(1000, {"fresh regular": took(1.0)}, None)
    target = peers.NOT_INSTALLED.rpartition("make ")[2]
    assert skipped.met
    assert f"| skipped | >= 3 x | {peers.NOT_INSTALLED} |" in table([skipped])
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_a_peer_is_judged_by_the_better_of_its_ways_in_every_round() -> None:
    costs = {
        "fresh regular": took(1.0, 2.0, 1.0),
        "dlt rows": took(3.0, 9.0, 5.0),
        "dlt arrow": took(4.0, 8.0, 2.0),
    }
    figure = against_dlt(1000, costs, "1.2.3")
    assert figure.value == 3.0
    assert figure.detail == "dlt 1.2.3: rows 200/s, arrow 250/s"


def test_a_figure_below_its_target_is_missed_and_one_not_measured_is_not() -> None:
    assert not Figure("any", 1.0, target=3.0).keeps(0.5)
    assert Figure("any", None, target=3.0).keeps(0.5)
    assert Figure("any", 1.0, target=3.0, usual=1.5).keeps(0.5)
    assert not Figure("any", 0.7, target=3.0, usual=1.5).keeps(0.5)


def test_an_interpreter_without_dlt_is_no_peer(tmp_path: Path) -> None:
    assert peers.dlt_version(tmp_path / "python") is None
    if not find_spec("dlt"):
        assert peers.dlt_version(Path(sys.executable)) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [(["1", "2", "3", "neither"], "'rows', 'arrow'"), (["1", "2", "x", "rows"], "invalid int")],
)
def test_the_leg_refuses_wrong_arguments_before_it_needs_dlt(given: list[str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.dlt_leg", "http://a", "mongodb://b", "name", *given],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, said in ended.stderr) == (2, True)


def test_the_peer_is_pinned_with_hashes_and_has_the_same_pymongo() -> None:
    ours, theirs = pins(REPOSITORY / "constraints.txt"), pins(PINNED)
    assert theirs.keys() >= {"dlt", "pyarrow", "pymongo"}
    assert theirs["pymongo"] == ours["pymongo"]
    blocks = re.split(r"^(?=[a-z0-9-]+==)", PINNED.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in PINNED.read_text("utf-8")
