"""Ends the embedded mongod when nobody uses it any more: the guardian, a process of its own.

`runner.store.embedded` starts this file by its path, on the standard library alone, and explains
the two locks.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_TICK_S = 0.2
"""Seconds between two looks at mongod and its users."""
_STOP_LIMIT_S = 30
"""Seconds given to mongod to stop cleanly, before it is killed."""
_PR_SET_PDEATHSIG = 1


def guard(users_lock: Path, server_lock: int, socket_path: Path, command: list[str]) -> None:
    """Run mongod until its last user has left, or until SIGTERM.

    Args:
        users_lock: the file that users hold locked.
        server_lock: the descriptor that holds server.lock; mongod inherits it.
        socket_path: where mongod listens.
        command: mongod and its arguments.
    """
    users = os.open(users_lock, os.O_RDWR | os.O_NOFOLLOW)
    mongod = subprocess.Popen(  # noqa: S603 - our own command line
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=(server_lock,),
        preexec_fn=_end_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
    )
    try:
        while mongod.poll() is None and not _is_unused(users):
            time.sleep(_TICK_S)
    finally:
        mongod.terminate()
        try:
            mongod.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            mongod.kill()  # its journal holds every write it acknowledged
            mongod.wait()
        remove_socket(socket_path)


def _is_unused(users: int) -> bool:
    """Return whether nobody uses the server; if so, who comes now waits for our end."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove_socket(path: Path) -> None:
    """Remove a socket and the directory made for it, as far as they exist."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def _end_with(parent: int) -> Callable[[], None]:
    """Return what a child runs first, so that the kernel kills it when the parent ends."""
    libc = ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before the tie

    return tie


def main(arguments: list[str]) -> None:
    """Guard in the background: arguments as of `guard`."""
    users_lock, server_lock, socket_path, *command = arguments
    if os.fork():
        os._exit(0)  # the guardian is nobody's child: nobody has to wait for it
    os.umask(0o077)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda _signum, _frame: sys.exit())
    guard(Path(users_lock), int(server_lock), Path(socket_path), command)


if __name__ == "__main__":
    main(sys.argv[1:])
