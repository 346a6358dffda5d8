"""The same readers, fuzzed by coverage with the same inputs every time; `make fuzz` searches.

An input of AirNow's reader is a file, which takes some twenty times longer.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.fuzz.__main__ import NAMES

REPOSITORY = Path(__file__).resolve().parents[3]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None,
        reason="atheris has no wheel for this machine, so there is no coverage-guided fuzzing",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_inputs_of_guided_fuzzing_break_nothing(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.robustness.fuzz",
            name,
            f"--runs={300 if name == 'airnow' else 5000}",
            f"--findings={tmp_path}",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "number_of_executed_units" in said
