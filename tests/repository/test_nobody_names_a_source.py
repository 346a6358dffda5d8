"""Outside runner/sources/ no code names a source, or asks which one it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from runner.sources import built_in

RUNNER = Path(__file__).resolve().parents[2] / "runner"
FILES = sorted({*RUNNER.rglob("*.py")} - {*(RUNNER / "sources").rglob("*.py")})
NAMES = "|".join(sorted(built_in(), key=len, reverse=True))
KEYS = "|".join(one.key.variable for one in built_in().values() if one.key)
TITLES = "|".join(one.title for one in built_in().values() if one.title)
IN_TEXT = re.compile(rf"(?<![\w./])({NAMES})(?!\.org|\w)|{KEYS}|{TITLES}")
IN_NAMES = re.compile(NAMES, re.IGNORECASE)

SCALE = {"AQICN", "AQICN_PM25", "runner.core.aqi.aqicn"}
"""A scale of the index has the name of a source."""
JOBS = {"config/job.py", "jobs/replay.py", "cli/arguments.py"}
"""job=replay and job=sandbox are jobs that have the names of sources."""


def texts_for_people(tree: ast.Module) -> set[int]:
    """Return the docstrings, and the strings under constants that describe them."""
    bodies = (node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list))  # type: ignore[attr-defined]  # getattr looked
    return {id(line.value) for body in bodies for line in body if isinstance(line, ast.Expr)}


def names_in(path: Path) -> Iterator[str]:
    """Yield where code names a source, or compares the name of one with anything."""
    tree = ast.parse(path.read_text("utf-8"))
    prose = texts_for_people(tree)
    for node in ast.walk(tree):
        where = f"{path.relative_to(RUNNER)}:{getattr(node, 'lineno', '')}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            if IN_TEXT.search(node.value):
                yield f"{where}: {node.value!r}"
        elif isinstance(node, ast.Compare):
            for side in map(ast.unparse, (node.left, *node.comparators)):
                if re.search(r"\bsource\.kind$|\bjob\.source$|\.source\.kind\.", side):
                    yield f"{where}: {ast.unparse(node)}"
        for field in ("id", "attr", "name", "arg", "module"):
            name = getattr(node, field, None)
            if isinstance(name, str) and IN_NAMES.search(name) and name not in SCALE:
                yield f"{where}: {name}"


def test_no_code_outside_sources_names_one_or_asks_which_it_is() -> None:
    places = {path: str(path.relative_to(RUNNER)) for path in FILES}
    looked_at = [
        path for path, at in places.items() if at not in JOBS and not at.startswith("core/aqi/")
    ]
    assert len(looked_at) > 100
    assert [found for path in looked_at for found in names_in(path)] == []


def test_what_is_looked_for_is_found() -> None:
    assert all(list(names_in(path)) for path in (RUNNER / "sources").glob("*/__init__.py"))
