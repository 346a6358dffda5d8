"""Many jobs of one command (`-m`): all checked before the first begins, then one story told.

Hydra composes and its launchers start the jobs; its sweeper is left out, since it begins with the
first job before the third is looked at, and forgets the others when one breaks. What the jobs came
to is read from the files they leave, so that a job that was killed hides no other.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import yaml
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from runner.cli import sweep_files
from runner.cli import workers as engines
from runner.cli.arguments import Arguments, quoted
from runner.cli.compose import CONFIG_NAME, opened_hydra
from runner.cli.reading import read_job
from runner.cli.summary import JobState, PlannedJob, Summary, SweepPlan
from runner.cli.task import JobTask
from runner.cli.workers import launch_apart
from runner.core.errors import ConfigError, Exit
from runner.process.files import write_text
from runner.process.job import PROGRAM
from runner.process.secrets import masked
from runner.process.shared import Process, tell

_LAUNCHES = 2
"""Times a job is started that was lost with its worker, before it could leave an outcome."""


class Launching:
    """Starts the jobs of a sweep, again where a worker took its job with it.

    Args:
        loader: composes the jobs.
        config: of the sweep; changed to what suits its jobs.
        process: this one.
        plan: the sweep.
        task: does a job.
    """

    def __init__(
        self,
        loader: ConfigLoader,
        config: DictConfig,
        process: Process,
        plan: SweepPlan,
        task: JobTask,
    ) -> None:
        self._plan = plan
        self._process = process
        self._in_workers = self._plan.launcher != "basic"
        self._config = config
        self._context = HydraContext(config_loader=loader, callbacks=Callbacks(config))
        self._task = task

    def run(self) -> Exception | None:
        """Run all jobs; return what kept the launcher from it, None where nothing did."""
        error = None
        for _launch in range(_LAUNCHES):
            lost = self._open(JobState.RUNNING, JobState.WAITING)
            error = self._run(lost)
            if not self._open(JobState.RUNNING) or not self._in_workers:
                break
            if self._process.stop.asked:
                break
        return error

    def _open(self, *states: JobState) -> list[PlannedJob]:
        """Return the jobs that are in one of the states."""
        known = sweep_files.summary_of(self._plan).jobs
        return [job.plan for job in known if job.state in states]

    def _run(self, jobs: Sequence[PlannedJob]) -> Exception | None:
        overrides = [self._overrides(job) for job in jobs]

        def launch() -> Sequence[JobReturn]:
            try:
                engines.prepare(self._config, len(jobs))
                launcher = Plugins.instance().instantiate_launcher(
                    hydra_context=self._context, task_function=self._task, config=self._config
                )
                return launcher.launch(overrides, initial_job_idx=0)
            finally:
                engines.put_away()  # in this thread: with it Ray's processes end

        stop_file = Path(self._plan.directory, sweep_files.STOP)
        try:
            with self._process.running():
                if self._in_workers:
                    returned = launch_apart(launch, self._process.stop, stop_file)
                else:
                    returned = launch()
        except Exception as error:  # noqa: BLE001 - whatever an engine raises when it loses a worker
            return error
        for job, one in zip(jobs, returned, strict=True):
            self._keep(job, one)
        return None

    def _overrides(self, job: PlannedJob) -> list[str]:
        """Return what the launcher is to tell a job: every directory is settled by now."""
        return [
            *job.overrides,
            f"hydra.sweep.dir={quoted(self._plan.directory)}",
            f"hydra.sweep.subdir={quoted(job.directory)}",
        ]

    def _keep(self, job: PlannedJob, returned: JobReturn) -> None:
        """Write the outcome that came back from another machine, whose files are not here."""
        outcome = returned._return_value  # noqa: SLF001 - the public property raises and prints
        run_dir = Path(self._plan.directory, job.directory)
        came_back = returned.status is JobStatus.COMPLETED and isinstance(outcome, dict)
        if came_back and not (run_dir / sweep_files.OUTCOME).exists():
            with suppress(OSError):
                sweep_files.write_outcome(run_dir, outcome, self._process.redact)


_MOST_TOLD = 3
"""Wrong jobs told of at once."""
_LONGEST_REASON = 300


def run_sweep(process: Process, argv: tuple[str, ...], arguments: Arguments) -> int:
    """Run all jobs of a command line with `-m`, and return the worst exit code.

    Raises:
        ConfigError: a job's configuration is wrong; none was started.
        HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError: as by `explain`.
        OSError: the sweep's directory cannot be made.
        StoppedError: a stop was asked for before the first job.
    """
    with opened_hydra(arguments) as hydra:
        config = hydra.compose_config(
            CONFIG_NAME, [*arguments.overrides, "hydra.mode=MULTIRUN"], RunMode.MULTIRUN
        )
        HydraConfig.instance().set_config(config)
        plan = _plan(hydra, config, process, argv, arguments)
        Path(plan.directory).mkdir(parents=True, exist_ok=True)
        sweep_files.clear(plan)
        write_text(Path(plan.directory, "multirun.yaml"), OmegaConf.to_yaml(config))
        _write(process, sweep_files.summary_of(plan))
        told = f"Sweep: {len(plan.jobs)} jobs, files in {_shown(plan.directory)}"
        print(process.redact(told), flush=True)  # noqa: T201 - the product's own words
        task = JobTask(argv, arguments, plan)
        error = Launching(hydra.config_loader, config, process, plan, task).run()
    summary = sweep_files.summary_of(plan, ended_at=_now(), stopped_by=process.stop.exit_code)
    _write(process, summary)
    _tell_story(process, summary, error)
    return summary.exit_code if summary.exit_code is not None else Exit.COULD_NOT_RUN


def _plan(
    hydra: Hydra,
    config: DictConfig,
    process: Process,
    argv: tuple[str, ...],
    arguments: Arguments,
) -> SweepPlan:
    """Compose and check every job.

    Raises:
        ConfigError: naming the jobs that are wrong.
    """
    words = cast("list[str]", OmegaConf.to_container(config.hydra.overrides.task))
    parsed = OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(words)
    swept = {item.get_key_element() for item in parsed if item.is_sweep_override()}
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    jobs: list[PlannedJob] = []
    wrong: list[str] = []
    for number, overrides in enumerate(batch):
        process.stop.check()
        label = " ".join(item for item in overrides if item.partition("=")[0] in swept)
        label = label or " ".join(overrides)
        try:
            directory = _check(hydra, config, number, overrides, arguments.private_dir)
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            told = replace(arguments, overrides=tuple(overrides)).explain(error)
            wrong.append(f"job {number} ({label}): {told}")
        except ConfigError as error:
            wrong.append(f"job {number} ({label}): {error.message}")
        else:
            jobs.append(PlannedJob(number, tuple(overrides), label, directory))
    if wrong:
        raise ConfigError(_told(wrong, len(batch)))
    places = [job.directory for job in jobs]
    if len(set(places)) < len(places):
        raise ConfigError(
            "hydra.sweep.subdir gives several jobs the same directory",
            hint="Let it contain ${hydra.job.num}",
        )
    return SweepPlan(
        directory=str(Path(str(config.hydra.sweep.dir)).absolute()),
        command=process.redact(shlex.join([*PROGRAM, *argv])),
        launcher=str(config.hydra.runtime.choices["hydra/launcher"]),
        started_at=_now(),
        jobs=tuple(jobs),
    )


def _check(
    hydra: Hydra,
    config: DictConfig,
    number: int,
    overrides: Sequence[str],
    private_dir: Path | None,
) -> str:
    """Return where the job's files go; raises what is wrong with its configuration."""
    composed = hydra.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(composed):
        composed.hydra.job.id = composed.hydra.job.num = number
    HydraConfig.instance().set_config(composed)
    try:
        directory = str(composed.hydra.sweep.subdir)
        settings = composed.copy()
        with open_dict(settings):
            del settings["hydra"]
        read_job(settings, overrides, private_dir)
    finally:
        HydraConfig.instance().set_config(config)
    return directory


def _told(wrong: Sequence[str], jobs: int) -> str:
    """Return what is wrong, in a few lines: in full for one job, the first line for several."""
    if len(wrong) == 1:
        return f"none of the {jobs} jobs was started; {wrong[0]}"
    told = [item.partition("\n")[0] for item in wrong[:_MOST_TOLD]]
    if len(wrong) > _MOST_TOLD:
        told.append(f"and {len(wrong) - _MOST_TOLD} more jobs are wrong")
    return "\n".join([f"none of the {jobs} jobs was started:", *told])


def _write(process: Process, summary: Summary) -> None:
    """Bring the sweep's files up to date; a disk that refuses costs a warning, not the sweep."""
    try:
        sweep_files.write(summary, process.redact)
    except OSError as error:
        tell(process.redact(f"warning: {error.filename} cannot be written: {error.strerror}"))


def _tell_story(process: Process, summary: Summary, error: Exception | None) -> None:
    """Print the summary of the whole sweep; why a launcher broke, on standard error."""
    from runner.cli.sweep_files import sweep_table  # noqa: PLC0415 - brings rich
    from runner.process.tables import console  # noqa: PLC0415 - as above

    if error is not None:
        said = str(error).strip().partition("\n")[0][:_LONGEST_REASON]
        tell(process.redact(f"launcher {summary.plan.launcher}: {type(error).__name__}: {said}"))
    content = masked(summary.to_json(), process.redact)
    console().print(sweep_table(content))
    place = Path(summary.plan.directory)
    words = [*summary.last_words(), f"Summary: {place / sweep_files.SUMMARY}"]
    print(process.redact("\n".join([*words, f"Index: {place / sweep_files.INDEX}"])), flush=True)  # noqa: T201 - the product's own words


def _shown(directory: str) -> str:
    """Return a directory as short as it is clear."""
    return os.path.relpath(directory) if Path(directory).is_relative_to(Path.cwd()) else directory


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
