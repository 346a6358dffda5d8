"""Findings to verdicts: thresholds, acceptances, and what a person reads of each check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from runner.config.quality import Accepted
from runner.core.text import harmless
from runner.core.verdict import Status, Threshold
from runner.quality.catalogue import Check
from runner.quality.checks import checks
from runner.quality.inspect import Tally
from runner.quality.ledger import Previous
from runner.quality.policy import Policy, Rule

_EACH_STATION = 3
"""Examples taken of one station before the next one has its turn."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check came to.

    Attributes:
        check: the check.
        rule: how it was judged.
        status: the verdict.
        failed: how many failed, those accepted left out.
        evaluated: how many were looked at.
        stations: stations to blame, the worst first; none unless it warns or fails.
        accepted: acceptances that are about a finding, with how much of it.
        tally: everything found.
    """

    check: Check
    rule: Rule
    status: Status
    failed: float
    evaluated: int
    stations: tuple[int, ...]
    accepted: tuple[tuple[Accepted, float], ...]
    tally: Tally = field(repr=False)

    @property
    def share(self) -> float | None:
        """The share of what was evaluated: failed, or good where less is worse."""
        return _share(self.check, self.failed, self.evaluated) if self.evaluated else None

    @property
    def observed(self) -> float | None:
        """The number that is judged: a count, or a share where less is worse."""
        if self.status in (Status.SKIP, Status.ERROR):
            return None
        return self.share if self.check.from_below else self.failed

    def samples(self, most: int) -> list[dict[str, Any]]:
        """Return some rows that failed, of every station some."""
        rows = self.tally.rows
        if "station_idx" in rows.columns:
            some = rows.group_by("station_idx", maintain_order=True).head(_EACH_STATION)
            rows = some if some.height >= min(most, rows.height) else rows
        return [
            {name: _plain(value) for name, value in row.items() if value is not None}
            for row in rows.head(most).to_dicts()
        ]

    def _examples(self, most: int) -> float | None:
        """Return how many rows failed; a row may stand for more, as a flat line for its hours."""
        kept = self.tally.kept
        return kept if kept < most else _whole(max(self.tally.failed, kept))

    def to_json(
        self, policy: Policy, previous: Previous | None, failures_file: str | None
    ) -> dict[str, Any]:
        """Return the form in quality.json."""
        before = previous.check(self.check.id) if previous else None
        return {
            "id": self.check.id,
            "title": self.check.title,
            "dimension": self.check.dimension,
            "level": str(self.check.level),
            "unit": self.check.unit,
            "status": str(self.status),
            "observed": _whole(self.observed),
            "n_evaluated": self.evaluated,
            "n_failed": _whole(self.failed),
            "share": self.share,
            "warn": _bound(self.rule.warn),
            "fail": _bound(self.rule.fail),
            "direction": "min" if self.check.from_below else "max",
            "params": dict(self.rule.params),
            "previous": None
            if before is None or previous is None
            else {"run_id": previous.run_id, **{k: before.get(k) for k in ("observed", "status")}},
            "stations": list(self.stations),
            "accepted": [item.to_json(policy.today, _whole(n) or 0) for item, n in self.accepted],
            "samples": self.samples(policy.samples),
            "samples_total": self._examples(policy.most_failures),
            "failures_file": failures_file,
            "duration_s": round(self.tally.duration_s, 3),
            "message": harmless(self.tally.error or self.tally.note),
        }


def judge(tallies: Mapping[str, Tally], policy: Policy) -> dict[str, CheckResult]:
    """Return what every check came to, in the order of the catalogue."""
    known = checks()
    return {id_: _judge(known[id_], tally, policy) for id_, tally in sorted(tallies.items())}


def statuses(tallies: Mapping[str, Tally], policy: Policy) -> dict[str, Status]:
    """Return the verdicts alone."""
    return {id_: result.status for id_, result in judge(tallies, policy).items()}


def _judge(check: Check, tally: Tally, policy: Policy) -> CheckResult:
    rule = policy.rules[check.id]
    accepted, failed = [], tally.failed
    for item in policy.accepted:
        if item.check != check.id:
            continue
        about = failed if item.station is None else tally.by_station.get(item.station, 0)
        accepted.append((item, about))
        if not item.is_over(policy.today):
            failed = max(0, failed - about)
    status = _status(check, rule, tally, failed)
    is_bad = status in (Status.WARN, Status.FAIL)
    live = {item.station for item, _ in accepted if not item.is_over(policy.today)}
    blamed = sorted(tally.by_station, key=lambda idx: (-tally.by_station[idx], idx))
    stations = tuple(idx for idx in blamed if idx not in live) if is_bad else ()
    return CheckResult(
        check, rule, status, failed, tally.evaluated, stations, tuple(accepted), tally
    )


def _status(check: Check, rule: Rule, tally: Tally, failed: float) -> Status:
    if tally.error:
        return Status.ERROR
    if not tally.evaluated:
        return Status.SKIP
    share = _share(check, failed, tally.evaluated)
    count = max(0, tally.evaluated - failed) if check.from_below else failed
    for bound, status in ((rule.fail, Status.FAIL), (rule.warn, Status.WARN)):
        if bound and bound.passed_by(count, share, from_below=check.from_below):
            return status
    return Status.PASS


def _share(check: Check, failed: float, evaluated: int) -> float:
    share = min(1.0, failed / evaluated)
    return 1.0 - share if check.from_below else share


def _bound(bound: Threshold | None) -> dict[str, Any] | None:
    return None if bound is None else {"value": _whole(bound.value), "is_share": bound.is_share}


def _whole(value: float | None) -> float | None:
    """Return whole numbers as such."""
    return int(value) if value is not None and float(value).is_integer() else value


def _plain(value: Any) -> Any:
    """Return a value of a frame as JSON has it; instants in UTC with a Z."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, float):
        return _whole(value) if math.isfinite(value) else str(value)
    return value
