"""Checks what is stored, or what a run kept of it. Fetches and changes nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from runner import __version__
from runner.config.files import standard_checks
from runner.core.aqi.aqicn import AQICN
from runner.core.errors import ConfigError, RunnerError, StoreError
from runner.core.intervals import Interval, iso
from runner.core.recorded import account_of
from runner.core.stations import Station
from runner.core.verdict import Status, Verdict, gate_fails
from runner.process.job import Job
from runner.sources import provider_of, providers
from runner.store.database import Store

if TYPE_CHECKING:
    from runner.quality.document import Identity
    from runner.quality.grid import Scope
    from runner.quality.inputs import Inputs
    from runner.quality.ledger import Previous
    from runner.quality.policy import Policy

from runner.core.outcome import Outcome
from runner.jobs.choosing import choose_stations
from runner.store.database import open_store

log = structlog.get_logger()

DIRECTORY = "quality"
"""In the run directory; what is in it, `runner.quality` says."""


def validate(
    job: Job, store: Store, stations: Sequence[Station], outcome: Mapping[str, Any] | None
) -> Verdict:
    """Check the stored readings of some stations over the job's range.

    Never raises: what was fetched is stored, and its outcome is reported whatever happens.

    Args:
        job: for its settings and its directory.
        store: read only.
        stations: to check.
        outcome: of the run in hand or of a recorded one, as JSON; None if there is none.
    """
    return _guarded(job, lambda: _validate(job, store, stations, outcome))


def validate_again(job: Job, run_dir: Path) -> Verdict:
    """Judge once more what a run extracted, by the settings of now; needs no database.

    Args:
        job: for its settings and its directory; of its stations only `stations.ids` count.
        run_dir: the run.

    Raises:
        ConfigError: the directory does not keep what is needed, or not these stations.
    """
    from runner.quality.inputs import bring_readings, read_inputs  # noqa: PLC0415 - brings polars

    kept = read_inputs(run_dir)
    chosen = job.config.stations.ids or [station.idx for station in kept.stations]
    unknown = set(chosen) - {station.idx for station in kept.stations}
    if unknown:
        listed = ", ".join(map(str, sorted(unknown)))
        raise ConfigError(f"the run in {run_dir} did not look at these stations: {listed}")

    def again() -> Verdict:
        inputs = kept.of(chosen, _identity_again(job, kept, chosen))
        bring_readings(run_dir, job.context.run_dir / DIRECTORY, inputs.stations)
        return _judged(job, inputs)

    return _guarded(job, again)


def _guarded(job: Job, check: Callable[[], Verdict]) -> Verdict:
    """Return a verdict, be it that there is none."""
    began = time.monotonic()
    try:
        verdict = check()
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


def recorded_outcome(
    job: Job, store: Store, stations: Sequence[Station]
) -> Mapping[str, Any] | None:
    """Return the newest recorded outcome of a run that was asked for these stations and hours.

    Raises:
        StoreError: MongoDB could not answer.
    """
    ids = [station.idx for station in stations]
    present = [one.name for one in providers().values() if one.present_only]
    accounts = (account_of(outcome, ids, job.wanted) for outcome in store.runs.outcomes(present))
    return next(filter(None, accounts), None)


def covered_range(store: Store, stations: Sequence[Station]) -> Interval | None:
    """Return the hours from the first to the last that stations cover; None if they cover none.

    Raises:
        StoreError: MongoDB could not answer.
    """
    checkpoints = store.checkpoints.load([station.idx for station in stations])
    covered = [piece for one in checkpoints.values() for piece in one.progress.covered]
    if not covered:
        return None
    return Interval(min(piece.start for piece in covered), max(piece.end for piece in covered))


def _broken(job: Job, why: str) -> Verdict:
    line = f"Quality: NOT CHECKED: {why}; job=validate tries again"
    required = job.config.quality.fail_on.name != "never"
    return Verdict(lines=(line,), error=why, required=required)


def _validate(
    job: Job, store: Store, stations: Sequence[Station], outcome: Mapping[str, Any] | None
) -> Verdict:
    from runner.quality.grid import KNOWN_KEYS, POLLUTANTS, WEATHER  # noqa: PLC0415 - as above
    from runner.quality.inputs import (  # noqa: PLC0415 - as above
        Inputs,
        entry_of,
        extract,
    )
    from runner.quality.ledger import StationLedger  # noqa: PLC0415 - as above

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
    identity = _identity(job, store, stations)
    checkpoints = store.checkpoints.load([station.idx for station in stations])
    scales = store.concentrations.scales([station.idx for station in stations])
    entries = {}
    for station in stations:
        job.stop.check()
        checkpoint = checkpoints.get(station.idx)
        reasons = store.rejects.reasons(station.idx, job.wanted)
        stored = _stored_by(outcome, station.idx, job.wanted)
        scale = scales.get(station.idx, AQICN.name)
        entries[station.idx] = entry_of(StationLedger.of(checkpoint, reasons, stored, scale))
    inputs = Inputs(job.wanted, now, frozenset(known), identity, outcome, tuple(stations), entries)
    return _judged(job, inputs)


def _stored_by(outcome: Mapping[str, Any] | None, idx: int, window: Interval) -> int | None:
    """Return the readings that the run in hand stored of a station within a window, if known.

    A recorded outcome has no stations: readings may have gone for a good reason since, such as
    another scale without an index for them.
    """
    for one in (outcome or {}).get("stations", ()):
        if one["station_idx"] == idx:
            inside = iso(window.start) <= one["start"] and one["end"] <= iso(window.end)
            names = ("inserted", "updated", "unchanged", "kept")
            return sum(one[name] for name in names) if inside else None
    return None


def _judged(job: Job, inputs: Inputs) -> Verdict:
    """Check the readings in the job's directory, and write its files."""
    from runner.quality.files import find_previous, forget_readings  # noqa: PLC0415 - brings polars
    from runner.quality.grid import Scope  # noqa: PLC0415 - as above
    from runner.quality.policy import policy_of  # noqa: PLC0415 - as above

    settings = job.config.quality
    directory = job.context.run_dir / DIRECTORY
    inputs.write(directory, job.redact)
    scope = Scope(
        inputs.window,
        inputs.now,
        settings.utc_offset_hours,
        settings.expected.name == "active",
        tuple(settings.external.items()),
        inputs.known,
    )
    previous = find_previous(
        settings.compare if job.config.worker is None else "none",  # never twice the same stations
        job.context.run_dir.resolve(),
        job.run_id,
        inputs.identity.fingerprint,
        inputs.identity.database,
    )
    policy = policy_of(settings, standard_checks(), datetime.now(UTC).date())
    made = _checked(job, inputs, scope, policy, previous)
    if not settings.keep_readings:
        forget_readings(directory)
    return _verdict(job, made, directory)


def _checked(
    job: Job, inputs: Inputs, scope: Scope, policy: Policy, previous: Previous | None
) -> dict[str, Any]:
    from runner.quality.assess import assess  # noqa: PLC0415 - brings polars
    from runner.quality.files import read_readings  # noqa: PLC0415 - as above
    from runner.quality.grid import StationData  # noqa: PLC0415 - as above
    from runner.quality.ledger import run_ledger  # noqa: PLC0415 - as above

    directory = job.context.run_dir / DIRECTORY
    keys = previous.keys() if previous else {}

    def load(station: Station) -> StationData:
        job.stop.check()
        idx = station.idx
        documents = read_readings(directory, idx)
        if inputs.documents is not None and documents.height != inputs.documents.get(idx):
            raise RunnerError(f"the kept readings of station {idx} are not those the run extracted")
        return StationData(station, documents, inputs.ledger(idx), scope, keys.get(idx))

    return assess(
        directory,
        inputs.stations,
        load,
        scope,
        policy,
        inputs.identity,
        fail_on=job.config.quality.fail_on.name,
        ledger=run_ledger(inputs.outcome) if inputs.outcome else None,
        previous=previous,
        redact=job.redact,
        now=datetime.now(UTC),
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
    return _fetch(job) if job.name == "validate" else job.resume_command


def _fetch(job: Job, *changes: str) -> str:
    """Return the command that fetches by another mode, whatever job this one is."""
    words = ("job=backfill",) if job.name in ("validate", "retry") else ()
    if job.stored is not None and not job.asks_present:  # what is open lies in these hours
        start, end = iso(job.stored.start), iso(job.stored.end)
        words = (*words, f"backfill.start_date={start}", f"backfill.end_date={end}")
    return job.command(*words, *changes)


def _identity(job: Job, store: Store, stations: Sequence[Station]) -> Identity:
    """Return what quality.json says of the run. The fingerprint is of the question asked."""
    import polars as pl  # noqa: PLC0415 - heavy

    from runner.quality.document import ACCEPTED, STATIONS, Identity  # noqa: PLC0415 - brings polars

    backfill, source = job.config.backfill, job.config.source
    named = (backfill.start_date, backfill.end_date, backfill.years, backfill.days)
    subject = {
        "stations": job.config.stations.model_dump(),
        "range": [*named[:2], *(named[2:] if named[0] is None else ())],
        "source": job.source,
        "path": source.path,
    }
    text = json.dumps(subject, sort_keys=True, default=str)
    subject = {
        "range": f"{iso(job.wanted.start)}..{iso(job.wanted.end)}",
        "source": job.source,
    }
    ids = [station.idx for station in stations]
    recorded = store.runs.origins(ids) if job.name == "validate" else []
    return Identity(
        run_id=job.run_id,
        job=job.name,
        command=job.redact(job.command()),
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
        subject={**subject, "stations": ids},
        database=job.database_name,
        source=", ".join(dict.fromkeys(one["source"] for one in recorded)) or job.source,
        origin=_origin(job, store, ids, recorded),
        versions={"runner": __version__, "polars": pl.__version__, "mongod": store.version()},
        resume_command=job.redact(_resume_command(job)),
        retry_command=job.redact(job.command("job=retry")),
        rejects_command=job.redact(job.command("job=rejects")),
        dedupe_command=job.redact(job.command("job=dedupe")),
        dedupe_refused=_why_no_dedupe(store),
        report_command=job.redact(job.command("job=report", f"stations.ids=[{STATIONS}]")),
        gaps_command=job.redact(_fetch(job, "backfill.mode=gaps")),
        refetch_command=job.redact(
            _fetch(job, f"stations.ids=[{STATIONS}]", "backfill.mode=refetch")
        ),
        accept_command=job.redact(job.command("job=validate", f"quality.accepted=[{ACCEPTED}]")),
        active_command=job.redact(job.command("job=validate", "quality.expected=active")),
        can_replace=_can_replace(job, store),
    )


def _origin(
    job: Job, store: Store, ids: Sequence[int], recorded: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return whose the stored readings are, by station and period where runs recorded it.

    The source of the settings counts for a run that stores, and where there is no record.
    """
    origin = provider_of(job).origin_of(job, ids, store.raw).to_json()
    named = [name for one in recorded for name in one["providers"]]
    if job.name != "validate" or not recorded:
        named += origin["providers"]
    return {**origin, "providers": [*dict.fromkeys(named)], "stations": recorded}


def _why_no_dedupe(store: Store) -> str:
    """Return why job=dedupe would remove nothing; also if the user of MONGO_URI may not."""
    try:
        return store.readings.why_not_remove(store.version())
    except RunnerError as error:
        return error.message


def _can_replace(job: Job, store: Store) -> bool:
    """Return whether the collection can replace a stored document."""
    if job.name == "validate":  # the other jobs have looked at the collection before they wrote
        with suppress(StoreError):  # it has looked by then
            store.readings.check()
    return store.readings.can_replace


def _identity_again(job: Job, kept: Inputs, chosen: Sequence[int]) -> Identity:
    """Return what quality.json says: the question is that of the run, or a part of it."""
    import polars as pl  # noqa: PLC0415 - heavy

    was = kept.identity
    ids = sorted(chosen)
    part = ids != sorted(station.idx for station in kept.stations)
    asked = hashlib.sha256(f"{was.fingerprint} {ids}".encode()).hexdigest()[:16]
    return replace(
        was,
        run_id=job.run_id,
        job=job.name,
        command=job.redact(job.command()),
        fingerprint=asked if part else was.fingerprint,
        subject={**was.subject, "stations": ids},
        versions={**was.versions, "runner": __version__, "polars": pl.__version__},
    )


def run(job: Job) -> Outcome:
    """Check the stored readings of the chosen stations and range; fetches nothing."""
    from runner.jobs.report import note_attributions, reported  # noqa: PLC0415 - for this job only
    from runner.jobs.validate import recorded_outcome, validate, validate_again  # noqa: PLC0415 - as above

    if job.config.quality.run_dir:
        verdict = validate_again(job, Path(job.config.quality.run_dir))
        return _told(job, reported(job, None, replace(job.outcome(), verdict=verdict)))
    with open_store(job) as store:
        selection = choose_stations(job, store)
        if selection.unknown:
            job.tell(f"Unknown station ids: {', '.join(map(str, selection.unknown))}")
        if job.has_default_range:
            job = replace(job, stored=covered_range(store, selection.stations))
        outcome_of_run = recorded_outcome(job, store, selection.stations)
        note_attributions(job, (outcome_of_run or {}).get("attributions") or ())
        verdict = validate(job, store, selection.stations, outcome_of_run)
        outcome = reported(job, store, replace(job.outcome(), verdict=verdict))
    return _told(job, outcome)


def _told(job: Job, outcome: Outcome) -> Outcome:
    """Tell a verdict and its report."""
    if outcome.verdict:
        job.tell("\n".join(outcome.verdict.lines))
    if outcome.report:
        job.tell("\n".join(outcome.report.lines))
    return outcome
