"""The help page: what it is, examples, groups and their options, settings, exit codes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.cli.arguments import FLAGS
from runner.config.files import GROUPS, builtin_schema, options
from runner.sources import built_in

INTRODUCTION = """\
Loads hourly air-quality readings of past years from a slow, rate-limited API into MongoDB.
Stop or kill it at any moment: the next run goes on where this one ended, nothing twice.

python -m runner [GROUP=OPTION ...] [KEY=VALUE ...]

Examples
  python -m runner profile=demo                                all on this machine; needs no key
  python -m runner job=plan backfill=three_years stations=hanoi
  python -m runner backfill=three_years 'stations=[hanoi,da_nang]'
  python -m runner stations.ids=[8641] backfill.start_date=2022-01-01 rate_limit.delay_s=2"""

SETTINGS = (
    "stations.ids",
    "backfill.start_date",
    "backfill.end_date",
    "backfill.last",
    "backfill.batch_size",
    "backfill.mode",
    "rate_limit.delay_s",
    "quality.fail_on",
    "dry_run",
    "log_level",
)
"""Settings a person changes most; what they mean comes from their declarations."""
_WIDTH = 120
_MARGIN = 33

ENDING = """\
Environment, or a file .env in the working directory
  {keys}, MONGO_URI, MONGO_DB, RUNNER_CONF_DIR (your own YAML),
  LOG_FORMAT
Flags: -m one run for each of a=1,2 | --cfg job show the settings | --config-dir DIR | --version
  --schema [GROUP] print the JSON Schema of a profile or group, for editors | --hydra-help all flags
Exit codes: 0 done | 1 could not run | 2 wrong configuration, nothing attempted
  3 the quality gate failed | 4 incomplete, 129, 130, 143 stopped by a signal: both resumable"""


def help_page(directories: Sequence[Path]) -> str:
    """Return the help page.

    Args:
        directories: of YAML files: the built-in one, then a private one if there is one.
    """
    sources = built_in().values()
    examples = [f"  python -m runner {one.example}" for one in sources if one.example]
    parts = ["\n".join([INTRODUCTION, *examples])]
    groups = []
    found = [option for directory in directories for option in options(directory)]
    for group, question in GROUPS.items():
        inside = [option for option in found if option.group == group]
        width = max(16, *(len(option.name) for option in inside)) + 2
        lines = [f"  {option.name:<{width}}{option.description}".rstrip() for option in inside]
        groups += [f"{group}=  {question}", *lines]
    parts.append("\n".join(groups))
    head = "Settings and their defaults (all of them: --cfg job, docs/settings.md)"
    parts.append("\n".join([head, *map(_setting, SETTINGS)]))
    keys = dict.fromkeys(one.key.variable for one in sources if one.key)
    return "\n\n".join([*parts, ENDING.format(keys=", ".join(keys))])


def flags_page() -> str:
    """Return the page of flags."""
    shown = []
    for flag in FLAGS:
        value = "|".join(flag.values) or flag.value
        typed = f"{', '.join(flag.names)} {value}".rstrip()
        shown.append(f"  {typed}\n      {flag.help}")
    return "\n".join(["Flags; all else is written KEY=VALUE, see --help", "", *shown])


def _setting(key: str) -> str:
    """Return a setting with its default and its sentence, over several lines if need be."""
    declared: Any = builtin_schema()
    for name in key.split("."):
        declared = declared["properties"][name]
    default = declared.get("default")
    if default == []:  # a list that must not be empty if it is given: nothing given is null
        default = None
    typed = f"{default:g}" if isinstance(default, float) else json.dumps(default).strip('"')
    meaning = textwrap.wrap(declared["description"].replace("`", ""), _WIDTH - _MARGIN)
    first, *more = meaning
    return "\n".join(
        [f"  {f'{key}={typed}':<{_MARGIN - 2}}{first}", *(" " * _MARGIN + line for line in more)]
    )
