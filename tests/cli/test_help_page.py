"""The help page says what there is, and nothing that is not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import __version__
from runner.cli.help import SETTINGS
from runner.config.files import GROUPS, builtin_dir, options
from runner.core.errors import Exit

Run = Callable[..., Any]


@pytest.fixture
def page(run: Run) -> str:
    ran = run("--help")
    assert ran.code == 0
    assert ran.err == ""
    return str(ran.out)


def test_help_fits_in_125_lines_of_120_columns(page: str) -> None:
    lines = page.splitlines()
    assert len(lines) <= 125
    assert max(map(len, lines)) <= 120


def test_help_lists_every_option_with_what_it_is(page: str) -> None:
    for option in options(builtin_dir()):
        line = rf"^  {option.name} +{re.escape(option.description)}$"
        assert re.search(line, page, re.MULTILINE), option.path


def test_help_names_every_group(page: str) -> None:
    for group in GROUPS:
        assert re.search(rf"^{group}=", page, re.MULTILINE)


def test_help_gives_five_examples_that_compose(run: Run, page: str, tmp_path: Path) -> None:
    examples = re.findall(r"^  python -m runner(.*?)(?:  .*)?$", page, re.MULTILINE)
    assert len(examples) == 5
    for example in examples:
        arguments = shlex.split(example.replace("=DIR", f"={tmp_path}"))
        assert run("--cfg", "job", *arguments).code == 0


def test_help_states_the_defaults_as_they_are(run: Run, page: str) -> None:
    composed = yaml.safe_load(run("--cfg", "job").out)
    for key in SETTINGS:
        (value,) = re.findall(rf"^  {key}=(.*?)  ", page, re.MULTILINE)
        found = composed
        for part in key.split("."):
            found = found[part]
        assert found == yaml.safe_load(value), key


def test_help_states_every_exit_code_in_use(page: str) -> None:
    ending = page[page.index("Exit codes") :]
    for code in set(Exit):
        assert re.search(rf"\b{code.value}\b", ending)


def test_help_is_given_wherever_it_is_asked_for(run: Run, page: str, cwd: Path) -> None:
    assert run("-h").out == page
    assert run("stations=hanoi", "--years", "3", "--help").out == page
    assert list(cwd.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "name"),
    [(["--schema"], "profile"), (["--schema", "backfill"], "backfill"), (["--schema=job"], "job")],
)
def test_a_schema_is_printed_for_an_editor(run: Run, words: list[str], name: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (builtin_dir() / "schema" / f"{name}.json").read_text("utf-8")


def test_a_schema_that_does_not_exist_is_refused_and_none_is_an_option(run: Run) -> None:
    run("--schema", "hanoi").refused("there are job, stations")
    run("schema=profile").refused("no group or key 'schema'")


def test_version_is_told(run: Run) -> None:
    ran = run("--version")
    described = re.search(r" \(commit [0-9a-f]{7,}(-dirty)?\)", ran.out)
    commit = described[0] if described else ""  # an installed wheel has none
    assert (ran.code, ran.out) == (0, f"runner {__version__}{commit}\n")
