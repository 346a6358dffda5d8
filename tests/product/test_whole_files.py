"""A file of ours is whole under its name or not there, and kernels leave no directories behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.process.files import replacing, write_text
from tests.product.product import FAST, Runner, wait_for

pytestmark = pytest.mark.slow
ASK = (
    *FAST,
    "source=sandbox",
    "backfill.start_date=2024-01-01",
    "backfill.end_date=2024-01-03",
    "quality=standard",
    "report=html",
)
WATCHED = """
import atexit, json, os, sys
renamed = []
def watch(event, args):
    if event == "os.rename":
        renamed.append(os.path.abspath(os.fsdecode(args[1])))
sys.addaudithook(watch)
atexit.register(lambda: open(os.environ["RENAMED"], "w").write(json.dumps(renamed)))
from runner.cli.main import script
script()
"""
OF_OTHERS = {".hydra", "backfill.log"}  # Hydra's own files, and a log that grows line by line


def test_every_file_of_a_run_gets_its_name_once_it_is_whole(
    runner: Runner, sandbox_database: Database[dict[str, Any]]
) -> None:
    noted = runner.directory / "renamed.json"
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *ASK, "-m", "stations.ids=[8641]"],
        cwd=runner.directory,
        env={**runner.environment, "RENAMED": str(noted)},
        check=False,
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    renamed = set(json.loads(noted.read_text("utf-8")))
    left = {
        str(path)
        for path in (runner.directory / "multirun").rglob("*")
        if path.is_file() and not OF_OTHERS & set(path.parts)
    }
    assert {Path(path).suffix for path in left} >= {".json", ".csv", ".html", ".parquet", ".ipynb"}
    assert left - renamed == set()
    assert sandbox_database.name.endswith("_sandbox")


def test_who_is_killed_while_writing_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    write_text(path, "earlier")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from runner.process.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as fresh:\n"
        "    fresh.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, path], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text("utf-8") == "earlier\n"


def test_a_write_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    write_text(path, "earlier")

    def half() -> None:
        with replacing(path) as fresh:
            fresh.write_text("half")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        half()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    assert path.read_text("utf-8") == "earlier\n"


def test_an_error_names_the_file_and_not_the_one_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "outcome.json"
    with pytest.raises(FileNotFoundError) as failed:
        write_text(path, "x")
    assert failed.value.filename == str(path)


def test_directories_of_kernels_do_not_outlive_the_next_report(
    runner: Runner, sandbox_database: Database[dict[str, Any]]
) -> None:
    place = runner.directory / "tmp"
    place.mkdir()
    theirs = place / "airq-kernel-theirs"
    process = runner.start(*ASK, "stations.ids=[8641]", TMPDIR=str(place))
    wait_for(lambda: list(place.glob("airq-kernel-*/kernel.json")))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert list(place.glob("airq-kernel-*"))
    theirs.write_text("not a directory, not ours", encoding="utf-8")
    runner("job=report", TMPDIR=str(place))
    assert list(place.glob("airq-kernel-*")) == [theirs]
    assert sandbox_database.name.endswith("_sandbox")
