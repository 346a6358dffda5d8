"""The report of a run: real notebooks in real kernels, started by the product as a process."""

import json
import os
import re
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from tests.product.forked import REPOSITORY
from tests.product.product import FAST, Runner, stop, wait_for

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

KEY = "canary-key-9f8e7d6c5b"
HOSTILE = "<script>alert('x')</script> \x1b[31mĐà Nẵng | `rm` & co"
STATIONS = {1584: HOSTILE, 13658: "Hải Phòng/Phủ Liễn"}
WEEK = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-01-15")
SETTINGS = [*FAST, "quality=standard", "report=html"]
EXTERNAL = re.compile(r"<script|\b(?:src|href)=[\"'](?!data:|#)|@import|url\((?!data:)")
PAGE = (REPOSITORY / "notebooks" / "02_quality_report.ipynb").exists()


def backfill(runner: Runner, *more: str, expect: int = 0, **environment: str) -> Any:
    """Run a backfill of the stations with a report."""
    with Sandbox(STATIONS, Climatology(1)) as api:
        return runner(
            "stations.ids=[1584,13658]",
            f"source.base_url={api.url}",
            *WEEK,
            *SETTINGS,
            *more,
            expect=expect,
            AQICN_API_KEY=KEY,
            **environment,
        )


def store_stations(database: Mongo, stations: dict[int, str]) -> None:
    documents = [{"_id": idx, "city": {"name": name}} for idx, name in stations.items()]
    database["waqi_stations"].insert_many(documents)


def quality(runner: Runner) -> Path:
    found = [path for path in runner.run_dirs() if (path / "quality" / "quality.json").exists()]
    return found[-1] / "quality"


def executed(directory: Path) -> list[Path]:
    return sorted((directory / "notebooks").glob("*.ipynb"))


def pages(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.html"))


def html_of(path: Path) -> str:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    return "".join("".join(data.get("text/html", "")) for data in shown)


def errors_in(path: Path) -> list[str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return [output["ename"] for output in outputs if output["output_type"] == "error"]


def test_a_run_leaves_pages_that_need_nothing_and_tell_no_secret(
    runner: Runner, database: Mongo
) -> None:
    store_stations(database, STATIONS)
    (runner.directory / ".env").write_text("OPENAQ_API_KEY=canary-dotenv-77\n")
    done = backfill(runner, "report.summary=true", "quality=strict", expect=3)
    directory = quality(runner)
    names = [path.stem for path in executed(directory)]
    assert {"01_validation_queries", "04_air_quality_summary"} <= set(names)
    assert any(name.startswith("03_station_") for name in names)
    assert [error for path in executed(directory) for error in errors_in(path)] == []
    if PAGE:
        assert done.stdout.strip().splitlines()[-1] == f"Report: {directory / 'report.html'}"
    made = [*pages(directory), *executed(directory), *directory.glob("*.json"),
            *directory.glob("*.md")]  # fmt: skip
    for path in made:
        text = path.read_text("utf-8")
        assert "canary" not in text, path
        assert "\x1b" not in text, path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        shown = html_of(path) if path.suffix == ".ipynb" else text
        assert path.suffix == ".json" or "<script>alert" not in shown, path
    for path in directory.glob("notebooks/*.html"):
        text = path.read_text("utf-8")
        assert not re.search(
            r"<script|\b(?:src|href)=[\"'](?!data:|#)|@import|url\((?!data:)", text
        )
    assert len((directory / "summary.md").read_text("utf-8").splitlines()) <= 20


def test_parameters_are_paths_and_nothing_else(runner: Runner) -> None:
    backfill(runner)
    for path in executed(quality(runner)):
        given = json.loads(path.read_text("utf-8"))["metadata"]["papermill"]["parameters"]
        assert given.pop("RUN_DIR") == str(quality(runner).parent)
        number = path.stem.removeprefix("03_station_")
        file = quality(runner) / "stations" / f"{number}.json"
        assert given == ({} if number == path.stem else {"STATION_FILE": str(file)})
        assert not given or file.is_file()


def test_the_queries_are_shown_with_their_answers_and_write_nothing(
    runner: Runner, database: Mongo
) -> None:
    backfill(runner)
    asked = json.loads((quality(runner) / "queries.json").read_text("utf-8"))["queries"]
    assert [one["error"] for one in asked] == [None] * 5
    assert all(one["query"].startswith("db.") for one in asked)
    assert not any(word in str(asked) for word in ("$out", "$merge", "insert", "update", "delete"))
    counts = {row["_id"]: row["readings"] for row in asked[1]["rows"]}
    stored = database["waqi_station_readings"]
    assert counts == {
        idx: stored.count_documents({"meta.station_idx": idx}) for idx in (1584, 13658)
    }
    assert asked[2]["rows"] == [{"_id": "completed", "stations": 2}]
    assert asked[4]["rows"] == []
    page = (quality(runner) / "notebooks" / "01_validation_queries.html").read_text("utf-8")
    assert page.count("<pre><code>db.") == 5


def test_the_report_is_made_again_with_the_database_gone_and_no_key(runner: Runner) -> None:
    backfill(runner)
    directory = quality(runner)
    before = {path.name for path in pages(directory)}
    for path in (*pages(directory), *executed(directory)):
        path.unlink()
    notebooks = directory / "notebooks"
    stale, foreign = notebooks / "03_station_999.html", notebooks / "mine.txt"
    for path in (stale, stale.with_suffix(".ipynb"), foreign):
        path.touch()
    done = runner("job=report", expect=0 if PAGE else 1, MONGO_URI="mongodb://127.0.0.1:1/")
    assert foreign.exists()
    assert not stale.with_suffix(".ipynb").exists()
    assert {path.name for path in pages(directory)} == before
    assert str(directory / "report.html") in done.stdout if PAGE else done.stdout
    stale.touch()  # a page that somebody asked for
    one = runner(
        "job=report",
        "stations.ids=[13658]",
        f"report.run_dir={directory.parent}",
        expect=0 if PAGE else 1,
        MONGO_URI="mongodb://127.0.0.1:1/",
    )
    assert one.stderr.count("Traceback") == 0
    page = (directory / "notebooks" / "03_station_13658.html").read_text("utf-8")
    assert "Đà Nẵng" in page
    assert stale.exists()


def test_job_report_says_what_is_missing(runner: Runner) -> None:
    refused = runner("job=report", expect=2)
    assert "report.run_dir" in refused.stderr
    other = runner("job=report", "report.run_dir=nowhere", expect=2)
    assert "quality.json" in other.stderr


def test_a_section_that_fails_leaves_the_rest_and_the_verdict(runner: Runner) -> None:
    backfill(runner)
    directory = quality(runner)
    verdict = (directory / "quality.json").read_bytes()
    (directory / "agg" / "diurnal.parquet").write_bytes(b"no parquet")
    done = runner(
        "job=report", "stations.ids=[1584]", "report.summary=true", expect=0 if PAGE else 1
    )
    assert "a section failed" in done.stdout
    assert (directory / "quality.json").read_bytes() == verdict
    page = (directory / "notebooks" / "03_station_1584.html").read_text("utf-8")
    assert page.count("This section failed") == 1
    assert "Every hour" in page
    assert "Hours of the day are UTC+7" in page


NO_KERNEL = ("ipykernel_launcher.py", "raise ImportError('no kernel here')")
NO_PAPERMILL = ("sitecustomize.py", "import sys; sys.modules['papermill'] = None")
"""As without the extra `report`: Python takes the module for one that is not installed."""


@pytest.mark.parametrize(
    ("required", "code", "missing", "why"),
    [("false", 0, NO_KERNEL, "no kernel here"), ("true", 1, NO_PAPERMILL, "runner[report]")],
)
def test_without_notebooks_the_verdict_is_told_and_the_report_is_a_warning(
    runner: Runner, required: str, code: int, missing: tuple[str, str], why: str
) -> None:
    stub = runner.directory / "stub"
    stub.mkdir()
    name, content = missing
    (stub / name).write_text(content)
    done = backfill(
        runner,
        f"report.required={required}",
        expect=code,
        PYTHONPATH=f"{REPOSITORY}{os.pathsep}{stub}",
    )
    assert "Report: NOT MADE" in done.stdout
    assert "Quality: " in done.stdout
    assert (quality(runner) / "quality.json").exists()
    outcome = runner.last_json("outcome.json")
    assert outcome["exit_code"] == code
    assert outcome["report"]["error"]
    if PAGE:
        assert why in done.stdout
    assert (quality(runner) / "summary.md").exists()
    if required == "true":
        return
    path = f"{REPOSITORY}{os.pathsep}{stub}"
    kept = quality(runner) / "report.html"
    kept.write_text("of an earlier making")
    for setting, expect in (("null", 1), ("false", 0)):
        again = runner("job=report", f"report.required={setting}", expect=expect, PYTHONPATH=path)
        assert "Report: NOT MADE" in again.stdout
        assert "report.html is still that of an earlier making" in again.stdout
    assert kept.read_text() == "of an earlier making"


def test_a_foreign_kernelspec_changes_nothing(runner: Runner) -> None:
    spec = runner.directory / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    content = {"argv": ["/bin/false", "{connection_file}"], "display_name": "P", "language": "R"}
    (spec / "kernel.json").write_text(json.dumps(content))
    backfill(
        runner,
        JUPYTER_PATH=str(runner.directory / "jupyter"),
        JUPYTER_PREFER_ENV_PATH="0",
    )
    assert (quality(runner) / "notebooks" / "01_validation_queries.html").exists()


@pytest.mark.parametrize("stations", ["stations.ids=[1584,424242]", "stations.ids=[1584]"])
def test_partly_failed_runs_and_single_stations_have_a_report(
    runner: Runner, stations: str
) -> None:
    named = ("+stations.named={424242: Nowhere}", "quality.fail_on=never")
    backfill(runner, stations, *named, expect=4 if "424242" in stations else 0)
    directory = quality(runner)
    assert (directory / "notebooks" / "01_validation_queries.html").exists()
    assert [error for path in executed(directory) for error in errors_in(path)] == []


def test_stations_without_a_reading_have_a_report(runner: Runner, database: Mongo) -> None:
    store_stations(database, STATIONS)
    ask = ("stations.ids=[1584,13658]", *WEEK, "quality.fail_on=never", "report.summary=true")
    runner("job=validate", *ask)
    directory = quality(runner)
    assert [error for path in executed(directory) for error in errors_in(path)] == []
    page = (directory / "notebooks" / "03_station_1584.html").read_text("utf-8")
    assert "There is no reading in the range." in page


def test_a_dry_run_has_no_report(runner: Runner) -> None:
    done = backfill(runner, "dry_run=true")
    assert "Report:" not in done.stdout
    assert not (runner.run_dirs()[-1] / "quality").exists()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_during_the_report_ends_at_once_with_its_code(
    runner: Runner, signum: int, code: int
) -> None:
    with Sandbox(STATIONS, Climatology(1)) as api:
        process = runner.start(
            "stations.ids=[1584,13658]",
            f"source.base_url={api.url}",
            *WEEK,
            *SETTINGS,
            AQICN_API_KEY=KEY,
        )
        wait_for(lambda: [*runner.directory.glob("runs/*/*/quality/notebooks")])
        ended, out, err = stop(process, signum)
    assert ended == code, out + err
    assert runner.last_json("outcome.json")["report"]["error"] == "stopped"
    assert "Traceback" not in err
    assert runner.last_json("outcome.json")["stopped_by"] == code
    assert (quality(runner) / "quality.json").exists()
