"""Who else the load is measured beside, where it is installed: dlt, in its own environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.measure import REPOSITORY

PYTHON = REPOSITORY / ".venv-dlt/bin/python"
PAGES = ("rows", "arrow")
"""The ways of `benchmarks/dlt_leg.py`."""

NOT_INSTALLED = "dlt is not installed: make bench-peers"
_VERSION = "from importlib.metadata import version; print(version('dlt'), version('pymongo'))"


def dlt_version(python: Path = PYTHON) -> str | None:
    """Return the version of dlt in an environment that has it and pymongo; None if there is none.

    Args:
        python: the interpreter of that environment.
    """
    if not python.exists():
        return None
    asked = subprocess.run(
        [str(python), "-c", _VERSION], capture_output=True, text=True, check=False
    )
    return asked.stdout.split()[0] if asked.returncode == 0 else None
