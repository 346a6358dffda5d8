"""Do what a checked command line asks for, with every error in a few plain lines."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from runner.cli.arguments import Arguments, quoted
from runner.cli.compose import compose, opened_hydra, settings_of
from runner.cli.private import keep_secrets_out
from runner.cli.task import Work, forget, internal_error, write_composition
from runner.core.errors import ConfigError, Exit, StoppedError
from runner.process.shared import Process, tell


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that passed, and the process it runs in.

    Attributes:
        argv: as typed.
        arguments: the same, taken apart.
        process: runs its jobs.
        begun: not empty once a job began.
        moved: whether the files go to a directory of the system.
    """

    argv: tuple[str, ...]
    arguments: Arguments
    process: Process
    begun: list[Path] = field(default_factory=list)
    moved: bool = False


def compose_and_run(command: Command) -> int:
    """Compose the settings and do what the command line asks for; return the exit code."""
    arguments, process = command.arguments, command.process
    keep_secrets_out(process.redact)
    try:
        return _do(command)
    except ConfigError as error:
        process.tell(error)
        return Exit.CONFIGURATION
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        process.tell(arguments.explain(error))
        return Exit.CONFIGURATION
    except OSError as error:
        said = f"cannot use {error.filename}: {error.strerror}"
        if command.begun or command.moved:
            process.tell(said)
            return Exit.COULD_NOT_RUN
        return compose_and_run(_moved(command, said))
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, in two lines
        return internal_error(process, error).exit_code


def _do(command: Command) -> int:
    if command.arguments.wants != "run":
        from runner.cli.show import show  # noqa: PLC0415 - more of Hydra than a run needs

        return show(command.arguments)
    return _sweep(command) if command.arguments.is_sweep else _run(command)


def _run(command: Command) -> int:
    with opened_hydra(command.arguments):
        cfg = compose(command.arguments, command.arguments.overrides)
        run_dir = Path(str(cfg.hydra.run.dir)).absolute()
        settings = settings_of(cfg)
        work = Work(command.argv, command.arguments, is_fresh=not run_dir.exists())
        write_composition(command.process.redact, settings, run_dir)
        if command.process.stop.asked:
            forget(run_dir)
            return command.process.stop.exit_code or Exit.COULD_NOT_RUN
        command.begun.append(run_dir)
        return int(work.do(command.process, settings, run_dir)["exit_code"])


def _sweep(command: Command) -> int:
    from runner.cli.sweep import run_sweep  # noqa: PLC0415 - more of Hydra than a single run needs

    try:
        return run_sweep(command.process, command.argv, command.arguments)
    except StoppedError:
        tell("stopped before the first job: none was started")
        return command.process.stop.exit_code or Exit.COULD_NOT_RUN


def _moved(command: Command, why: str) -> Command:
    """Return a command that writes its files to a directory of its own: the data shall land."""
    directory = tempfile.mkdtemp(prefix="runner-")
    tell(command.process.redact(f"warning: {why}; log and files of this run go to {directory}"))
    places = (f"hydra.run.dir={quoted(directory)}", f"hydra.sweep.dir={quoted(directory)}")
    overrides = (*command.arguments.overrides, *places)
    return replace(command, arguments=replace(command.arguments, overrides=overrides), moved=True)
