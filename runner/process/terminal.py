"""Standard output and standard error that may break without ending the run."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STREAMS = {"stdout": 1, "stderr": 2}


class _Lenient(io.FileIO):
    """Write to a descriptor until it fails once; from then on, drop what is written."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if self._failed:
            return size
        try:
            while (written := super().write(data)) is None:
                # The descriptor is non-blocking and its reader is slow.
                select.select([], [self], [])
        except OSError:  # closed, full, a pipe without a reader, a terminal that hung up
            self._failed = True
            return size
        return written


def keep_standard_streams() -> None:
    """Replace the standard streams of this process by ones that never raise.

    Everything that prints (we, rich, structlog, Hydra, the interpreter's flush at exit) goes
    through `sys.stdout` and `sys.stderr`, so this is the only place that has to care.
    """
    for descriptor in range(3):
        _occupy(descriptor)
    for name, descriptor in _STREAMS.items():
        stream = getattr(sys, name)
        if stream is None:  # it was closed before Python started
            setattr(sys, name, _stream(os.open(os.devnull, os.O_WRONLY), "utf-8"))
        elif isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor:
            stream.flush()
            fresh = _stream(descriptor, stream.encoding)
            fresh.reconfigure(
                line_buffering=stream.line_buffering, write_through=stream.write_through
            )
            setattr(sys, name, fresh)


def _occupy(descriptor: int) -> None:
    """Open the null device where a descriptor is closed.

    A file or socket opened later would get its number, and everything printed with it.
    """
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        os.set_inheritable(null, True)  # noqa: FBT003 - its form


def _stream(descriptor: int, encoding: str) -> io.TextIOWrapper:
    # Names of stations come in any script, whatever the terminal can show.
    return io.TextIOWrapper(
        io.BufferedWriter(_Lenient(descriptor)), encoding=encoding, errors="replace"
    )
