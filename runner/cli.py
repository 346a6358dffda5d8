"""The process: from a command line to an exit code, with every error in a few plain lines.

Exit codes: 0 done, 1 could not run, 2 configuration or usage (nothing attempted), 3 quality gate,
4 incomplete and resumable, 130/143 stopped by SIGINT/SIGTERM and resumable. A sweep (`-m`) exits
with its worst.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner import __version__
from runner.advice import explain
from runner.arguments import Arguments, parse
from runner.conf_files import builtin_dir, check_private, profile_slips
from runner.config import JobContext, read
from runner.core.errors import ConfigError, RunnerError
from runner.core.outcome import Exit, worst
from runner.private_files import check_harmless, check_program, keep_secrets_out
from runner.secrets import Environment, Redactor
from runner.shutdown import StopFlag, stop_on_signals
from runner.usage import help_page

_OWNER_ONLY = 0o077
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's own 700 make it walk a plan of 12,000 stations again and again: a fifth of the time."""
_HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


@dataclass(slots=True)
class _Process:
    """What the jobs of one `main` call share; reached through `_processes`, never pickled."""

    argv: tuple[str, ...]
    environment: Environment
    arguments: Arguments
    stop: StopFlag
    redact: Redactor
    jobs: list[tuple[str, int]] = field(default_factory=list)
    moved: bool = False

    def tell(self, error: RunnerError) -> None:
        _tell(self.redact("\n".join(filter(None, (error.message, error.hint)))))


_processes: list[_Process] = []
"""The `main` call under way; a stack, because a test may call `main` from within a job."""


def script() -> None:
    """Run as the console script `runner`, or as `python -m runner`."""
    for stream in (sys.stdout, sys.stderr):  # names of stations, whatever the terminal can show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    code = main()
    for signum in (signal.SIGINT, signal.SIGTERM):  # it ends by itself, with the code it promised
        signal.signal(signum, signal.SIG_IGN)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. Callable repeatedly in one process.

    Files are made readable by their owner only.

    Args:
        argv: the arguments; default: those of the process.
    """
    before = os.umask(_OWNER_ONLY)
    try:
        with stop_on_signals(StopFlag()) as stop:
            return _main(tuple(sys.argv[1:] if argv is None else argv), stop)
    except KeyboardInterrupt:
        return Exit.SIGINT
    finally:
        os.umask(before)


def _main(argv: tuple[str, ...], stop: StopFlag) -> int:
    try:
        environment = Environment.read()
    except (OSError, ValueError) as error:
        _tell(f".env cannot be read: {error}")
        return Exit.CONFIGURATION
    redact = Redactor(environment)
    try:
        arguments = parse(argv, environment)
        if arguments.private_dir:
            check_private(arguments.private_dir)
            check_harmless(arguments.private_dir)
    except ConfigError as error:
        _tell(redact("\n".join(filter(None, (error.message, error.hint)))))
        return Exit.CONFIGURATION
    if arguments.wants != "run":
        version = f"runner {__version__}"
        sys.stdout.write(
            (version if arguments.wants == "version" else help_page(arguments.directories)) + "\n"
        )
        return Exit.DONE
    keep_secrets_out(redact)
    process = _Process(argv, environment, arguments, stop, redact)
    failure = _compose_and_run(process)
    if len(process.jobs) > 1:
        for number, (label, code) in enumerate(process.jobs):
            sys.stdout.write(redact(f"job {number} ({label}): exit {code}\n"))
    return worst([*(code for _label, code in process.jobs), *([failure] if failure else [])])


def _compose_and_run(process: _Process) -> int:
    """Let Hydra compose the configuration and call `task`; return the code of what it raises."""
    arguments = process.arguments
    _processes.append(process)
    try:
        with _for_hydra(arguments):
            hydra.main(version_base="1.3", config_path=str(builtin_dir()), config_name="config")(
                task
            )()
    except SystemExit as error:  # Hydra's own flags end this way
        return error.code if isinstance(error.code, int) else Exit.DONE
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        slips = [slip for path in arguments.profiles() for slip in profile_slips(path)]
        _tell(process.redact(slips[0] if slips else explain(error, arguments.directories)))
        return Exit.CONFIGURATION
    except OSError as error:
        said = f"cannot use {error.filename}: {error.strerror}"
        if process.jobs or process.moved:
            _tell(process.redact(said))
            return Exit.COULD_NOT_RUN
        return _compose_and_run(_moved(process, said))
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told in one line
        return _internal(process, error, None)
    finally:
        _processes.pop()
    return Exit.DONE


def _moved(process: _Process, why: str) -> _Process:
    """Return a process that writes its files to a directory of its own: the data shall land."""
    directory = tempfile.mkdtemp(prefix="runner-")
    _tell(process.redact(f"warning: {why}; log and files of this run go to {directory}"))
    places = (f"hydra.run.dir={directory}", f"hydra.sweep.dir={directory}")
    arguments = replace(process.arguments, overrides=(*process.arguments.overrides, *places))
    return replace(process, arguments=arguments, moved=True)


def task(cfg: DictConfig) -> None:
    """Do one job; Hydra calls this, once for a run and once for every job of a sweep.

    Never raises: Hydra would print a traceback, and a sweep would lose the other jobs.
    """
    process = _processes[-1]
    settings = HydraConfig.get()
    overrides = tuple(cast("list[str]", OmegaConf.to_container(settings.overrides.task)))
    run_dir = Path(settings.runtime.output_dir)
    code = process.stop.exit_code
    if code is None:
        code = _run(process, cfg, run_dir, overrides)
    process.jobs.append((" ".join(overrides), code))


def _run(process: _Process, cfg: DictConfig, run_dir: Path, overrides: tuple[str, ...]) -> int:
    try:
        config = read(cfg, datetime.now(UTC))
        check_program(config, overrides)
    except OmegaConfBaseException as error:
        process.tell(ConfigError(explain(error, process.arguments.directories)))
        _forget(run_dir)
        return Exit.CONFIGURATION
    except ConfigError as error:
        process.tell(error)
        _forget(run_dir)
        return Exit.CONFIGURATION
    repeated = (*process.arguments.repeated, *overrides)
    context = JobContext(process.environment, process.stop, run_dir, process.argv, repeated)
    try:
        from runner import jobs  # noqa: PLC0415 - the configuration was wrong often enough by now

        return jobs.run(config, context).exit_code
    except ConfigError as error:
        process.tell(error)
        return Exit.CONFIGURATION
    except RunnerError as error:
        process.tell(error)
        return Exit.COULD_NOT_RUN
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told in one line
        return _internal(process, error, run_dir)


def _forget(run_dir: Path) -> None:
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


def _internal(process: _Process, error: Exception, run_dir: Path | None) -> int:
    directory = run_dir or Path(tempfile.mkdtemp(prefix="runner-"))
    log = directory / "internal_error.log"
    log.write_text(process.redact("".join(traceback.format_exception(error))), encoding="utf-8")
    said = str(error).partition("\n")[0]
    _tell(
        process.redact(f"internal error: {type(error).__name__}: {said}\nthe traceback is in {log}")
    )
    return Exit.COULD_NOT_RUN


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


@contextmanager
def _for_hydra(arguments: Arguments) -> Iterator[None]:
    """Set what Hydra reads from the process: its arguments, and that errors are to be raised."""
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sys.argv = ["runner", *arguments.for_hydra]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        root.handlers = handlers  # --info adds one
        root.setLevel(level)
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
