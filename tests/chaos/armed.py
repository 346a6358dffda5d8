"""The product with failpoints armed: `python -m tests.chaos.armed` for `python -m runner`.

The product has no failpoints of its own: there is nothing in it to arm by mistake. This module
wraps functions of the product in its own process, then runs it as always. Which, says the
environment:

    CHAOS_KILL=after:runner.store.readings:Readings.upsert:3    SIGKILL to itself after the third
    CHAOS_CLOCK=runner.store.checkpoints:Checkpoints.advance:5:-86400    then the clock is set back
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self

_real_time = time.time
_jumped = {"s": 0.0}


def _on_call(place: str, number: int, what: Callable[[], None], *, before: bool) -> None:
    """Do something before or after the n-th call of `module:Class.method`."""
    module_name, _, path = place.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    calls = itertools.count(1)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        mine = next(calls) == number
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
    if clock := environment.get("CHAOS_CLOCK"):
        module, path, number, seconds = clock.split(":")
        importlib.import_module("runner.jobs")
        _replace_clock()
        _on_call(f"{module}:{path}", int(number), lambda: _set_clock(float(seconds)), before=False)


if __name__ == "__main__":
    arm(dict(os.environ))
    from runner.cli import script

    script()
