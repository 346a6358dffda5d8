"""Starts the jobs of a sweep through one of Hydra's launchers, and survives what it does.

A launcher takes jobs and waits for them. joblib kills all workers when one dies, and raises; so
what was lost with its worker, or never got one, is started once more: what the lost jobs stored is
stored, and they go on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from runner import engines, sweep_files
from runner.arguments import quoted
from runner.core.sweep import JobState, PlannedJob, SweepPlan
from runner.process import Process
from runner.task import JobTask
from runner.workers import launch_apart

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
