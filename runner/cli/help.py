"""The help page: what it is, examples, groups and their options, settings, exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.config.files import GROUPS, options

INTRODUCTION = """\
Loads hourly air-quality readings of past years from a slow, rate-limited API into MongoDB.
Stop or kill it at any moment: the next run goes on where this one ended, nothing twice.

python -m runner [GROUP=OPTION ...] [KEY=VALUE ...]

Examples
  python -m runner profile=demo                                all on this machine; needs no key
  python -m runner job=plan backfill=three_years stations=hanoi
  python -m runner backfill=three_years 'stations=[hanoi,da_nang]'
  python -m runner stations.ids=[8641] backfill.start_date=2022-01-01 rate_limit.delay_s=2
  python -m runner source=airnow source.path=DIR backfill.start_date=2016-01-01"""

SETTINGS = (
    ("stations.ids=null", "exactly these stations, as stations.ids=[8641,8767]"),
    ("backfill.start_date=null", "first hour: 2022-01-01, 2022-01-01T05:00 (UTC), or with +07:00"),
    ("backfill.end_date=null", "the hour after the last one; null: now, less lag_hours"),
    ("backfill.last=2 years", "the range unless start_date, years or days says where to begin"),
    ("backfill.batch_size=168", "hours a request"),
    ("backfill.mode=resume", "gaps: covered hours without a reading; missing: both; refetch: all"),
    ("rate_limit.delay_s=4", "seconds between two requests"),
    ("quality.fail_on=fail", "exit code 3 when a check fails; warn: also on a warning; never"),
    ("dry_run=false", "true: fetch and validate, write nothing to the database"),
    ("log_level=INFO", "DEBUG, INFO, WARNING or ERROR"),
)
"""Settings a person changes most, with their defaults, and what they mean."""

ENDING = """\
Environment, or a file .env in the working directory
  AQICN_API_KEY, OPENAQ_API_KEY, MONGO_URI, MONGO_DB, RUNNER_CONF_DIR (your own YAML)
Flags: -m one run for each of a=1,2 | --cfg job show the settings | --config-dir DIR | --version
Exit codes: 0 done | 1 could not run | 2 wrong configuration, nothing attempted
  3 the quality gate failed | 4 incomplete, 129, 130, 143 stopped by a signal: both resumable"""


def help_page(directories: Sequence[Path]) -> str:
    """Return the help page.

    Args:
        directories: of YAML files: the built-in one, then a private one if there is one.
    """
    parts = [INTRODUCTION]
    groups = []
    found = [option for directory in directories for option in options(directory)]
    for group, question in GROUPS.items():
        inside = [option for option in found if option.group == group]
        width = max(16, *(len(option.name) for option in inside)) + 2
        lines = [f"  {option.name:<{width}}{option.description}".rstrip() for option in inside]
        groups += [f"{group}=  {question}", *lines]
    parts.append("\n".join(groups))
    shown = [f"  {setting:<31}{meaning}" for setting, meaning in SETTINGS]
    parts.append("\n".join(["Settings and their defaults (all of them: --cfg job)", *shown]))
    return "\n\n".join([*parts, ENDING])
