"""Do one job that Hydra composed, here or in a worker of a launcher, and never raise."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from runner.cli import sweep_files
from runner.cli.arguments import Arguments, literal
from runner.cli.private import keep_secrets_out
from runner.cli.reading import read_job
from runner.cli.summary import PlannedJob, SweepPlan
from runner.cli.workers import worker_stop
from runner.core.errors import ConfigError, RunnerError
from runner.core.outcome import Outcome
from runner.process.files import write_text
from runner.process.job import JobContext
from runner.process.logs import LOG_NAME
from runner.process.secrets import Environment, Redactor, masked
from runner.process.shared import OWNER_ONLY, Process, tell
from runner.process.terminal import keep_standard_streams
from runner.sources import key_names

_FILES = (LOG_NAME, sweep_files.OUTCOME, "plan.json")
_HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


@dataclass(frozen=True, slots=True)
class Work:
    """A command line whose jobs are to be done.

    Attributes:
        argv: the command line as typed.
        arguments: the same, taken apart.
        sweep: what it sweeps over; None for a single run.
        is_fresh: whether the run directory is made for this run, and goes with it.
    """

    argv: tuple[str, ...]
    arguments: Arguments
    sweep: SweepPlan | None = None
    is_fresh: bool = False

    def do(
        self, process: Process, cfg: DictConfig, run_dir: Path, *, in_worker: bool = False
    ) -> dict[str, Any]:
        """Do a job and return its outcome.

        Args:
            process: this one.
            cfg: the settings, without Hydra's section.
            run_dir: for the job's files, which exists.
            in_worker: whether other jobs write to the same terminal.
        """
        try:
            outcome = self._attempt(process, cfg, run_dir, in_worker=in_worker)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a defect must not lose a sweep's other jobs
            outcome = internal_error(process, error, run_dir)
        return self.leave(process.redact, outcome, run_dir)

    def _attempt(
        self, process: Process, cfg: DictConfig, run_dir: Path, *, in_worker: bool
    ) -> Outcome:
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
        context = JobContext(
            process.environment,
            process.stop,
            run_dir,
            self.argv,
            (*self.arguments.repeated, *overrides),
            shares_terminal=in_worker,
        )
        try:
            from runner.jobs import registry as jobs  # noqa: PLC0415 - the configuration was wrong often enough by now

            outcome = jobs.run(config, context)
            if outcome.configuration_error and self.is_fresh:
                forget(run_dir, _FILES)
            return outcome  # noqa: TRY300 - the shorter way
        except RunnerError as error:
            process.tell(error)
            return _refused(error)

    def leave(self, redact: Redactor, outcome: Outcome, run_dir: Path) -> dict[str, Any]:
        """Write the outcome where the sweep looks for it, and update the sweep's files."""
        content = outcome.to_json()
        if self.sweep is not None:
            with suppress(OSError):  # whoever started the sweep has the outcome all the same
                if not (run_dir / sweep_files.OUTCOME).exists():
                    sweep_files.write_outcome(run_dir, content, redact)
                sweep_files.write(sweep_files.summary_of(self.sweep), redact)
        return content


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """What a launcher calls in its workers; pickles, with no secret in it.

    A worker reads the environment and `.env` itself.

    Attributes:
        work: the sweep.
        parent: process id of who started it.
        directory: where it was started.
    """

    work: Work
    parent: int
    directory: Path

    def __call__(self, cfg: DictConfig) -> dict[str, Any] | None:
        """Do the job that Hydra is at; return its outcome, None if it did not begin."""
        sweep = self.work.sweep
        assert sweep is not None  # noqa: S101 - only sweeps have workers
        job = sweep.jobs[int(HydraConfig.get().job.num)]
        run_dir = Path(sweep.directory, job.directory)
        try:
            with self._process(Path(sweep.directory, sweep_files.STOP)) as process:
                if process.stop.asked:
                    return None
                begin(process, cfg, run_dir, job, sweep)
                return self.work.do(process, cfg, run_dir, in_worker=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a launcher would lose the other jobs
            redact = Redactor(Environment({}, Path(), key_names))
            return self.work.leave(redact, internal_error(None, error, run_dir), run_dir)

    @contextmanager
    def _process(self, stop_file: Path) -> Iterator[Process]:
        os.umask(OWNER_ONLY)
        keep_standard_streams()
        with suppress(OSError):  # on another machine it may not exist
            os.chdir(self.directory)
        with worker_stop(self.parent, stop_file) as stop:
            process = Process.here(stop, key_names)
            keep_secrets_out(process.redact)
            yield process


def begin(
    process: Process, cfg: DictConfig, run_dir: Path, job: PlannedJob, sweep: SweepPlan
) -> None:
    """Make the directory of a sweep's job, and print which one begins."""
    with suppress(OSError):  # the job itself says what cannot be written
        write_composition(process.redact, cfg, run_dir)
    said = f"\nJob {job.number}, of {len(sweep.jobs)}: {job.label}"
    print(process.redact(said), flush=True)  # noqa: T201 - the product's own words


def overrides_of_job() -> tuple[str, ...]:
    """Return the overrides of the job that Hydra is at, without Hydra's own settings."""
    listed = OmegaConf.to_container(HydraConfig.get().overrides.task)
    return tuple(cast("list[str]", listed))


def write_composition(redact: Redactor, cfg: DictConfig, run_dir: Path) -> None:
    """Write the files that Hydra keeps in `.hydra/`, with every secret masked.

    Hydra would write a secret that stands in an override as it was typed.

    Raises:
        OSError: the disk refuses.
    """
    place = run_dir / ".hydra"
    place.mkdir(parents=True, exist_ok=True)
    section = cast("DictConfig", HydraConfig.instance().cfg)
    with read_write(section.hydra), open_dict(section.hydra):
        section.hydra.runtime.output_dir = literal(str(run_dir))
    contents = (cfg, section, section.hydra.overrides.task)
    for name, content in zip(_HYDRA_FILES, contents, strict=True):
        write_text(place / name, yaml_text(content, redact))


def yaml_text(config: Any, redact: Redactor) -> str:
    """Return settings as YAML, with secrets masked."""
    content = masked(OmegaConf.to_container(config, resolve=False, enum_to_str=True), redact)
    text: str = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    return text


def _refused(error: RunnerError) -> Outcome:
    return Outcome(
        job="",
        run_id="",
        error=error.message,
        hint=error.hint,
        configuration_error=isinstance(error, ConfigError),
    )


def forget(run_dir: Path, besides: Iterable[str] = ()) -> None:
    """Remove the directory of a job that did not begin; what others put there stays.

    Args:
        run_dir: the directory.
        besides: names of files that go, too.
    """
    for path in (*(Path(".hydra", name) for name in _HYDRA_FILES), *map(Path, besides)):
        (run_dir / path).unlink(missing_ok=True)
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
    """Report a defect of ours in two lines, and leave the traceback in a file.

    Args:
        process: redacts secrets; None if it could not be created, then nothing is quoted.
        error: what happened.
        run_dir: of the job; None if there is none.
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
