"""Checks of the run and of its ledger (R)."""

from __future__ import annotations

import polars as pl

from runner.core.checkpoint import Empties
from runner.core.intervals import Interval, intersect, subtract, total_hours, union
from runner.quality.catalogue import Found, Params, nothing, run_check, station_check
from runner.quality.grid import MISSING, Cause, StationData, failed_by_day
from runner.quality.ledger import RunData, RunLedger

_NO_LEDGER = "no recorded run is known to have been asked for all of these stations and hours"
_NOTHING_TO_DO = "the run had nothing to fetch"


def _judged(ledger: RunLedger, evaluated: int, failed: int, note: str = "") -> Found:
    """Return what an account says, unless that may be about other hours than those checked."""
    if failed and ledger.of_more_hours:
        return nothing(f"run {ledger.run_id} was asked for more hours; this may lie in the others")
    return Found(evaluated, failed=failed, note=note if evaluated else _NOTHING_TO_DO)


@run_check("R01", "Windows that failed after all retries", dimension="process", unit="windows")
def failed_windows(run: RunData, _params: Params) -> Found:
    """Of the windows planned."""
    if run.ledger is None:
        return nothing(_NO_LEDGER)
    windows = run.ledger.windows
    return _judged(run.ledger, windows.get("planned", 0), windows.get("failed", 0))


@run_check("R02", "Windows planned and never attempted", dimension="process", unit="windows")
def windows_not_attempted(run: RunData, _params: Params) -> Found:
    """Left by a stop, by a run that ended early, or behind a window that failed."""
    if run.ledger is None:
        return nothing(_NO_LEDGER)
    windows = run.ledger.windows
    return _judged(run.ledger, windows.get("planned", 0), windows.get("not_attempted", 0))


@run_check("R03", "Records that the account does not explain", dimension="process", unit="records")
def unexplained(run: RunData, _params: Params) -> Found:
    """Fetched = inserted + updated + unchanged + kept + rejected - partial + repeated.

    A partial reject took a value from a reading that was stored all the same, so its record would
    be counted twice; a repeated record said the same as another one of its hour.
    """
    if run.ledger is None:
        return nothing(_NO_LEDGER)
    account = run.ledger.readings
    explained = -account.get("partial", 0) + sum(
        account.get(name, 0)
        for name in ("inserted", "updated", "unchanged", "kept", "rejected", "repeated")
    )
    fetched = account.get("fetched", 0)
    note = "" if fetched == explained else f"{fetched:,} fetched, {explained:,} explained"
    return _judged(run.ledger, max(fetched, explained), abs(fetched - explained), note)


@station_check("R04", "Stored readings that the database lacks",
               dimension="process", unit="station-hours",
               worst=pl.col("hours"))  # fmt: skip
def lost_hours(data: StationData, _params: Params) -> Found:
    """Hours with a stored reading and no document now, by the checkpoint or by the run's account.

    The account counts readings and names no hour, so it finds what the checkpoint lost, too.
    """
    window, progress, account = data.scope.window, data.ledger.progress, data.ledger.stored
    covered = intersect(progress.covered, (window,))
    others = union((*_pieces(progress.empty), *progress.unknown))
    stored = max(total_hours(subtract(covered, others)), account or 0)
    if not stored:
        return nothing("no reading is known to be stored")
    lost = data.hours.filter(
        ~pl.col("present"), pl.col("cause") == MISSING.index(Cause.LOST)
    ).select("hour")
    inside = pl.col("hour").is_between(window.start, window.end - 1)
    there = data.rows.filter(inside)["hour"].n_unique()
    short = max(0, (account or 0) - there)
    runs = (
        lost.with_columns((pl.col("hour") - pl.int_range(pl.len())).alias("run"))
        .group_by("run", maintain_order=True)
        .agg(pl.col("hour").min().alias("start"), pl.len().cast(pl.Int64).alias("hours"))
        .select(
            pl.lit(data.station.idx, pl.Int64).alias("station_idx"),
            (pl.col("start") * 3_600_000).cast(pl.Datetime("ms", "UTC")),
            "hours",
        )
    )
    if short > lost.height:
        return Found(stored, _account_row(data.station.idx, short), short)
    return Found(stored, runs, lost.height, days=failed_by_day(data, lost))


def _account_row(station_idx: int, hours: int) -> pl.DataFrame:
    """Return the row of a loss that only the run's account shows: no hour is known."""
    start = pl.lit(None, pl.Datetime("ms", "UTC")).alias("start")
    return pl.DataFrame({"station_idx": [station_idx]}).select(
        "station_idx", start, pl.lit(hours, pl.Int64).alias("hours")
    )


def _pieces(empties: Empties) -> list[Interval]:
    return [Interval(item.start, item.end) for item in empties]


@run_check("R05", "Tries of requests that came to nothing", dimension="process", unit="requests")
def failed_requests(run: RunData, _params: Params) -> Found:
    """429 and other throttling, 5xx, timeouts, broken answers; each was tried again."""
    if run.ledger is None:
        return nothing(_NO_LEDGER)
    ledger = run.ledger
    failed = ledger.failed_requests + ledger.throttled_requests
    if failed and ledger.of_more_stations:
        return nothing(f"run {ledger.run_id} was asked for more stations; these may be theirs")
    return _judged(ledger, ledger.requests, failed)


@station_check("R06", "Stations without a reading, or not in waqi_stations",
               dimension="process", unit="stations")  # fmt: skip
def strangers(data: StationData, _params: Params) -> Found:
    """What was asked for and is not there at all, and readings of stations nobody knows."""
    known = data.scope.known
    why = "not in waqi_stations" if known is not None and data.station.idx not in known else ""
    if data.documents.is_empty():
        why = "no reading"
    row = pl.DataFrame({"station_idx": [data.station.idx], "why": [why]})
    return Found(1, row if why else pl.DataFrame())
