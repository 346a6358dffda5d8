"""A way to MongoDB that takes long: a TCP port before its unix socket."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit


@contextmanager
def slow_way(uri: str, seconds: float) -> Iterator[str]:
    """Yield an address at which the server of a URI answers so much later."""
    path = unquote(urlsplit(uri).netloc)
    listening = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket, wait_s: float) -> None:
        try:
            while data := source.recv(65536):
                time.sleep(wait_s)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return  # either side is gone

    def accept() -> None:
        while True:
            try:
                near, _address = listening.accept()
            except OSError:
                return  # closed: the test is over
            far = socket.socket(socket.AF_UNIX)
            far.connect(path)
            opened.extend((near, far))
            for way in ((near, far, 0.0), (far, near, seconds)):
                threading.Thread(target=pump, args=way, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"mongodb://127.0.0.1:{listening.getsockname()[1]}/?directConnection=true"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for connection in opened:
            connection.close()
