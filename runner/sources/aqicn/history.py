"""AQICN's history: hourly records of one station and window, and every way the API says no.

AQICN's public API has no hourly history. The path and the parameter names are settings, so that an
operator can name the endpoint that a data-platform agreement grants:

    GET {base_url}/feed/{feed}/history?start=2023-01-01T00:00:00Z&end=2023-01-08T00:00:00Z&token=...
    200 {"status": "ok", "data": [{"current_aqi": 45, "time": {...}, "current_iaqi": {...}}, ...]}

Failures come as HTTP 200 with the failure inside, in four shapes, and as the usual HTTP ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

from runner.core.intervals import Interval, iso
from runner.core.kept import KeptAnswer
from runner.core.readings import Answer
from runner.core.stations import Station
from runner.process.secrets import Secret
from runner.sources.aqicn.answers import AnswerReader, AqicnClientError
from runner.sources.aqicn.settings import History
from runner.sources.http import HttpClient, Reply
from runner.sources.provider import Access, Source

Keep: TypeAlias = Callable[[Station, KeptAnswer], None]
"""Keeps an accepted answer; raises StoreError."""


class AqicnSource(Source):
    """Hourly history from an endpoint in AQICN's form.

    Args:
        client: to the API.
        key: the API key.
        name: of the source, as in the configuration.
        history_path: below the base URL; `{feed}` stands for the station's feed.
        start_param: query parameter of the first instant.
        end_param: query parameter of the first instant after the window.
        token_param: query parameter of the key.
        keep: is given every answer that holds records, before it is returned; None to keep none.
    """

    def __init__(
        self,
        client: HttpClient,
        key: Secret,
        *,
        history_path: str,
        start_param: str,
        end_param: str,
        token_param: str,
        name: str = "aqicn",
        keep: Keep | None = None,
    ) -> None:
        self._client = client
        self._key = key
        self.name = name
        self._path = history_path
        self._start_param = start_param
        self._end_param = end_param
        self._token_param = token_param
        self._keep = keep
        self._reader = AnswerReader(key, history_path)

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return the records of the hours [start, end), UTC, unvalidated.

        Raises:
            AqicnRateLimitError: throttled for longer than allowed; ends the run.
            AqicnApiError: the API says no; the scope says for whom.
            AqicnClientError: not reached, or not readable, after all tries.
            StoreError: the answer could not be kept.
            StoppedError: a stop was asked for while waiting.
        """
        path = self._path.replace("{feed}", station.feed)
        params = {self._start_param: iso(window.start), self._end_param: iso(window.end)}
        records, body = self._client.get(
            path,
            params,
            {self._token_param: self._key},
            self._read,
            station_idx=station.idx,
            window=str(window),
        )
        self._reader.has_history = True
        if self._keep:
            request = {"path": path, **params}
            self._keep(station, KeptAnswer(window, datetime.now(UTC), body, self.name, request))
        return Answer(records)

    def _read(self, reply: Reply) -> tuple[list[Any], bytes]:
        return self._reader.read(reply), reply.body


@contextmanager
def open_history(access: Access) -> Iterator[AqicnSource]:
    """Open the configured history endpoint until the block ends."""
    with closing(access.client(AqicnClientError)) as client:
        yield history_source(access, client, access.key)


def history_source(access: Access, client: HttpClient, key: Secret) -> AqicnSource:
    """Return the source that asks the configured history endpoint."""
    history = access.job.config.section("source.history", History)
    return AqicnSource(
        client,
        key,
        history_path=history.path,
        start_param=history.start_param,
        end_param=history.end_param,
        token_param=history.token_param,
        name=access.job.source,
        keep=access.keep_answer,
    )
