"""Checks against the previous run of the same stations and range (D).

Compared are the days both know whole: with as many expected hours in one as in the other.
"""

from __future__ import annotations

import polars as pl

from runner.core.verdict import Status
from runner.quality.catalogue import Found, Params, nothing, run_check
from runner.quality.ledger import RunData

_NO_PREVIOUS = "there is no previous run of the same stations and range"
_JUDGED = (Status.PASS, Status.WARN, Status.FAIL, Status.ERROR)


def common_days(run: RunData) -> pl.DataFrame:
    """Return the days of this run that the previous one has, too, with its numbers beside."""
    if run.previous is None or run.previous.days.is_empty():
        return pl.DataFrame()
    both = run.days.join(run.previous.days, on=["station_idx", "day"], suffix="_before")
    return both.filter(pl.col("expected") == pl.col("expected_before"))


def _day(rows: pl.DataFrame) -> pl.DataFrame:
    named = rows.select("station_idx", pl.col("day").cast(pl.Date), "n", "n_before")
    return named.sort("station_idx", "day")


def _counted(rows: pl.DataFrame, evaluated: pl.Expr, failed: pl.Expr) -> pl.DataFrame:
    """Return `Found.days`."""
    return rows.select("station_idx", "day", failed.alias("failed"), evaluated.alias("evaluated"))


def _looked(days: pl.DataFrame) -> dict[int, int]:
    """Return `Found.looked`."""
    return dict(days.group_by("station_idx").agg(pl.col("evaluated").sum()).iter_rows())


@run_check("D01", "Days that lost readings since the previous run",
           dimension="consistency", unit="readings",
               worst=pl.col("n_before") - pl.col("n"))  # fmt: skip
def lost(run: RunData, _params: Params) -> Found:
    """Fewer readings of a station's day than before."""
    both = common_days(run)
    if both.is_empty():
        return nothing(_NO_PREVIOUS)
    days = _counted(both, pl.col("n_before"), (pl.col("n_before") - pl.col("n")).clip(0))
    rows = _day(both.filter(pl.col("n") < pl.col("n_before")))
    return Found(int(both["n_before"].sum()), rows, days=days, looked=_looked(days))


@run_check("D02", "Days whose values changed since the previous run",
           dimension="consistency", unit="station-days")  # fmt: skip
def changed(run: RunData, _params: Params) -> Found:
    """As many readings of a station's day as before, and another digest of them."""
    both = common_days(run)
    if both.is_empty():
        return nothing(_NO_PREVIOUS)
    same = both.filter(pl.col("n") == pl.col("n_before"), pl.col("n") > 0)
    changes = pl.col("hash") != pl.col("hash_before")
    days = _counted(same, pl.lit(1), changes.cast(pl.Int64))
    return Found(same.height, _day(same.filter(changes)), days=days, looked=_looked(days))


@run_check("D03", "Capture lost since the previous run",
           dimension="completeness", unit="station-hours")  # fmt: skip
def capture_lost(run: RunData, _params: Params) -> Found:
    """Readings of the common days, before less now, as a share of the expected hours."""
    both = common_days(run)
    if both.is_empty():
        return nothing(_NO_PREVIOUS)
    days = _counted(both, pl.col("expected"), pl.col("n_before") - pl.col("n"))
    drops = days.group_by("station_idx").agg(pl.col("failed").sum().alias("lost"))
    rows = drops.filter(pl.col("lost") > 0).sort("lost", "station_idx", descending=[True, False])
    return Found(int(both["expected"].sum()), rows, days=days, looked=_looked(days))


@run_check("D04", "Checks that got worse since the previous run",
           dimension="consistency", unit="checks")  # fmt: skip
def got_worse(run: RunData, _params: Params) -> Found:
    """Checks that passed or warned, and warn or fail now."""
    if run.previous is None:
        return nothing(_NO_PREVIOUS)
    rows, compared = [], 0
    for check_id, status in run.statuses.items():
        before = (run.previous.check(check_id) or {}).get("status")
        if before not in _JUDGED or status not in _JUDGED:
            continue
        compared += 1
        if status.severity > Status(before).severity:
            rows.append((check_id, str(before), str(status)))
    schema = {"check": pl.String, "before": pl.String, "now": pl.String}
    return Found(compared, pl.DataFrame(rows, schema, orient="row"))
