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
    wanted = direct()
    while more := {key for key, block in blocks.items() if parents(block) & wanted} - wanted:
        wanted |= more
    return HEADER + "".join(block for key, block in blocks.items() if key in wanted)


def direct() -> set[str]:
    """Return what the project itself needs, with the extras of a run."""
    lines = distribution("air-quality-backfill-runner").requires or ()
    extras = {line: re.search(r"extra == ['\"]([\w-]+)['\"]", line) for line in lines}
    return {name(line) for line, extra in extras.items() if extra is None or extra[1] in EXTRAS}


def parents(block: str) -> set[str]:
    """Return who needs what a block pins, from pip-compile's comments."""
    comment = block.partition("# via")[2]
    return {name(one) for one in re.findall(r"[A-Za-z0-9][\w.-]*", comment)}


def name(requirement: str) -> str:
    """Return the name of a project as indexes spell it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


if __name__ == "__main__":
    main()
