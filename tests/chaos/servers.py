"""A MongoDB of the harness's own, to be killed, stepped down and cut off."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from runner.store.embedded import find_mongod

_READY_LIMIT_S = 60


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
        self.start()
        if self._replica_set:
            with self._client() as client, suppress(PyMongoError):  # initiated already
                host = f"{self._place}/mongodb-27017.sock"
                members = [{"_id": 0, "host": host}]
                client.admin.command("replSetInitiate", {"_id": "chaos", "members": members})
        self.wait_until_writable()
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
