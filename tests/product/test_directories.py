"""A directory may have any name: nothing in it is a pattern, a setting or a piece of syntax."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.product import FAST, Runner, readings_of

pytestmark = pytest.mark.slow
NAMES = ["a[1] *?{x} it's \"=,;#&%20 Đà Nẵng\\", "a${b}c${oc.env:HOME}", "a${"]
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
ASK = (
    *FAST,
    "source=sandbox",
    "stations.ids=[8641]",
    "backfill.start_date=2024-01-01",
    "backfill.end_date=2024-01-02",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_job_works_in_a_working_directory_of_any_name(
    runner: Runner, sandbox_database: Database[dict[str, Any]], name: str
) -> None:
    here = runner.directory / name
    here.mkdir()
    runner = replace(runner, directory=here)
    runner(*ASK, "job=plan")
    runner(*ASK, "quality=standard")
    assert len(readings_of(sandbox_database)) == 24
    assert runner.last_json("quality/quality.json")["stations"][0]["station_idx"] == 8641
    runner(*ASK, "job=validate", "quality=standard")
    runner("job=report", "report=html")
    assert len(list((here / "runs").glob("*/*/quality/report.html"))) == 1
    runner(*ASK, "job=plan", "-m", "backfill.batch_size=24,48")
    assert len(list((here / "multirun").glob("*/*/[01]/outcome.json"))) == 2
    if importlib.util.find_spec("joblib") is not None:
        runner(*ASK, "job=plan", "-m", "backfill.batch_size=24,48", *JOBLIB)
        assert len(list((here / "multirun").glob("*/*/[01]/outcome.json"))) == 4
    assert all((run_dir / ".hydra" / "config.yaml").is_file() for run_dir in runner.run_dirs())
    assert [path.name for path in runner.directory.parent.iterdir()] == [name]


def test_files_go_elsewhere_under_any_name_where_the_usual_place_is_read_only(
    runner: Runner, sandbox_database: Database[dict[str, Any]]
) -> None:
    place = runner.directory / NAMES[1] / "it's"
    place.mkdir(parents=True)
    (runner.directory / "runs").write_text("in the way", encoding="utf-8")
    runner(*ASK, TMPDIR=str(place))
    assert len(readings_of(sandbox_database)) == 24
    assert len([*place.glob("runner-*/outcome.json")]) == 1


def test_private_files_are_found_in_a_directory_of_any_name(runner: Runner, tmp_path: Path) -> None:
    here = tmp_path / NAMES[2]
    (here / "mine" / "profile").mkdir(parents=True)
    (here / "mine" / "profile" / "quiet.yaml").write_text(
        "# @package _global_\nlog_level: ERROR\n", encoding="utf-8"
    )
    shown = replace(runner, directory=here)("--cfg", "job", "--config-dir", "mine", "profile=quiet")
    assert "log_level: ERROR" in shown.stdout
