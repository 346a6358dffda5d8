"""The sandbox as its users see it: start, address, counts, close."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from runner.core.errors import ConfigError
from runner.sources.sandbox.answers import Answers
from runner.sources.sandbox.faults import FaultPlan, Quota
from runner.sources.sandbox.openaq import OpenAqAnswers
from runner.sources.sandbox.settings import Faults
from runner.sources.sandbox.values import Values
from runner.sources.sandbox.wire import Server, Service


class Sandbox:
    """A server on loopback that speaks the AQICN API, from `start` to `close`.

    Besides the API it has `GET /_stats` (see `Stats.snapshot`) and `POST /_reset`, which forgets
    counts, quota and fault history, as if just started.

    Args:
        stations: idx to name; any others are unknown stations.
        values: their hourly records.
        faults: what goes wrong, how often.
        seed: of the faults.
        host: address to listen on.
        port: port to listen on; 0 for any free one.
        token: the only accepted token; None accepts any but an empty one and "invalid".
        clock: the present, aware; there are no records after it, and the quota counts by it.
        openaq: what OpenAQ's API v3 answers under `/v3/`; None to speak AQICN's alone.
    """

    def __init__(
        self,
        stations: Mapping[int, str],
        values: Values,
        faults: Faults | None = None,
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        openaq: OpenAqAnswers | None = None,
    ) -> None:
        faults = faults or Faults()
        self._service = Service(
            Answers(stations, values, clock),
            faults,
            FaultPlan(faults, seed),
            Quota(faults.quota_per_hour, clock),
            token,
            openaq,
        )
        self._address = (host, port)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """`http://HOST:PORT`, once started.

        Raises:
            RuntimeError: not started.
        """
        if self._server is None:
            raise RuntimeError("the sandbox has no address: it is not running")
        return f"http://{self._address[0]}:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Listen and answer, in threads of its own.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        host, port = self._address
        try:
            self._server = Server(self._address, self._service)
        except OSError as error:
            raise ConfigError(
                f"sandbox: cannot listen on {host}:{port}: {error.strerror or error}",
                hint="Choose another port, or port 0 for any free one",
            ) from error
        self._service.closing.clear()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop answering and close every connection; answers held back are dropped."""
        if self._server is None or self._thread is None:
            return
        self._service.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def stats(self) -> dict[str, Any]:
        """Return the content of `/_stats`, see `Stats.snapshot`."""
        return self._service.stats.snapshot()
