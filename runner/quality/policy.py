"""How findings are judged: the rule of every check, of a station where it has its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from runner.config.quality import Accepted, CheckRule, Quality
from runner.core.verdict import NEVER, Threshold, threshold


@dataclass(frozen=True, slots=True)
class Rule:
    """How one check is judged.

    Attributes:
        enabled: whether it is made.
        warn: bound of a warning; None for never.
        fail: bound of a failure; None for never.
        params: of the check.
    """

    enabled: bool
    warn: Threshold | None
    fail: Threshold | None
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """How everything is judged.

    Attributes:
        rules: by check id.
        accepted: findings that are known.
        today: the day on which acceptances are looked at.
        samples: examples of each finding.
        most_failures: rows kept of each finding.
        of_stations: rules of single stations, by station and check id.
        false_alarms: warnings per station-year that limits learned from the network may cost.
    """

    rules: Mapping[str, Rule]
    accepted: tuple[Accepted, ...]
    today: date
    samples: int = 10
    most_failures: int = 5000
    of_stations: Mapping[int, Mapping[str, Rule]] = field(default_factory=dict)
    false_alarms: float = 0.5

    def rule(self, check_id: str, station_idx: int | None) -> Rule:
        """Return the rule of a check for a station; None for the run as a whole."""
        own = {} if station_idx is None else self.of_stations.get(station_idx, {})
        return own.get(check_id, self.rules[check_id])

    def acceptances(self, check_id: str, station_idx: int | None) -> Iterator[tuple[int, Accepted]]:
        """Yield the acceptances of a check at a station, with their places in `accepted`."""
        for number, item in enumerate(self.accepted):
            if item.check == check_id and item.station in (None, station_idx):
                yield number, item


def policy_of(settings: Quality, standard: Mapping[str, Mapping[str, Any]], today: date) -> Policy:
    """Return the policy of checked settings; what they leave open is as in the standard.

    Args:
        settings: of the run.
        standard: the rules of `conf/quality/standard.yaml`, by check id.
        today: the present day, UTC.
    """
    rules = {
        check_id: _rule(settings.checks.get(check_id), base) for check_id, base in standard.items()
    }
    of_stations: dict[int, dict[str, Rule]] = {}
    for station_idx, check_id, chosen in settings.station_rules():
        own = of_stations.setdefault(station_idx, {})
        own[check_id] = _changed(own.get(check_id, rules[check_id]), chosen)
    return Policy(
        rules,
        tuple(settings.accepted),
        today,
        settings.samples,
        settings.most_failures,
        of_stations,
        settings.false_alarms_per_station_year,
    )


def covered_by(item: Accepted) -> pl.Expr:
    """Return whether failures with days `first` and `last` lie in the accepted period.

    A failure without a time lies in no period.
    """
    first, last = item.period()
    inside = pl.lit(value=True)
    if first is not None:
        inside &= pl.col("first").cast(pl.Date) >= first
    if last is not None:
        inside &= pl.col("last").cast(pl.Date) <= last
    return inside.fill_null(value=False)


def _rule(chosen: CheckRule | None, base: Mapping[str, Any]) -> Rule:
    warn, fail = (threshold(str(base.get(name, NEVER))) for name in ("warn", "fail"))
    rule = Rule(enabled=True, warn=warn, fail=fail, params=base.get("params", {}))
    return _changed(rule, chosen) if chosen else rule


def _changed(rule: Rule, chosen: CheckRule) -> Rule:
    """Return a rule with what somebody chose; what is None stays."""
    return Rule(
        chosen.enabled and rule.enabled,
        rule.warn if chosen.warn is None else threshold(chosen.warn),
        rule.fail if chosen.fail is None else threshold(chosen.fail),
        {**rule.params, **chosen.params},
    )
