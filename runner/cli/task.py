"""One job, in whatever process it is started: the one we are in, or a worker of a launcher.

A `JobTask` is what Hydra calls for every job. It crosses to workers as a pickle, with neither
secret nor lock in it: a worker reads the environment and `.env` by itself. It never raises, since
Hydra would print a traceback, and a sweep would lose its other jobs.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.cli import sweep_files
from runner.cli.arguments import Arguments
from runner.cli.private import keep_secrets_out
from runner.cli.reading import read_job
from runner.cli.summary import SweepPlan
from runner.cli.workers import worker_stop
from runner.core.errors import ConfigError, RunnerError
from runner.core.outcome import Outcome
from runner.process.files import write_text
from runner.process.job import JobContext
from runner.process.secrets import Environment, Redactor
from runner.process.shared import OWNER_ONLY, Process, tell
from runner.process.terminal import keep_standard_streams

_HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


@dataclass(frozen=True, slots=True)
class JobTask:
    """Does a job that Hydra composed; returns its outcome, None if it did not begin.

    Attributes:
        argv: the command line as typed.
        arguments: the same, taken apart.
        sweep: the sweep the job belongs to; None for a single run.
        parent: process id of who started the sweep.
        directory: where it was started.
    """

    argv: tuple[str, ...]
    arguments: Arguments
    sweep: SweepPlan | None = None
    parent: int = field(default_factory=os.getpid)
    directory: Path = field(default_factory=Path.cwd)

    def __call__(self, cfg: DictConfig) -> dict[str, Any] | None:
        """Do the job."""
        run_dir = output_dir()
        if self.sweep is not None:
            with suppress(OSError):  # the job itself says what cannot be written
                write_composition(cfg)
        try:
            with ExitStack() as belongs:
                process = Process.in_charge()
                if process is None:
                    process = belongs.enter_context(self._worker())
                return self._do(process, cfg, run_dir)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - nothing may escape to the launcher
            return self._left(None, internal_error(None, error, run_dir), run_dir)

    @contextmanager
    def _worker(self) -> Iterator[Process]:
        """Make a process out of a worker that a launcher started."""
        os.umask(OWNER_ONLY)
        keep_standard_streams()
        with suppress(OSError):
            os.chdir(self.directory)
        stop_file = Path(self.sweep.directory, sweep_files.STOP) if self.sweep else None
        with worker_stop(self.parent, stop_file) as stop:
            process = Process.here(stop)
            keep_secrets_out(process.redact)
            yield process

    def _do(self, process: Process, cfg: DictConfig, run_dir: Path) -> dict[str, Any] | None:
        if process.stop.asked:
            forget(run_dir)
            return None
        self._announce(process, run_dir)
        try:
            outcome = self._attempt(process, cfg, run_dir)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a defect of ours, told in one line
            outcome = internal_error(process, error, run_dir)
        return self._left(process, outcome, run_dir)

    def _announce(self, process: Process, run_dir: Path) -> None:
        """Say which job of the sweep begins."""
        jobs = self.sweep.jobs if self.sweep else ()
        place = self.sweep.directory if self.sweep else ""
        for job in jobs:
            if Path(place, job.directory) == run_dir:
                told = f"\nJob {job.number}, of {len(jobs)}: {job.label}"
                print(process.redact(told), flush=True)  # noqa: T201 - the product's own words

    def _attempt(self, process: Process, cfg: DictConfig, run_dir: Path) -> Outcome:
        overrides = overrides_of_job()
        try:
            config = read_job(cfg, overrides, self.arguments.private_dir)
        except (OmegaConfBaseException, ConfigError) as error:
            refusal = (
                error
                if isinstance(error, ConfigError)
                else ConfigError(self.arguments.explain(error))
            )
            process.tell(refusal)
            forget(run_dir)
            return _refused(refusal)
        repeated = (*self.arguments.repeated, *overrides)
        context = JobContext(
            process.environment,
            process.stop,
            run_dir,
            self.argv,
            repeated,
            shares_terminal=self.parent != os.getpid(),
        )
        try:
            from runner.jobs import registry as jobs  # noqa: PLC0415 - the configuration was wrong often enough by now

            return jobs.run(config, context)
        except RunnerError as error:
            process.tell(error)
            return _refused(error)

    def _left(self, process: Process | None, outcome: Outcome, run_dir: Path) -> dict[str, Any]:
        """Leave the outcome where the sweep looks for it, and bring its files up to date."""
        content = outcome.to_json()
        if self.sweep is not None:
            redact = process.redact if process else Redactor(Environment({}, Path()))
            with suppress(OSError):  # whoever started the sweep has the outcome all the same
                if not (run_dir / sweep_files.OUTCOME).exists():
                    sweep_files.write_outcome(run_dir, content, redact)
                sweep_files.write(sweep_files.summary_of(self.sweep), redact)
        return content


def overrides_of_job() -> tuple[str, ...]:
    """Return what the job that Hydra is at was told, without Hydra's own settings."""
    listed = OmegaConf.to_container(HydraConfig.get().overrides.task)
    return tuple(cast("list[str]", listed))


def output_dir() -> Path:
    """Return the directory of the job that Hydra is at, with any `${…}` in its name as it is."""
    runtime = OmegaConf.to_container(HydraConfig.get().runtime, resolve=False)
    return Path(cast("dict[str, str]", runtime)["output_dir"])


def write_composition(cfg: DictConfig) -> None:
    """Write what Hydra composed to `.hydra/`, as Hydra does unless `hydra.output_subdir` is null.

    Raises:
        OSError: the disk refuses.
    """
    place = output_dir() / ".hydra"
    place.mkdir(parents=True, exist_ok=True)
    hydra = HydraConfig.instance().cfg
    overrides = HydraConfig.get().overrides.task
    for name, part in zip(_HYDRA_FILES, (cfg, hydra, overrides), strict=True):
        write_text(place / name, OmegaConf.to_yaml(part))


def _refused(error: RunnerError) -> Outcome:
    return Outcome(
        job="",
        run_id="",
        error=error.message,
        hint=error.hint,
        configuration_error=isinstance(error, ConfigError),
    )


def forget(run_dir: Path) -> None:
    """Remove what Hydra made for a job that did not begin; what others put there stays."""
    for name in _HYDRA_FILES:
        (run_dir / ".hydra" / name).unlink(missing_ok=True)
    for directory in (run_dir / ".hydra", run_dir, *run_dir.parents):
        if directory == Path.cwd():
            return
        try:
            directory.rmdir()
        except OSError:  # not empty, or not ours
            return


def internal_error(
    process: Process | None, error: BaseException, run_dir: Path | None = None
) -> Outcome:
    """Tell of a defect of ours in two lines, and leave the traceback in a file.

    Args:
        process: takes secrets out; None where it could not even be made, then nothing is quoted.
        error: what happened.
        run_dir: of the job it happened to; None where there is none.
    """
    kind = type(error).__name__
    if process is None:
        tell(f"internal error: {kind}: the job could not begin")
        return Outcome(job="", run_id="", error=f"internal error ({kind})")
    directory = run_dir or Path(tempfile.mkdtemp(prefix="runner-"))
    log = directory / "internal_error.log"
    write_text(log, process.redact("".join(traceback.format_exception(error))))
    said = str(error).partition("\n")[0]
    tell(process.redact(f"internal error: {kind}: {said}\nthe traceback is in {log}"))
    return Outcome(job="", run_id="", error=f"internal error ({kind})")
