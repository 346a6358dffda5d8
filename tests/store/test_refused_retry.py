"""What pymongo makes of a connection that is closed while it is made, on a standalone server."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from runner.process.stop import StopFlag
from runner.store.connection import store_errors
from runner.store.outage import Outage


class Relay:
    """Hands connections on to a real mongod, and hangs up on new ones when told so."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self.hang_up = False
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for item in self._sockets:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _address = self._listener.accept()
                if self.hang_up:
                    self.hang_up = False
                    here.close()
                    continue
                there = socket.socket(socket.AF_UNIX)
                there.connect(self._target)
                self._sockets += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for item in (source, sink):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(mongo_uri: str) -> Iterator[Relay]:
    made = Relay(unquote(urlsplit(mongo_uri).netloc))
    yield made
    made.close()


class Started(CommandListener):
    """Tells when a find is on its way."""

    def __init__(self) -> None:
        self.find = threading.Event()

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.find.set()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Say nothing."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Say nothing."""


def test_a_connection_closed_while_it_is_made_counts_as_an_outage_and_is_outlasted(
    relay: Relay, database: Database[dict[str, Any]]
) -> None:
    started = Started()
    uri = f"mongodb://127.0.0.1:{relay.port}/?directConnection=true"
    with MongoClient[dict[str, Any]](uri, event_listeners=[started]) as client:
        windows = client[database.name]["windows"]
        windows.insert_one({"_id": 0})

        tries: list[str] = []

        def insert() -> None:
            tries.append("insert")
            with store_errors("windows"):
                windows.insert_many([{"_id": 1}])

        busy = threading.Thread(target=windows.find_one, args=({"$where": "sleep(700) || true"},))
        busy.start()
        assert started.find.wait(10)
        relay.hang_up = True  # on the connection that is made while the only one is in use
        Outage(60, StopFlag()).outlast(insert)
        busy.join()
        assert not relay.hang_up
        assert tries == ["insert", "insert"]
        assert windows.distinct("_id") == [0, 1]
