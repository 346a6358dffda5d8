"""job=runs: show who works on this database now, and who did lately."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from runner.core.outcome import Outcome
from runner.core.text import counted
from runner.process.job import Job
from runner.process.tables import plain, show
from runner.store.database import open_store
from runner.store.runs import RunState

VERSION = 1
_MOST = 20
"""Runs shown that have ended."""


def run(job: Job) -> Outcome:
    """Show the runs that go on, those that are lost, and the newest that ended."""
    with open_store(job) as store:
        found = store.runs.recent(_MOST)
    if job.says_json:
        head = {"version": VERSION, **job.identity, "database": job.database_name}
        rows = [one.to_json() for one in found]
        job.print_json({**head, "server": job.server, "runs": rows})
    else:
        show(_table(found))
    going = sum(one.goes_on for one in found)
    job.tell(f"{counted(going, 'runs')} at work in {job.place}")
    for one in found:
        if one.goes_on:
            job.tell(f"  stop it from anywhere: {job.command('job=stop', f'run={one.run_id}')}")
    return job.outcome()


def _table(found: Sequence[RunState]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("run", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("who", no_wrap=True)  # gives way: a long host name is cut
    for name in ("stations", "done", "left", "seen"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        about, progress = one.about, one.progress
        stations = f"{progress['stations']}/{progress['of']}" if progress else ""
        table.add_row(
            one.run_id,
            one.state,
            plain(f"{about['user'] or '?'}@{about['host'] or '?'}:{about['pid'] or '?'}"),
            stations,
            f"{progress['percent']}%" if progress else "",
            str(progress.get("time_left", "")) if one.goes_on else "",
            f"{one.age_s:.0f} s ago" if one.goes_on else f"{one.started_at:%m-%d %H:%M}",
        )
    return table
