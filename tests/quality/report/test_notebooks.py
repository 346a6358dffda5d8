"""The notebooks as they are kept: stripped, thin, with one cell of parameters."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.quality.faults import FAULTS
from tests.quality.world import world

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return made


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_sources_hold_no_output_no_count_and_nothing_of_a_person(path: Path) -> None:
    content = json.loads(path.read_text("utf-8"))
    assert set(content["metadata"]) == {"kernelspec", "language_info"}
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    for cell in content["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags", "title"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_parameters_stand_in_one_cell_and_default_to_the_newest_run(path: Path) -> None:
    tagged = [cell for cell in cells(path) if "parameters" in cell["metadata"].get("tags", ())]
    assert len(tagged) == 1
    namespace: dict[str, Any] = {}
    exec("".join(tagged[0]["source"]), namespace)  # noqa: S102 - our own cell
    del namespace["__builtins__"]
    assert namespace.pop("RUN_DIR") is None
    assert namespace in ({}, {"STATION_FILE": None})


def test_by_hand_they_find_the_newest_run_from_below_it_and_need_nothing_else(
    tmp_path: Path,
) -> None:
    """Every cell of every notebook as it stands, in one process with three variables."""
    faulty = world(tmp_path / "runs" / "2026-01-31" / "10-15-00-000000")
    FAULTS["C04"].inject(faulty)
    faulty.check()
    (tmp_path / "analysis" / "notes").mkdir(parents=True)
    code = (
        "import json, sys\n"
        "for path in sys.argv[1:]:\n"
        "    space = {}\n"
        "    for cell in json.load(open(path, encoding='utf-8'))['cells']:\n"
        "        if cell['cell_type'] == 'code':\n"
        "            *before, last = ''.join(cell['source']).splitlines()\n"
        "            exec('\\n'.join(before), space)\n"
        "            if '=' in last:\n"
        "                exec(last, space)\n"
        "            else:\n"
        "                assert eval(last, space)._repr_html_(), last\n"
    )
    paths = [str(path) for path in SOURCES]
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code, *paths],
        cwd=tmp_path / "analysis" / "notes",
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(paths) == 4


def test_the_documented_notebooks_are_there() -> None:
    names = {path.stem for path in SOURCES}
    assert {"01_validation_queries", "03_station_detail", "04_air_quality_summary"} <= names


def test_help_reaches_no_library_of_the_report() -> None:
    heavy = ("papermill", "nbclient", "nbformat", "ipykernel")
    code = (
        "import sys; from runner.cli.main import main; main(['--help']); "
        f"print([n for n in {heavy} if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_job_without_a_report_reaches_no_library_of_the_report() -> None:
    heavy = ("papermill", "nbclient", "jupyter_client")
    code = f"import sys, runner.jobs.registry; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
