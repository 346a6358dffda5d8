"""Checks what is stored: extraction, checks, files, verdict. Fetches and changes nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from runner import __version__
from runner.assembly import Store
from runner.conf_files import standard_checks
from runner.core.errors import RunnerError
from runner.core.intervals import iso
from runner.core.stations import Station
from runner.core.verdict import Status, Verdict, gate_fails
from runner.job import Job

if TYPE_CHECKING:
    from runner.quality.document import Identity
    from runner.quality.policy import Policy
    from runner.quality.run_data import Previous

log = structlog.get_logger()

DIRECTORY = "quality"
"""In the run directory; what is in it, `runner.quality` says."""


def validate(
    job: Job, store: Store, stations: Sequence[Station], outcome: Mapping[str, Any] | None
) -> Verdict:
    """Check the stored readings of some stations over the job's range.

    Never raises: what was fetched is stored, and its outcome must be told however this goes.

    Args:
        job: for its settings and its directory.
        store: read only.
        stations: to check.
        outcome: of the run in hand or of the last one, as JSON; None where there is none.
    """
    began = time.monotonic()
    try:
        verdict = _validate(job, store, stations, outcome)
    except RunnerError as error:
        log.warning("quality.not_checked", error=error.message)
        return _broken(job, error.message)
    except OSError as error:
        log.warning("quality.not_checked", error=str(error))
        return _broken(job, f"{error.filename}: {error.strerror}")
    except Exception as error:  # a defect of ours
        log.exception("quality.broke")
        return _broken(job, f"internal error ({type(error).__name__}); the log has the traceback")
    elapsed = round(time.monotonic() - began, 1)
    log.info("quality.checked", status=str(verdict.status), elapsed_s=elapsed)
    return verdict


def _broken(job: Job, why: str) -> Verdict:
    line = f"Quality: NOT CHECKED: {why}; job=validate tries again"
    required = job.config.quality.fail_on.name != "never"
    return Verdict(lines=(line,), error=why, required=required)


def _validate(
    job: Job, store: Store, stations: Sequence[Station], outcome: Mapping[str, Any] | None
) -> Verdict:
    from runner.quality.extract import extract  # noqa: PLC0415 - brings polars
    from runner.quality.files import find_previous, forget_readings  # noqa: PLC0415 - as above
    from runner.quality.frames import KNOWN_KEYS, POLLUTANTS, WEATHER  # noqa: PLC0415 - as above
    from runner.quality.grid import Scope  # noqa: PLC0415 - as above
    from runner.quality.policy import policy_of  # noqa: PLC0415 - as above

    settings = job.config.quality
    now = datetime.now(UTC)
    directory = job.context.run_dir / DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    known = {station.idx: station for station in store.stations.known()}
    stations = sorted(
        (known.get(station.idx, station) for station in stations), key=lambda one: one.idx
    )
    began = time.monotonic()
    flat = store.flat((*POLLUTANTS, *WEATHER), KNOWN_KEYS)
    documents = extract(stations, job.wanted, flat, directory, now, job.stop.check)
    elapsed = round(time.monotonic() - began, 2)
    log.info("quality.extracted", documents=documents, elapsed_s=elapsed)
    identity = _identity(job, stations)
    scope = Scope(
        job.wanted,
        now,
        settings.utc_offset_hours,
        settings.expected.name == "active",
        tuple(settings.external.items()),
        frozenset(known),
    )
    previous = find_previous(
        settings.compare if job.config.worker is None else "none",  # never twice the same stations
        job.context.run_dir.resolve(),
        job.run_id,
        identity.fingerprint,
        identity.database,
    )
    policy = policy_of(settings, standard_checks(), now.date())
    made = _checked(job, store, stations, scope, policy, identity, outcome, previous)
    if not settings.keep_readings:
        forget_readings(directory)
    return _verdict(job, made, directory)


def _checked(
    job: Job,
    store: Store,
    stations: Sequence[Station],
    scope: Any,
    policy: Policy,
    identity: Identity,
    outcome: Mapping[str, Any] | None,
    previous: Previous | None,
) -> dict[str, Any]:
    from runner.quality.assessment import assess  # noqa: PLC0415 - brings polars
    from runner.quality.files import read_readings  # noqa: PLC0415 - as above
    from runner.quality.grid import StationData  # noqa: PLC0415 - as above
    from runner.quality.ledger import StationLedger, run_ledger  # noqa: PLC0415 - as above

    directory = job.context.run_dir / DIRECTORY
    checkpoints = store.checkpoints.load([station.idx for station in stations])
    keys = previous.keys() if previous else {}

    def load(station: Station) -> StationData:
        job.stop.check()
        rejected = store.rejects.hours(station.idx, scope.window)
        ledger = StationLedger.of(checkpoints.get(station.idx), rejected)
        documents = read_readings(directory, station.idx)
        return StationData(station, documents, ledger, scope, keys.get(station.idx))

    return assess(
        directory,
        stations,
        load,
        scope,
        policy,
        identity,
        fail_on=job.config.quality.fail_on.name,
        ledger=run_ledger(outcome) if outcome else None,
        previous=previous,
        redact=job.redact,
    )


def _verdict(job: Job, made: Mapping[str, Any], directory: Path) -> Verdict:
    from runner.quality.console import summary_lines  # noqa: PLC0415 - brings polars

    status = Status(made["status"])
    lines = summary_lines(made, directory)
    return Verdict(
        status,
        gate_fails(status, job.config.quality.fail_on.name),
        str(directory / "quality.json"),
        tuple(lines),
    )


def _resume_command(job: Job) -> str:
    """Return the command that fetches what is open; to check once more would not."""
    return job.command("job=backfill") if job.name == "validate" else job.resume_command


def _identity(job: Job, stations: Sequence[Station]) -> Identity:
    """Return what quality.json says of the run. The fingerprint is of the question asked."""
    import polars as pl  # noqa: PLC0415 - heavy

    from runner.quality.document import Identity  # noqa: PLC0415 - brings polars

    backfill, source = job.config.backfill, job.config.source
    named = (backfill.start_date, backfill.end_date, backfill.years, backfill.days)
    subject = {
        "stations": asdict(job.config.stations),
        "range": [*named[:2], *(named[2:] if named[0] is None else ())],
        "source": job.source_kind,
        "path": source.path,
    }
    text = json.dumps(subject, sort_keys=True, default=str)
    told = {"range": f"{iso(job.wanted.start)}..{iso(job.wanted.end)}", "source": job.source_kind}
    return Identity(
        run_id=job.run_id,
        job=job.name,
        command=job.redact(job.command()),
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
        subject={**told, "stations": [station.idx for station in stations]},
        database=job.database_name,
        source=job.source_kind,
        versions={"runner": __version__, "polars": pl.__version__},
        resume_command=job.redact(_resume_command(job)),
        retry_command=job.redact(job.command("job=retry")),
        rejects_command=job.redact(job.command("job=rejects")),
        dedupe_command=job.redact(job.command("job=dedupe")),
    )
