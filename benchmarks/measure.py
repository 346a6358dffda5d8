"""What a command costs as a person runs it: the whole process, with start-up and all imports."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pymongo

REPOSITORY = Path(__file__).resolve().parents[1]
PRIVATE = ("AQICN_API_KEY", "OPENAQ_API_KEY", "MONGO_URI", "MONGO_DB", "RUNNER_CONF_DIR")
"""Variables of the developer that a measured process does not see."""

_START = """
import json, os, sys, time
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
took = time.perf_counter() - began
kib = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
said = [os.waitstatus_to_exitcode(status), took, used.ru_utime + used.ru_stime, kib]
open(sys.argv[1], "w").write(json.dumps(said))
"""
"""Linux counts into a child's peak what its parent held when it started: so the parent is tiny."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took.

    Attributes:
        wall_s: seconds from its start to its end.
        cpu_s: seconds of processor time, user and system.
        peak_mb: most memory it held (resident), 10^6 bytes.
        said: what it wrote, both streams.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    said: str = ""

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s wall, {self.cpu_s:.2f} s CPU, {self.peak_mb:.0f} MB peak"


def cost_of(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], expect: int = 0
) -> Cost:
    """Run a command to its end and return what it took.

    Args:
        command: the program and its arguments.
        directory: where it runs; its output goes to `output.txt` there.
        environment: all of its variables.
        expect: the exit code it must have.

    Raises:
        RuntimeError: it ended with another one.
    """
    said = directory / "cost.json"
    with (directory / "output.txt").open("w", encoding="utf-8") as output:
        subprocess.run(
            [sys.executable, "-S", "-E", "-c", _START, str(said), *command],
            cwd=directory,
            env={**environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )
    code, wall_s, cpu_s, kib = json.loads(said.read_text("utf-8"))
    text = (directory / "output.txt").read_text("utf-8")
    if code != expect:
        msg = f"{' '.join(command)}: exit {code}\n{text[-2000:]}"
        raise RuntimeError(msg)
    return Cost(wall_s, cpu_s, kib * 1024 / 1e6, text)


def best_cost(costs: Sequence[Cost]) -> Cost:
    """Return the shortest times, to which others on the machine only add, and the highest peak."""
    return Cost(
        min(cost.wall_s for cost in costs),
        min(cost.cpu_s for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def clean_environment(**more: str) -> dict[str, str]:
    """Return the variables of a measured process: this repository, and nothing private."""
    kept = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", **more}


def machine() -> str:
    """Return a line that says on what the figures were taken."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _lines(Path("/proc/cpuinfo"))
            if line.startswith("model name")
        ),
        platform.processor() or platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores ({cpu}), {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, pymongo {pymongo.version}"
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
