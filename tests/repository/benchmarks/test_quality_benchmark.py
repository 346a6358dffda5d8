"""The benchmark of the checks runs, judges by its bounds, and owns one section of the page."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.performance import write_section
from benchmarks.quality import Measured, broken_bounds, ratio, table

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = (
    "# Speed\n\n<!-- quality -->\nold\n<!-- end of quality -->\n\n<!-- x -->\n<!-- end of x -->\n"
)


def measured(name: str, seconds: float, megabytes: float = 100.0, **told: int) -> Measured:
    return Measured(name, [seconds, seconds + 1, seconds + 9], [seconds], megabytes, told)


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(PAGE)
    write_section(path, "quality", "new")
    assert path.read_text() == PAGE.replace("old", "new")
    with pytest.raises(ValueError, match="another"):
        write_section(path, "another", "new")
    assert path.read_text() == PAGE.replace("old", "new")


def test_bounds_that_are_missed_are_told() -> None:
    kept = [measured("extraction", 100), measured("checks", 34), measured("page", 9, page_bytes=5)]
    assert ratio(kept) == 0.34
    assert [*broken_bounds(kept)] == []
    assert "0.34 (at most 0.35); in processor time, mongod's left out, 0.34." in table(
        kept, 5, 1, 1
    )
    assert "| checks | 34.0 | 35.0 |" in table(kept, 5_000_000, 195, 3)
    missed = [measured("extraction", 100), measured("checks", 36, 301),
              measured("page", 9, page_bytes=5_000_001)]  # fmt: skip
    assert len([*broken_bounds(missed)]) == 3
    assert ratio(missed[1:]) is None


@pytest.mark.slow
def test_it_measures_every_leg_of_a_small_world(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", "--stations=1", "--years=1", "--rounds=1",
         f"--keep={tmp_path / 'kept'}", f"--report={page}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == ("MISSED" in done.stdout), done.stderr
    for leg in ("extraction", "checks", "page"):
        assert f"\n| {leg} | " in page.read_text()
    assert "8,5" in page.read_text()  # readings: about 2 % of 8,766 hours are missing
    assert (tmp_path / "kept" / "run" / "quality" / "report.html").is_file()
