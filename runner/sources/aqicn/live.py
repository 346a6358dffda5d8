"""AQICN's present observations: one request a station, one reading at most.

    GET {base_url}/feed/@1583/?token=...      (/feed/A476599/ for the citizen station -476599)
    200 {"status": "ok", "data": {"aqi": 45, "idx": 1583, "iaqi": {...}, "time": {"s", "tz", ...}}}

The same hour is served again, also with other values, and stale hours are served for long. The hour
comes from `s` and `tz`; `v` is not UTC. An offline station has a time without `s`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

from runner.core.intervals import Interval
from runner.core.present import Observed, floored
from runner.core.readings import Answer, moment_in
from runner.core.stations import Station
from runner.process.secrets import Secret
from runner.sources.aqicn.answers import AnswerReader, AqicnClientError
from runner.sources.http import HttpClient
from runner.sources.provider import Access, Source

_KEPT = ("idx", "aqi", "iaqi", "time", "dominentpol")
"""Of an answer, what a record keeps; not the forecast, nor whose data it is."""


class AqicnLive(Source):
    """The present observation of every station. Thread-safe.

    Args:
        client: to the API.
        key: the API key.
        now: the present, UTC.
        is_taken: whether another writer has a reading of a station within an hour, not at its
            beginning; raises StoreError.
    """

    name = "aqicn_live"

    def __init__(
        self,
        client: HttpClient,
        key: Secret,
        now: Callable[[], datetime],
        is_taken: Callable[[int, int], bool],
    ) -> None:
        self._client = client
        self._key = key
        self._now = now
        self._is_taken = is_taken
        self._reader = AnswerReader(key)
        self._lock = Lock()
        self._seen: dict[int, Observed] = {}

    @property
    def observed(self) -> dict[str, int]:
        """How many stations' observations became what."""
        with self._lock:
            counts = Counter(self._seen.values())
        return {str(kind): counts[kind] for kind in Observed if counts[kind]}

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return the present observation, if it is of an hour of the window.

        Raises:
            AqicnRateLimitError: throttled for longer than allowed; ends the run.
            AqicnApiError: the API says no; the scope says for whom.
            AqicnClientError: not reached, or not readable, after all tries.
            StoreError: MongoDB could not say what others stored.
            StoppedError: a stop was asked for while waiting.
        """
        data = self._client.get(
            f"/feed/{station.feed}/",
            {},
            {"token": self._key},
            self._reader.observation,
            station_idx=station.idx,
        )
        record = floored({key: data[key] for key in _KEPT if key in data}, self._now())
        was_floored = record.get("time") != data.get("time")
        kind = self._kind(station, window, record, was_floored=was_floored)
        with self._lock:
            self._seen[station.idx] = kind
        if kind in (Observed.CURRENT, Observed.NO_VALUE, Observed.UNUSABLE):
            return Answer([record], repaired=int(was_floored))
        if kind in (Observed.LEFT, Observed.TAKEN):
            # The source has the hour, for another writer: it is not empty there.
            return Answer([], not_asked=(window,))
        return Answer([])

    def _kind(
        self, station: Station, window: Interval, record: Mapping[str, Any], *, was_floored: bool
    ) -> Observed:
        time = record.get("time")
        if isinstance(time, dict) and not (time.get("s") or time.get("iso")):
            return Observed.OFFLINE
        moment = moment_in(record)
        if moment is None or moment[0] > self._now() or record.get("idx") != station.idx:
            return Observed.UNUSABLE
        hour = moment[1]
        if not window.start <= hour < window.end:
            return Observed.STALE if hour < window.start else Observed.LEFT
        if record.get("aqi") in ("-", None):
            return Observed.NO_VALUE
        is_taken = was_floored and self._is_taken(station.idx, hour)
        return Observed.TAKEN if is_taken else Observed.CURRENT


@contextmanager
def open_live(access: Access) -> Iterator[AqicnLive]:
    """Open the present observations until the block ends."""
    with closing(access.client(AqicnClientError)) as client:
        yield AqicnLive(client, access.key, access.job.now, access.is_taken)
