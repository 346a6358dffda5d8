"""What each job does, in a dozen lines each, and how every one of them ends."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from runner.config import Config, JobContext, bundled_stations
from runner.core.errors import ConfigError, RunnerError, UnsupportedCollectionError
from runner.core.outcome import Outcome
from runner.core.stations import Station
from runner.core.status import VERSION as STATUS_VERSION
from runner.core.status import status_json
from runner.core.text import counted
from runner.job import PROGRAM, Job
from runner.logs import LOG_NAME, logging_to
from runner.prune import prune
from runner.secrets import Redactor, Secret, masked
from runner.shutdown import StopFlag
from runner.store_assembly import Store, open_store
from runner.tables import (
    MOST_ROWS,
    console,
    plan_lines,
    plan_table,
    rejects_table,
    status_line,
    status_table,
)
from runner.work import choose_stations, is_narrowed, prepare

log = structlog.get_logger()

_LOOK_S = 0.2
"""How often a serving job looks whether it shall stop."""


def run(config: Config, context: JobContext) -> Outcome:
    """Do the configured job; never raises, so that a sweep goes on and the exit code is right.

    However it ends, its outcome is in outcome.json.
    """
    started_at = datetime.now(UTC)
    run_id = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    redact = Redactor(context.environment)
    job = Job(config, context, run_id, started_at, StopFlag(context.stop), redact)
    with logging_to(context.run_dir, config.log_level.name, run_id, redact):
        outcome = _attempt(job)
        job.write_json("outcome.json", outcome.to_json())
    return outcome


def _attempt(job: Job) -> Outcome:
    try:
        return JOBS[job.name](job)
    except RunnerError as error:
        log.info("job.refused", error=error.message)
        job.complain("\n".join(filter(None, (error.message, error.hint))))
        return replace(
            job.outcome(),
            error="" if job.stop.exit_code else error.message,
            hint=error.hint,
            configuration_error=isinstance(error, ConfigError),
        )
    except Exception as error:  # the last resort: a defect of ours, told in one line
        log.exception("job.broke")
        job.complain(
            f"internal error ({type(error).__name__}); details: {job.context.run_dir / LOG_NAME}"
        )
        return replace(job.outcome(), error=f"internal error ({type(error).__name__})")


def backfill(job: Job) -> Outcome:
    """Fetch what is not covered yet."""
    from runner.backfill import run_backfill  # noqa: PLC0415 - brings what asks an API

    return run_backfill(job)


def retry(job: Job) -> Outcome:
    """Fetch failed stations again, each over the range it failed in."""
    from runner.backfill import run_backfill  # noqa: PLC0415 - brings what asks an API

    return run_backfill(job, only_failed=True)


def plan(job: Job) -> Outcome:
    """Show what a backfill would fetch, why, and what it would cost; asks no API."""
    from runner.assembly import budget_of  # noqa: PLC0415 - brings what asks an API

    with open_store(job) as store:
        work = prepare(job, store)
        key = job.context.environment.secret(job.key_name) if job.key_name else Secret("")
        budget = budget_of(job, store, key)
        used = (
            budget.used() if budget else None
        )  # not known without the key, which a plan needs not
    if work is not None:
        if not job.says_json:
            console().print(plan_table(work.plan))
        lines = plan_lines(work.plan, job.wanted, datetime.now(UTC), used)
        job.tell("\n".join([*lines, *job.key_lines, *work.database.lines()]))
        job.tell(f"Written: {job.context.run_dir / 'plan.json'}")
        if work.database.refusal:  # as the run would
            raise work.database.refusal
    return job.outcome()


def status(job: Job) -> Outcome:
    """Show every station's state, progress, covered range and last error."""
    with open_store(job) as store:
        checkpoints = store.checkpoints.load(with_empty=False)
        selection = choose_stations(job, store)
        holders = store.leases.holders() if job.says_json else {}
    chosen = {station.idx: station for station in selection.stations}
    if not is_narrowed(job):
        chosen.update({idx: chosen.get(idx, Station(idx)) for idx in checkpoints})
    stations = [chosen[idx] for idx in sorted(chosen)]
    if job.says_json:
        document = status_json(stations, checkpoints, holders, selection.unknown)
        head = {"version": STATUS_VERSION, **job.identity, "database": job.database_name}
        job.print_json({**head, **document})
    else:
        shown = {
            idx: replace(found, error_message=masked(found.error_message, job.redact))
            for idx, found in checkpoints.items()
        }
        console().print(status_table(stations, shown))
    if selection.unknown:
        job.tell(f"Unknown station ids: {', '.join(map(str, selection.unknown))}")
    job.tell(
        f"{counted(len(stations), 'stations')} in {job.database_name}: "
        f"{status_line(stations, checkpoints)}"
    )
    return job.outcome()


def reset(job: Job) -> Outcome:
    """Forget the checkpoints of the chosen stations, so that they are fetched again."""
    if not (is_narrowed(job) or job.config.job.confirm):
        raise ConfigError(
            "job=reset would forget the progress of every station",
            hint="Choose stations (stations=hanoi, stations.ids=[8641]), or add confirm=true",
        )
    with open_store(job) as store:
        stations = choose_stations(job, store)
        ids = [*(station.idx for station in stations.stations), *stations.unknown]
        forgotten = 0 if job.config.dry_run else store.checkpoints.reset(ids)
    would = " (dry run: nothing was changed)" if job.config.dry_run else ""
    job.tell(
        f"Forgot the progress of {forgotten} of {counted(len(ids), 'stations')}; "
        f"readings stay.{would}"
    )
    return job.outcome()


def rejects(job: Job) -> Outcome:
    """Show the refused records: reasons by station, with an example."""
    with open_store(job) as store:
        chosen = choose_stations(job, store) if is_narrowed(job) else None
        ids = None if chosen is None else [station.idx for station in chosen.stations]
        found = store.rejects.summary(ids)
    total = sum(item.count for item in found)
    if found:
        # Cells are masked before a table breaks them: others may have stored what they hold.
        shown = [replace(item, example=masked(item.example, job.redact)) for item in found]
        console().print(rejects_table(shown))
    stations = len({item.station_idx for item in found})
    job.tell(
        f"{counted(total, 'records')} of {counted(stations, 'stations')} rejected "
        f"in {job.database_name}"
    )
    return job.outcome()


def dedupe(job: Job) -> Outcome:
    """Remove exact doubles of readings, which other writers made; report those that differ.

    In a time-series collection before MongoDB 7.0 they stay: only whole stations can be deleted
    there, and what a live job inserts between a copy and the deletion would be lost.

    Raises:
        UnsupportedCollectionError: the server cannot delete single readings; nothing was changed.
    """
    act = job.config.job.confirm and not job.config.dry_run
    removed = differing = 0
    with open_store(job) as store:
        why_not = store.readings.why_not_remove(store.version())
        if act and why_not:
            raise UnsupportedCollectionError(f"job=dedupe: {why_not}; nothing was changed")
        for station_idx, ts, exact, left in store.readings.doubles():
            removed += store.readings.remove(exact) if act else len(exact)
            if len(left) > 1:
                differing += 1
                if differing <= MOST_ROWS:
                    values = ", ".join(str(item.get("aqi")) for item in left)
                    job.tell(f"station {station_idx}, {ts}: {len(left)} differ (aqi {values})")
    found = f"found. They stay: {why_not}" if why_not else "found; confirm=true removes them"
    job.tell(f"{counted(removed, 'exact doubles')} {'removed' if act else found}")
    if differing:
        todo = "" if why_not else ". Decide, and delete one by _id"
        job.tell(f"Hours whose documents differ: {differing:,}{todo}")
    return job.outcome()


def validate_stored(job: Job) -> Outcome:
    """Check the stored readings of the chosen stations and range; fetches nothing."""
    from runner.backfill import note_attributions, reported  # noqa: PLC0415 - for this job only
    from runner.validation import recorded_outcome, validate, validate_again  # noqa: PLC0415 - as above

    if job.config.quality.run_dir:
        verdict = validate_again(job, Path(job.config.quality.run_dir))
        return _told(job, reported(job, None, replace(job.outcome(), verdict=verdict)))
    with open_store(job) as store:
        selection = choose_stations(job, store)
        if selection.unknown:
            job.tell(f"Unknown station ids: {', '.join(map(str, selection.unknown))}")
        outcome_of_run = recorded_outcome(job, store, selection.stations)
        note_attributions(job, _on_stored_scale(store, (outcome_of_run or {}).get("attributions")))
        verdict = validate(job, store, selection.stations, outcome_of_run)
        outcome = reported(job, store, replace(job.outcome(), verdict=verdict))
    return _told(job, outcome)


def _on_stored_scale(
    store: Store, attributions: Sequence[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    """Return attributions as recorded, with the scale that job=rescale may have changed since."""
    told = [*(attributions or ())]
    scales = store.concentrations.scales({one["station_idx"] for one in told}) if told else {}
    return [
        one | {"scale": ", ".join(sorted(scales.get(one["station_idx"], {one.get("scale", "")})))}
        for one in told
    ]


def _told(job: Job, outcome: Outcome) -> Outcome:
    """Tell a verdict and its report."""
    if outcome.verdict:
        job.tell("\n".join(outcome.verdict.lines))
    if outcome.report:
        job.tell("\n".join(outcome.report.lines))
    return outcome


def report(job: Job) -> Outcome:
    """Make the page and the notebooks of a finished run again; asks no database and no API."""
    from runner.reporting import make_report, run_to_report  # noqa: PLC0415 - for this job only

    run_dir = run_to_report(job)
    required = job.config.report.required is not False
    pages = make_report(job, run_dir, job.config.stations.ids, required=required)
    outcome = replace(job.outcome(), report=pages)
    job.tell("\n".join(pages.lines))
    return outcome


def sandbox(job: Job) -> Outcome:
    """Serve the API on loopback until stopped."""
    from runner.sandbox_assembly import sandbox_server  # noqa: PLC0415 - a whole server

    names = {**bundled_stations(), **job.config.stations.named}
    with sandbox_server(job, names) as server:
        job.tell(
            f"Sandbox API at {server.url} (counts: {server.url}/_stats). "
            "Use it from another shell:\n"
            f"  AQICN_API_KEY=any-text {shlex.join(PROGRAM)} source.base_url={server.url} "
            "mongo.database=air_quality_db_sandbox\n"
            "It speaks OpenAQ's API, too: OPENAQ_API_KEY=any-text, and source=openaq besides.\n"
            "Stop with Ctrl-C."
        )
        while not job.stop.asked:
            time.sleep(_LOOK_S)  # in the main thread, where signal handlers run
    return replace(job.outcome(), stopped_by=None)


def stations(job: Job) -> Outcome:
    """Note stations asked for or read from a file."""
    from runner.discovery import find_stations  # noqa: PLC0415 - brings what asks an API

    return find_stations(job)


def match(job: Job) -> Outcome:
    """Propose OpenAQ locations for stations."""
    from runner.match import match as match_stations  # noqa: PLC0415 - brings what asks OpenAQ

    return match_stations(job)


def replay(job: Job) -> Outcome:
    """Try kept rejects again."""
    from runner.replay import replay_rejects  # noqa: PLC0415 - for this job only

    return replay_rejects(job)


def rescale(job: Job) -> Outcome:
    """Compute stored indices again on another scale."""
    from runner.rescale import rescale_stored  # noqa: PLC0415 - for this job only

    return rescale_stored(job)


JOBS: dict[str, Callable[[Job], Outcome]] = {
    "backfill": backfill,
    "plan": plan,
    "status": status,
    "retry": retry,
    "reset": reset,
    "rejects": rejects,
    "dedupe": dedupe,
    "replay": replay,
    "rescale": rescale,
    "prune": prune,
    "match": match,
    "validate": validate_stored,
    "report": report,
    "sandbox": sandbox,
    "stations": stations,
}
