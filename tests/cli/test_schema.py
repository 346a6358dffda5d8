"""What is generated from the declarations is current, and says of YAML what the runner says."""

from __future__ import annotations

import importlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.cli.schema import schema_of, schema_text, settings_table, write_all
from runner.config.files import GROUPS, SCHEMAS, builtin_dir, load_yaml
from runner.config.keys import defaults, known_keys
from runner.config.read import read
from runner.core.errors import ConfigError
from runner.sources.settings import all_settings

jsonschema: Any = importlib.import_module("jsonschema")  # it has no types

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
MODELINE = re.compile(r"^# yaml-language-server: \$schema=(\S+)$", re.MULTILINE)


def problems(text: str, name: str) -> list[str]:
    """Return what an editor would underline in a YAML file."""
    typed = json.loads(json.dumps(load_yaml(text) or {}))  # keys are text there
    validator = jsonschema.Draft7Validator(schema_of(name))
    return [error.message for error in validator.iter_errors(typed)]


def test_the_schemas_and_the_reference_are_what_make_schema_writes(tmp_path: Path) -> None:
    copy = tmp_path / "settings.md"
    copy.write_text(REFERENCE.read_text("utf-8"), "utf-8")
    write_all(tmp_path, copy)
    assert copy.read_text("utf-8") == REFERENCE.read_text("utf-8"), "run: make schema"
    for name in SCHEMAS:
        kept = (builtin_dir() / "schema" / f"{name}.json").read_text("utf-8")
        assert kept == schema_text(name), "run: make schema"
    assert {path.stem for path in (builtin_dir() / "schema").iterdir()} == set(SCHEMAS)


def test_the_reference_has_a_row_for_every_setting() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", settings_table(), re.MULTILINE)
    sections = {key.rpartition(".")[0] for key in known_keys(all_settings())}
    assert [*rows] == [key for key in known_keys(all_settings()) if key not in sections]


@pytest.mark.parametrize("path", sorted(builtin_dir().rglob("*.yaml")), ids=str)
def test_every_built_in_file_names_its_schema_and_keeps_to_it(path: Path) -> None:
    text = path.read_text("utf-8")
    header = text[: re.search(r"^(?!#)", text, re.MULTILINE).start()]  # type: ignore[union-attr]  # it always matches
    (named,) = MODELINE.findall(header)
    schema = (path.parent / named).resolve()
    assert schema.is_file()
    if path.parent.name in GROUPS and "@package" not in text:
        assert schema.stem == path.parent.name
    assert problems(text, schema.stem) == []


WRONG = [
    "backfill: {batch_size: 0}",
    "backfill: {batch_size: many}",
    "backfill: {mode: again}",
    "backfill: {yeers: 2}",
    "stations: {ids: []}",
    "dry_run: perhaps",
    "limits: {reject_share: 1.5}",
    "surprise: 1",
    "sandbox: {flaws: [{station: 1, day: 08-20, hour: 24}]}",
]


@pytest.mark.parametrize("text", WRONG)
def test_an_editor_underlines_what_the_runner_refuses(text: str) -> None:
    assert problems(text, "profile")
    with pytest.raises(ConfigError, match=text.partition(":")[0]):
        read({**defaults(all_settings()), **load_yaml(text)}, NOW, all_settings())


def test_an_editor_shows_the_sentence_and_the_words_of_a_setting() -> None:
    mode = schema_of("profile")["properties"]["backfill"]["properties"]["mode"]
    assert mode["enum"] == ["resume", "gaps", "missing", "refetch"]
    assert mode["description"].startswith("`resume`: hours not covered")
    assert mode["default"] == "resume"
    assert schema_of("backfill")["properties"]["mode"] == mode
