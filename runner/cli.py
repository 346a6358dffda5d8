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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import hydra
import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from runner import __version__
from runner.arguments import Arguments, parse
from runner.conf_files import builtin_dir, check_private
from runner.core.errors import ConfigError, StoppedError
from runner.core.outcome import Exit
from runner.private_files import check_harmless, keep_secrets_out
from runner.shutdown import StopFlag, stop_on_signals
from runner.task import OWNER_ONLY, JobTask, Process, internal_error, tell
from runner.usage import help_page

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's own 700 make it walk a plan of 12,000 stations again and again: a fifth of the time."""


@dataclass(frozen=True, slots=True)
class _Command:
    """A command line that passed, and the process it runs in.

    Attributes:
        argv: as typed.
        arguments: the same, taken apart.
        process: runs its jobs.
        codes: exit codes of the jobs that ended.
        moved: whether the files go where nobody asked them to.
    """

    argv: tuple[str, ...]
    arguments: Arguments
    process: Process
    codes: list[int] = field(default_factory=list)
    moved: bool = False


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
    before = os.umask(OWNER_ONLY)
    try:
        with stop_on_signals(StopFlag()) as stop:
            return _main(tuple(sys.argv[1:] if argv is None else argv), stop)
    except KeyboardInterrupt:
        return Exit.SIGINT
    finally:
        os.umask(before)


def _main(argv: tuple[str, ...], stop: StopFlag) -> int:
    try:
        process = Process.here(stop)
    except (OSError, ValueError) as error:
        tell(f".env cannot be read: {error}")
        return Exit.CONFIGURATION
    try:
        arguments = parse(argv, process.environment)
        if arguments.private_dir:
            check_private(arguments.private_dir)
            check_harmless(arguments.private_dir)
    except ConfigError as error:
        process.tell(error)
        return Exit.CONFIGURATION
    if arguments.wants != "run":
        version = f"runner {__version__}"
        sys.stdout.write(
            (version if arguments.wants == "version" else help_page(arguments.directories)) + "\n"
        )
        return Exit.DONE
    keep_secrets_out(process.redact)
    return _compose_and_run(_Command(argv, arguments, process))


def _compose_and_run(command: _Command) -> int:
    """Let Hydra compose the configuration, and do what it says; return the exit code."""
    arguments, process = command.arguments, command.process
    try:
        with _for_hydra(arguments):
            return _sweep(command) if arguments.is_sweep else _run(command)
    except SystemExit as error:  # Hydra's own flags end this way
        return error.code if isinstance(error.code, int) else Exit.DONE
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        tell(process.redact(arguments.explain(error)))
        return Exit.CONFIGURATION
    except OSError as error:
        said = f"cannot use {error.filename}: {error.strerror}"
        if command.codes or command.moved:
            tell(process.redact(said))
            return Exit.COULD_NOT_RUN
        return _compose_and_run(_moved(command, said))
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told in one line
        return internal_error(process, error).exit_code


def _run(command: _Command) -> int:
    """Do one job."""
    do = JobTask(command.argv, command.arguments)

    def task(cfg: DictConfig) -> None:
        outcome = do(cfg)
        stopped = command.process.stop.exit_code or Exit.COULD_NOT_RUN
        command.codes.append(stopped if outcome is None else outcome["exit_code"])

    with command.process.running():
        hydra.main(version_base="1.3", config_path=str(builtin_dir()), config_name="config")(task)()
    return command.codes[-1] if command.codes else Exit.DONE


def _sweep(command: _Command) -> int:
    from runner.sweep import run_sweep  # noqa: PLC0415 - more of Hydra than a single run needs

    try:
        return run_sweep(command.process, command.argv, command.arguments)
    except ConfigError as error:
        command.process.tell(error)
        return Exit.CONFIGURATION
    except StoppedError:
        tell("stopped before the first job: none was started")
        return command.process.stop.exit_code or Exit.COULD_NOT_RUN


def _moved(command: _Command, why: str) -> _Command:
    """Return a command that writes its files to a directory of its own: the data shall land."""
    directory = tempfile.mkdtemp(prefix="runner-")
    tell(command.process.redact(f"warning: {why}; log and files of this run go to {directory}"))
    places = (f"hydra.run.dir={directory}", f"hydra.sweep.dir={directory}")
    overrides = (*command.arguments.overrides, *places)
    return replace(command, arguments=replace(command.arguments, overrides=overrides), moved=True)


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
