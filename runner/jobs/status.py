"""How far every station is, for machines: the JSON of `job=status output=json`.

    {version, run_id, job: "status", command, created_at, database, server,
     totals: {stations, states: {completed, in_progress, failed, unreadable, not_started}, leased,
              covered_hours, missing_hours, readings_inserted},
     unknown: [station index],
     stations: [{station_idx, name, state, start, end, covered_start, covered_end, covered_hours,
                 missing_hours, holes, readings_inserted, last_error, updated_at,
                 lease: null or {run_id, expires_at}}]}

Times are UTC, ISO 8601. `start` (included) and `end` (excluded) are the range asked for last;
`missing_hours` are the hours of it that are not covered; `covered_*` and `holes` speak of all hours
ever covered. `readings_inserted` counts the readings that runs put into the collection, each once.
A checkpoint that cannot be understood is `unreadable`; `last_error` says why.

Fields may be added within a version; one that is changed or taken away makes a new version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runner.config.job import Output
from runner.core.checkpoint import UNREADABLE, Checkpoint, Holder, Status
from runner.core.intervals import Interval, iso, subtract, total_hours
from runner.core.outcome import Outcome
from runner.core.stations import Station
from runner.core.text import counted
from runner.jobs.choosing import choose_stations, is_narrowed
from runner.process.job import Job
from runner.process.secrets import masked
from runner.process.tables import show, status_line, status_table
from runner.store.database import open_store
from runner.store.runs import RunState

VERSION = 2
_RUNS = 20
NOT_STARTED = "not_started"
_STATES = (*map(str, Status), UNREADABLE, NOT_STARTED)


def status_json(
    stations: Sequence[Station],
    checkpoints: Mapping[int, Checkpoint],
    holders: Mapping[int, Holder],
    unknown: Iterable[int] = (),
) -> dict[str, Any]:
    """Return totals, unknown ids, and an entry for every station.

    Args:
        stations: in the order of the entries.
        checkpoints: what is known of them, by station index.
        holders: who works on them, by station index.
        unknown: ids asked for that are no known station.
    """
    rows = [
        _row(station, checkpoints.get(station.idx), holders.get(station.idx))
        for station in stations
    ]
    states = Counter(row["state"] for row in rows)
    return {
        "totals": {
            "stations": len(rows),
            "states": {state: states[state] for state in _STATES},
            "leased": sum(row["lease"] is not None for row in rows),
            **{
                name: sum(row[name] or 0 for row in rows)
                for name in ("covered_hours", "missing_hours", "readings_inserted")
            },
        },
        "unknown": [*unknown],
        "stations": rows,
    }


def _row(station: Station, found: Checkpoint | None, holder: Holder | None) -> dict[str, Any]:
    covered = found.covered if found else ()
    return {
        "station_idx": station.idx,
        "name": station.name,
        "state": found.state if found else NOT_STARTED,
        "start": _iso(found.start_hour if found else None),
        "end": _iso(found.target_end_hour if found else None),
        "covered_start": iso(covered[0].start) if covered else None,
        "covered_end": iso(covered[-1].end) if covered else None,
        "covered_hours": total_hours(covered),
        "missing_hours": _missing(found),
        "holes": max(0, len(covered) - 1),
        "readings_inserted": found.total.inserted if found else 0,
        "last_error": found.error_message if found else None,
        "updated_at": _moment(found.updated_at if found else None),
        "lease": holder and {"run_id": holder.run_id, "expires_at": _moment(holder.expires_at)},
    }


def _missing(found: Checkpoint | None) -> int | None:
    """Return the hours of the range asked for last that are not covered; None without a range."""
    if found is None or found.start_hour is None or found.target_end_hour is None:
        return None
    wanted = Interval(found.start_hour, found.target_end_hour)
    return total_hours(subtract((wanted,), found.covered))


def _iso(hour: int | None) -> str | None:
    return None if hour is None else iso(hour)


def _moment(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def openmetrics(document: Mapping[str, Any], runs: Sequence[RunState]) -> str:
    """Return totals, stations and runs at work in the text format of OpenMetrics and Prometheus.

    All of them are gauges: counters are spelt otherwise in the two formats.

    Args:
        document: as `status_json` returns it.
        runs: the newest ones.
    """
    totals, stations = document["totals"], document["stations"]
    going = [one for one in runs if one.goes_on]
    families: list[tuple[str, str, list[tuple[dict[str, Any], Any]]]] = [
        ("stations", "Stations by state", [({"state": k}, v) for k, v in totals["states"].items()]),
        ("stations_leased", "Stations that a run holds", [({}, totals["leased"])]),
        ("runs_at_work", "Runs that show signs of life", [({}, len(going))]),
        *(
            (f"station_{name}", words, [(_labels(one), one[name]) for one in stations])
            for name, words in (
                ("covered_hours", "Hours that are covered"),
                ("missing_hours", "Hours of the range asked for last that are not covered"),
                ("readings_inserted", "Readings that runs inserted"),
            )
        ),
        (
            "station_updated_timestamp_seconds",
            "Last change of the checkpoint",
            [(_labels(one), _seconds(one["updated_at"])) for one in stations],
        ),
        *(
            (f"run_{name}", words, [({"run": one.run_id}, one.progress.get(name)) for one in going])
            for name, words in (
                ("percent", "Share of the windows that is done"),
                ("requests", "Requests made"),
                ("readings", "Readings fetched"),
            )
        ),
        (
            "run_last_sign_seconds",
            "Seconds since the last sign of life",
            [({"run": one.run_id}, round(one.age_s, 1)) for one in going],
        ),
    ]
    lines = []
    for name, words, samples in families:
        full = f"air_quality_{name}"
        lines += [f"# HELP {full} {words}", f"# TYPE {full} gauge"]
        for labels, value in samples:
            if value is not None:
                said = ",".join(f'{key}="{text}"' for key, text in labels.items())
                lines.append(f"{full}{{{said}}} {value}" if said else f"{full} {value}")
    return "\n".join([*lines, "# EOF"])


def _labels(station: Mapping[str, Any]) -> dict[str, Any]:
    return {"station_idx": station["station_idx"], "state": station["state"]}


def _seconds(moment: str | None) -> float | None:
    return datetime.fromisoformat(moment).timestamp() if moment else None


def run(job: Job) -> Outcome:
    """Show every station's state, progress, covered range and last error."""
    with open_store(job) as store:
        checkpoints = store.checkpoints.load(with_empty=False)
        selection = choose_stations(job, store)
        holders = store.leases.holders()
        runs = store.runs.recent(_RUNS)
    chosen = {station.idx: station for station in selection.stations}
    if not is_narrowed(job):
        chosen.update({idx: chosen.get(idx, Station(idx)) for idx in checkpoints})
    stations = [chosen[idx] for idx in sorted(chosen)]
    if job.config.job.output is Output.openmetrics:
        print(openmetrics(status_json(stations, checkpoints, holders), runs), flush=True)  # noqa: T201 - the document
    elif job.says_json:
        document = status_json(stations, checkpoints, holders, selection.unknown)
        head = {"version": VERSION, **job.identity, "database": job.database_name}
        head["server"] = job.server
        job.print_json({**head, **document})
    else:
        shown = {
            idx: replace(found, error_message=masked(found.error_message, job.redact))
            for idx, found in checkpoints.items()
        }
        show(status_table(stations, shown))
    if selection.unknown:
        job.tell(f"Unknown station ids: {', '.join(map(str, selection.unknown))}")
    job.tell(
        f"{counted(len(stations), 'stations')} in {job.place}: {status_line(stations, checkpoints)}"
    )
    held = Counter(holders[one.idx].run_id for one in stations if one.idx in holders)
    where = {one.run_id: f" ({one.about['host']}:{one.about['pid']})" for one in runs}
    for run_id, count in held.items():
        job.tell(f"  held by run {run_id}{where.get(run_id, '')}: {counted(count, 'stations')}")
    return job.outcome()
