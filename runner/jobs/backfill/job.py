"""The main job: plan, announce, execute, account."""

from __future__ import annotations

import hashlib
import json
import platform
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from runner import __version__
from runner.core.errors import RunnerError
from runner.core.outcome import Outcome, State
from runner.core.plan import Plan, Skip, Wait, plan_json
from runner.core.recorded import by_station
from runner.core.stations import Station
from runner.core.text import counted
from runner.core.verdict import Verdict
from runner.jobs.backfill.engine import Engine, Sink
from runner.jobs.backfill.planning import Work, prepare
from runner.jobs.backfill.progress import watch
from runner.jobs.backfill.sink import DrySink, MongoSink
from runner.jobs.opening import access_to, api_key, budget_of, key_lines
from runner.jobs.report import note_attributions, reported
from runner.jobs.validate import validate
from runner.process.job import Job, whoami
from runner.process.secrets import Secret, masked
from runner.process.tables import console, plan_lines
from runner.sources import provider_of
from runner.store.budget import Budget
from runner.store.database import Store, open_store
from runner.store.outage import Outage

log = structlog.get_logger()

RUN_SCHEMA = 2
"""Of `ingest_runs`. Documents without the field have no host, pid, user, beat_at and progress."""


def run_backfill(job: Job, *, only_failed: bool = False) -> Outcome:
    """Fetch what the configuration asks for and is not covered yet.

    Args:
        job: the job.
        only_failed: only stations that failed, each over the range it failed in.

    Raises:
        RunnerError: the job cannot begin.
    """
    key = api_key(job)
    with open_store(job) as store:
        work = prepare(job, store, only_failed=only_failed)
        if work is None:
            return job.outcome()
        budget = budget_of(job, store, key)
        _begin(job, store, work, budget)
        outcome = _execute(job, store, work, key, budget)
        note_attributions(job, outcome.attributions)
        outcome = _validated(job, store, work, outcome)
        if not job.config.dry_run:
            _record_end(job, store, outcome)
    log.info("run.finished", exit_code=outcome.exit_code, requests=outcome.requests)
    job.tell(f"{outcome.summary()}\nFiles of this run: {job.files}")
    if outcome.verdict:
        job.tell("\n".join(outcome.verdict.lines))
    if outcome.report:
        job.tell("\n".join(outcome.report.lines))
    return outcome


def _validated(job: Job, store: Store, work: Work, outcome: Outcome) -> Outcome:
    """Check what is stored now, unless the run wrote nothing or was stopped."""
    if not job.config.quality.enabled or job.config.dry_run:
        return outcome
    if job.asks_present:
        lines = ("Quality: not checked after one observation; job=validate checks a range",)
        return replace(outcome, verdict=Verdict(lines=lines))
    if job.stop.asked or outcome.error:
        lines = ("Quality: not checked, because the run ended early; job=validate checks it",)
        return replace(outcome, verdict=Verdict(lines=lines))
    skipped = (Skip.UNKNOWN, Skip.NOT_OFFERED)
    stations = [entry.station for entry in work.plan.stations if entry.skip not in skipped]
    if job.config.worker is not None:  # the others check what they fetched
        mine = (State.COMPLETED, State.FAILED)
        stations = [item.station for item in outcome.stations if item.state in mine]
        if not stations:
            return outcome
    verdict = validate(job, store, stations, outcome.to_json())
    return reported(job, store, replace(outcome, verdict=verdict))


def _begin(job: Job, store: Store, work: Work, budget: Budget | None) -> None:
    """Make collections and indexes, note the stations and the run, and announce what comes."""
    plan, database = work.plan, work.database
    if database.refusal:
        raise database.refusal
    if not job.config.dry_run:
        database.make()
        _note_stations(job, store, work.selection.stations)
        again = {entry.station.idx: entry.covered for entry in plan.active if entry.again}
        store.checkpoints.forget(again)
        store.runs.started(job.run_id, _run_document(job, store, plan))
    free_in_s = budget.free_in_s(job.pace.interval_s) if budget and plan.requests else None
    lines = [*plan_lines(plan, job.wanted, datetime.now(UTC), free_in_s), *key_lines(job)]
    job.tell("\n".join([*lines, *database.lines(dry_run=job.config.dry_run)]))
    job.tell(f"  run       {job.run_id}{', writing nothing' if job.config.dry_run else ''}")
    job.tell(f"  files     {job.files}")
    job.tell(f"  resume    {job.resume_command}")
    log.info(
        "run.started",
        job=job.name,
        source=job.source,
        database=job.database_name,
        server=job.server,
        files=job.files,
        stations=len(plan.stations),
        requests=plan.requests,
        hours=plan.hours,
        dry_run=job.config.dry_run,
    )


def _note_stations(job: Job, store: Store, stations: Sequence[Station]) -> None:
    if provider_of(job).is_synthetic(job):
        stations = [replace(item, name=f"{item.name} (synthetic)") for item in stations]
    refused = store.stations.ensure(stations).refused
    if refused:
        job.tell(
            f"Not added to waqi_stations: {counted(len(refused), 'stations')}. Its validator asks"
            " for more than is known of them (coordinates). Their readings are fetched all the"
            " same."
        )


def _execute(job: Job, store: Store, work: Work, key: Secret, budget: Budget | None) -> Outcome:
    plan = work.plan
    outage = store.outage(job.stop)
    names = {entry.station.idx: entry.station.name for entry in plan.stations}
    access = access_to(job, store, key, outage, budget, names)
    with work.source.open(access) as source:
        alone = not job.context.shares_terminal
        watching = watch(
            plan,
            console(stderr=True),
            alone=alone and not job.logs_json,
            requests=lambda: access.pacer.permits,
            waits_for=lambda: Wait.DATABASE if outage.is_on else access.pacer.waits_for,
        )

        def beat() -> None:
            if store.runs.beat(job.run_id, watching.facts()) and not job.stop.asked:
                log.warning("run.stopping", reason="job=stop asked for it")
                job.stop.ask(signal.SIGTERM)

        renewing = nullcontext() if job.config.dry_run else store.leases.renewing(beat)
        with renewing, watching as watcher:
            executed = Engine(
                plan,
                source,
                sink_of(job, store, source.name, outage),
                watcher,
                workers=job.config.backfill.workers,
                stop=job.stop,
                reject_share=job.config.limits.reject_share,
                now=job.now,
                shared=job.config.worker is not None,
            ).execute()
        return replace(
            job.outcome(),
            stations=executed.stations,
            requests=access.pacer.permits,
            budget_wait_s=access.pacer.waited_s,
            failed_requests=access.failed.failed,
            throttled_requests=access.failed.throttled,
            observed=source.observed,
            rejects_not_kept=store.rejects.dropped,
            error=executed.error.message if executed.error else "",
            hint=executed.error.hint if executed.error else "",
            attributions=tuple(source.attributions()),
        )


def sink_of(job: Job, store: Store, source: str, outage: Outage) -> Sink:
    """Return where a run writes: the database, or nothing at all in a dry run.

    Args:
        job: for its settings.
        store: the database.
        source: the name of the source.
        outage: waits while the database does not answer.
    """
    if job.config.dry_run:
        return DrySink(store.readings)
    return MongoSink(
        store.readings,
        store.rejects,
        store.revisions,
        store.checkpoints,
        store.leases,
        outage,
        job.run_id,
        source,
        job.now,
    )


def _run_document(job: Job, store: Store, plan: Plan) -> dict[str, Any]:
    stations = [entry.station.idx for entry in plan.stations]
    return {
        **run_identity(job),
        "source": job.source,
        "origin": provider_of(job).origin_of(job, stations, store.raw).to_json(),
        "planned": plan_json(plan, job.wanted)["totals"],
    }


def run_identity(job: Job) -> dict[str, Any]:
    """Return what the record of every run says: job, command, time, settings, versions."""
    settings = json.dumps({**job.config.model_dump(), "worker": None}, sort_keys=True, default=str)
    return {
        "schema": RUN_SCHEMA,
        "job": job.name,
        "command": job.redact(job.command()),
        "started_at": job.started_at,
        **whoami(),
        "config_fingerprint": hashlib.sha256(settings.encode()).hexdigest()[:16],
        "versions": {"runner": __version__, "python": platform.python_version()},
    }


def _record_end(job: Job, store: Store, outcome: Outcome) -> None:
    """Note the outcome in `ingest_runs`; a database that is gone costs a warning, not the summary.

    Of the stations only the account is kept: their state is in `ingest_checkpoints` and in
    outcome.json, and a document has a largest size. A run of the present has none to give: it was
    asked for no range.
    """
    document = {name: value for name, value in outcome.to_json().items() if name != "stations"}
    if not job.asks_present:
        document["accounts"] = by_station(outcome.stations)
    try:
        store.runs.finished(outcome.run_id, masked(document, job.redact))
    except RunnerError as error:
        log.warning("run.not_recorded", error=error.message)
