"""Thresholds, statuses and the gate: how a number becomes a verdict, and a verdict an exit code."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Pages:
    """The page and the notebooks of a run, or why there are none.

    Attributes:
        path: of report.html; empty where it was not made.
        others: paths of the other pages.
        problems: what is not as it should be, although the page was made.
        error: why the page was not made; empty if it was.
        required: whether a page that was not made is a failure of the run.
    """

    path: str = ""
    others: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    error: str = ""
    required: bool = False

    @property
    def failed(self) -> bool:
        """Whether the process has to say so by its exit code."""
        return bool(self.error) and self.required

    @property
    def lines(self) -> list[str]:
        """What to tell a person, the page last."""
        lines = [f"Report: {problem}" for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"Report: {len(self.problems) - MOST_SHOWN} more problems, see the log")
        if self.error:
            lines.append(f"Report: NOT MADE: {self.error}; job=report tries again")
        return [*lines, f"Report: {self.path}"] if self.path else lines

    def to_json(self) -> dict[str, object]:
        """Return the form in outcome.json."""
        return {
            "path": self.path or None,
            "others": [*self.others],
            "problems": [*self.problems],
            "error": self.error or None,
        }


NEVER = "never"
"""A threshold that nothing passes: the check cannot warn, or cannot fail."""

_THRESHOLD = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")


class Status(StrEnum):
    """The result of a check, the best first; `not_evaluated` says nothing about the data."""

    NOT_EVALUATED = "not_evaluated"
    """Not enough data, or the input is missing (QARTOD flag 2)."""
    PASS = "pass"  # noqa: S105 - a status
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    """The check itself broke. Counts as fail: what was not looked at is not known to be good."""

    @property
    def severity(self) -> int:
        """Return the place in the order from best to worst."""
        return _ORDER.index(self)

    @property
    def words(self) -> str:
        """Return the status as a person reads it."""
        return self.value.replace("_", " ")


_ORDER = tuple(Status)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound that an observation must not pass.

    Attributes:
        value: a count, or a share from 0 to 1.
        is_share: whether it is a share of what was evaluated.
    """

    value: float
    is_share: bool

    def passed_by(self, count: float, share: float, *, from_below: bool = False) -> bool:
        """Whether an observation is worse than the bound allows.

        Args:
            count: what was observed, as a count: failures, or what is good where less is worse.
            share: the same as a share of what was evaluated, 0..1.
            from_below: whether less is worse.
        """
        observed = share if self.is_share else count
        return observed < self.value if from_below else observed > self.value


def threshold(text: str) -> Threshold | None:
    """Return the threshold that a setting speaks of: `5`, `0.5%`, or `never` for None.

    Raises:
        ValueError: it is none of these, or a share over 100 %.
    """
    if text.strip() == NEVER:
        return None
    found = _THRESHOLD.fullmatch(text.strip())
    if found is None or not math.isfinite(value := float(found[1])):
        msg = f"{text} is no threshold"
        raise ValueError(msg)
    if found[2] and value > 100:  # noqa: PLR2004 - percent
        msg = f"{text} is more than everything"
        raise ValueError(msg)
    return Threshold(value / 100 if found[2] else value, bool(found[2]))


def worst_status(statuses: Iterable[Status]) -> Status:
    """Return pass, warn or fail for several checks; error is fail, not evaluated is pass."""
    worst = max((status.severity for status in statuses), default=0)
    if worst >= Status.FAIL.severity:
        return Status.FAIL
    return Status.WARN if worst == Status.WARN.severity else Status.PASS


def blamed_words(counts: Mapping[str, int] | None) -> str:
    """Return how many stations a check blames: `3 of 98 stations fail, 5 warn`.

    Empty if it blames none, looked at one station, or judges the run as a whole.

    Args:
        counts: stations by status, as in quality.json; None for the run as a whole.
    """
    looked_at = sum((counts or {}).values()) - (counts or {}).get(Status.NOT_EVALUATED, 0)
    bad = [(counts[one], one) for one in (Status.FAIL, Status.WARN) if counts and counts[one]]
    if looked_at <= 1 or not bad:
        return ""
    words = [f"{count:,}{{}} {one}{'s' if count == 1 else ''}" for count, one in bad]
    return ", ".join(words).replace("{}", f" of {looked_at:,} stations", 1).replace("{}", "")


def gate_fails(status: Status, fail_on: str) -> bool:
    """Whether the quality gate fails a run.

    Args:
        status: of all checks together.
        fail_on: `fail`, `warn` (which includes fail) or `never`.
    """
    if fail_on == "warn":
        return status.severity >= Status.WARN.severity
    return fail_on == "fail" and status.severity >= Status.FAIL.severity


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation came to, as the outcome of a run carries it.

    Attributes:
        status: pass, warn or fail; None if validation did not come to an end.
        gate_failed: whether `quality.fail_on` makes that an exit code of its own.
        path: of quality.json; empty where there is none.
        lines: the summary for a person.
        error: why validation did not come to an end; empty if it did.
        required: whether a validation that did not come to an end is a failure of the run.
    """

    status: Status | None = None
    gate_failed: bool = False
    path: str = ""
    lines: tuple[str, ...] = ()
    error: str = ""
    required: bool = True

    def to_json(self) -> dict[str, object]:
        """Return the form in outcome.json."""
        return {
            "status": None if self.status is None else str(self.status),
            "gate_failed": self.gate_failed,
            "path": self.path or None,
            "error": self.error or None,
        }
