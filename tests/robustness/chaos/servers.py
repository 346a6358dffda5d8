"""MongoDB servers of the harness's own, to be killed, stepped down and cut off."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from runner.store.embedded import find_mongod

_READY_LIMIT_S = 60


class Bed(StrEnum):
    """The MongoDB that a trial runs on."""

    STANDALONE = "standalone"
    ONE = "one member"
    THREE = "three members"
    ARBITER = "two members, arbiter"


class Mongod:
    """One mongod behind a private unix socket.

    Args:
        replica_set: whether it is a replica set of one, which can be told to step down.
    """

    def __init__(self, *, replica_set: bool = False) -> None:
        self._replica_set = replica_set
        self._place = Path(tempfile.mkdtemp(prefix="chaos-"))
        (self._place / "data").mkdir()
        self.socket = self._place / "mongodb-27017.sock"
        self.uri = f"mongodb://{quote(str(self.socket), safe='')}/?directConnection=true"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
            if self._replica_set:
                members = [{"_id": 0, "host": f"{self._place}/mongodb-27017.sock"}]
                with self.client() as client:
                    client.admin.command("replSetInitiate", {"_id": "chaos", "members": members})
            self.wait_until_writable()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._place, ignore_errors=True)

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self.uri, tz_aware=True, serverSelectionTimeoutMS=2000)

    def client(self) -> MongoClient[dict[str, Any]]:
        """Return a client that waits long enough for a server that was just started."""
        return MongoClient(self.uri, tz_aware=True, serverSelectionTimeoutMS=30_000)

    def start(self) -> None:
        """Start the process; it answers a little later."""
        if self._process is not None:
            return
        self.socket.unlink(missing_ok=True)
        command = [
            str(find_mongod(None)),
            f"--dbpath={self._place / 'data'}",
            f"--bind_ip={self.socket}",
            f"--unixSocketPrefix={self._place}",
            "--port=27017",
            f"--logpath={self._place / 'log'}",
            "--wiredTigerCacheSizeGB=0.25",
            "--setParameter=diagnosticDataCollectionEnabled=false",
            *(["--replSet=chaos", "--oplogSize=64"] if self._replica_set else []),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill the process, as a crash or a lost machine does."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def revive(self) -> None:
        """Start the process if it was killed."""
        self.start()

    def step_down(self, seconds: int) -> None:
        """Refuse writes for some seconds; every connection of a client is told so."""
        with self._client() as client, suppress(PyMongoError):  # it may hang up on us
            client.admin.command("replSetStepDown", seconds, force=True)

    def wait_until_writable(self) -> None:
        """Return once the server takes writes."""
        deadline = time.monotonic() + _READY_LIMIT_S
        while time.monotonic() < deadline:
            with self._client() as client, suppress(PyMongoError):
                if client.admin.command("hello")["isWritablePrimary"]:
                    return
            time.sleep(0.05)
        msg = f"mongod does not answer, see {self._place / 'log'}"
        raise AssertionError(msg)


class ReplicaSet:
    """Members on free loopback ports, with a key file, a user, and failpoints.

    Args:
        members: servers that hold data.
        arbiter: add one that only votes.
    """

    _USER = "chaos"

    def __init__(self, members: int = 3, *, arbiter: bool = False) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="chaos-set-"))
        self._key = self._place / "key"
        self._key.write_text(secrets.token_hex(32))
        self._key.chmod(0o400)
        self._password = secrets.token_hex(8)
        self._members = members
        self._ports = _free_ports(members + arbiter)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports[:members])
        self.uri = f"mongodb://{self._USER}:{self._password}@{hosts}/?replicaSet=chaos"

    def __enter__(self) -> Self:
        try:
            self._initiate()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for index in [*self._processes]:
            self.kill(index)
        shutil.rmtree(self._place, ignore_errors=True)

    def client(self, index: int | None = None) -> MongoClient[dict[str, Any]]:
        """Return a client of the set, or of one member alone."""
        uri = self.uri if index is None else self._uri_of(index)
        return MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=30_000)

    def start(self, index: int) -> None:
        """Start a member, if it does not run; it answers a little later."""
        if index in self._processes:
            return
        data = self._place / f"data-{index}"
        data.mkdir(exist_ok=True)
        command = [
            str(find_mongod(None)),
            f"--dbpath={data}",
            "--bind_ip=127.0.0.1",
            f"--port={self._ports[index]}",
            f"--unixSocketPrefix={self._place}",
            f"--logpath={self._place / f'log-{index}'}",
            f"--keyFile={self._key}",
            "--replSet=chaos",
            "--oplogSize=64",
            "--wiredTigerCacheSizeGB=0.25",
            "--setParameter=diagnosticDataCollectionEnabled=false",
            "--setParameter=enableTestCommands=1",
        ]
        self._processes[index] = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self, index: int) -> None:
        """Kill a member, as a crash or a lost machine does."""
        if process := self._processes.pop(index, None):
            process.kill()
            process.wait()

    def freeze(self, index: int) -> None:
        """Suspend a member, as a paused machine is: its connections stay open."""
        self._processes[index].send_signal(signal.SIGSTOP)

    def wake(self, index: int) -> None:
        """Let a suspended member go on."""
        self._processes[index].send_signal(signal.SIGCONT)

    def revive(self) -> None:
        """Start all members that were killed."""
        for index in range(len(self._ports)):
            self.start(index)

    def secondaries(self) -> list[int]:
        """Return the members with data that run and are not the primary."""
        primary = self.primary_index()
        return [index for index in range(self._members) if index in {*self._processes} - {primary}]

    def primary_index(self) -> int:
        """Return which member takes writes; wait for the end of an election."""
        deadline = time.monotonic() + _READY_LIMIT_S
        while time.monotonic() < deadline:
            for index in range(self._members):
                if index in self._processes and self._hello(index).get("isWritablePrimary"):
                    return index
            time.sleep(0.05)
        msg = f"no primary, see {self._place}/log-*"
        raise AssertionError(msg)

    def step_down(self, seconds: int) -> None:
        """Let the primary refuse writes for some seconds; another member may take over."""
        with self._direct(self.primary_index()) as client, suppress(PyMongoError):
            client.admin.command("replSetStepDown", seconds, force=True)

    def stop_replication(self) -> None:
        """Let the secondaries that run fetch nothing more, so that no majority has a new write."""
        primary = self.primary_index()
        running = range(self._members)
        self._fail("alwaysOn", [index for index in running if index != primary])

    def resume_replication(self) -> None:
        """Let all members that run fetch again what they missed."""
        self._fail("off", range(self._members))

    def wait_until_writable(self) -> None:
        """Return once a primary has a write confirmed by a majority."""
        deadline = time.monotonic() + _READY_LIMIT_S
        while time.monotonic() < deadline:
            with self.client() as client, suppress(PyMongoError):
                probe = {"insert": "probe", "documents": [{}]}
                concern = {"w": "majority", "j": True, "wtimeout": 5000}
                answer = client["chaos"].command({**probe, "writeConcern": concern})
                if "writeConcernError" not in answer:
                    return
            time.sleep(0.05)
        msg = f"no write is confirmed by a majority, see {self._place}/log-*"
        raise AssertionError(msg)

    def _initiate(self) -> None:
        """Start all members, make them a set with quick elections, and create the user."""
        for index in range(len(self._ports)):
            self.start(index)
        for index in range(len(self._ports)):
            self._wait(index, "maxWireVersion")
        members = [
            {"_id": index, "host": f"127.0.0.1:{port}", "arbiterOnly": index >= self._members}
            for index, port in enumerate(self._ports)
        ]
        settings = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}
        config = {"_id": "chaos", "members": members, "settings": settings}
        # Without users, a server allows whoever comes over loopback to make the first one.
        with self._anybody(0) as client:
            client.admin.command("replSetInitiate", config)
        with self._anybody(self.primary_index()) as client:
            client.admin.command(
                {
                    "createUser": self._USER,
                    "pwd": self._password,
                    "roles": ["root"],
                    "writeConcern": {"w": self._members},
                }
            )

    def _wait(self, index: int, state: str) -> None:
        deadline = time.monotonic() + _READY_LIMIT_S
        while not self._hello(index).get(state):
            if time.monotonic() > deadline:
                msg = f"not {state}, see {self._place}/log-{index}"
                raise AssertionError(msg)
            time.sleep(0.05)

    def _fail(self, mode: str, members: Iterable[int]) -> None:
        for index in members:
            deadline = time.monotonic() + _READY_LIMIT_S
            while index in self._processes and not self._set_fail_point(index, mode):
                if time.monotonic() > deadline:
                    msg = f"no failpoint can be set, see {self._place}/log-{index}"
                    raise AssertionError(msg)
                time.sleep(0.1)

    def _set_fail_point(self, index: int, mode: str) -> bool:
        """Return whether it is set; a member that rolls back knows no users for a while."""
        with self._direct(index) as client, suppress(PyMongoError):
            client.admin.command("configureFailPoint", "stopReplProducer", mode=mode)
            return True
        return False

    def _hello(self, index: int) -> dict[str, Any]:
        with self._anybody(index) as client, suppress(PyMongoError):
            return client.admin.command("hello")
        return {}

    def _anybody(self, index: int) -> MongoClient[dict[str, Any]]:
        uri = f"mongodb://127.0.0.1:{self._ports[index]}/?directConnection=true"
        return MongoClient(uri, serverSelectionTimeoutMS=2000)

    def _direct(self, index: int) -> MongoClient[dict[str, Any]]:
        return MongoClient(self._uri_of(index), tz_aware=True, serverSelectionTimeoutMS=5000)

    def _uri_of(self, index: int) -> str:
        host = f"127.0.0.1:{self._ports[index]}"
        return f"mongodb://{self._USER}:{self._password}@{host}/?directConnection=true"


Server = Mongod | ReplicaSet


def server_of(bed: Bed) -> Server:
    """Return a server for a bed; it starts with its block."""
    if bed is Bed.THREE:
        return ReplicaSet(3)
    if bed is Bed.ARBITER:
        return ReplicaSet(2, arbiter=True)
    return Mongod(replica_set=bed is Bed.ONE)


def _free_ports(number: int) -> list[int]:
    """Return ports that are free now; all at once, so that they differ."""
    probes = [socket.socket() for _port in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
