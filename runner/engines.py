"""What joblib and Ray are told before a sweep begins, and how they are put away after it."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import resource_tracker
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from runner.shutdown import OF_TERMINALS

_QUIET_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
"""Nobody is told that Ray is used; and every line of every job is shown, alike or not."""


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
        _fit_joblib(launcher, jobs)
    elif "ray" in launcher:
        _start_ray(launcher)


def put_away() -> None:
    """End what the engines keep running for the next time, as far as they were used."""
    if "joblib" in sys.modules:
        from joblib.externals.loky import get_reusable_executor  # noqa: PLC0415 - an extra

        get_reusable_executor().shutdown(wait=True)
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415 - an extra

        ray.shutdown()


def _fit_joblib(launcher: DictConfig, jobs: int) -> None:
    """Let it start no worker without a job, and give a worker one job at a time.

    Python's resource tracker lets SIGINT in again when it starts, in the thread that is to hand the
    blocked signals on to the workers; so it is started before them.
    """
    from joblib import cpu_count  # noqa: PLC0415 - an extra

    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, OF_TERMINALS)
    workers = int(launcher.n_jobs)
    workers = workers if workers > 0 else max(1, cpu_count() + 1 + workers)
    with read_write(launcher), open_dict(launcher):
        launcher.n_jobs = min(workers, jobs)
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
