"""Files that are whole under their name, or not there."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_KERNEL = "airq-kernel-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new name beside `path` to write to; it becomes `path` if the block ends well.

    Whoever is killed in the block leaves the earlier file under the name, or none.

    Raises:
        OSError: the file cannot be renamed.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield fresh
        fresh.replace(path)
    except BaseException as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(fresh):
            error.filename = str(path)  # the name that a message can use
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file, with exactly one line feed at its end.

    Raises:
        OSError: the disk refuses.
    """
    with replacing(path) as fresh:
        fresh.write_text(
            text.rstrip("\n") + "\n", encoding="utf-8", errors="backslashreplace", newline="\n"
        )


@contextmanager
def own_directory() -> Iterator[Path]:
    """Yield a temporary directory for a kernel; first remove those of processes that were killed.

    A directory is in use while its lock is held, and the kernel of the system releases the lock of
    a process whatever ended it.
    """
    parent = Path(tempfile.gettempdir())
    with suppress(OSError):
        _sweep(parent)
    place, lock = _locked_directory(parent)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_directory(parent: Path) -> tuple[Path, int | None]:
    while True:
        place = Path(tempfile.mkdtemp(prefix=_KERNEL, dir=parent))
        try:
            lock = _lock(place)
        except FileNotFoundError:
            continue  # another process took it for a leftover before it was locked
        except OSError:  # a filesystem without locks: nobody sweeps it
            return place, None
        if lock is not None and place.exists():
            return place, lock


def _lock(place: Path) -> int | None:
    """Return a descriptor that holds the lock of a directory, None if another process does."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(parent: Path) -> None:
    with os.scandir(parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(_KERNEL)]
    for name in names:
        place = parent / name
        with suppress(OSError):
            if place.lstat().st_uid != os.geteuid():
                continue
            lock = _lock(place)
            if lock is not None:
                shutil.rmtree(place, ignore_errors=True)
                os.close(lock)
