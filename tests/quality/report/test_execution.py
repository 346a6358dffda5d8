"""Notebooks run with real papermill in real kernels, whatever is wrong around them."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runner.quality.report.notebooks import Execution, execute

pytestmark = pytest.mark.slow

SECRETS = ("AQICN_API_KEY", "OPENAQ_API_KEY", "MONGO_URI", "MONGO_DB", "SOME_TOKEN")


def notebook(path: Path, *cells: str, kernel: str = "python3") -> Path:
    """Write a notebook whose first cell is the one of the parameters."""
    sources = [("RUN_DIR = None", ["parameters"]), *((cell, []) for cell in cells)]
    made = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": kernel, "display_name": "K"}},
        "cells": [
            {
                "id": f"cell-{number}",
                "cell_type": "code",
                "metadata": {"tags": tags},
                "source": source,
                "execution_count": None,
                "outputs": [],
            }
            for number, (source, tags) in enumerate(sources)
        ],
    }
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


def run(tmp_path: Path, *cells: str, timeout_s: int = 60, **options: Any) -> Execution:
    source = notebook(tmp_path / "source.ipynb", *cells)
    return execute(
        source, tmp_path / "done.ipynb", {"RUN_DIR": "/a/run"}, cell_timeout_s=timeout_s, **options
    )


def shown(done: Execution) -> list[str]:
    """Return what the cells printed."""
    cells = json.loads(done.notebook.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    return ["".join(output["text"]).strip() for output in outputs if "text" in output]


def test_parameters_arrive_and_this_interpreter_runs_the_cells(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys, runner; print(RUN_DIR, sys.executable)")
    assert (done.error, done.failed_cells) == ("", ())
    assert shown(done) == [f"/a/run {sys.executable}"]


def test_a_cell_that_fails_leaves_the_later_ones_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "1 / 0", "print('later')", "raise KeyError('x')", "print('last')")
    assert done.error == ""
    assert [error for _cell, error in done.failed_cells] == [
        "ZeroDivisionError: division by zero",
        "KeyError: 'x'",
    ]
    assert shown(done) == ["later", "last"]
    assert "papermill-error-cell" not in done.notebook.read_text("utf-8")


def test_a_cell_that_takes_too_long_is_interrupted_and_the_next_runs(tmp_path: Path) -> None:
    done = run(tmp_path, "import time; time.sleep(60)", "print('next')", timeout_s=1)
    assert [error for _cell, error in done.failed_cells] == ["KeyboardInterrupt: "]
    assert shown(done) == ["next"]
    assert done.elapsed_s < 20


def test_a_kernel_that_dies_is_an_error_in_words(tmp_path: Path) -> None:
    done = run(tmp_path, "print('before', flush=True)", "import os; os._exit(9)", "print('never')")
    assert "died" in done.error
    assert "never" not in shown(done)


def test_a_kernel_that_is_not_installed_is_told_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ipykernel_launcher.py").write_text("raise ImportError('there is no ipykernel')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run(tmp_path, "print(1)")
    assert "there is no ipykernel" in done.error
    assert not done.any_output


def test_a_notebook_that_is_none_is_an_error_in_words(tmp_path: Path) -> None:
    source = tmp_path / "source.ipynb"
    source.write_text("{")
    done = execute(source, tmp_path / "done.ipynb", {}, cell_timeout_s=5)
    assert done.error
    missing = execute(tmp_path / "none.ipynb", tmp_path / "done.ipynb", {}, cell_timeout_s=5)
    assert "none.ipynb" in missing.error


def hijacked(tmp_path: Path) -> Path:
    """Return a JUPYTER_PATH whose `python3` is no Python at all."""
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    content = {"argv": ["/bin/false", "{connection_file}"], "display_name": "P", "language": "R"}
    (spec / "kernel.json").write_text(json.dumps(content))
    return tmp_path / "jupyter"


def test_a_foreign_kernelspec_named_python3_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(hijacked(tmp_path)))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    assert shown(run(tmp_path, "import sys; print(sys.executable)")) == [sys.executable]


def test_the_kernel_that_a_notebook_was_saved_with_does_not_matter(tmp_path: Path) -> None:
    source = notebook(tmp_path / "source.ipynb", "print('ran')", kernel="the-analysts-own")
    done = execute(source, tmp_path / "done.ipynb", {}, cell_timeout_s=30)
    assert (done.error, shown(done)) == ("", ["ran"])


def test_a_kernel_sees_no_secret_and_no_startup_file_of_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "canary-1234")
    home = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    home.mkdir(parents=True)
    (home / "mine.py").write_text("print('startup')")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("AQICN_API_KEY=canary-1234\n")
    done = run(
        tmp_path,
        "import os; print(sorted(os.environ))",
        "print([v for v in os.environ.values() if 'canary' in v], os.path.exists('.env'))",
    )
    names = shown(done)
    assert names[1] == "[] False"
    assert [name for name in SECRETS if name in names[0]] == []
    assert "canary-1234" not in done.notebook.read_text("utf-8")


def test_what_a_notebook_shows_passes_through_the_redactor(tmp_path: Path) -> None:
    done = run(tmp_path, "print('a canary')", redact=lambda text: text.replace("canary", "***"))
    assert shown(done) == ["a ***"]
    assert "canary" not in done.notebook.read_text("utf-8")


def test_a_stop_kills_the_kernel_at_once(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    began = time.monotonic()
    done = run(
        tmp_path,
        f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)",
        stopped=lambda: mark.exists() and bool(mark.read_text()),
    )
    assert done.stopped
    assert time.monotonic() - began < 15
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    later = run(tmp_path, "print(1)", stopped=lambda: True)
    assert later.stopped
    assert not later.any_output


def test_no_port_is_opened(tmp_path: Path) -> None:
    code = (
        "import json, ipykernel.connect as c; print(json.load(open(c.get_connection_file()))"
        "['transport'])"
    )
    assert shown(run(tmp_path, code)) == ["ipc"]
