"""What to do: `job=NAME` and what goes with it."""

from __future__ import annotations

from enum import Enum

from runner.config.section import Section, setting


class JobName(Enum):
    """What to do; spelt as typed in `job=NAME`."""

    backfill = "backfill"
    plan = "plan"
    status = "status"
    retry = "retry"
    reset = "reset"
    rejects = "rejects"
    dedupe = "dedupe"
    replay = "replay"
    prune = "prune"
    match = "match"
    validate = "validate"
    report = "report"
    sandbox = "sandbox"
    stations = "stations"
    export = "export"
    runs = "runs"
    stop = "stop"
    doctor = "doctor"


class Output(Enum):
    """How a job shows what it found; spelt as typed in `output=NAME`."""

    table = "table"
    json = "json"
    openmetrics = "openmetrics"


class Job(Section):
    """What to do."""

    name: JobName = setting(JobName.backfill, "what to do; chosen with `job=NAME`")
    confirm: bool = setting(
        False,
        "`true` lets `job=reset` forget the progress of the chosen stations, `job=dedupe` remove "
        "doubles, and `job=prune` remove what is old; also typed `confirm=true`",
    )
    output: Output = setting(
        Output.table,
        "`json`: `job=status`, `job=plan` and `job=runs` print one document for machines, alone on "
        "standard output; `openmetrics`: `job=status` prints figures for Prometheus; also typed "
        "`output=json`",
    )
    run: str | None = setting(None, "id of the run that `job=stop` stops; also typed `run=ID`")


class Prune(Section):
    """What `job=prune` removes."""

    older_than_days: int = setting(
        180,
        "`job=prune` removes only what was last touched more days ago",
        ge=1,
        le=36_500,
        unit="days",
    )
    checkpoints: bool = setting(
        False,
        "also checkpoints of stations that are not chosen; they would be fetched again",
    )


class Limits(Section):
    """How much may go wrong before somebody must look."""

    rejects: int = setting(
        100_000,
        "refused records kept by one run; more are counted only",
        ge=0,
        le=100_000_000,
        unit="records",
    )
    # Hours for which the source itself says that it has no value do not count.
    reject_share: float = setting(
        0.5,
        "share of a window's records that may be unusable; above it the station fails",
        ge=0,
        le=1,
        unit="share of the records",
    )
