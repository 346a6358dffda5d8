"""The process: from a command line to an exit code, with every error in a few plain lines.

Exit codes: 0 done, 1 could not run, 2 configuration or usage (nothing attempted), 3 quality gate,
4 incomplete and resumable, 130/143/129 stopped by SIGINT/SIGTERM/SIGHUP and resumable. A sweep
(`-m`) exits with its worst. Output that cannot be written changes none of them.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from runner import __version__
from runner.cli.arguments import Arguments, parse
from runner.cli.help import flags_page, help_page
from runner.config.files import check_private
from runner.core.errors import ConfigError, Exit
from runner.process.shared import LOG_FORMAT, OWNER_ONLY, Process, tell
from runner.process.stop import SIGNALS, StopFlag, stop_on_signals
from runner.process.terminal import keep_standard_streams
from runner.sources import key_names

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's own 700 make it walk a plan of 12,000 stations again and again: a fifth of the time."""


def script() -> None:
    """Run as the console script `runner`, or as `python -m runner`."""
    keep_standard_streams()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    code = main()
    for signum in SIGNALS:  # it ends by itself, with the code it promised
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
        process = Process.here(stop, key_names)
    except (OSError, ValueError) as error:
        tell(f".env cannot be read: {error}")
        return Exit.CONFIGURATION
    try:
        _check_log_format(process.environment.get(LOG_FORMAT))
        arguments = parse(argv, process.environment)
        if arguments.private_dir:
            check_private(arguments.private_dir)
    except ConfigError as error:
        process.tell(error)
        return Exit.CONFIGURATION
    if arguments.wants in ("help", "hydra-help", "version", "schema"):
        sys.stdout.write(_shown(arguments) + "\n")
        return Exit.DONE
    from runner.cli.command import Command, compose_and_run  # noqa: PLC0415 - brings Hydra

    return compose_and_run(Command(argv, arguments, process))


def _commit() -> str:
    """Return the commit of a checkout, as ` (commit 3f2a1bc)`; empty for an installed wheel."""
    place = Path(__file__).resolve().parents[2]
    if not (place / ".git").exists():
        return ""
    ask = ["git", "-C", str(place), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        said = subprocess.run(ask, check=True, capture_output=True, text=True, timeout=5)  # noqa: S603 - our own words
    except (OSError, subprocess.SubprocessError):  # no git, or not our repository
        return ""
    return f" (commit {said.stdout.strip()})"


def _check_log_format(chosen: str) -> None:
    if chosen not in ("", "console", "json"):
        raise ConfigError(f"{LOG_FORMAT}={chosen}: allowed are console and json")


def _shown(arguments: Arguments) -> str:
    """Return what a flag asks for instead of a run."""
    if arguments.wants == "version":
        return f"runner {__version__}{_commit()}"
    if arguments.wants == "schema":
        from runner.cli.schema import schema_text  # noqa: PLC0415 - brings pydantic

        return schema_text(arguments.schema).rstrip()
    if arguments.wants == "hydra-help":
        return flags_page()
    return help_page(arguments.directories)
