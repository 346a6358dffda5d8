"""Findings to verdicts, station by station: thresholds, acceptances, the worst of all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl

from runner.config.quality import Accepted
from runner.core.text import harmless
from runner.core.verdict import Status, Threshold
from runner.quality.catalogue import Check, Found, Level
from runner.quality.checks import checks
from runner.quality.grid import first_and_last_day, month, month_text
from runner.quality.ledger import Previous
from runner.quality.policy import Policy, Rule, covered_by

MONTH_H = 720
"""Hours of a whole month, the least that a share of a month is of.

One odd hour in an edge month of seven hours would be 14 %; it counts as one hour of a month."""
_EACH_STATION = 3
"""Examples taken of one station before the next one has its turn."""
_BAD = (Status.WARN, Status.FAIL)
_NO_VALUE = {
    Level.ROW: "no reading has the values that this check compares",
    Level.STATION: "too few readings",
    Level.RUN: "nothing to look at",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """The result of one check at one station, or of the run as a whole.

    Attributes:
        status: the verdict.
        failed: how many failed, those accepted left out.
        evaluated: how many were looked at.
        share: failed or, where less is worse, good: of the worst month if that decides.
        month: the local month that decides, `2024-05`; empty if the whole range does.
        note: why it was not evaluated, or what a person should know.
        accepted: places in `Policy.accepted`, with how many failures each is about.
    """

    status: Status
    failed: float = 0
    evaluated: int = 0
    share: float | None = None
    month: str = ""
    note: str = ""
    accepted: tuple[tuple[int, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the form in the files."""
        return {
            "status": str(self.status),
            "n_failed": _whole(self.failed),
            "n_evaluated": self.evaluated,
            "share": self.share,
            "month": self.month or None,
            "message": harmless(self.note),
        }


@dataclass(slots=True)
class Tally:
    """What one check found so far.

    Attributes:
        judged: its results by station; None stands for the run as a whole.
        failures: rows that failed, the worst of a station first; at most as many as the policy
            keeps, and some of every station.
        kept: how many rows these are.
        was_cut: whether there were more.
        found: how many failed, those accepted included.
        error: the exception that broke the check, in words; empty if none did.
        duration_s: time spent.
    """

    judged: dict[int | None, Judged] = field(default_factory=dict)
    failures: list[pl.DataFrame] = field(default_factory=list)
    kept: int = 0
    was_cut: bool = False
    found: float = 0
    error: str = ""
    duration_s: float = 0.0

    def keep(self, rows: pl.DataFrame, most: int) -> None:
        """Keep rows that failed: as long as there is room, then the first of every station."""
        piece = rows.head(max(most - self.kept, min(most, _EACH_STATION)))
        self.was_cut = self.was_cut or piece.height < rows.height
        if piece.height:
            self.kept += piece.height
            self.failures.append(piece)

    @property
    def rows(self) -> pl.DataFrame:
        """Return the rows that failed."""
        return pl.concat(self.failures, how="diagonal_relaxed") if self.failures else pl.DataFrame()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        check: the check.
        rule: how it was judged, but for stations with a rule of their own.
        status: the worst station's.
        failed: how many failed at all stations, those accepted left out.
        evaluated: how many were looked at.
        judged: the results by station; None stands for the run as a whole.
        stations: stations to blame, the worst first; none unless it warns or fails.
        accepted: acceptances that are about a finding, with how much of it.
        tally: everything found.
    """

    check: Check
    rule: Rule
    status: Status
    failed: float
    evaluated: int
    judged: Mapping[int | None, Judged]
    stations: tuple[int, ...]
    accepted: tuple[tuple[Accepted, float], ...]
    tally: Tally = field(repr=False)

    @property
    def share(self) -> float | None:
        """Return the share of what was evaluated: failed, or good where less is worse."""
        return _share(self.check, self.failed, self.evaluated) if self.evaluated else None

    @property
    def worst(self) -> tuple[int | None, Judged] | None:
        """Return the station that decides, with its result; None if nothing was evaluated."""
        known = [one for one in self.judged.items() if one[1].evaluated]
        return min(known, key=_worst_first, default=None)

    @property
    def observed(self) -> float | None:
        """Return the number that is judged: a count, or the worst share where less is worse."""
        if self.status in (Status.NOT_EVALUATED, Status.ERROR):
            return None
        if not self.check.from_below:
            return self.failed
        return min((one.share for one in self.judged.values() if one.share is not None), default=1)

    @property
    def message(self) -> str:
        """Return what a person should know: an error, a reason, a note of the worst station."""
        if self.tally.error:
            return self.tally.error
        if self.status is Status.NOT_EVALUATED:
            reasons = Counter(one.note for one in self.judged.values())
            return reasons.most_common(1)[0][0] if reasons else _NO_VALUE[self.check.level]
        return self.worst[1].note if self.worst else ""

    def counts(self) -> dict[str, int] | None:
        """Return how many stations have each status; None if it judges the run as a whole."""
        if not self.judged or None in self.judged:
            return None
        found = Counter(one.status for one in self.judged.values())
        return {str(one): found[one] for one in Status if one is not Status.ERROR}

    def period(self, station_idx: int | None, offset_h: int) -> tuple[date | None, date | None]:
        """Return the first and last local day of what was found; None if not all has a time.

        Args:
            station_idx: the station; None for all of them.
            offset_h: hours that local time is ahead of UTC.
        """
        rows = self.tally.rows
        if not rows.height or self.tally.was_cut:
            return None, None
        if station_idx is not None:
            rows = rows.filter(pl.col("station_idx") == station_idx)
        days = first_and_last_day(rows, offset_h).cast(pl.Date)
        if days.null_count().sum_horizontal()[0]:
            return None, None
        return days["first"].min(), days["last"].max()  # type: ignore[return-value]  # dates

    def samples(self, most: int) -> list[dict[str, Any]]:
        """Return some rows that failed: the worst station's first, and of every station some."""
        rows = self.tally.rows
        if "station_idx" in rows.columns:
            places = {idx: place for place, idx in enumerate(self.stations)}
            place = pl.col("station_idx").replace_strict(
                places, default=len(places), return_dtype=pl.Int64
            )
            number = pl.int_range(pl.len()).over("station_idx")
            more = (number >= _EACH_STATION).alias("more")
            rows = rows.with_columns(place.alias("place"), more).sort(
                "more", "place", maintain_order=True
            )
            rows = rows.head(most).sort("place", maintain_order=True).drop("place", "more")
        return [
            {name: _plain(value) for name, value in row.items() if value is not None}
            for row in rows.head(most).to_dicts()
        ]

    def _examples(self, most: int) -> float | None:
        """Return how many rows failed; a row may stand for more, as a flat line for its hours."""
        kept = self.tally.kept
        return kept if kept < most else _whole(max(self.tally.found, kept))

    def to_json(
        self, policy: Policy, previous: Previous | None, failures_file: str | None
    ) -> dict[str, Any]:
        """Return the form in quality.json."""
        before = previous.check(self.check.id) if previous else None
        idx, worst = self.worst or (None, None)
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
            "n_stations": self.counts(),
            "worst": worst and {"station_idx": idx, **worst.to_json()},
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
            "message": harmless(self.message),
        }


def judge_station(
    check: Check, found: Found, policy: Policy, station_idx: int | None, offset_h: int
) -> Judged:
    """Return the result of a check at a station, or of the run.

    Args:
        check: the check.
        found: what it found there.
        policy: thresholds and acceptances.
        station_idx: the station; None for the run as a whole.
        offset_h: hours that local time is ahead of UTC.
    """
    rule = policy.rule(check.id, station_idx)
    if not rule.enabled:
        return Judged(Status.NOT_EVALUATED, note="switched off for this station")
    if not found.evaluated:
        return Judged(Status.NOT_EVALUATED, note=found.note or _NO_VALUE[check.level])
    if not found.count:
        share = _share(check, 0, found.evaluated)
        status = _status(check, rule, 0, found.evaluated, share)
        return Judged(status, 0, found.evaluated, share, note=found.note)
    pieces = _pieces(found, offset_h)
    accepted = []
    for number, item in policy.acceptances(check.id, station_idx):
        inside = covered_by(item)
        accepted.append((number, float(pieces.filter(inside)["failed"].sum())))
        if not item.is_over(policy.today):
            pieces = pieces.filter(~inside)
    failed = max(0.0, float(pieces["failed"].sum()))
    share = _share(check, failed, found.evaluated)
    status = _status(check, rule, failed, found.evaluated, share)
    judged_month = ""
    if check.by_month and found.days is not None:
        worst, worst_month = _worst_month(pieces, found.evaluated)
        by_month = _status(check, rule, failed, found.evaluated, max(share, worst))
        if worst > share and by_month.severity > status.severity:
            status, share, judged_month = by_month, worst, worst_month
    return Judged(status, failed, found.evaluated, share, judged_month, found.note, tuple(accepted))


def judge(tallies: Mapping[str, Tally], policy: Policy) -> dict[str, CheckResult]:
    """Return the result of every check, in the order of the catalogue."""
    known = checks()
    return {id_: _judge(known[id_], tally, policy) for id_, tally in sorted(tallies.items())}


def statuses(tallies: Mapping[str, Tally], policy: Policy) -> dict[str, Status]:
    """Return the verdicts alone."""
    return {id_: result.status for id_, result in judge(tallies, policy).items()}


def _judge(check: Check, tally: Tally, policy: Policy) -> CheckResult:
    rule = policy.rules[check.id]
    judged = dict(tally.judged)
    if check.unit == "stations":
        judged |= _by_share_of_stations(rule, judged)
    status = max(
        (one.status for one in judged.values()),
        key=lambda one: one.severity,
        default=Status.NOT_EVALUATED,
    )
    about: Counter[int] = Counter()
    for one in judged.values():
        about.update(dict(one.accepted))
    named = [item for item in enumerate(policy.accepted) if item[1].check == check.id]
    blamed = sorted(judged.items(), key=_worst_first)
    return CheckResult(
        check,
        rule,
        Status.ERROR if tally.error else status,
        sum(one.failed for one in judged.values()),
        sum(one.evaluated for one in judged.values()),
        judged,
        tuple(idx for idx, one in blamed if idx is not None and one.status in _BAD),
        tuple((item, about[number]) for number, item in named),
        tally,
    )


def _by_share_of_stations(
    rule: Rule, judged: Mapping[int | None, Judged]
) -> dict[int | None, Judged]:
    """Return the stations that are worse because the run has too many like them."""
    looked_at = [one for one in judged.values() if one.evaluated]
    bad = {idx: one for idx, one in judged.items() if one.failed}
    share = len(bad) / max(1, len(looked_at))
    for bound, status in ((rule.fail, Status.FAIL), (rule.warn, Status.WARN)):
        if bound and bound.is_share and share > bound.value:
            return {
                idx: Judged(status, one.failed, one.evaluated, one.share, note=one.note,
                            accepted=one.accepted)
                for idx, one in bad.items()
                if one.status.severity < status.severity
            }  # fmt: skip
    return {}


def _worst_first(item: tuple[int | None, Judged]) -> tuple[int, float, int]:
    idx, one = item
    return -one.status.severity, -one.failed, idx or 0


def _pieces(found: Found, offset_h: int) -> pl.DataFrame:
    """Return failures with their times: first and last (local days), failed, evaluated."""
    if found.days is not None:
        first = pl.col("day").cast(pl.Int32)
        return found.days.select(
            first.alias("first"), first.alias("last"), pl.col("failed").cast(pl.Float64),
            pl.col("evaluated"),
        )  # fmt: skip
    times = first_and_last_day(found.failures, offset_h)
    each = 1.0
    if found.failed is not None and times.height != found.failed:
        # rows are not what is counted: they have no times that set them apart
        times, each = times.clear(n=1), float(found.failed)
    return times.with_columns(failed=pl.lit(each), evaluated=pl.lit(0))


def _worst_month(pieces: pl.DataFrame, evaluated: int) -> tuple[float, str]:
    """Return the largest share of a local month, and the month."""
    least = min(MONTH_H, evaluated)
    months = (
        pieces.filter(pl.col("first").is_not_null())
        .group_by(month("first"))
        .agg(pl.col("failed").sum(), pl.col("evaluated").sum())
        .with_columns(share=pl.col("failed") / pl.col("evaluated").clip(least))
        .sort("share", "month", descending=[True, False])
        .select("share", month_text())
    )
    return months.row(0) if months.height else (0.0, "")


def _status(check: Check, rule: Rule, failed: float, evaluated: int, share: float) -> Status:
    count = max(0, evaluated - failed) if check.from_below else failed
    for bound, status in ((rule.fail, Status.FAIL), (rule.warn, Status.WARN)):
        if bound is None or (bound.is_share and check.unit == "stations"):
            continue
        if bound.passed_by(count, share, from_below=check.from_below):
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
