"""Sweeps (`-m`): check every job before the first begins, run them, summarize the files they leave.

Jobs run one after the other in this process, or in the workers of a Hydra launcher. Hydra's sweeper
is not used: it starts the first job before it composes the third.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import chdir, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from runner.cli import sweep_files, workers
from runner.cli.arguments import Arguments, quoted
from runner.cli.compose import Choice, compose, expand, is_of_hydra, opened_hydra, settings_of
from runner.cli.reading import read_job
from runner.cli.summary import PlannedJob, Summary, SweepPlan
from runner.cli.task import Work, WorkerTask, begin, yaml_text
from runner.core.errors import ConfigError, Exit
from runner.process.files import write_text
from runner.process.job import PROGRAM
from runner.process.secrets import masked
from runner.process.shared import Process, tell

_MOST_SHOWN = 3
"""Wrong jobs reported at once."""
_LONGEST_REASON = 300


class _NoCallbacks:
    """Hydra's callbacks around a job, which we have none of."""

    def on_job_start(self, **_kwargs: Any) -> None:
        """Do nothing."""

    def on_job_end(self, **_kwargs: Any) -> None:
        """Do nothing."""


def run_sweep(process: Process, argv: tuple[str, ...], arguments: Arguments) -> int:
    """Run all jobs of a command line with `-m`, and return the worst exit code.

    Raises:
        ConfigError: a job's configuration is wrong; none was started.
        HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError: as by `explain`.
        OSError: the sweep's directory cannot be made.
        StoppedError: a stop was asked for before the first job.
    """
    of_hydra = [word for word in arguments.overrides if is_of_hydra(word)]
    with opened_hydra(arguments) as loader:
        choices = expand(loader, arguments.overrides)
        places = _check(process, arguments, of_hydra, choices)
        config = compose(arguments, [*of_hydra, *choices[0].overrides], 0)
        plan = SweepPlan(
            directory=str(Path(str(config.hydra.sweep.dir)).absolute()),
            command=process.redact(shlex.join([*PROGRAM, *argv])),
            launcher=str(config.hydra.runtime.choices["hydra/launcher"]),
            started_at=_now(),
            jobs=tuple(
                PlannedJob(number, choice.overrides, choice.label, place)
                for number, (choice, place) in enumerate(zip(choices, places, strict=True))
            ),
        )
        with read_write(config.hydra), open_dict(config.hydra):
            words = [word for word in arguments.overrides if not is_of_hydra(word)]
            config.hydra.overrides.task = words
        Path(plan.directory).mkdir(parents=True, exist_ok=True)
        sweep_files.clear(plan)
        write_text(Path(plan.directory, "multirun.yaml"), yaml_text(config, process.redact))
        _write(process, sweep_files.summary_of(plan))
        said = f"Sweep: {len(plan.jobs)} jobs, files in {_shown(plan.directory)}"
        print(process.redact(said), flush=True)  # noqa: T201 - the product's own words
        work = Work(argv, arguments, plan)
        error = None
        if workers.count(config, len(plan.jobs)) == 1:
            _run_here(process, work, plan, of_hydra)
        else:
            error = _launch(process, work, plan, config, loader)
    summary = sweep_files.summary_of(plan, ended_at=_now(), stopped_by=process.stop.exit_code)
    _write(process, summary)
    _print_summary(process, summary, error)
    return summary.exit_code if summary.exit_code is not None else Exit.COULD_NOT_RUN


def _check(
    process: Process, arguments: Arguments, of_hydra: Sequence[str], choices: Sequence[Choice]
) -> list[str]:
    """Compose and check every job; return the directory of each, relative to the sweep's.

    Raises:
        ConfigError: naming the jobs that are wrong.
    """
    places: list[str] = []
    wrong: list[str] = []
    for number, choice in enumerate(choices):
        process.stop.check()
        try:
            cfg = compose(arguments, [*of_hydra, *choice.overrides], number)
            places.append(str(cfg.hydra.sweep.subdir))
            read_job(settings_of(cfg), choice.overrides, arguments.private_dir)
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            reason = replace(arguments, overrides=choice.overrides).explain(error)
            wrong.append(f"job {number} ({choice.label}): {reason}")
        except ConfigError as error:
            wrong.append(f"job {number} ({choice.label}): {error.message}")
    if len(wrong) == 1:
        raise ConfigError(f"none of the {len(choices)} jobs was started; {wrong[0]}")
    if wrong:
        lines = [item.partition("\n")[0] for item in wrong[:_MOST_SHOWN]]
        if len(wrong) > _MOST_SHOWN:
            lines.append(f"and {len(wrong) - _MOST_SHOWN} more jobs are wrong")
        raise ConfigError("\n".join([f"none of the {len(choices)} jobs was started:", *lines]))
    if len(set(places)) < len(places):
        raise ConfigError(
            "hydra.sweep.subdir gives several jobs the same directory",
            hint="Let it contain ${hydra.job.num}",
        )
    return places


def _run_here(process: Process, work: Work, plan: SweepPlan, of_hydra: Sequence[str]) -> None:
    """Run the jobs in this process, one after the other, until a stop."""
    for job in plan.jobs:
        if process.stop.asked:
            return
        settings = settings_of(compose(work.arguments, [*of_hydra, *job.overrides], job.number))
        run_dir = Path(plan.directory, job.directory)
        begin(process, settings, run_dir, job, plan)
        work.do(process, settings, run_dir)


def _launch(
    process: Process, work: Work, plan: SweepPlan, config: DictConfig, loader: ConfigLoader
) -> Exception | None:
    """Run the jobs with a launcher; return why it could not run them all, None if it could."""
    task = WorkerTask(work, os.getpid(), Path.cwd())
    # Jobs know their directories. What Hydra makes for them has to exist on every machine, under
    # a name without `${`, which Hydra would take for a setting.
    place = [f"hydra.sweep.dir={quoted(tempfile.gettempdir())}", "hydra.sweep.subdir=."]
    overrides = [[*job.overrides, *place] for job in plan.jobs]
    context = HydraContext(config_loader=loader, callbacks=cast("Any", _NoCallbacks()))

    def launch() -> Sequence[JobReturn]:
        try:
            workers.prepare(config, len(overrides))
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=context, task_function=task, config=config
            )
            return launcher.launch(overrides, initial_job_idx=0)
        finally:
            workers.put_away()  # in this thread: with it Ray's processes end

    stop_file = Path(plan.directory, sweep_files.STOP)
    try:
        with chdir("/"):  # as in `compose`: workers compose in the directory they inherit
            returned = workers.launch_apart(launch, process.stop, stop_file)
    except Exception as error:  # noqa: BLE001 - whatever a launcher raises when it loses a worker
        return error
    for job, one in zip(plan.jobs, returned, strict=True):
        # From another machine, whose files are not here.
        run_dir = Path(plan.directory, job.directory)
        outcome = one.return_value if one.status is JobStatus.COMPLETED else None
        if isinstance(outcome, dict) and not (run_dir / sweep_files.OUTCOME).exists():
            with suppress(OSError):
                sweep_files.write_outcome(run_dir, outcome, process.redact)
    return None


def _write(process: Process, summary: Summary) -> None:
    """Bring the sweep's files up to date; a disk that refuses costs a warning, not the sweep."""
    try:
        sweep_files.write(summary, process.redact)
    except OSError as error:
        tell(process.redact(f"warning: {error.filename} cannot be written: {error.strerror}"))


def _print_summary(process: Process, summary: Summary, error: Exception | None) -> None:
    """Print the summary of the sweep, and on standard error why the launcher broke."""
    from runner.cli.sweep_files import sweep_table  # noqa: PLC0415 - brings rich
    from runner.process.tables import show  # noqa: PLC0415 - as above

    if error is not None:
        said = str(error).strip().partition("\n")[0][:_LONGEST_REASON]
        tell(process.redact(f"launcher {summary.plan.launcher}: {type(error).__name__}: {said}"))
    content = masked(summary.to_json(), process.redact)
    show(sweep_table(content))
    place = Path(summary.plan.directory)
    words = [*summary.last_words(), f"Summary: {place / sweep_files.SUMMARY}"]
    print(process.redact("\n".join([*words, f"Index: {place / sweep_files.INDEX}"])), flush=True)  # noqa: T201 - the product's own words


def _shown(directory: str) -> str:
    """Return a directory as short as it is clear."""
    return os.path.relpath(directory) if Path(directory).is_relative_to(Path.cwd()) else directory


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
