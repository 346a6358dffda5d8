"""structlog: JSON lines in the run directory, human ones on the console, secrets masked in both."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import structlog

from runner.core.text import harmless
from runner.process.secrets import masked

LOG_NAME = "backfill.log"
_QUIET_ON_CONSOLE = (
    *("window.", "request.", "station.started", "station.completed", "station.leased"),
    *("job.refused",),
    *("notebook.", "tile."),
)
"""Events that the progress display and the summary tell better; they are in the file."""

_CHATTY_LIBRARIES = ("urllib3", "pymongo", "hydra", "asyncio", "papermill")
"""Held at INFO even when we log DEBUG: at DEBUG urllib3 writes whole URLs, key included."""

Event = MutableMapping[str, Any]
Redact = Callable[[str], str]


class _Console(logging.StreamHandler[TextIO]):
    """Writes to whatever sys.stderr is now: the progress display replaces it while it is up."""

    def __init__(self, level: int) -> None:
        logging.Handler.__init__(self, level)
        self._all = level <= logging.DEBUG

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _value: TextIO) -> None:
        """Ignored: the stream is looked up for every line."""

    def filter(self, record: logging.LogRecord) -> bool:
        event = str(record.msg.get("event", "")) if isinstance(record.msg, dict) else ""
        if event == "run.progress" and hasattr(sys.stderr, "rich_proxied_file"):
            return False  # a live line shows it
        quiet = event.startswith(_QUIET_ON_CONSOLE) and record.levelno < logging.WARNING
        return self._all or not quiet


class _File(logging.FileHandler):
    """Keeps the run going when the log cannot be written, and says so once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # it cannot be opened
            self.handleError(record)

    def close(self) -> None:
        with suppress(OSError):  # what the disk refused it refuses again; it was said
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's form
        if not self._failed:
            self._failed = True
            reason = sys.exc_info()[1]
            print(f"warning: {self.baseFilename} cannot be written: {reason}", file=sys.stderr)  # noqa: T201 - the log is what failed


@contextmanager
def logging_to(
    run_dir: Path | None, level: str, run_id: str, redact: Redact, *, as_json: bool = False
) -> Iterator[None]:
    """Log to the console and to `backfill.log` in the run directory, until the block ends.

    Args:
        run_dir: where the file goes; None for the console only.
        level: DEBUG, INFO, WARNING or ERROR.
        run_id: stands in every line.
        redact: takes known secrets out of every string.
        as_json: whether the console gets JSON lines, too.
    """
    threshold = logging.getLevelNamesMapping()[level]
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _stamp(run_id),
    ]
    mask = _masked(redact)
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    json = structlog.processors.JSONRenderer(
        ensure_ascii=False, default=lambda value: redact(str(value))
    )
    as_lines: list[structlog.typing.Processor] = [tracebacks, mask, json]
    renderers: list[tuple[logging.Handler, list[structlog.typing.Processor]]] = [
        (_Console(threshold), as_lines if as_json else _human()),
    ]
    if run_dir is not None:
        renderers.append((_File(run_dir / LOG_NAME), as_lines))
    root = logging.getLogger()
    before = (root.handlers[:], root.level, [logging.getLogger(n).level for n in _CHATTY_LIBRARIES])
    for handler, last in renderers:
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    mask,
                    *last,
                ],
            )
        )
    root.handlers = [handler for handler, _last in renderers]
    root.setLevel(threshold)
    for name in _CHATTY_LIBRARIES:
        logging.getLogger(name).setLevel(max(threshold, logging.INFO))
    logging.getLogger("hydra").setLevel(max(threshold, logging.WARNING))
    logging.getLogger("papermill").setLevel(
        logging.CRITICAL
    )  # runner/quality/report/ says it in its words
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        for handler, _last in renderers:
            handler.close()
        root.handlers, level_before, library_levels = before[0], before[1], before[2]
        root.setLevel(level_before)
        for name, library_level in zip(_CHATTY_LIBRARIES, library_levels, strict=True):
            logging.getLogger(name).setLevel(library_level)
        structlog.reset_defaults()


def _human() -> list[structlog.typing.Processor]:
    """Render a line for a person: time of day in UTC, no run id, no traceback (the file has it)."""

    def shorten(_logger: Any, _method: str, event: Event) -> Event:
        event.pop("run_id", None)
        event["timestamp"] = event["timestamp"][11:19]
        error = event.pop("exc_info", None)
        if error is True:
            error = sys.exc_info()[1]
        elif isinstance(error, tuple):
            error = error[1]
        if isinstance(error, BaseException):
            event["error"] = type(error).__name__
        return event

    def disarm(_logger: Any, _method: str, event: Event) -> Event:
        return {k: harmless(v) if isinstance(v, str) else v for k, v in event.items()}

    return [
        shorten,
        disarm,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, sort_keys=False),
    ]


def _stamp(run_id: str) -> structlog.typing.Processor:
    def stamp(_logger: Any, _method: str, event: Event) -> Event:
        event["run_id"] = run_id
        return event

    return stamp


def _masked(redact: Redact) -> structlog.typing.Processor:
    def clean(value: Any) -> Any:
        plain = value is None or isinstance(value, bool | int | float | str | dict | list | tuple)
        return masked(value if plain else str(value), redact)

    def mask(_logger: Any, _method: str, event: Event) -> Event:
        for key, value in event.items():
            if key != "exc_info":
                event[key] = clean(value)
        return event

    return mask
