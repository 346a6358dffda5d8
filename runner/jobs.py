"""What each job does, and how it ends. Implementations are picked in `runner.assembly`."""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from runner import __version__
from runner.assembly import Store, airnow_files, api_key, open_source, open_store, sandbox_server
from runner.config import Config, JobContext, bundled_stations
from runner.core.checkpoint import Checkpoint, Status
from runner.core.errors import ConfigError, RunnerError
from runner.core.intervals import Interval
from runner.core.outcome import Outcome
from runner.core.plan import Plan, build_plan, plan_json
from runner.core.selection import Box, Selection, Selector, select
from runner.core.stations import Station
from runner.job import PROGRAM, Job
from runner.logs import LOG_NAME, logging_to
from runner.secrets import Redactor
from runner.shutdown import StopFlag

if TYPE_CHECKING:
    from runner.sources.airnow import AirNowSource

log = structlog.get_logger()


def run(config: Config, context: JobContext) -> Outcome:
    """Do the configured job; never raises, so that a sweep goes on and the exit code is right."""
    started_at = datetime.now(UTC)
    run_id = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    redact = Redactor(context.environment)
    job = Job(config, context, run_id, started_at, StopFlag(context.stop), redact)
    with logging_to(context.run_dir, config.log_level.name, run_id, redact):
        try:
            return JOBS[job.name](job)
        except RunnerError as error:
            log.debug("job.refused", error=error.message)
            _tell(redact("\n".join(filter(None, (error.message, error.hint)))), file=sys.stderr)
            return replace(
                job.outcome(),
                error=error.message if job.stop.exit_code is None else "",
                hint=error.hint,
                configuration_error=isinstance(error, ConfigError),
            )
        except Exception as error:  # the last resort: a defect of ours, told in one line
            log.exception("job.broke")
            where = context.run_dir / LOG_NAME
            _tell(f"internal error ({type(error).__name__}); details: {where}", file=sys.stderr)
            return replace(job.outcome(), error=f"internal error ({type(error).__name__})")


def _tell(text: str, *, file: Any = None) -> None:
    """Say something to the person at the terminal."""
    print(text, file=file or sys.stdout, flush=True)  # noqa: T201 - the product's own words


# ---- the jobs -------------------------------------------------------------------------------


def backfill(job: Job, *, only_failed: bool = False) -> Outcome:
    """Fetch what is missing: plan, execute, summarise."""
    from runner.engine import Engine  # noqa: PLC0415 - needs nothing heavy, but only here
    from runner.progress import watch  # noqa: PLC0415
    from runner.store.sink import DrySink, MongoSink  # noqa: PLC0415 - brings pymongo
    from runner.tables import console, plan_lines  # noqa: PLC0415 - brings rich

    key = api_key(job)
    dry = job.config.dry_run
    with ExitStack() as stack:
        store = stack.enter_context(open_store(job))
        work = _prepare(job, store, only_failed=only_failed)
        if work is None:
            return job.outcome()
        plan = work.plan
        source, pacer = stack.enter_context(open_source(job, key, work))
        if dry:
            store.readings.check()
        else:
            _ensure(store, work.selection.stations)
            store.runs.started(job.run_id, _run_document(job, plan))
        _tell("\n".join(plan_lines(plan, job.wanted, datetime.now(UTC))))
        _tell(f"Run {job.run_id} into {job.database_name}. To resume it: {job.command()}")
        log.info("run.started", job=job.name, requests=plan.requests, hours=plan.hours, dry_run=dry)
        sink = (
            DrySink(store.readings)
            if dry
            else MongoSink(
                store.readings,
                store.rejects,
                store.checkpoints,
                job.run_id,
                source.name,
                lambda: datetime.now(UTC),
            )
        )
        with watch(plan, console(stderr=True)) as watcher:
            executed = Engine(
                plan,
                source,
                sink,
                watcher,
                workers=job.config.backfill.workers,
                stop=job.stop,
            ).execute()
        outcome = replace(
            job.outcome(),
            stations=executed.stations,
            requests=pacer.permits if pacer else 0,
            error=executed.error.message if executed.error else "",
            hint=executed.error.hint if executed.error else "",
        )
        if not dry:
            _record_end(store, outcome)
    log.info("run.finished", exit_code=outcome.exit_code, requests=outcome.requests)
    job.write_json("outcome.json", outcome.to_json())
    _tell(job.redact(outcome.summary()))
    return outcome


def retry(job: Job) -> Outcome:
    """Fetch failed stations again, each over the range it failed in."""
    return backfill(job, only_failed=True)


def plan(job: Job) -> Outcome:
    """Show what a backfill would fetch, why, and what it would cost; asks no API."""
    from runner.tables import console, plan_lines, plan_table  # noqa: PLC0415 - brings rich

    with open_store(job) as store:
        work = _prepare(job, store)
    if work is not None:
        console().print(plan_table(work.plan))
        _tell("\n".join(plan_lines(work.plan, job.wanted, datetime.now(UTC))))
        _tell(f"Written: {job.context.run_dir / 'plan.json'}")
    return job.outcome()


def status(job: Job) -> Outcome:
    """Show every station's state, progress, covered range and last error."""
    from runner.tables import console, status_line, status_table  # noqa: PLC0415 - brings rich

    with open_store(job) as store:
        checkpoints = store.checkpoints.load()
        chosen = {station.idx: station for station in _select(job, store).stations}
    if not _is_narrowed(job):
        chosen.update({idx: chosen.get(idx, Station(idx)) for idx in checkpoints})
    stations = [chosen[idx] for idx in sorted(chosen)]
    console().print(status_table(stations, checkpoints))
    _tell(
        f"{len(stations):,} stations in {job.database_name}: {status_line(stations, checkpoints)}"
    )
    return job.outcome()


def reset(job: Job) -> Outcome:
    """Forget the checkpoints of the chosen stations, so that they are fetched again."""
    if not (_is_narrowed(job) or job.config.job.confirm):
        raise ConfigError(
            "job=reset would forget the progress of every station",
            hint="Choose stations (stations=hanoi, stations.ids=[8641]), or add job.confirm=true",
        )
    with open_store(job) as store:
        stations = _select(job, store)
        ids = [*(station.idx for station in stations.stations), *stations.unknown]
        forgotten = 0 if job.config.dry_run else store.checkpoints.reset(ids)
    would = " (dry run: nothing was changed)" if job.config.dry_run else ""
    _tell(f"Forgot the progress of {forgotten} of {len(ids)} stations; readings stay.{would}")
    return job.outcome()


def sandbox(job: Job) -> Outcome:
    """Serve the API on loopback until stopped."""
    names = {**bundled_stations(), **job.config.stations.named}
    with sandbox_server(job, names) as server:
        _tell(
            f"Sandbox API at {server.url} (counts: {server.url}/_stats). Use it from another shell:\n"
            f"  AQICN_API_KEY=any-text {shlex.join(PROGRAM)} source.base_url={server.url} "
            "mongo.database=air_quality_sandbox\n"
            "Stop with Ctrl-C."
        )
        while not job.stop.asked:
            _wait_a_moment()
    return replace(job.outcome(), stopped_by=None)


def _wait_a_moment() -> None:
    """Let a second pass in the main thread, where signal handlers run."""
    time.sleep(0.2)


JOBS: dict[str, Callable[[Job], Outcome]] = {
    "backfill": backfill,
    "plan": plan,
    "status": status,
    "retry": retry,
    "reset": reset,
    "sandbox": sandbox,
}


# ---- what they are made of ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """The stations chosen and the plan for them."""

    selection: Selection
    plan: Plan
    airnow: AirNowSource | None = None


def _prepare(job: Job, store: Store, *, only_failed: bool = False) -> Work | None:
    """Choose stations, plan them, write plan.json; None when there is nothing to retry."""
    config = job.config
    selection = _select(job, store)
    for remark in selection.remarks:
        _tell(remark)
    checkpoints = store.checkpoints.load([station.idx for station in selection.stations])
    named = set(config.stations.ids)
    wanted: Interval | Callable[[int], Interval] = job.wanted
    if only_failed:
        failed = {i: c for i, c in checkpoints.items() if c.status is Status.FAILED}
        if not failed:
            _tell(f"No failed station among {len(selection.stations)} selected: nothing to retry.")
            return None
        chosen = tuple(station for station in selection.stations if station.idx in failed)
        selection = replace(selection, stations=chosen, unknown=())
        named = set(failed)
        wanted = _ranges_of(failed, job.wanted)
    airnow = airnow_files(job) if job.source_kind == "airnow" else None
    made = build_plan(
        selection.stations,
        checkpoints,
        wanted,
        batch_hours=config.backfill.batch_size,
        pace=job.pace,
        paced=airnow is None,
        named=named,
        unknown=selection.unknown,
        offers=airnow.offers if airnow else lambda _idx: True,
    )
    if airnow and not any(airnow.offers(station.idx) for station in selection.stations):
        raise ConfigError(
            f"source=airnow: the files in {config.source.path} speak of none of the "
            f"{len(selection.stations)} selected stations",
            hint=f"They are about {dict(config.source.sites)}: stations.ids="
            f"{sorted(config.source.sites.values())}".replace(" ", ""),
        )
    document = {"run_id": job.run_id, "job": job.name, "command": job.command()}
    document["created_at"] = job.started_at.isoformat()
    job.write_json("plan.json", {**document, **plan_json(made, job.wanted)})
    return Work(selection, made, airnow)


def _ranges_of(failed: dict[int, Checkpoint], default: Interval) -> Callable[[int], Interval]:
    def wanted(idx: int) -> Interval:
        found = failed[idx]
        if found.start_hour is None or found.target_end_hour is None:
            return default
        return Interval(found.start_hour, found.target_end_hour)

    return wanted


def _select(job: Job, store: Store) -> Selection:
    chosen = job.config.stations
    return select(
        ids=chosen.ids,
        named=chosen.named,
        selectors=[Selector(item.name, _box(item.bbox)) for item in chosen.selectors.values()],
        narrow=Selector(chosen.name, _box(chosen.bbox)),
        known=store.stations.known(),
        bundled=bundled_stations(),
    )


def _box(bbox: Sequence[float] | None) -> Box | None:
    return Box(*bbox) if bbox else None


def _is_narrowed(job: Job) -> bool:
    """Whether the person chose stations, rather than taking all of them by default."""
    chosen = job.config.stations
    everything = any(not (item.name or item.bbox) for item in chosen.selectors.values())
    return bool(chosen.ids or chosen.name or chosen.bbox or not everything)


def _ensure(store: Store, stations: Sequence[Station]) -> None:
    """Make collections and indexes, and note the stations; the first writes of a run."""
    store.readings.ensure()
    store.checkpoints.ensure()
    store.rejects.ensure()
    store.runs.ensure()
    written = store.stations.ensure(stations)
    if written.refused:
        _tell(
            f"{len(written.refused)} stations were not added to waqi_stations: its validator asks "
            "for coordinates, which are not known. Their readings are fetched all the same."
        )


def _record_end(store: Store, outcome: Outcome) -> None:
    """Note the outcome in `ingest_runs`; a database that is gone costs a warning, not the summary."""
    try:
        store.runs.finished(outcome.run_id, outcome.to_json())
    except RunnerError as error:
        log.warning("run.not_recorded", error=error.message)


def _run_document(job: Job, made: Plan) -> dict[str, Any]:
    settings = json.dumps(asdict(job.config), sort_keys=True, default=str)
    return {
        "job": job.name,
        "command": job.redact(job.command()),
        "started_at": job.started_at,
        "config_fingerprint": hashlib.sha256(settings.encode()).hexdigest()[:16],
        "versions": {
            "runner": __version__,
            "python": platform.python_version(),
        },
        "planned": plan_json(made, job.wanted)["totals"],
    }
