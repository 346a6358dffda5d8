"""The product, watched: `python -m tests.robustness.guards.watched` for `python -m runner`.

At its end it leaves a JSON file where WATCH_FILE says: the modules that were imported, and with
WATCH_WORK set also every command sent to MongoDB, how often every answer of the API was parsed, and
how often Hydra composed the settings. To count them it imports pymongo and Hydra: the
modules then say nothing.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_commands: Counter[str] = Counter()
_parsed: Counter[str] = Counter()
_composed: list[int] = []


def _watch_commands() -> None:
    from pymongo import monitoring

    class Listener(monitoring.CommandListener):
        """One command is one round trip: pymongo tells of it when it is sent."""

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            name = event.command_name
            place = event.command["collection" if name == "getMore" else name]
            _commands[f"{name} {place}" if isinstance(place, str) else name] += 1

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            """Counted when it was sent."""

        def failed(self, event: monitoring.CommandFailedEvent) -> None:
            """Counted when it was sent."""

    monitoring.register(Listener())


def _watch_parsing() -> None:
    def counted(loads: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(text: Any, *args: Any, **kwargs: Any) -> Any:
            raw = text if isinstance(text, bytes) else str(text).encode()
            if b"current_aqi" in raw:  # an answer of the API
                _parsed[hashlib.sha256(raw).hexdigest()] += 1
            return loads(text, *args, **kwargs)

        return wrapped

    json.loads = counted(json.loads)


def _watch_composing() -> None:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    original = ConfigLoaderImpl.load_configuration

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _composed.append(1)
        return original(*args, **kwargs)

    setattr(ConfigLoaderImpl, "load_configuration", wrapped)  # noqa: B010 - mypy allows no method


def _leave(path: Path, before: frozenset[str]) -> None:
    modules = sorted(set(sys.modules) - before)
    said = {
        "modules": modules,
        "commands": _commands,
        "parsed": sorted(_parsed.values()),
        "composed": len(_composed),
    }
    path.write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    atexit.register(_leave, Path(os.environ["WATCH_FILE"]), frozenset(sys.modules))
    if os.environ.get("WATCH_WORK"):
        _watch_commands()
        _watch_parsing()
        _watch_composing()
    from runner.cli.main import script

    script()
