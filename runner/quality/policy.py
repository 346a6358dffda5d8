"""How findings are judged: every check's rule, as the settings and the standard together say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from runner.config.quality import Accepted, Quality
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
    """

    rules: Mapping[str, Rule]
    accepted: tuple[Accepted, ...]
    today: date
    samples: int = 10
    most_failures: int = 5000


def policy_of(settings: Quality, standard: Mapping[str, Mapping[str, Any]], today: date) -> Policy:
    """Return the policy of checked settings; what they leave open is as in the standard.

    Args:
        settings: of the run.
        standard: the rules of `conf/quality/standard.yaml`, by check id.
        today: the present day, UTC.
    """
    rules = {}
    for check_id, base in standard.items():
        chosen = settings.checks.get(check_id)
        warn, fail = (
            str(getattr(chosen, name, None) or base.get(name, NEVER)) for name in ("warn", "fail")
        )
        params = {**base.get("params", {}), **(chosen.params if chosen else {})}
        enabled = chosen is None or chosen.enabled
        rules[check_id] = Rule(enabled, threshold(warn), threshold(fail), params)
    accepted = tuple(settings.accepted)
    return Policy(rules, accepted, today, settings.samples, settings.most_failures)
