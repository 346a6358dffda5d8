"""Makes the report of a run: asks the documented queries, runs the notebooks, writes the pages.

Nothing here changes the verdict, and nothing raises: what was fetched and checked must be reported,
however this goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from runner.core.errors import ConfigError, RunnerError
from runner.core.outcome import ATTRIBUTIONS, Outcome
from runner.core.verdict import Pages
from runner.process.files import replacing, write_text
from runner.process.job import Job
from runner.process.secrets import masked
from runner.store.database import Store

if TYPE_CHECKING:
    from runner.quality.report.notebooks import Execution, Task
    from runner.quality.report.run_files import RunFiles

log = structlog.get_logger()

_AT_ONCE = 2
"""Notebooks that run at the same time; each has a process of about 200 MB."""
_REPORT = "report.html"
_DIGEST = "summary.md"
_NEEDS_EXTRA = (
    "the pages are made of notebooks, which pip install 'air-quality-backfill-runner[report]' adds "
    "(the verdict, its files and summary.md need none)"
)


def ask_queries(job: Job, store: Store) -> None:
    """Leave the validation queries and their answers in quality/queries.json; only reads.

    Args:
        job: its checks are done.
        store: the database.
    """
    if not job.config.report.enabled:
        return
    from runner.quality.report.query_page import NAME  # noqa: PLC0415 - brings polars
    from runner.quality.report.run_files import RunFiles  # noqa: PLC0415 - as above

    try:
        run = RunFiles.of(job.context.run_dir)
        if not run.stations or job.stop.asked:
            return
        ids = sorted(one["station_idx"] for one in run.stations)
        answers = store.queries.answers(ids, run.stations[0]["station_idx"], job.wanted)
        text = json.dumps(masked(answers, job.redact), indent=2, ensure_ascii=False)
        write_text(run.directory / NAME, text)
    except (RunnerError, OSError) as error:
        log.warning("queries.not_asked", error=str(error))
    except Exception:  # a defect of ours
        log.exception("queries.broke")


def make_report(job: Job, run_dir: Path, stations: Sequence[int] = (), *, required: bool) -> Pages:
    """Make the page and the notebooks of a run again or for the first time.

    Args:
        job: for its settings.
        run_dir: the run; has quality/quality.json.
        stations: those with a page of their own; none for those that look worst.
        required: whether a page that cannot be made is a failure.
    """
    try:
        return _Report(job, run_dir, required=required).make(stations)
    except ImportError as error:
        why = f"{error.name or error} is not installed"
    except RunnerError as error:
        why = error.message
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
    except Exception as error:  # a defect of ours
        log.exception("report.broke")
        return Pages(error=f"internal error ({type(error).__name__})", required=required)
    log.info("notebook.report_not_made", error=why)
    return Pages(error=job.redact(why), required=required)


def run_to_report(job: Job) -> Path:
    """Return the run directory that `job=report` is about.

    Raises:
        ConfigError: there is none, or it holds no quality.json that can be read.
    """
    from runner.quality.report.run_files import RunFiles, latest_run  # noqa: PLC0415 - brings polars

    chosen = job.config.report.run_dir
    found = Path(chosen) if chosen else latest_run([Path.cwd()])
    if found is None:
        raise ConfigError(
            "there is no finished run under runs/ to report on",
            hint="Run a backfill or job=validate first, or set report.run_dir=DIR",
        )
    RunFiles.of(found)
    return found.resolve()


class _Report:
    """The report of one run."""

    def __init__(self, job: Job, run_dir: Path, *, required: bool) -> None:
        from runner.quality.report.run_files import RunFiles  # noqa: PLC0415 - brings polars

        self._job = job
        self._required = required
        self._run: RunFiles = RunFiles.of(run_dir)
        self._notebooks = self._run.directory / "notebooks"
        self._problems: list[str] = []
        self._made: dict[str, str] = {}

    def make(self, stations: Sequence[int]) -> Pages:
        from runner.quality.files import station_path, write_stations  # noqa: PLC0415 - as above
        from runner.quality.report.digest import digest  # noqa: PLC0415 - brings polars
        from runner.quality.report.notebooks import PAGE, tasks  # noqa: PLC0415 - as above

        job, settings = self._job, self._job.config.report
        self._notebooks.mkdir(mode=0o700, exist_ok=True)
        self._write(self._run.directory / _DIGEST, digest(self._run.document))
        if find_spec("papermill") is None:
            raise ConfigError(_NEEDS_EXTRA)
        chosen = [*stations] or self._run.with_findings[: settings.station_pages]
        directory = self._run.directory  # runs of older versions lack the stations' files
        lacking = [idx for idx in chosen if not station_path(directory, idx).exists()]
        write_stations(directory, map(self._run.station, lacking), {}, job.redact)
        wanted = tasks(self._run, chosen, summary=settings.summary)
        for task, executed in self._execute(wanted):
            self._page(task, executed)
        path = self._made.pop(PAGE, "")
        if job.stop.asked:
            return Pages(path, tuple(self._made.values()), error="stopped", required=False)
        error = "" if path else (self._problems or ["the notebook left no page"]).pop(0)
        if path:
            self._forget_stale(wanted, others=not stations)
        elif (self._run.directory / _REPORT).exists():
            self._note(f"{_REPORT} is still that of an earlier making")
        return Pages(
            path, tuple(self._made.values()), tuple(self._problems), error, required=self._required
        )

    def _execute(self, wanted: Sequence[Task]) -> Iterator[tuple[Task, Execution]]:
        """Yield the result of each notebook, in order."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="report") as pool:
            running = [(task, pool.submit(self._execute_one, task)) for task in wanted]
            for task, future in running:
                yield task, future.result()

    def _execute_one(self, task: Task) -> Execution:
        from runner.quality.report.notebooks import execute  # noqa: PLC0415 - only where a report is made

        return execute(
            task.source,
            self._notebooks / f"{task.name}.ipynb",
            {"RUN_DIR": str(self._run.directory.parent), **task.parameters},
            cell_timeout_s=self._job.config.report.cell_timeout_s,
            stopped=lambda: self._job.stop.asked,
            redact=self._job.redact,
        )

    def _page(self, task: Task, executed: Execution) -> None:
        """Make a page of an executed notebook, if it ran at all."""
        if executed.error:
            self._note(f"{task.name} did not run to its end: {executed.error}")
        for _index, error in executed.failed_cells:
            self._note(f"{task.name}: a section failed: {error}")
        if not executed.any_output:
            return
        from runner.quality.report.page import render  # noqa: PLC0415 - brings jinja2

        directory = self._run.directory if task.is_page else self._notebooks
        target = directory / (_REPORT if task.is_page else f"{task.name}.html")
        try:
            with replacing(target) as fresh:
                render(executed.notebook, fresh, task.title)
                self._write(fresh, fresh.read_text("utf-8"))
        except Exception as error:  # whatever a template, a browser library or a disk may raise
            log.exception("page.not_made", notebook=task.name)
            self._note(f"{task.name}: no page could be made of it: {type(error).__name__}: {error}")
        else:
            self._made[task.name] = str(target)

    def _forget_stale(self, wanted: Sequence[Task], *, others: bool) -> None:
        """Remove what an earlier making left and this one has no page for.

        Args:
            wanted: the notebooks of this making.
            others: also those of notebooks that are not wanted any more: pages of stations that do
                not look worst now. Not so where stations were named: their pages are added.
        """
        from runner.quality.report.notebooks import is_ours  # noqa: PLC0415 - brings polars

        names = {task.name for task in wanted}
        for path in sorted(self._notebooks.iterdir()):
            page, stem = path.suffix == ".html", path.stem
            if not is_ours(stem) or path.suffix not in (".html", ".ipynb"):
                continue
            stale = page and stem not in self._made if stem in names else others
            if stale:
                try:
                    path.unlink()
                except OSError as error:
                    self._note(f"{path.name} of an earlier making stays: {error.strerror}")

    def _note(self, problem: str) -> None:
        problem = self._job.redact(problem)
        log.info("notebook.problem", problem=problem)
        self._problems.append(problem)

    def _write(self, path: Path, text: str) -> None:
        write_text(path, self._job.redact(text))


def run(job: Job) -> Outcome:
    """Make the page and the notebooks of a finished run again; asks no database and no API."""
    from runner.jobs.report import make_report, run_to_report  # noqa: PLC0415 - for this job only

    run_dir = run_to_report(job)
    required = job.config.report.required is not False
    pages = make_report(job, run_dir, job.config.stations.ids, required=required)
    outcome = replace(job.outcome(), report=pages)
    job.tell("\n".join(pages.lines))
    return outcome


def reported(job: Job, store: Store | None, outcome: Outcome) -> Outcome:
    """Make the report of what was just checked; a stop on the way there ends the run.

    Args:
        job: for its settings.
        store: is asked the validation queries; None if there is no database.
        outcome: with the verdict.
    """
    settings = job.config.report
    if settings.enabled and outcome.verdict and outcome.verdict.path and not job.stop.asked:
        if store is not None:
            ask_queries(job, store)
        pages = make_report(job, job.context.run_dir, required=bool(settings.required))
        outcome = replace(outcome, report=pages)
    return replace(outcome, stopped_by=outcome.stopped_by or job.stop.exit_code)


def note_attributions(job: Job, attributions: Sequence[Mapping[str, Any]]) -> None:
    """Write whose measurements these are where the report looks for it."""
    if attributions:
        job.write_json(ATTRIBUTIONS, {"attributions": [dict(item) for item in attributions]})
