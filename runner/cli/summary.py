"""The outcome of a sweep: one row per job, totals, one exit code. Pure.

`summary.json` in the sweep's directory is `Summary.to_json()`:

    {version: 1, command, launcher, started_at, ended_at, stopped_by, exit_code,
     jobs: [{number, label, overrides, directory, state, exit_code, job, run_id, error, duration_s,
             stations, fetched, failed, requests, inserted, updated, unchanged, rejects,
             quality, page}],
     totals: {jobs, planned: null or {requests, hours, duration_s}, states: {state: jobs},
              stations, fetched, failed, requests, inserted, updated, unchanged, rejects}}

It is written before the first job, after every job and at the end. Until then `ended_at` and
`exit_code` are null, and states may be `waiting` and `running`. Times are ISO 8601, UTC. `label` is
what sets the job apart. `directory` and `page` are relative to the sweep's directory. Counts and
`exit_code` are null for a job that left no outcome; `quality` is pass, warn, fail, or null where
nothing was checked. `stations` of the totals counts every station once, whoever worked on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from runner.core.errors import Exit, worst
from runner.core.outcome import State, duration_text

VERSION = 1
MOST_PAGES = 10
"""Pages named below the table; index.html links all of them."""
_FETCHING = ("backfill", "retry")
_SUMMED = (*("fetched", "failed", "requests", "inserted", "updated", "unchanged", "rejects"),)


class JobState(StrEnum):
    """How a job of a sweep ended."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    COULD_NOT_RUN = "could not run"
    REFUSED = "refused"
    GATE_FAILED = "gate failed"
    INCOMPLETE = "incomplete"
    STOPPED = "stopped"
    KILLED = "killed"
    """It began and left no outcome: its process was killed, or its machine went away."""
    NOT_RUN = "not run"


_STATES = {
    Exit.DONE: JobState.DONE,
    Exit.COULD_NOT_RUN: JobState.COULD_NOT_RUN,
    Exit.CONFIGURATION: JobState.REFUSED,
    Exit.QUALITY_GATE: JobState.GATE_FAILED,
    Exit.INCOMPLETE: JobState.INCOMPLETE,
    Exit.SIGINT: JobState.STOPPED,
    Exit.SIGTERM: JobState.STOPPED,
    Exit.SIGHUP: JobState.STOPPED,
}


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job of a sweep, before it begins.

    Attributes:
        number: from 0.
        overrides: all of them, as typed.
        label: of the overrides those that other jobs have otherwise.
        directory: of its files, relative to the sweep's.
    """

    number: int
    overrides: tuple[str, ...]
    label: str
    directory: str


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep, before its first job begins. Pickles: workers know the whole sweep by it.

    Attributes:
        directory: absolute, of the sweep's files.
        command: the exact command.
        launcher: the name of what starts the jobs.
        started_at: ISO 8601, UTC.
        jobs: all of them, in order.
    """

    directory: str
    command: str
    launcher: str
    started_at: str
    jobs: tuple[PlannedJob, ...]


@dataclass(frozen=True, slots=True)
class SweepJob:
    """A job of a sweep, with what is known of it.

    Attributes:
        plan: the job.
        state: how far it is, or how it ended.
        outcome: as in its outcome.json; None if it left none.
        page: of its report, relative to the sweep's directory; empty without one.
    """

    plan: PlannedJob
    state: JobState
    outcome: Mapping[str, Any] | None = None
    page: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the row of the job."""
        outcome = self.outcome
        known: dict[str, Any] = dict.fromkeys(("exit_code", "job", "run_id", "error", "duration_s"))
        counts: dict[str, Any] = dict.fromkeys(("stations", *_SUMMED))
        if outcome is not None:
            known = {name: outcome[name] for name in known}
            counts |= {name: outcome["totals"][name] for name in counts & outcome["totals"].keys()}
            counts["stations"] = len(outcome["stations"])
            counts["fetched"] = outcome["counts"][State.COMPLETED]
            counts["failed"] = outcome["counts"][State.FAILED]
            counts["requests"] = outcome["requests"]
        quality = (outcome or {}).get("quality") or {}
        return {
            **asdict(self.plan),
            "state": str(self.state),
            **known,
            **counts,
            "quality": quality.get("status"),
            "page": self.page or None,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """A sweep, with what is known of it.

    Attributes:
        plan: the sweep.
        jobs: in the order of the plan.
        ended_at: ISO 8601, UTC; empty while jobs may still begin.
        stopped_by: 128 + signal number, None without a stop.
    """

    plan: SweepPlan
    jobs: tuple[SweepJob, ...]
    ended_at: str = ""
    stopped_by: int | None = None

    @classmethod
    def of(
        cls,
        plan: SweepPlan,
        outcomes: Mapping[int, Mapping[str, Any]],
        began: Collection[int],
        pages: Mapping[int, str],
        *,
        ended_at: str = "",
        stopped_by: int | None = None,
    ) -> Summary:
        """Put together what is known.

        Args:
            plan: the sweep.
            outcomes: by number, of the jobs that came to an end.
            began: numbers of the jobs that began.
            pages: by number, see `SweepJob`.
            ended_at: see `Summary`.
            stopped_by: see `Summary`.
        """
        open_states = (
            (JobState.KILLED, JobState.NOT_RUN)
            if ended_at
            else (JobState.RUNNING, JobState.WAITING)
        )
        jobs = []
        for job in plan.jobs:
            outcome = outcomes.get(job.number)
            if outcome is None:
                state = open_states[0 if job.number in began else 1]
            else:
                state = _STATES.get(Exit(outcome["exit_code"]), JobState.COULD_NOT_RUN)
            jobs.append(SweepJob(job, state, outcome, pages.get(job.number, "")))
        return cls(plan, tuple(jobs), ended_at, stopped_by)

    @property
    def exit_code(self) -> int | None:
        """The worst of all jobs; None before the end."""
        if not self.ended_at:
            return None
        codes = [job.outcome["exit_code"] for job in self.jobs if job.outcome is not None]
        if len(codes) < len(self.jobs):
            lost = any(job.state is JobState.KILLED for job in self.jobs)
            codes += [Exit.COULD_NOT_RUN] if lost or self.stopped_by is None else []
            codes += [self.stopped_by] if self.stopped_by is not None else []
        return worst(codes)

    @property
    def asked_nothing(self) -> bool:
        """Whether everything that the jobs were to fetch was there already."""
        rows = [job.to_json() for job in self.jobs]
        return bool(rows) and all(
            row["state"] == JobState.DONE
            and row["job"] in _FETCHING
            and not (row["requests"] or row["inserted"] or row["updated"] or row["unchanged"])
            for row in rows
        )

    def totals(self) -> dict[str, Any]:
        """Return the sums over the jobs."""
        rows = [job.to_json() for job in self.jobs]
        ended = [job.outcome for job in self.jobs if job.outcome is not None]
        stations = {one["station_idx"] for outcome in ended for one in outcome["stations"]}
        plans = [outcome["planned"] for outcome in ended if outcome.get("planned")]
        planned = {name: sum(plan[name] for plan in plans) for name in plans[0]} if plans else None
        return {
            "jobs": len(rows),
            "planned": planned,
            "states": dict(Counter(row["state"] for row in rows)),
            "stations": len(stations),
            **{name: sum(row[name] or 0 for row in rows) for name in _SUMMED},
        }

    def to_json(self) -> dict[str, Any]:
        """Return the content of `summary.json`."""
        return {
            "version": VERSION,
            "command": self.plan.command,
            "launcher": self.plan.launcher,
            "started_at": self.plan.started_at,
            "ended_at": self.ended_at or None,
            "stopped_by": self.stopped_by,
            "exit_code": self.exit_code,
            "jobs": [job.to_json() for job in self.jobs],
            "totals": self.totals(),
        }

    def last_words(self) -> list[str]:
        """Return what to tell a person below the table."""
        totals = self.totals()
        counts, planned = totals["states"], totals["planned"]
        lines = [f"Jobs: {', '.join(f'{count} {state}' for state, count in counts.items())}"]
        if planned:
            lines.append(
                f"Planned: {planned['requests']:,} requests, {planned['hours']:,} station-hours, "
                f"{duration_text(planned['duration_s'])} one after the other"
            )
        pages = [job for job in self.jobs if job.page]
        place = self.plan.directory
        lines += [
            f"Report of job {job.plan.number}: {place}/{job.page}" for job in pages[:MOST_PAGES]
        ]
        if self.asked_nothing:
            lines.append("Nothing was asked: everything these jobs fetch was there already.")
        elif self.exit_code not in (Exit.DONE, Exit.CONFIGURATION, Exit.QUALITY_GATE):
            lines.append(f"Go on where the sweep ended: {self.plan.command}")
        return lines
