"""How a sweep and its worker processes keep in touch, whatever launcher started the workers.

A signal reaches the sweep, which makes a file in its directory; the workers look for it, finish the
windows in hand and save. Ctrl-C goes to all processes of a terminal, and so does its hang-up: a
worker without a job would die of it, and joblib then kills the others. So workers are started from
a thread in which both signals are blocked, which they inherit, and let them in only while they have
a job. A worker whose sweep was
killed stops as by SIGTERM, and ends.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from runner.files import write_text
from runner.shutdown import OF_TERMINALS, StopFlag, stop_on_signals

Result = TypeVar("Result")

_LOOK_S = 0.1
"""How often both sides look, and the main thread wakes, so that Python can run signal handlers."""


def launch_apart(launch: Callable[[], Result], stop: StopFlag, stop_file: Path) -> Result:
    """Start workers in a thread of its own, and pass a stop on to them.

    Args:
        launch: starts workers and waits for them.
        stop: of this process.
        stop_file: what the workers look for; removed at the end.

    Raises:
        Exception: what `launch` raises.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, OF_TERMINALS)
        try:
            results.append(launch())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, name="launcher", daemon=True)
    thread.start()
    told = False
    while thread.is_alive():
        thread.join(_LOOK_S)
        if stop.asked and not told:
            with suppress(OSError):  # they get the signal of the terminal, or end by themselves
                write_text(stop_file, str(stop.signum))
            told = True
    stop_file.unlink(missing_ok=True)
    if errors:
        raise errors[0]
    return results[0]


class _Watch:
    """Looks after a worker process: one for its life, since launchers use workers again."""

    def __init__(self, parent: int) -> None:
        self._parent = parent if os.getppid() == parent else 0
        self.stop: StopFlag | None = None
        self.stop_file: Path | None = None
        threading.Thread(target=self._look, name="sweep", daemon=True).start()

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            orphaned = self._parent and os.getppid() != self._parent
            stop, stop_file = self.stop, self.stop_file
            if stop is None:
                if orphaned:
                    os._exit(128 + signal.SIGTERM)  # nobody will ever give it a job
            elif orphaned:
                stop.ask(signal.SIGTERM)
            elif stop_file is not None:
                with suppress(OSError, ValueError):
                    stop.ask(int(stop_file.read_text(encoding="ascii") or signal.SIGTERM))


_watches: list[_Watch] = []


@contextmanager
def worker_stop(parent: int, stop_file: Path | None) -> Iterator[StopFlag]:
    """Yield the stop flag of a job in a worker: asked by a signal, the sweep, or its end.

    Args:
        parent: process id of the sweep.
        stop_file: see `launch_apart`.
    """
    if not _watches:
        _watches.append(_Watch(parent))
    watch = _watches[0]
    with stop_on_signals(StopFlag()) as stop:
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)
        watch.stop_file, watch.stop = stop_file, stop
        if stop_file is not None and stop_file.exists():
            stop.ask(int(stop_file.read_text(encoding="ascii") or signal.SIGTERM))
        try:
            yield stop
        finally:
            watch.stop = None
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
