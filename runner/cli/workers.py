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
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from runner.process.files import write_text
from runner.process.stop import OF_TERMINALS, StopFlag, stop_on_signals

_QUIET_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
"""Ray reports no use of itself, and shows every line of every job, alike or not."""


def prepare(config: DictConfig, jobs: int) -> None:
    """Fit the engine behind a launcher to a sweep.

    Args:
        config: of the sweep; changed.
        jobs: how many there are to start.

    Raises:
        ConnectionError: there is no Ray cluster at the address.
    """
    launcher = config.hydra.launcher
    if "n_jobs" in launcher:
        _fit_joblib(launcher, count(config, jobs))
    elif "ray" in launcher:
        _start_ray(launcher)


def count(config: DictConfig, jobs: int) -> int:
    """Return how many workers a sweep has: 1 if its jobs run one after the other.

    Args:
        config: of the sweep.
        jobs: number of its jobs.
    """
    launcher = config.hydra.launcher
    if "n_jobs" in launcher:
        from joblib import cpu_count  # noqa: PLC0415 - an extra

        workers = int(launcher.n_jobs)
        return min(workers if workers > 0 else max(1, cpu_count() + 1 + workers), jobs)
    return 0 if "ray" in launcher else 1


def put_away() -> None:
    """End what the engines keep running for the next time, as far as they were used."""
    if "joblib" in sys.modules:
        from joblib.externals.loky import get_reusable_executor  # noqa: PLC0415 - an extra

        get_reusable_executor().shutdown(wait=True)
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415 - an extra

        ray.shutdown()


def _fit_joblib(launcher: DictConfig, workers: int) -> None:
    """Let it start no worker without a job, and give a worker one job at a time.

    Python's resource tracker lets SIGINT in again when it starts, in the thread that is to hand the
    blocked signals on to the workers; so it is started before them.
    """
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, OF_TERMINALS)
    with read_write(launcher), open_dict(launcher):
        launcher.n_jobs = workers
        launcher.batch_size = "1"


def _start_ray(launcher: DictConfig) -> None:
    """Connect to a cluster, or start one here.

    The plugin would do so with a size of the object store, which Ray refuses for a cluster that is
    there already, and with a dashboard that listens on a port.
    """
    for name, value in _QUIET_RAY.items():
        os.environ.setdefault(name, value)
    import ray  # noqa: PLC0415 - an extra, and heavy

    settings = cast("dict[str, Any]", OmegaConf.to_container(launcher.ray.init, resolve=True))
    if settings.get("address") is None and "RAY_ADDRESS" not in os.environ:
        settings["include_dashboard"] = False
    if not ray.is_initialized():
        ray.init(**settings, logging_level="ERROR")


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
    is_announced = False
    while thread.is_alive():
        thread.join(_LOOK_S)
        if stop.asked and not is_announced:
            with suppress(OSError):  # they get the signal of the terminal, or end by themselves
                write_text(stop_file, str(stop.signum))
            is_announced = True
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
