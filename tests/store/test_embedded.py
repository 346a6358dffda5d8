"""The embedded server with real processes, killed in every way that a process can be."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pymongo import MongoClient

from runner.core.errors import ConfigError, StoreUnavailableError
from runner.store import embedded as module
from runner.store.embedded import (
    LOG_NAME,
    NEVER_ANSWERED,
    SERVER_LOCK,
    USERS_LOCK,
    embedded,
    find_mongod,
    try_lock,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60

USER = """
import subprocess, sys
from pathlib import Path
from pymongo import MongoClient
from runner.store.embedded import embedded

with embedded(Path(sys.argv[1])) as uri, MongoClient(uri) as client:
    if "--with-child" in sys.argv:
        subprocess.Popen(["sleep", "120"])
    client.test.hours.insert_one({"by": "a user"})
    print("mongod", client.admin.command("serverStatus")["pid"], flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the embedded server until told to leave, or killed."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def mongod(self) -> int:
        """Return the process id of the mongod in use, once it is."""
        assert self.process.stdout
        said = (line.split() for line in self.process.stdout)
        return next(int(words[1]) for words in said if words[0] == "mongod")

    def leave(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def close(self) -> None:
        with self.process:
            self.process.kill()


Start = Callable[..., User]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose processes must all have ended when its test has."""
    place = tmp_path / "mongodb"
    yield place
    eventually(lambda: not processes_naming(place))


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    with ExitStack() as started:

        def start(*options: str) -> User:
            user = User(data_dir, *options)
            started.callback(user.close)
            return user

        yield start


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def processes_naming(place: Path) -> list[int]:
    """Every process that has the directory in its command line: guardians and mongods."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.fsencode(place) in words and b"--dbpath" in words:
            found.append(int(entry.name))
    return found


def listening_ports(pid: int) -> set[int]:
    """The TCP ports that a process listens on, of IPv4 and IPv6."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def socket_of(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).netloc))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def client_of(uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=10_000) as client:
        yield client


# ---- shared, and stopped by the last who leaves ---------------------------------------------


def test_processes_that_start_at_once_share_one_server(start: Start) -> None:
    users = [start() for _ in range(4)]
    assert len({user.mongod() for user in users}) == 1


def test_the_server_stops_when_the_last_user_leaves_and_not_before(start: Start) -> None:
    first, second = start(), start()
    mongod = first.mongod()
    assert second.mongod() == mongod
    guardian = parent(mongod)
    first.leave()
    time.sleep(1)
    assert runs(mongod)
    second.leave()
    eventually(lambda: not runs(mongod) and not runs(guardian))


def test_one_process_may_use_it_several_times_at_once(data_dir: Path) -> None:
    with embedded(data_dir) as uri:
        with embedded(data_dir) as again:
            assert again == uri
        time.sleep(1)
        with client_of(uri) as client:
            assert client.admin.command("ping")


def test_a_user_who_comes_while_the_server_stops_is_served(start: Start) -> None:
    for _round in range(3):
        user = start()
        assert runs(user.mongod())
        user.leave()


def test_children_of_a_user_do_not_keep_the_server(start: Start) -> None:
    user = start("--with-child")
    mongod = user.mongod()
    user.leave()
    eventually(lambda: not runs(mongod))


# ---- killed ---------------------------------------------------------------------------------


def test_a_killed_user_leaves_no_orphan_and_its_data(start: Start, data_dir: Path) -> None:
    user = start()
    mongod = user.mongod()
    user.kill()
    eventually(lambda: not runs(mongod))
    with embedded(data_dir) as uri, client_of(uri) as client:
        assert client.test.hours.count_documents({"by": "a user"}) == 1


def test_others_keep_the_server_when_its_starter_is_killed(start: Start) -> None:
    starter = start()
    mongod = starter.mongod()
    other = start()
    assert other.mongod() == mongod
    starter.kill()
    time.sleep(1)
    assert start().mongod() == mongod


@pytest.mark.parametrize("after_s", [0.2, 0.5, 0.8, 1.2])
def test_a_starter_killed_while_starting_leaves_nothing_behind(
    start: Start, data_dir: Path, after_s: float
) -> None:
    starter = start()
    time.sleep(after_s)
    starter.kill()
    eventually(lambda: not processes_naming(data_dir))
    assert runs(start().mongod())


def test_what_a_mongod_left_that_never_answered_does_not_keep_the_next_from_starting(
    start: Start, data_dir: Path
) -> None:
    (data_dir / "journal").mkdir(parents=True)
    for name in ("WiredTiger", "WiredTiger.wt", "journal/WiredTigerLog.0000000001"):
        (data_dir / name).write_bytes(b"half a file")
    (data_dir / NEVER_ANSWERED).touch()
    assert runs(start().mongod())
    assert not (data_dir / NEVER_ANSWERED).exists()


def test_the_files_of_a_server_that_had_answered_are_never_removed(
    start: Start, data_dir: Path
) -> None:
    first = start()
    first.mongod()
    first.leave()
    eventually(lambda: not processes_naming(data_dir))
    (data_dir / "mine.wt").write_bytes(b"precious")
    assert runs(start().mongod())
    assert (data_dir / "mine.wt").read_bytes() == b"precious"


def test_a_killed_guardian_takes_mongod_along_and_the_next_start_works(
    start: Start, data_dir: Path
) -> None:
    user = start()
    os.kill(parent(user.mongod()), signal.SIGKILL)
    eventually(lambda: is_free(data_dir / SERVER_LOCK))
    assert runs(start().mongod())


@pytest.mark.parametrize("whose", [lambda pid: pid, parent], ids=["mongod", "guardian"])
def test_a_server_killed_in_use_is_started_by_the_next_who_comes_and_nobody_is_left(
    start: Start, data_dir: Path, whose: Callable[[int], int]
) -> None:
    with embedded(data_dir) as uri, client_of(uri) as client:
        client.test.hours.insert_one({"_id": 1})
        client.admin.command("fsync")  # as the product's writes, which are journaled
        before = client.admin.command("serverStatus")["pid"]
        os.kill(whose(before), signal.SIGKILL)
        eventually(lambda: is_free(data_dir / SERVER_LOCK))
        with embedded(data_dir) as again, client_of(again) as second:
            assert second.test.hours.count_documents({"_id": 1}) == 1
            assert start().mongod() == second.admin.command("serverStatus")["pid"]
        assert len(processes_naming(data_dir)) == 2  # a mongod and its guardian


def test_the_socket_that_a_killed_guardian_left_is_removed_by_the_next(data_dir: Path) -> None:
    with embedded(data_dir) as uri, client_of(uri) as client:
        mongod = client.admin.command("serverStatus")["pid"]
        os.kill(parent(mongod), signal.SIGKILL)
        eventually(lambda: is_free(data_dir / SERVER_LOCK))
    assert socket_of(uri).exists()
    with embedded(data_dir) as again:
        assert socket_of(again).exists()
        assert not socket_of(uri).parent.exists()
    eventually(lambda: not socket_of(again).parent.exists())


def answered(client: MongoClient[dict[str, Any]]) -> bool:
    from pymongo.errors import ConnectionFailure

    try:
        client.admin.command("ping")
    except ConnectionFailure:
        return False
    return True


def test_a_guardian_told_to_end_stops_mongod_cleanly(start: Start, data_dir: Path) -> None:
    mongod = start().mongod()
    os.kill(parent(mongod), signal.SIGTERM)
    eventually(lambda: not runs(mongod))
    assert '"exitCode":0' in (data_dir / LOG_NAME).read_text()


# ---- private --------------------------------------------------------------------------------


def test_nothing_listens_on_tcp_and_only_we_can_enter(data_dir: Path) -> None:
    with embedded(data_dir) as uri, client_of(uri) as client:
        assert not listening_ports(client.admin.command("serverStatus")["pid"])
        path = socket_of(uri)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {found.name for found in path.parent.iterdir()} == {path.name}
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        for found in data_dir.rglob("*"):
            assert not stat.S_IMODE(found.stat().st_mode) & 0o077, found
    eventually(lambda: not path.parent.exists())


def test_a_port_is_opened_on_loopback_only_when_asked_for(data_dir: Path) -> None:
    port = free_port()
    with embedded(data_dir, port=port) as uri, client_of(uri) as client:
        assert listening_ports(client.admin.command("serverStatus")["pid"]) == {port}
        with client_of(f"mongodb://127.0.0.1:{port}") as by_port:
            assert answered(by_port)
        with embedded(data_dir) as without:
            assert without == uri
        with (
            pytest.raises(StoreUnavailableError, match=f"running with port {port}"),
            embedded(data_dir, port=port + 1),
        ):
            pass


def test_secrets_do_not_reach_the_server_process(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQICN_API_KEY", "canary-4f1c")
    with embedded(data_dir), ExitStack() as opened:
        found = processes_naming(data_dir)
        assert len(found) == 2
        for pid in found:
            environ = opened.enter_context(Path(f"/proc/{pid}/environ").open("rb"))
            assert b"canary-4f1c" not in environ.read()


def test_an_open_directory_of_ours_is_closed_to_others(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    data_dir.chmod(0o755)
    with embedded(data_dir):
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


# ---- places and errors ----------------------------------------------------------------------


def test_a_long_path_of_the_data_and_of_temporary_files_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / ("d" * 100) / ("ữ %2F" * 10)
    monkeypatch.setattr("tempfile.tempdir", str(place.parent))
    with embedded(place) as uri, client_of(uri) as client:
        assert answered(client)
    eventually(lambda: not processes_naming(place))


def test_an_empty_leftover_of_a_reboot_is_no_obstacle(data_dir: Path) -> None:
    with embedded(data_dir):
        pass
    eventually(lambda: not processes_naming(data_dir))
    (data_dir / "server.json").write_text("")
    (data_dir / "mongod.lock").write_text("4711\n")
    with embedded(data_dir) as uri, client_of(uri) as client:
        assert answered(client)


def test_a_directory_with_other_things_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(ConfigError, match=r"thesis\.odt"), embedded(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="belongs to another user"), embedded(tmp_path):
        pass


def test_a_file_in_the_way_is_reported_with_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with (
        pytest.raises(StoreUnavailableError, match="Not a directory") as caught,
        embedded(tmp_path / "data" / "mongodb"),
    ):
        pass
    assert "mongo.embedded.data_dir" in caught.value.hint


def test_a_failed_start_says_why_and_where_the_log_is(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with (
            pytest.raises(StoreUnavailableError, match="Address already in use") as caught,
            embedded(data_dir, port=taken.getsockname()[1]),
        ):
            pass
    assert str(data_dir / LOG_NAME) in caught.value.hint
    assert "\n" not in caught.value.message
    with embedded(data_dir) as uri, client_of(uri) as client:
        assert answered(client)


@pytest.mark.parametrize(
    ("program", "words"),
    [("#!/bin/sh\necho 'libcrypto.so.3 is missing' >&2\nexit 127\n", "libcrypto"), ("?", "Exec")],
)
def test_a_broken_mongod_is_reported_in_its_own_words(
    tmp_path: Path, data_dir: Path, program: str, words: str
) -> None:
    binary = tmp_path / "mongod"
    binary.write_text(program)
    binary.chmod(0o755)
    with (
        pytest.raises(StoreUnavailableError, match=words),
        embedded(data_dir, binary=binary),
    ):
        pass


def test_a_mongod_that_never_answers_is_given_up_and_stopped(
    tmp_path: Path, data_dir: Path
) -> None:
    binary = tmp_path / "mongod"
    binary.write_text("#!/bin/sh\nexec sleep 1000\n")
    binary.chmod(0o755)
    with (
        pytest.raises(StoreUnavailableError, match="did not answer in time"),
        embedded(data_dir, binary=binary, start_timeout_s=1),
    ):
        pass
    eventually(lambda: is_free(data_dir / SERVER_LOCK))


def is_free(lock: Path) -> bool:
    """Whether nobody holds it: a process that was killed does until its last file is closed."""
    descriptor = try_lock(lock)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def test_waiting_for_a_server_that_is_stopped_ends_in_time(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    held = try_lock(data_dir / USERS_LOCK)
    assert held is not None
    try:
        with (
            pytest.raises(StoreUnavailableError, match="is being stopped"),
            embedded(data_dir, start_timeout_s=0.2),
        ):
            pass
    finally:
        os.close(held)


def test_a_large_log_is_put_aside_once(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_LOG", 100)
    for _start in range(3):
        with embedded(data_dir):
            pass
        eventually(lambda: not processes_naming(data_dir))
    assert {path.name for path in data_dir.glob(f"{LOG_NAME}*")} == {LOG_NAME, f"{LOG_NAME}.1"}


def test_shared_locks_admit_others_and_exclusive_ones_do_not(tmp_path: Path) -> None:
    first = try_lock(tmp_path / USERS_LOCK, fcntl.LOCK_SH)
    second = try_lock(tmp_path / USERS_LOCK, fcntl.LOCK_SH)
    assert first is not None
    assert second is not None
    assert try_lock(tmp_path / USERS_LOCK) is None
    assert not os.get_inheritable(first)
    os.close(first)
    os.close(second)


def test_a_lock_file_is_never_a_link_elsewhere(tmp_path: Path) -> None:
    (tmp_path / USERS_LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        try_lock(tmp_path / USERS_LOCK)
    assert not (tmp_path / "elsewhere").exists()


# ---- the program ----------------------------------------------------------------------------


def test_the_configured_mongod_wins_and_must_be_executable(tmp_path: Path) -> None:
    binary = tmp_path / "mongod"
    binary.touch()
    with pytest.raises(ConfigError, match=r"mongo\.embedded\.binary"):
        find_mongod(binary)
    binary.chmod(0o755)
    assert find_mongod(binary) == binary


def test_the_packaged_mongod_is_made_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "fiftyone" / "db" / "bin" / "mongod"
    binary.parent.mkdir(parents=True)
    binary.touch(mode=0o644)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert find_mongod(None) == binary
    assert os.access(binary, os.X_OK)
    assert "fiftyone" not in sys.modules


def test_without_the_package_mongod_is_looked_up_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_packaged_mongod", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        find_mongod(None)
    assert "[embedded]" in caught.value.hint
    assert "MONGO_URI" in caught.value.hint
    (tmp_path / "mongod").touch(mode=0o755)
    assert find_mongod(None) == tmp_path / "mongod"


def test_the_state_names_socket_and_port_only(data_dir: Path) -> None:
    with embedded(data_dir) as uri:
        noted = json.loads((data_dir / "server.json").read_text())
    assert noted == {"socket": str(socket_of(uri)), "port": None}
