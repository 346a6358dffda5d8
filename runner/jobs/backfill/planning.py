"""What a job is about: the stations chosen and the plan made for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from runner.core.aqi.aqicn import AQICN
from runner.core.checkpoint import Checkpoint, Status, gaps
from runner.core.errors import ConfigError
from runner.core.intervals import Interval, Intervals, hour_of, intersect
from runner.core.plan import (
    ONE_A_WINDOW,
    PLAN_VERSION,
    Plan,
    Skip,
    build_plan,
    plan_json,
)
from runner.core.present import plan_present
from runner.core.stations import Selection
from runner.core.text import counted
from runner.jobs.backfill.database_plan import DatabasePlan, plan_database
from runner.jobs.choosing import choose_stations
from runner.jobs.opening import key_in_plan, shares_budget
from runner.process.job import Job
from runner.sources import provider_of
from runner.sources.provider import Prepared
from runner.store import budget, stations
from runner.store.database import Store

_STATIONS_AT_ONCE = 50
"""Stations whose stored hours one aggregation looks up."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Attributes:
        selection: the stations chosen.
        plan: made for them.
        database: what is made in the database.
        source: ready to be opened.
    """

    selection: Selection
    plan: Plan
    database: DatabasePlan
    source: Prepared


def prepare(job: Job, store: Store, *, only_failed: bool = False) -> Work | None:
    """Choose stations, plan what to fetch, and write plan.json (with output=json, print it).

    Args:
        job: for its settings.
        store: for stations and checkpoints; nothing is written to it.
        only_failed: plan failed stations only, each over the range it failed in.

    Returns:
        The work; None if no station failed where only those are wanted.

    Raises:
        ConfigError: no station is chosen, the source has none of them, or the clock is ahead.
    """
    _check_clock(job, store)
    selection = choose_stations(job, store)
    for remark in selection.remarks:
        job.tell(remark)
    for remark in job.database_remarks:
        job.tell(remark)
    if store.overruled_writes:
        job.tell(
            f"MONGO_URI says {store.overruled_writes}: not followed. Every write waits for the"
            " journals of a majority of the servers (w=majority, journal=true)."
        )
    mode = job.config.backfill.mode
    checkpoints = store.checkpoints.load(
        [station.idx for station in selection.stations], with_empty=mode.looks_for_gaps
    )
    named = set(job.config.stations.ids)
    wanted: Interval | Callable[[int], Interval] = job.wanted
    if only_failed:
        failed = {idx: c for idx, c in checkpoints.items() if c.status is Status.FAILED}
        if not failed:
            job.tell(
                f"None of {counted(len(selection.stations), 'stations')} failed: nothing to retry."
            )
            return None
        chosen = tuple(station for station in selection.stations if station.idx in failed)
        selection = replace(selection, stations=chosen, unknown=())
        named = set(failed)
        wanted = _range_it_failed_in(failed, job.wanted)
    _refuse_two_scales(job, store, [station.idx for station in selection.stations])
    source = provider_of(job).prepare(job, selection.stations, store.raw)
    if job.asks_present:
        return _present(job, store, source, selection, checkpoints)
    plan = build_plan(
        selection.stations,
        checkpoints,
        wanted,
        batch_hours=job.config.backfill.batch_size,
        pace=job.pace,
        paced=source.paced,
        cost=source.cost or ONE_A_WINDOW,
        named=named,
        unknown=selection.unknown,
        offers=source.offers or (lambda _idx: True),
        mode=mode,
        gaps=_gaps(job, store, checkpoints),
        lookback_hours=job.config.backfill.lookback_hours,
        held=source.held,
    )
    return Work(selection, plan, _tell_plan(job, store, plan, selection), source)


def _present(
    job: Job,
    store: Store,
    source: Prepared,
    selection: Selection,
    checkpoints: Mapping[int, Checkpoint],
) -> Work:
    """Plan one request a station; `prepare` chose them."""
    plan = plan_present(
        selection.stations,
        checkpoints,
        job.wanted,
        pace=job.pace,
        unknown=selection.unknown,
        is_ours=job.config.backfill.lag_hours == 0,
    )
    return Work(selection, plan, _tell_plan(job, store, plan, selection), source)


def _tell_plan(job: Job, store: Store, plan: Plan, selection: Selection) -> DatabasePlan:
    """Write plan.json, and return its part about the database."""
    database = _plan_database(job, store, plan)
    document = {
        "version": PLAN_VERSION,
        **job.identity,
        "key": key_in_plan(job),
        **plan_json(plan, job.wanted),
        "no_stations": list(selection.no_stations),
        "database": database.to_json(),
    }
    job.write_json("plan.json", document)
    if job.says_json:
        job.print_json(document)
    return database


def _plan_database(job: Job, store: Store, plan: Plan) -> DatabasePlan:
    kept = (store.raw,) if job.config.source.keep_raw else ()
    measured = (store.concentrations,) if provider_of(job).scale_setting else ()
    usual = (store.readings, store.checkpoints, store.rejects, store.revisions, store.runs)
    ranges = [
        entry.wanted
        for entry in plan.stations
        if entry.skip not in (Skip.UNKNOWN, Skip.NOT_OFFERED)
    ]
    starts, ends = zip(*ranges, strict=True) if ranges else ((), ())
    return plan_database(
        job,
        store,
        (*usual, *kept, *measured),
        Interval(min(starts), max(ends)) if ranges else None,
        others=[stations.NAME, *([budget.NAME] if shares_budget(job) else [])],
        duration_s=plan.duration_s,
    )


def _check_clock(job: Job, store: Store) -> None:
    """Refuse a range that MongoDB's clock says is not over.

    The source has nothing yet for hours to come: they would be recorded as hours without a reading.
    """
    theirs = store.clock()
    over = hour_of(job.started_at) if job.asks_present else job.wanted.end
    if over > hour_of(theirs):
        raise ConfigError(
            f"the clock of this machine says {job.now():%Y-%m-%d %H:%M} UTC, MongoDB's says "
            f"{theirs:%Y-%m-%d %H:%M}: the last hours asked for may not be over",
            hint=f"Set the clocks right, or write backfill.end_date={theirs:%Y-%m-%d}",
        )


def _gaps(job: Job, store: Store, checkpoints: Mapping[int, Checkpoint]) -> dict[int, Intervals]:
    """Return, by station index, the hours to be asked for again; {} unless gaps are wanted."""
    settings = job.config.backfill
    if not settings.mode.looks_for_gaps:
        return {}
    days = settings.recheck_empty_after_days
    asked_since = hour_of(job.started_at) - 24 * days + (days == 0)  # 0: also those of this hour
    found: dict[int, Intervals] = {}
    ids = sorted(checkpoints)
    for at in range(0, len(ids), _STATIONS_AT_ONCE):
        batch = ids[at : at + _STATIONS_AT_ONCE]
        stored = store.readings.stored_hours(batch, job.wanted)
        for idx in batch:
            open_hours = gaps(checkpoints[idx].progress, stored.get(idx, ()), asked_since)
            found[idx] = intersect(open_hours, (job.wanted,))
    return found


def _refuse_two_scales(job: Job, store: Store, chosen: Sequence[int]) -> None:
    """Refuse indices on one scale beside those on another one.

    What the scale of stored readings is, `ingest_concentrations` says; without any they are
    on AQICN's.
    """
    setting = provider_of(job).scale_setting
    scale = str(attrgetter(setting)(job.config)) if setting else AQICN.name
    there = store.concentrations.on_another_scale(chosen, scale)
    if there is None and scale != AQICN.name:
        ours = store.concentrations.on_scale(chosen, scale)
        others = (idx for idx in chosen if idx not in ours and store.readings.has_any(idx))
        there = next(((idx, AQICN.name) for idx in others), None)
    if there is None:
        return
    idx, other = there
    same = f"Write {setting}={other}, or take" if setting else "Take"
    raise ConfigError(
        f"station {idx} has indices on the scale {other}: others on {scale} beside them would look"
        " like other air",
        hint=f"{same} another database for {scale}, as mongo.database={job.database_name}_{scale}",
    )


def _range_it_failed_in(
    failed: Mapping[int, Checkpoint], default: Interval
) -> Callable[[int], Interval]:
    def wanted(idx: int) -> Interval:
        found = failed[idx]
        if found.start_hour is None or found.target_end_hour is None:
            return default
        return Interval(found.start_hour, found.target_end_hour)

    return wanted
