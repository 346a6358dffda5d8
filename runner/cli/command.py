"""A command line that passed: composed by Hydra and done, with every error in a few plain lines."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import hydra
import yaml
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.cli.arguments import Arguments, quoted
from runner.cli.compose import CONFIG_NAME, VERSION_BASE, opened_hydra
from runner.cli.private import keep_secrets_out
from runner.cli.task import JobTask, internal_error, write_composition
from runner.cli.yaml_source import PrivateYaml
from runner.config.files import builtin_dir
from runner.core.errors import ConfigError, Exit, StoppedError
from runner.process.shared import Process, tell


@dataclass(frozen=True, slots=True)
class Command:
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


def compose_and_run(command: Command) -> int:
    """Let Hydra compose the configuration, and do what it says; return the exit code."""
    arguments, process = command.arguments, command.process
    keep_secrets_out(process.redact)
    Plugins.instance().register(PrivateYaml)
    try:
        with _for_hydra(arguments):
            return _sweep(command) if arguments.is_sweep else _run(command)
    except SystemExit as error:  # Hydra's own flags end this way
        return error.code if isinstance(error.code, int) else Exit.DONE
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        tell(process.redact(_slip_of_directory() or arguments.explain(error)))
        return Exit.CONFIGURATION
    except OSError as error:
        said = f"cannot use {error.filename}: {error.strerror}"
        if command.codes or command.moved:
            tell(process.redact(said))
            return Exit.COULD_NOT_RUN
        return compose_and_run(_moved(command, said))
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told in one line
        return internal_error(process, error).exit_code


def _run(command: Command) -> int:
    """Do one job, or show what a flag of Hydra's asks for."""
    do = JobTask(command.argv, command.arguments)
    unwritable: list[OSError] = []

    def task(cfg: DictConfig) -> None:
        try:
            write_composition(cfg)
        except OSError as error:  # raised below: Hydra would print about it
            unwritable.append(error)
            return
        outcome = do(cfg)
        stopped = command.process.stop.exit_code or Exit.COULD_NOT_RUN
        command.codes.append(stopped if outcome is None else outcome["exit_code"])

    with command.process.running():
        if command.arguments.flags:
            hydra.main(
                version_base=VERSION_BASE, config_path=str(builtin_dir()), config_name=CONFIG_NAME
            )(task)()
        else:
            with opened_hydra(command.arguments) as opened:
                opened.run(CONFIG_NAME, task, [*command.arguments.overrides, "hydra.mode=RUN"])
    if unwritable:
        raise unwritable[0]
    return command.codes[-1] if command.codes else Exit.DONE


def _sweep(command: Command) -> int:
    from runner.cli.sweep import run_sweep  # noqa: PLC0415 - more of Hydra than a single run needs

    try:
        return run_sweep(command.process, command.argv, command.arguments)
    except ConfigError as error:
        command.process.tell(error)
        return Exit.CONFIGURATION
    except StoppedError:
        tell("stopped before the first job: none was started")
        return command.process.stop.exit_code or Exit.COULD_NOT_RUN


def _slip_of_directory() -> str:
    """Return why Hydra cannot run in the working directory; empty if it can."""
    here = str(Path.cwd())
    try:
        OmegaConf.create({"cwd": here})
    except OmegaConfBaseException:
        return f"the working directory {here} has a '${{' without a setting's name: rename it"
    return ""


def _moved(command: Command, why: str) -> Command:
    """Return a command that writes its files to a directory of its own: the data shall land."""
    directory = tempfile.mkdtemp(prefix="runner-")
    tell(command.process.redact(f"warning: {why}; log and files of this run go to {directory}"))
    places = (f"hydra.run.dir={quoted(directory)}", f"hydra.sweep.dir={quoted(directory)}")
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
