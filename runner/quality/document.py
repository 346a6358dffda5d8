"""quality.json: the verdict as a document, see `schema.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from runner.core.intervals import iso
from runner.core.text import counted
from runner.core.verdict import Status, gate_fails, worst_status
from runner.quality.aggregates import LONG_GAP_H
from runner.quality.checks.previous import common_days
from runner.quality.grid import MISSING, Scope, breakpoints
from runner.quality.inspect import Inspected
from runner.quality.judge import CheckResult
from runner.quality.ledger import Previous, RunData, RunLedger
from runner.quality.policy import Policy

SCHEMA_VERSION = 3
_FOR_A_PERSON = ("accuracy", "validity", "consistency")
"""Dimensions of quality that no further run mends."""
STATIONS = "STATIONS"
"""Stands in a command for the numbers of stations, with commas."""
ACCEPTED = "ACCEPTED"
"""Stands in a command for the entries of quality.accepted."""
_MOST_ACCEPTED = 5
"""Stations of a finding up to which each has an entry of its own; above, one is for all."""
_FOR_DAYS = 365
"""Days for which an acceptance is proposed."""
_MOST_LOOKS, _MOST_PAGES = 3, 3
_ENOUGH = 0.75
"""Capture that a mean needs by US EPA's rule."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the document says of the run that made it.

    Attributes:
        run_id: the run.
        job: backfill, retry or validate.
        command: repeats it, without secrets.
        fingerprint: the same for runs of the same stations and range in the same database.
        subject: what the fingerprint is of.
        database: its name.
        source: where the readings come from.
        origin: whose they are (`providers`: aqicn, airnow, invented, ...), the flaws that a
            sandbox put into them (`flaws`: station_idx, kind, start, end), `api_fails_on_purpose`,
            by recorded run (`stations`: station_idx, source, providers, start, end);
            empty where that is not known.
        versions: of the package, polars and the server.
        resume_command: the exact command that goes on where the run ended; empty without.
        retry_command: the exact command that tries failed stations again; empty without.
        rejects_command: shows refused records, of the same database.
        dedupe_command: looks at doubled readings, in the same database.
        dedupe_refused: why that cannot remove any there; empty if it can.
        report_command: makes the pages of the stations whose numbers stand in place of STATIONS.
        gaps_command: asks again for hours that are lost, unknown or not asked for.
        refetch_command: asks again for all hours of the stations that stand in place of STATIONS.
        accept_command: judges again with the acceptances that stand in place of ACCEPTED.
        active_command: judges again the hours from a station's first to its last reading.
        can_replace: whether the collection can replace a stored document.
    """

    run_id: str
    job: str
    command: str
    fingerprint: str
    subject: Mapping[str, Any]
    database: str
    source: str
    versions: Mapping[str, str]
    origin: Mapping[str, Any] = field(default_factory=dict)
    resume_command: str = ""
    retry_command: str = ""
    rejects_command: str = "python -m runner job=rejects"
    dedupe_command: str = "python -m runner job=dedupe"
    dedupe_refused: str = ""
    gaps_command: str = ""
    refetch_command: str = ""
    accept_command: str = ""
    active_command: str = ""
    can_replace: bool = True
    report_command: str = f"python -m runner job=report 'stations.ids=[{STATIONS}]'"


def overall(results: Iterable[CheckResult]) -> Status:
    """Return pass, warn or fail for all checks together."""
    return worst_status(result.status for result in results)


def document(
    identity: Identity,
    scope: Scope,
    policy: Policy,
    inspected: Inspected,
    results: Mapping[str, CheckResult],
    *,
    fail_on: str,
    ledger: RunLedger | None,
    previous: Previous | None,
    files: Mapping[str, str],
    now: datetime,
) -> dict[str, Any]:
    """Return quality.json.

    Args:
        identity: of the run.
        scope: what was checked.
        policy: how it was judged.
        inspected: what was found.
        results: what every check came to.
        fail_on: `fail`, `warn` or `never`.
        ledger: the account of the run.
        previous: the previous run.
        files: failure files by check id, relative to quality.json.
        now: the present, aware.
    """
    status = overall(results.values())
    stations = inspected.stations
    expected, readings = int(stations["expected"].sum()), int(stations["readings"].sum())
    counts = Counter(str(result.status) for result in results.values())
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": identity.run_id,
        "job": identity.job,
        "generated_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "config": {
            "command": identity.command,
            "fingerprint": identity.fingerprint,
            "subject": dict(identity.subject),
        },
        "database": identity.database,
        "source": identity.source,
        "origin": dict(identity.origin),
        "window": {
            "start": iso(scope.window.start),
            "end": iso(scope.window.end),
            "utc_offset_hours": scope.offset_h,
            "expected": "active" if scope.active else "window",
        },
        "scale": _scale(stations["scale"].unique().sort().to_list()),
        "status": str(status),
        "fail_on": fail_on,
        "exit_code": 3 if gate_fails(status, fail_on) else 0,
        "counts": {
            "readings": readings,
            "documents": int(stations["documents"].sum()),
            "stations": stations.height,
            "expected_hours": expected,
            "capture": readings / expected if expected else None,
            "stations_ge_75": stations.filter(pl.col("capture") >= _ENOUGH).height,
            "flagged": _flagged(results.values()),
            "checks": {str(one): counts.get(str(one), 0) for one in Status},
        },
        "ledger": ledger.to_json() if ledger else None,
        "checks": [
            result.to_json(policy, previous, files.get(id_)) for id_, result in results.items()
        ],
        "stations": _stations(stations, results.values()),
        "gaps": {
            "ge_24h": int(stations["gaps_ge_24h"].sum()),
            "hours_missing": {str(cause): int(stations[f"{cause}_h"].sum()) for cause in MISSING},
            "rejected_by_reason": _rejected_by_reason(stations),
        },
        "external": inspected.external.to_dicts(),
        "actions": actions(identity, scope, policy, stations, results),
        "compare": _compare(identity, inspected, previous),
        "artifacts": {"gaps": "gaps.csv", "failures": dict(files)},
        "versions": dict(identity.versions),
    }


def _scale(names: Sequence[str]) -> str:
    """Return the table of PM2.5 that the indices are from; several with commas between."""
    tables = [(name, breakpoints(name, "pm25")) for name in names]
    return ", ".join(table.name if table else name for name, table in tables)


def _rejected_by_reason(stations: pl.DataFrame) -> dict[str, int]:
    """Return the rejected hours of all stations by reason, the most frequent first."""
    found: Counter[str] = Counter()
    for reasons in stations["rejected_by_reason"]:
        found.update(json.loads(reasons))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _flagged(results: Iterable[CheckResult]) -> int:
    """Return the readings that warnings and failures are about; one of two checks counts twice."""
    bad = (Status.WARN, Status.FAIL)
    return sum(
        int(result.failed)
        for result in results
        if result.status in bad and result.check.unit == "readings"
    )


def _stations(stations: pl.DataFrame, results: Iterable[CheckResult]) -> list[dict[str, Any]]:
    of_station: dict[int | None, dict[str, list[str]]] = {}
    for result in results:
        for idx, one in result.judged.items():
            if one.status is not Status.PASS:
                found = of_station.setdefault(idx, {"fail": [], "warn": [], "not_evaluated": []})
                found[str(one.status)].append(result.check.id)
    listed = []
    for row in stations.iter_rows(named=True):
        found = of_station.get(row["station_idx"], {"fail": [], "warn": [], "not_evaluated": []})
        status = Status.FAIL if found["fail"] else Status.WARN if found["warn"] else Status.PASS
        reasons = json.loads(row["rejected_by_reason"])
        keys = row["keys"].split(",") if row["keys"] else []
        listed.append({**row, "rejected_by_reason": reasons, "keys": keys})
        listed[-1] |= {"status": str(status), "checks": found}
    return listed


def actions(
    identity: Identity,
    scope: Scope,
    policy: Policy,
    stations: pl.DataFrame,
    results: Mapping[str, CheckResult],
) -> list[dict[str, Any]]:
    """Return what to do next, the most useful first; commands are exact."""
    steps = [
        *_to_fetch(identity, stations),
        *([_gaps(identity, stations)] if identity.gaps_command else []),
        _standing(identity, stations),
    ]
    if "K01" in results and results["K01"].status is Status.FAIL:
        steps.append((*_doubles(identity), [*results["K01"].stations]))
    for result in _to_look_at(results):
        shown = result.stations[:_MOST_PAGES]
        command = identity.report_command.replace(STATIONS, ",".join(map(str, shown)))
        title = result.check.title.partition(":")[0]
        words = f"see every hour of the stations that {result.check.id} blames ({title})"
        steps.append(("look", words, command, [*result.stations]))
    if not scope.active and identity.active_command:
        late = _late(stations, results)
        words = "began after the range did, or ended before it: judge the hours between alone"
        words = f"{counted(len(late), 'stations')} {words}"
        steps.append(("active", words, identity.active_command, late))
    made = [
        {"kind": kind, "text": text, "command": command or None, "stations": ids}
        for kind, text, command, ids in steps
        if ids
    ]
    failing = [result for result in results.values() if result.status is Status.FAIL]
    if failing and identity.accept_command:
        named = ", ".join(result.check.id for result in failing)
        made.append({
            "kind": "accept",
            "text": f"what fails is known ({named}): accept it, with your reason",
            "command": _accepting(identity, scope, policy, failing),
            "stations": [*dict.fromkeys(idx for one in failing for idx in _failing_at(one))],
        })  # fmt: skip
    if int(stations["rejected_h"].sum()):
        text = "hours whose record was refused: see why"
        made.append({"kind": "rejects", "text": text, "command": identity.rejects_command,
                     "stations": []})  # fmt: skip
    quiet = stations.filter(pl.col("empty_h") > LONG_GAP_H, pl.col("not_asked_h") == 0)
    if quiet.height:
        text = "the source had nothing for some hours: to fetch them again brings nothing"
        made.append({"kind": "none", "text": text, "command": None,
                     "stations": quiet["station_idx"].to_list()})  # fmt: skip
    return made


_Step = tuple[str, str, str, list[int]]
"""A kind of step, its text, its command (empty if there is none), and stations."""


def _to_fetch(identity: Identity, stations: pl.DataFrame) -> Iterator[_Step]:
    """Yield what to do about stations that failed or have hours nobody asked for yet."""
    failed = stations.filter(pl.col("checkpoint") == "failed")["station_idx"].to_list()
    if identity.retry_command:
        words = f"{counted(len(failed), 'stations')} failed: try again"
        yield "retry", words, identity.retry_command, failed
    still_open = stations.with_columns(open_h=pl.col("not_asked_h") - pl.col("settled_h"))
    unfetched = still_open.filter(
        pl.col("open_h") > 0, pl.col("checkpoint").ne_missing(pl.lit("failed"))
    )
    if identity.resume_command:
        words = f"{counted(int(unfetched['open_h'].sum()), 'station-hours')} not fetched yet: go on"
        yield "resume", words, identity.resume_command, unfetched["station_idx"].to_list()


def _gaps(identity: Identity, stations: pl.DataFrame) -> _Step:
    """Return what to do about hours that only backfill.mode=gaps asks for again."""
    kinds = {
        "lost_h": "lost",
        "unknown_h": "unknown (only a checkpoint says covered)",
        "settled_h": "not asked for",
    }
    found = [(int(stations[name].sum()), words) for name, words in kinds.items()]
    hours = ", ".join(f"{count:,} {words}" for count, words in found if count)
    ids = stations.filter(pl.sum_horizontal(*kinds) > 0)["station_idx"].to_list()
    text = f"station-hours without a reading, {hours}: ask the source for them"
    return "gaps", text, identity.gaps_command, ids


def _standing(identity: Identity, stations: pl.DataFrame) -> _Step:
    """Return what to do about documents that stand in place of a reading."""
    ids = stations.filter(pl.col("standing_h") > 0)["station_idx"].to_list()
    hours = counted(int(stations["standing_h"].sum()), "station-hours")
    text = f"{hours} hold a document that is no reading (another writer's, or a filler)"
    if not identity.can_replace:
        text += ": a time-series collection before MongoDB 7.0, or a user without rights, cannot"
        text += " replace it"
        return "refetch", text, "", ids
    text += ": fetch the stations again, to replace it if the source has a reading"
    command = identity.refetch_command.replace(STATIONS, ",".join(map(str, ids)))
    return "refetch", text, command, ids


def _late(stations: pl.DataFrame, results: Mapping[str, CheckResult]) -> list[int]:
    """Return the stations that lack hours, but not between their first and last reading."""
    blamed = {idx for id_ in ("C00", "C01") if id_ in results for idx in results[id_].stations}
    instant = "%Y-%m-%dT%H:%M:%SZ"
    first, last = (pl.col(name).str.to_datetime(instant) for name in ("first", "last"))
    active = (last - first).dt.total_hours() + 1
    return stations.filter(
        pl.col("station_idx").is_in([*blamed]), pl.col("readings") >= _ENOUGH * active
    )["station_idx"].to_list()


def _failing_at(result: CheckResult) -> list[int]:
    """Return the stations at which a check fails."""
    return [idx for idx in result.stations if result.judged[idx].status is Status.FAIL]


def _accepting(
    identity: Identity, scope: Scope, policy: Policy, failing: Iterable[CheckResult]
) -> str:
    """Return the command that accepts what fails, besides what is accepted already."""
    known: list[dict[str, object]] = [
        {"check": one.check, "station": one.station, "from": one.from_, "to": one.to,
         "until": one.until, "reason": json.dumps(one.reason, ensure_ascii=False)}
        for one in policy.accepted
    ]  # fmt: skip
    until = policy.today + timedelta(days=_FOR_DAYS)
    for result in failing:
        ids: list[int | None] = [*_failing_at(result)]
        if not 0 < len(ids) <= _MOST_ACCEPTED:
            ids = [None]
        for idx in ids:
            first, last = result.period(idx, scope.offset_h)
            known.append({"check": result.check.id, "station": idx, "from": first, "to": last,
                          "until": until, "reason": "known"})  # fmt: skip
    entries = (
        "{" + ", ".join(f"{key}: {value}" for key, value in one.items() if value is not None) + "}"
        for one in known
    )
    text = ", ".join(entries).replace("'", "'\"'\"'")  # the command has it in single quotes
    return identity.accept_command.replace(ACCEPTED, text)


def _doubles(identity: Identity) -> tuple[str, str, str]:
    """Return what to do about doubled readings: kind, text and command, empty if there is none."""
    if identity.dedupe_refused:
        return "none", f"doubled readings stay: {identity.dedupe_refused}", ""
    words = "doubled readings: see them; with confirm=true the exact ones go"
    return "dedupe", words, identity.dedupe_command


def _to_look_at(results: Mapping[str, CheckResult]) -> list[CheckResult]:
    """Return the findings that only a person can judge, the worst first."""
    found = [
        result
        for result in results.values()
        if result.stations and result.check.dimension in _FOR_A_PERSON and result.check.id != "K01"
    ]
    return sorted(found, key=lambda one: (-one.status.severity, one.check.id))[:_MOST_LOOKS]


def _compare(
    identity: Identity, inspected: Inspected, previous: Previous | None
) -> dict[str, Any] | None:
    if previous is None:
        return None
    both = common_days(
        RunData(inspected.days, inspected.stations, lambda _idx: pl.DataFrame(), None, previous)
    )
    before = previous.document
    old = before.get("config", {}).get("subject", {})
    ids_before = {item["station_idx"] for item in before.get("stations", ())}
    ids = set(inspected.stations["station_idx"].to_list())
    fewer = both.filter(pl.col("n") < pl.col("n_before")) if both.height else both
    same = both.filter(pl.col("n") == pl.col("n_before")) if both.height else both
    return {
        "with": previous.run_id,
        "generated_at": before.get("generated_at"),
        "status": before.get("status"),
        "counts": before.get("counts"),
        "gaps": before.get("gaps"),
        "config_diff": sorted(
            key for key in {*old, *identity.subject} if old.get(key) != identity.subject.get(key)
        ),
        "common_days": both.height,
        "lost_readings": int((fewer["n_before"] - fewer["n"]).sum()) if fewer.height else 0,
        "changed_days": same.filter(pl.col("hash") != pl.col("hash_before")).height
        if same.height
        else 0,
        "stations_new": sorted(ids - ids_before),
        "stations_gone": sorted(ids_before - ids),
    }
