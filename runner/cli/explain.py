"""What Hydra, OmegaConf and YAML complain about, in words that help: one to five lines each."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.errors import MissingConfigException, OverrideParseException

from runner.config.files import wrong_ending
from runner.config.keys import mapping_of, unknown_key
from runner.sources.settings import all_settings

_WIDTH = 110
_MOST_LINES = 5
_NOISE = re.compile(
    r"\s*(full_key|reference_type|object_type|Config search path|provider=|See https?://|"
    r"Set the environment variable|To append to your config|Error merging override)"
)

_EXTRAS = ("joblib", "ray")
"""Launchers that are installed as an extra of the same name."""
_TYPES = {"Integer": "a whole number", "Float": "a number"}

_MEANINGS: tuple[tuple[str, str], ...] = (
    (r"Value '(.*)' of type '\w+' could not be converted to (\w+)", "{key}={0} is not {type}"),
    (r"Value '(.*)' is not a valid bool", "{key}={0}: allowed are true and false"),
    (r"Cannot convert '(?:list|dict)' to string: '(.*)'", "{key}={0} is not a single value"),
    (r"field '.*' is not Optional", "{key} must have a value, it cannot be null or left empty"),
    (r"Environment variable '(.+)' not found", "{key} needs the environment variable {0}: set it"),
    (r"secret (\S+) is never a setting", "{key}: {0} is a secret, which is never a setting"),
    (r"Interpolation key '(.+)' not found", "{key}: ${{{0}}} names a setting that does not exist"),
    (r"missing mandatory value", "{key} must be given: it stands as ???"),
    (r"Key (\S+) \(str\) is incompatible", "{key}: {0} must be a number, without quotes"),
    (r"is not a ListConfig", "{key}: write a list, as {key}=[1,2]"),
    (
        r"Merge error: \w+ is not a subclass of (\w+)\. value: (.*)",
        "'{1}' stands where the settings of {0} belong (name: value, indented)",
    ),
    (r"Invalid type assigned", "{key} must hold settings (name: value, indented)"),
    (r"missing BRACE_CLOSE", "{key}: a ${{ lacks its }}"),
    (
        r"Cannot merge (?:DictConfig with ListConfig|incompatible container types)",
        "write names and values (name: value), no list",
    ),
)
"""What OmegaConf says, and what it means; `{key}` is the setting, `{0}` the value or name."""


def explain(error: Exception, directories: Sequence[Path]) -> str:
    """Return what went wrong while the configuration was composed.

    Args:
        error: from Hydra, OmegaConf or YAML, or a ValueError of theirs.
        directories: where the YAML files are: the built-in directory, then a private one.
    """
    if isinstance(error, yaml.YAMLError):
        return _yaml(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(error, directories)
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read '{error.override}': write KEY=VALUE; a value with = , {{ }} [ ] ( )\n"
            "or accents needs two pairs of quotes: 'stations.name=\"a, b\"'"
        )
    if isinstance(error, UnicodeDecodeError):
        return _not_utf8(error, directories)
    return _composition(error, directories)


def _yaml(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "cannot be read"
    if mark is None:
        return f"broken YAML: {error}"
    advice = "\nindent with blanks, not with tabs" if "'\\t'" in problem else ""
    if "block" in problem:
        advice = "\ncheck the indentation: names of one block begin in the same column"
    where = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}"
    return f"{where}: broken YAML: {problem}{advice}"


def _missing(error: MissingConfigException, directories: Sequence[Path]) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    options = list(error.options or ())
    if group == "hydra/launcher" and name in _EXTRAS:
        install = f"pip install 'air-quality-backfill-runner[{name}]'"
        return f"hydra/launcher={name} is an extra that is not installed: {install}"
    where = _file_named_in(str(error), directories)
    message = f"{where}{group}={name}: there is no such option"
    misnamed = wrong_ending(directories, group, name)
    if misnamed:
        return f"{message}; {misnamed} must end in .yaml: rename it"
    close = difflib.get_close_matches(name, options, n=2)
    if close:
        message += f"; did you mean {' or '.join(close)}?"
    if not options:
        return message
    listed = textwrap.shorten(f"{group} has: {', '.join(options)}", 4 * _WIDTH, placeholder=" …")
    return "\n".join([message, *textwrap.wrap(listed, _WIDTH)])


def _not_utf8(error: UnicodeDecodeError, directories: Sequence[Path]) -> str:
    for path in (path for directory in directories for path in directory.glob("*/*.yaml")):
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as found:
            return f"{path} is not UTF-8 text: {found.reason} at byte {found.start}"
    return f"a file is not UTF-8 text: {error}"


def _composition(error: Exception, directories: Sequence[Path]) -> str:
    text = "\n".join(str(item) for item in (error, error.__cause__) if item)
    found = re.search(r"full_key: (\S+)", text)
    key = found.group(1) if found else ""
    where = _file_named_in(text, directories)
    for explain_one in (_absent_key, _wrong_choice, _ambiguous, _meaning):
        words = explain_one(text, key, where)
        if words:
            return words
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _NOISE.match(line)]
    return "\n".join(lines[:_MOST_LINES]) or f"the settings cannot be read ({error!r})"


def _absent_key(text: str, key: str, where: str) -> str | None:
    if not re.search(r"Key '.*' (?:is )?not in ", text):
        return None
    group, _, leaf = key.partition(".")
    if where and leaf == group:
        return f"{where}leave '{group}:' out, the folder {group}/ says it already"
    if mapping_of(key, all_settings()):
        typed = re.search(r"Could not override '([^']+)'", text)  # OmegaConf stops at a part of it
        added = f"{key} is not there yet: write +{typed[1] if typed else key}=VALUE"
        return f"{where}there is no setting '{key}'" if where else added
    return where + unknown_key(key, all_settings())


def _wrong_choice(text: str, key: str, where: str) -> str | None:
    found = re.search(r"Invalid value '(.*)', expected one of \[(.*)\]", text)
    if not found:
        return None
    value, allowed = found.groups()
    close = difflib.get_close_matches(value.upper(), allowed.upper().split(", "), n=1)
    meant = f"; did you mean {close[0]}?" if close and close[0] in allowed.split(", ") else ""
    return f"{where}{key}={value}: allowed are {allowed}{meant}"


def _ambiguous(text: str, _key: str, _where: str) -> str | None:
    found = re.search(r"Ambiguous value for argument '(\w[\w.]*)=(.*)'", text)
    if not found:
        return None
    name, value = found.groups()
    return (
        f"{name}={value} could mean two things; write\n"
        f"  '{name}=[{value}]'   for one run with all of them, or\n"
        f"  -m {name}={value}   for one run each"
    )


def _meaning(text: str, key: str, where: str) -> str | None:
    for pattern, meaning in _MEANINGS:
        found = re.search(pattern, text)
        if found:
            values = found.groups() or ("",)
            kind = _TYPES.get(values[-1], "of the right type")
            return where + meaning.format(*values, key=key or "the file", type=kind)
    return None


def _file_named_in(text: str, directories: Sequence[Path]) -> str:
    """Return `FILE: ` for the option file that a message says it comes from."""
    found = re.search(r"In '([\w/-]+)':", text)
    if not found or found.group(1) == "config" or found.group(1).startswith("hydra/"):
        return ""
    paths = [directory / f"{found.group(1)}.yaml" for directory in directories]
    return next((f"{path}: " for path in paths if path.exists()), f"{found.group(1)}: ")
