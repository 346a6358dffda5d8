"""Ends the embedded mongod when nobody uses it any more: the supervisor, a process of its own.

`runner.store.embedded` starts this file by its path, on the standard library alone. Three lock
files in the data directory say everything there is to agree on; the kernel releases them when
their holder ends, whatever ended it:

    start.lock   exclusive: whoever starts or stops the server, for as long as that takes
    users.lock   shared: every process that uses the server, while it does
    server.lock  exclusive: the supervisor, and mongod, which inherits it; free means both are gone

Nobody waits for a lock while holding a later one of this list, so nobody waits in a circle.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

STATE_NAME = "server.json"
"""The file that says where the server is; written once it answers."""

NEVER_ANSWERED = "first_start"
"""Made before mongod makes its first files, and removed once it has answered."""

START_LOCK = "start.lock"
USERS_LOCK = "users.lock"
SERVER_LOCK = "server.lock"

_START_TICK_S = 0.05
_TICK_S = 0.2
"""Seconds between two looks at mongod and its users."""
_STOP_LIMIT_S = 30
"""Seconds given to mongod to stop cleanly, before it is killed."""
_ANSWER_LIMIT_S = 1.0
_PR_SET_PDEATHSIG = 1


def try_lock(path: Path, mode: int = fcntl.LOCK_EX) -> int | None:
    """Return a descriptor that holds the lock, not inherited by children; None if it is taken.

    Raises:
        OSError: the file cannot be opened, or its filesystem has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def answers(path: Path) -> bool:
    """Return whether a server listens at the socket; mongod does so once it is ready for work."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_LIMIT_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def remove_socket(path: Path) -> None:
    """Remove a socket and the directory made for it, as far as they exist."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


class Supervisor:
    """Runs mongod until its last user has left, or somebody asks for an end.

    A mongod or supervisor that ends sooner is started again by one of its users, see
    `runner.store.embedded`.

    Args:
        data_dir: the directory with the lock files and the data.
        state: what to write into server.json, once mongod answers.
        socket_path: where mongod listens.
        server_lock: the descriptor that holds server.lock; mongod inherits it.
        command: mongod and its arguments.
    """

    def __init__(
        self, data_dir: Path, state: str, socket_path: Path, server_lock: int, command: list[str]
    ) -> None:
        self._data_dir = data_dir
        self._state = state
        self._socket_path = socket_path
        self._server_lock = server_lock
        self._command = command
        self._end_asked = False

    def ask_end(self) -> None:
        """Stop mongod at the next look, used or not."""
        self._end_asked = True

    def run(self) -> None:
        """Run mongod to its end."""
        mongod = self._start()
        answered = False
        while mongod.poll() is None:
            if self._end_asked or self._unused():
                _stop(mongod)
                break
            if not answered and answers(self._socket_path):
                answered = True
                self._write_state()
            if answered and not self._socket_path.exists():
                _stop(mongod)  # nobody can reach it any more; started anew it makes a socket
            time.sleep(_TICK_S if answered else _START_TICK_S)
        remove_socket(self._socket_path)

    def _start(self) -> subprocess.Popen[bytes]:
        parent = self._socket_path.parent
        with suppress(FileExistsError):
            parent.mkdir(mode=0o700)  # somebody may have tidied it away
        if parent.lstat().st_uid != os.geteuid():
            raise PermissionError(f"{parent} is not ours")
        return subprocess.Popen(  # noqa: S603 - our own command line
            self._command,
            stdin=subprocess.DEVNULL,
            pass_fds=(self._server_lock,),
            preexec_fn=_end_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
        )

    def _write_state(self) -> None:
        (self._data_dir / NEVER_ANSWERED).unlink(
            missing_ok=True
        )  # now somebody may store something
        new = self._data_dir / f"{STATE_NAME}.new"
        new.write_text(self._state, encoding="utf-8")
        new.replace(self._data_dir / STATE_NAME)

    def _unused(self) -> bool:
        """Return whether nobody uses the server or is about to.

        If so, start.lock stays ours to the end of the process: who comes now waits for the end,
        and starts anew.
        """
        try:
            start = try_lock(self._data_dir / START_LOCK)
            if start is None:
                return False
            users = try_lock(self._data_dir / USERS_LOCK)
        except FileNotFoundError:
            return True  # the data directory was removed
        if users is None:
            os.close(start)
            return False
        os.close(users)
        return True


def _stop(mongod: subprocess.Popen[bytes]) -> None:
    mongod.terminate()
    try:
        mongod.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        mongod.kill()  # its journal holds every write it acknowledged
        mongod.wait()


def _end_with(parent: int) -> Callable[[], None]:
    """Return what a child runs first, so that the kernel kills it when the parent ends."""
    libc = ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before the tie

    return tie


def main(arguments: list[str]) -> None:
    """Supervise: arguments as of `Supervisor`."""
    data_dir, state, socket_path, server_lock, *command = arguments
    if os.fork():
        os._exit(0)  # the supervisor is nobody's child: nobody has to wait for it
    os.umask(0o077)
    supervisor = Supervisor(Path(data_dir), state, Path(socket_path), int(server_lock), command)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda _signum, _frame: supervisor.ask_end())
    supervisor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
