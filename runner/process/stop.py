"""Two-stage stop: the first signal asks, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from runner.core.errors import StoppedError


def elapsed_s() -> float:
    """Return seconds of a clock that goes on while the machine sleeps, and never jumps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OF_TERMINALS = (signal.SIGINT, signal.SIGHUP)
"""Sent to all processes of a terminal: by Ctrl-C, and when it closes."""


class StopFlag:
    """Says whether a stop was asked for, and wakes everyone who sleeps.

    A process has one flag for its signals; every job has a flag under it (`StopFlag(parent)`),
    which stops with the process or, by `halt`, alone.

    Attributes:
        signum: the signal that asked for the stop, None while nobody did.
    """

    def __init__(self, parent: StopFlag | None = None) -> None:
        self._event = threading.Event()
        self._children: list[StopFlag] = []
        self.signum: int | None = None
        if parent is not None:
            parent._adopt(self)  # noqa: SLF001 - of the same class

    def _adopt(self, child: StopFlag) -> None:
        self._children.append(child)
        if self.signum is not None:
            child.ask(self.signum)

    def ask(self, signum: int = signal.SIGTERM) -> None:
        """Ask for a stop; the first asker's signal is remembered."""
        if self.signum is None:
            self.signum = signum
        self._event.set()
        for child in self._children:
            child.ask(signum)

    def halt(self) -> None:
        """Stop this flag's job without a signal: it cannot go on."""
        self._event.set()

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def sleep(self, seconds: float) -> None:
        """Sleep, unless and until a stop is asked for.

        Raises:
            StoppedError: a stop was asked for, before or while sleeping.
        """
        if self._event.wait(max(0.0, seconds)):
            raise StoppedError

    def check(self) -> None:
        """Raise StoppedError if a stop was asked for."""
        if self._event.is_set():
            raise StoppedError

    @property
    def exit_code(self) -> int | None:
        """128 + signal number after a stop (129 SIGHUP, 130 SIGINT, 143 SIGTERM), or None."""
        return None if self.signum is None else 128 + self.signum


def _say(text: str) -> None:
    """Write to the terminal from a signal handler, where locks may be held."""
    with suppress(OSError):  # the terminal hung up
        if sys.stderr.isatty():
            os.write(2, text.encode())


@contextmanager
def stop_on_signals(flag: StopFlag) -> Iterator[StopFlag]:
    """Let SIGINT, SIGTERM and SIGHUP ask for a stop; a second signal ends the process at once.

    Installed explicitly because a shell that starts us in the background leaves SIGINT ignored.
    An ignored SIGHUP stays ignored: that is what nohup is for. A second SIGHUP ends nothing: a
    terminal that closes sends one, and so does its shell.
    Does nothing outside the main thread, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(signum: int, _frame: FrameType | None) -> None:
        if flag.asked:
            if signum == signal.SIGHUP:
                return
            _say("\x1b[?25h")  # a progress bar hid the cursor
            os._exit(128 + signum)  # what is stored is stored; the rest is fetched again
        _say("\nStopping: what is in hand is finished and saved. Once more ends at once.\n")
        flag.ask(signum)

    before = {
        signum: signal.signal(signum, handle)
        for signum in SIGNALS
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN
    }
    try:
        yield flag
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
