"""The outcome of a run: per station, in total, as an exit code, as JSON, and as the summary block.

Station-hours are accounted for completely: readings + empty at source + rejected + not asked +
failed + left + skipped + covered by earlier runs + unknown = the hours of the selected range.
`Coverage` makes that sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import reduce
from operator import add
from typing import Any

from runner.core.checkpoint import Tally
from runner.core.errors import Exit, worst
from runner.core.intervals import Interval, iso
from runner.core.plan import Skip
from runner.core.present import Observed
from runner.core.stations import Station
from runner.core.text import counted, harmless
from runner.core.verdict import Pages, Verdict

RULE = "=" * 79
_KEPT = " (changed at the source; see ingest_revisions)"
"""On a time-series collection before MongoDB 7.0 a stored reading cannot be replaced."""
ATTRIBUTIONS = "attributions.json"
"""In the run directory, where a source says whose measurements its places are."""

MOST_LISTED = 20
"""Failed stations named in the summary; the rest are counted and stand in outcome.json."""

_WORTH_TELLING_S = 5.0


class State(StrEnum):
    """How a run ended for a station."""

    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    LEFT = "left"
    """Not finished, because the run ended: the next run resumes it."""


@dataclass(frozen=True, slots=True)
class StationOutcome:
    """The outcome of one station.

    Attributes:
        station: the station.
        wanted: the range asked for, UTC.
        state: how the run ended for it.
        covered_before: hours of the range that were covered before this run.
        fetched_hours: hours covered by this run.
        not_asked_hours: hours of the range that are settled without an answer of the source.
        unknown_hours: of `covered_before`, those that nothing but the checkpoint says were
            answered.
        planned_windows: windows this run had to fetch.
        tally: counts of this run.
        skip: why it was skipped; None if it was not.
        detail: the error, in words; empty without one.
        internal: whether the error is a defect of the runner.
    """

    station: Station
    wanted: Interval
    state: State
    covered_before: int = 0
    fetched_hours: int = 0
    tally: Tally = field(default_factory=Tally)
    skip: Skip | None = None
    detail: str = ""
    internal: bool = False
    planned_windows: int = 0
    not_asked_hours: int = 0
    unknown_hours: int = 0

    @property
    def missing_hours(self) -> int:
        """Hours of the range that are neither covered nor settled yet."""
        done = self.covered_before + self.fetched_hours + self.not_asked_hours
        return self.wanted.hours - done

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "station_idx": self.station.idx,
            "name": self.station.name,
            "start": iso(self.wanted.start),
            "end": iso(self.wanted.end),
            "state": str(self.state),
            "reason": str(self.skip) if self.skip else None,
            "detail": self.detail or None,
            "covered_before_hours": self.covered_before,
            "fetched_hours": self.fetched_hours,
            "missing_hours": self.missing_hours,
            "not_asked_hours": self.not_asked_hours,
            "unknown_hours": self.unknown_hours,
            "planned_windows": self.planned_windows,
            **asdict(self.tally),
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """The account of all station-hours of the range; its parts add up to `total`."""

    total: int
    readings: int
    empty: int
    rejected: int
    failed: int
    left: int
    skipped: int
    covered_before: int
    not_asked: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, stations: Sequence[StationOutcome]) -> Coverage:
        """Add up the stations of a run."""
        tally = reduce(add, (item.tally for item in stations), Tally())

        def missing(state: State) -> int:
            return sum(item.missing_hours for item in stations if item.state is state)

        return cls(
            total=sum(item.wanted.hours for item in stations),
            readings=tally.readings,
            empty=tally.empty_hours,
            rejected=tally.rejected_hours,
            failed=missing(State.FAILED),
            left=missing(State.LEFT) + missing(State.COMPLETED),
            skipped=missing(State.SKIPPED),
            covered_before=sum(item.covered_before - item.unknown_hours for item in stations),
            not_asked=sum(item.not_asked_hours for item in stations),
            unknown=sum(item.unknown_hours for item in stations),
        )

    def __str__(self) -> str:
        before = f"{self.covered_before:,} covered by earlier runs"
        unknown = f"unknown {self.unknown:,} (only a checkpoint says covered)"
        theirs = [unknown] if self.unknown else []
        unasked = [f"not asked {self.not_asked:,}"] if self.not_asked else []
        asked = self.total - self.covered_before - self.unknown
        if asked == self.not_asked:
            nothing = "nothing was asked for" if unasked else "nothing was left to fetch"
            return ", ".join([f"{nothing}; {before}", *unasked, *theirs])
        parts = [f"empty at source {self.empty:,}", f"failed {self.failed:,}"]
        parts += [f"rejected {self.rejected:,}", *unasked]
        parts += [f"left {self.left:,}"] if self.left else []
        parts += [f"skipped {self.skipped:,}"] if self.skipped else []
        parts += [f"besides {before}"] if self.covered_before else []
        parts += theirs
        share = 100 * self.readings / asked
        return f"{self.readings:,} of {asked:,} station-hours ({share:.1f}%); {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        job: the job's name.
        run_id: names the run in logs, documents and files.
        stations: one entry a station of the selection.
        requests: requests made, retries included.
        failed_requests: those that came to nothing: 5xx, timeouts, broken answers.
        throttled_requests: those refused for asking too often.
        budget_wait_s: seconds waited for the shared budget, beyond the run's own pace.
        started_at: UTC.
        ended_at: UTC.
        dry_run: whether nothing was written.
        rejects_not_kept: refused records over the limit, counted only.
        stopped_by: 128 + signal number, None without a stop.
        error: why the run could not go on, in words; empty if it could.
        hint: what to do about the error.
        configuration_error: whether the error is one of configuration or usage.
        planned: requests, station-hours and seconds of a plan; None if none was the job's aim.
        database: its name, and the server it is on.
        resume_command: the exact command that resumes the run.
        retry_command: the exact command that tries failed stations again.
        verdict: of the quality checks; None if there were none.
        report: the page and the notebooks; None if there were none to make.
        attributions: whose measurements these are and under which licence, by place, as JSON.
        observed: of a source of the present, the number of stations per kind of observation.
    """

    job: str
    run_id: str
    stations: tuple[StationOutcome, ...] = ()
    requests: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    dry_run: bool = False
    rejects_not_kept: int = 0
    stopped_by: int | None = None
    error: str = ""
    hint: str = ""
    configuration_error: bool = False
    database: str = ""
    planned: Mapping[str, float] | None = None
    resume_command: str = ""
    retry_command: str = ""
    failed_requests: int = 0
    throttled_requests: int = 0
    budget_wait_s: float = 0.0
    verdict: Verdict | None = None
    report: Pages | None = None
    attributions: tuple[Mapping[str, Any], ...] = ()
    observed: Mapping[str, int] = field(default_factory=dict)

    def count(self, state: State) -> int:
        """Return how many stations are in a state."""
        return sum(item.state is state for item in self.stations)

    @property
    def tally(self) -> Tally:
        """Counts of all stations."""
        return reduce(add, (item.tally for item in self.stations), Tally())

    @property
    def incomplete(self) -> tuple[StationOutcome, ...]:
        """Stations of the selection that lack hours nobody has fetched."""
        lacking = (Skip.FAILED, Skip.UNKNOWN, Skip.LEASED, Skip.NOT_KEPT)
        return tuple(
            item
            for item in self.stations
            if item.state in (State.FAILED, State.LEFT) or item.skip in lacking
        )

    @property
    def exit_code(self) -> int:
        """The process exit code."""
        codes = [Exit.CONFIGURATION] if self.configuration_error else []
        codes += [Exit(self.stopped_by)] if self.stopped_by else []
        if self.error or any(item.internal for item in self.stations):
            codes.append(Exit.COULD_NOT_RUN)
        codes += [Exit.INCOMPLETE] if self.incomplete else []
        if self.verdict:
            codes += [Exit.QUALITY_GATE] if self.verdict.gate_failed else []
            broke = self.verdict.error and self.verdict.required
            codes += [Exit.COULD_NOT_RUN] if broke else []
        codes += [Exit.COULD_NOT_RUN] if self.report and self.report.failed else []
        return worst(codes)

    @property
    def windows(self) -> dict[str, int]:
        """Count the planned windows by outcome; a station that fails does so in one window."""
        planned = sum(item.planned_windows for item in self.stations)
        tally = self.tally
        failed = sum(
            item.state is State.FAILED and item.tally.windows < item.planned_windows
            for item in self.stations
        )
        return {
            "planned": planned,
            "ok": tally.windows - tally.unasked_windows,
            "empty": tally.empty_windows,
            "not_asked": tally.unasked_windows,
            "failed": failed,
            "not_attempted": max(0, planned - tally.windows - failed),
        }

    @property
    def duration(self) -> timedelta:
        """From start to end; zero while unknown."""
        if self.started_at is None or self.ended_at is None:
            return timedelta()
        return self.ended_at - self.started_at

    @property
    def success_rate(self) -> float:
        """Share of the selected stations of which no hour is open, percent."""
        done = sum(
            item.state is State.COMPLETED or item.skip in (Skip.COVERED, Skip.ELSEWHERE)
            for item in self.stations
        )
        return 100.0 * done / len(self.stations) if self.stations else 100.0

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form (`outcome.json`, and the result in `ingest_runs`)."""
        return {
            "run_id": self.run_id,
            "job": self.job,
            "exit_code": self.exit_code,
            "dry_run": self.dry_run,
            "database": self.database or None,
            "planned": dict(self.planned) if self.planned else None,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "duration_s": round(self.duration.total_seconds(), 3),
            "requests": self.requests,
            "failed_requests": self.failed_requests,
            "throttled_requests": self.throttled_requests,
            "budget_wait_s": round(self.budget_wait_s, 3),
            "windows": self.windows,
            "quality": None if self.verdict is None else self.verdict.to_json(),
            "report": None if self.report is None else self.report.to_json(),
            "stopped_by": self.stopped_by,
            "error": self.error or None,
            "rejects_not_kept": self.rejects_not_kept,
            "observed": dict(self.observed),
            "totals": asdict(self.tally),
            "coverage": asdict(Coverage.of(self.stations)),
            "attributions": [dict(item) for item in self.attributions],
            "counts": {str(state): self.count(state) for state in State},
            "success_rate": round(self.success_rate, 1),
            "resume_command": self.resume_command or None,
            "retry_command": self.retry_command or None,
            "stations": [item.to_json() for item in self.stations],
        }

    def summary(self) -> str:
        """Return the summary block and what to do next."""
        tally = self.tally
        inserted = "would be inserted" if self.dry_run else "inserted"
        updated = "would be updated" if self.dry_run else "updated"
        lines = [
            RULE,
            "BACKFILL JOB SUMMARY" + (" (dry run: nothing was written)" if self.dry_run else ""),
            RULE,
            f"Total stations: {len(self.stations):,}",
            f"Completed stations: {self.count(State.COMPLETED):,}",
            f"Failed stations: {self.count(State.FAILED):,}",
            f"Skipped stations: {self.count(State.SKIPPED):,}{self._skip_reasons()}",
            *([f"Stations left: {left:,}"] if (left := self.count(State.LEFT)) else []),
            f"Total readings {inserted}: {tally.inserted:,}",
            f"Total readings {updated}: {tally.updated:,}",
            f"Total readings unchanged: {tally.unchanged:,}",
            *([f"Total readings kept as they were: {tally.kept:,}{_KEPT}"] if tally.kept else []),
            f"Total records rejected: {tally.rejects:,}{self._not_kept()}",
            *([f"Hour labels repaired: {tally.repaired:,}"] if tally.repaired else []),
            *([f"Present observations: {self._observed()}"] if self.observed else []),
            f"Coverage: {Coverage.of(self.stations)}",
            f"Total API requests: {self.requests:,}",
            *self._budget_wait(),
            *([f"Database: {self.database}"] if self.database else []),
            f"Duration: {duration_text(self.duration.total_seconds())}",
            f"Success rate: {self.success_rate:.1f}%",
            RULE,
            *self._next_steps(),
        ]
        return "\n".join(lines)

    def _observed(self) -> str:
        return ", ".join(f"{count:,} {kind}" for kind, count in self.observed.items())

    def _not_kept(self) -> str:
        if not self.rejects_not_kept:
            return ""
        return f" ({self.rejects_not_kept:,} of them over limits.rejects, not kept)"

    def _budget_wait(self) -> list[str]:
        if self.budget_wait_s < _WORTH_TELLING_S:
            return []
        waited = duration_text(self.budget_wait_s)
        return [f"Waited for the budget shared by all with this key: {waited}"]

    def _skip_reasons(self) -> str:
        counts: dict[str, int] = {}
        for item in self.stations:
            if item.skip:
                counts[str(item.skip)] = counts.get(str(item.skip), 0) + 1
        return f" ({', '.join(f'{k}: {v:,}' for k, v in counts.items())})" if counts else ""

    def _next_steps(self) -> list[str]:
        lines: list[str] = []
        if self.error:
            ended = f"The run ended early: {self.error}\n{self.hint}".rstrip("\n").split("\n")
            lines += [harmless(line) for line in ended]
        leased = Counter(item.detail for item in self.stations if item.skip is Skip.LEASED)
        lines += [
            f"  {counted(count, 'stations')}: {harmless(why)}" for why, count in leased.items()
        ]
        failed = [
            item
            for item in self.stations
            if item.detail and item.state is not State.LEFT and item.skip is not Skip.LEASED
        ]
        lines += [
            f"  {harmless(f'{item.station}: {item.detail}')}" for item in failed[:MOST_LISTED]
        ]
        if len(failed) > MOST_LISTED:
            lines.append(f"  … and {len(failed) - MOST_LISTED:,} more, see outcome.json")
        unknown = [str(item.station.idx) for item in self.stations if item.skip is Skip.UNKNOWN]
        if unknown:
            lines.append(
                f"Unknown station ids, not fetched: {', '.join(unknown[:MOST_LISTED])}. If they"
                " exist, name them: '+stations.named={12345: Its name}'"
            )
        if Observed.LEFT in self.observed:
            lines.append(
                "The newest hours are left to the live job (backfill.lag_hours). Where none runs:"
                " backfill.lag_hours=0, or profile=hourly"
            )
        if any(item.skip is Skip.NOT_KEPT for item in self.stations):
            lines.append(
                "What was never kept can only be asked for: the same command with the name of the"
                " source that answers, and backfill.mode=resume"
            )
        retriable = any(
            (item.state is State.FAILED and item.skip is not Skip.UNREADABLE)
            or item.skip is Skip.FAILED
            for item in self.stations
        )
        if retriable and self.retry_command:
            lines.append(f"Try the failed stations again: {self.retry_command}")
        if (self.count(State.LEFT) or self.stopped_by) and self.resume_command:
            lines.append(f"Resume where this run ended: {self.resume_command}")
        return lines


def duration_text(seconds: float) -> str:
    """Return `2:15:30` for 8130 seconds; days are counted as hours."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"
