"""The product with failpoints armed: `python -m tests.robustness.chaos.armed` runs the runner.

The product has no failpoints of its own: there is nothing in it to arm by mistake. This module
wraps functions of the product in its own process, then runs it as always. Which, says the
environment:

    CHAOS_KILL=after:runner.store.readings:Readings.upsert:3    SIGKILL to itself after the third
    CHAOS_CLOCK=runner.store.checkpoints:Checkpoints.advance:5:-86400    then the clock is set back
    CHAOS_STOP=send:3    SIGSTOP to itself before the third write of readings; see `_MOMENTS`
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self

_READINGS = "waqi_station_readings"
_DRIVER = "pymongo.synchronous.collection:Collection"
_MOMENTS = {
    "look": ("find_raw_batches", "find"),
    "send": ("insert_many", "insert_one", "bulk_write", "update_one", "update_many", "delete_many"),
}
"""Methods of pymongo by which the product looks at the readings, and by which it changes them."""

_real_time = time.time
_jumped = {"s": 0.0}


def _on_call(
    place: str,
    number: int,
    what: Callable[[], None],
    *,
    before: bool,
    calls: Iterator[int] | None = None,
    collection: str = "",
) -> None:
    """Do something before or after the n-th call of `module:Class.method`.

    Args:
        place: the method.
        number: n.
        what: is done.
        before: whether before the call or after it.
        calls: counts the calls; several places may share one.
        collection: count only the calls of pymongo's collection with this name.
    """
    module_name, _, path = place.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    counted = itertools.count(1) if calls is None else calls

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        mine = (not collection or args[0].name == collection) and next(counted) == number
        if mine and before:
            what()
        result = original(*args, **kwargs)
        if mine and not before:
            what()
        return result

    setattr(owner, name, wrapped)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way


def _suspend() -> None:
    # To this thread: a signal to the process lets it run on until another thread takes it.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Real)


_Real = datetime


class _Jumping(datetime, metaclass=_AnyDatetime):
    """The clock of a machine that somebody sets."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return the time of the clock as set."""
        moment = _Real.fromtimestamp(_real_time(), UTC) + timedelta(seconds=_jumped["s"])
        return moment.astimezone(tz)  # type: ignore[return-value]


def _set_clock(seconds: float) -> None:
    _jumped["s"] = seconds


def _replace_clock() -> None:
    time.time = lambda: _real_time() + _jumped["s"]
    for name, module in list(sys.modules.items()):
        if name.startswith("runner") and getattr(module, "datetime", None) is _Real:
            module.datetime = _Jumping  # type: ignore[attr-defined]


def arm(environment: dict[str, str]) -> None:
    """Arm what the environment says."""
    if kill := environment.get("CHAOS_KILL"):
        when, module, path, number = kill.split(":")
        _on_call(f"{module}:{path}", int(number), _die, before=when == "before")
    if stop := environment.get("CHAOS_STOP"):
        moment, number = stop.split(":")
        calls = itertools.count(1)
        if moment == "checkpoint":
            _on_call(
                "runner.store.checkpoints:Checkpoints.advance", int(number), _suspend, before=True
            )
        for method in _MOMENTS.get(moment, ()):
            _on_call(
                f"{_DRIVER}.{method}",
                int(number),
                _suspend,
                before=True,
                calls=calls,
                collection=_READINGS,
            )
    if clock := environment.get("CHAOS_CLOCK"):
        module, path, number, seconds = clock.split(":")
        importlib.import_module("runner.jobs.registry")
        _replace_clock()
        _on_call(f"{module}:{path}", int(number), lambda: _set_clock(float(seconds)), before=False)


if __name__ == "__main__":
    arm(dict(os.environ))
    from runner.cli.main import script

    script()
