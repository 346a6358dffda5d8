"""Writes constraints-run.txt: of constraints.txt what a run and its report need, no tool of tests.

`pip install --require-hashes -r constraints-run.txt` installs what the container image holds.
"""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

EXTRAS = ("report",)
PINS = Path("constraints.txt")
TARGET = Path("constraints-run.txt")
HEADER = "# What a run and its report need, with hashes. Made by: make constraints-run\n"


def main() -> None:
    """Write the file."""
    TARGET.write_text(content(PINS.read_text("utf-8")), "utf-8")


def content(pins: str) -> str:
    """Return the blocks of what is needed, in the order of constraints.txt."""
    blocks = {
        name(block): block for block in re.findall(r"^\S+==.*(?:\n[ ].*)*\n?", pins, re.MULTILINE)
    }
    wanted: set[str] = set()
    todo = [*requirements("air-quality-backfill-runner", EXTRAS)]
    while todo:
        one = todo.pop()
        if one in wanted or one not in blocks:  # the latter: for another platform or Python
            continue
        wanted.add(one)
        todo += requirements(one)
    return HEADER + "".join(block for key, block in blocks.items() if key in wanted)


def requirements(project: str, extras: tuple[str, ...] = ()) -> list[str]:
    """Return what an installed project needs, for any platform, with some of its extras."""
    needed = []
    for line in distribution(project).requires or ():
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if extra is None or extra[1] in extras:
            needed.append(name(line))
    return needed


def name(requirement: str) -> str:
    """Return the name of a project as indexes spell it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


if __name__ == "__main__":
    main()
