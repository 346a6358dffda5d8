"""From extracted readings to all files of the contract: inspect, judge, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.core.stations import Station
from runner.core.verdict import Status
from runner.process.files import write_text
from runner.process.secrets import masked
from runner.quality.aggregates import hour_grid
from runner.quality.document import Identity, document
from runner.quality.files import (
    DOCUMENT,
    write_aggregates,
    write_failures,
    write_hours,
    write_stations,
)
from runner.quality.grid import Scope
from runner.quality.inspect import Load, inspect
from runner.quality.judge import CheckResult, judge
from runner.quality.ledger import Previous, RunLedger
from runner.quality.policy import Policy

MOST_SHOWN = 12
"""Stations whose every hour is written to agg/hour.parquet: those that look worst."""


def assess(
    directory: Path,
    stations: Sequence[Station],
    load: Load,
    scope: Scope,
    policy: Policy,
    identity: Identity,
    *,
    fail_on: str,
    ledger: RunLedger | None,
    previous: Previous | None,
    redact: Callable[[str], str],
    now: datetime | None = None,
) -> dict[str, Any]:
    """Check all stations, write every file, and return quality.json.

    Args:
        directory: of the quality files; it exists.
        stations: at least one.
        load: returns a station's data.
        scope: what is checked.
        policy: how it is judged.
        identity: of the run.
        fail_on: `fail`, `warn` or `never`.
        ledger: the account of the run.
        previous: the previous run.
        redact: takes secrets out of text.
        now: the present, aware; None for the instant of the scope.

    Raises:
        OSError: a file cannot be written.
    """
    inspected = inspect(
        stations, load, policy, offset_h=scope.offset_h, ledger=ledger, previous=previous
    )
    results = judge(inspected.tallies, policy)
    write_aggregates(directory, inspected, redact)
    worst = set(_worst(results))
    write_hours(directory, (hour_grid(load(one)) for one in stations if one.idx in worst))
    made = document(
        identity,
        scope,
        policy,
        inspected,
        results,
        fail_on=fail_on,
        ledger=ledger,
        previous=previous,
        files=write_failures(directory, results),
        now=now or scope.now,
    )
    text = json.dumps(masked(made, redact), indent=2, ensure_ascii=False, allow_nan=False)
    write_stations(directory, made["stations"], results, redact)
    write_text(directory / DOCUMENT, text)
    return made


def _worst(results: Mapping[str, CheckResult]) -> list[int]:
    """Return the stations that most checks blame, failures before warnings."""
    blame: dict[int, int] = {}
    for result in results.values():
        for idx in result.stations:
            weight = 1000 if result.judged[idx].status is Status.FAIL else 1
            blame[idx] = blame.get(idx, 0) + weight
    return sorted(blame, key=lambda idx: (-blame[idx], idx))[:MOST_SHOWN]
