"""AQICN's history: hourly records of one station and window, and every way the API says no.

AQICN's public API has no hourly history. The path and the parameter names are settings, so that an
operator can name the endpoint that a data-platform agreement grants:

    GET {base_url}/feed/{feed}/history?start=2023-01-01T00:00:00Z&end=2023-01-08T00:00:00Z&token=...
    200 {"status": "ok", "data": [{"current_aqi": 45, "time": {...}, "current_iaqi": {...}}, ...]}

Failures come as HTTP 200 with the failure inside, in four shapes, and as the usual HTTP ones.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from runner.core.errors import AqicnApiError, AqicnClientError, AqicnRateLimitError, Scope
from runner.core.intervals import Interval, iso
from runner.core.readings import Answer
from runner.core.stations import Station
from runner.secrets import Secret, without
from runner.sources.http import HttpClient, Reply

_LONGEST_QUOTED = 120
"""Characters of an answer quoted in an error."""

_SAYS = (
    (r"over quota|quota exceeded|too many requests|rate limit|throttl", "throttled"),
    (r"invalid key|invalid token|unauthori[sz]ed|not allowed|forbidden", "refused"),
    (r"unknown station|no such station|unknown id|station not found", "unknown"),
    (r"^404\b|not found|no such route", "no_history"),
    (r"^invalid ", "senseless"),
)
"""What the text of a failure means; the first that fits counts."""


class AqicnSource:
    """Hourly history from an endpoint in AQICN's form.

    Args:
        client: to the API.
        key: the API key.
        name: of the source, as in the configuration.
        history_path: below the base URL; `{feed}` stands for the station's feed.
        start_param: query parameter of the first instant.
        end_param: query parameter of the first instant after the window.
        token_param: query parameter of the key.
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
    ) -> None:
        self._client = client
        self._key = key
        self._name = name
        self._path = history_path
        self._start_param = start_param
        self._end_param = end_param
        self._token_param = token_param
        self._has_history = False

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._name

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return the records of the hours [start, end), UTC, unvalidated.

        Raises:
            AqicnRateLimitError: throttled for longer than allowed; ends the run.
            AqicnApiError: the API says no; the scope says for whom.
            AqicnClientError: not reached, or not readable, after all tries.
            StoppedError: a stop was asked for while waiting.
        """
        records = self._client.get(
            self._path.replace("{feed}", station.feed),
            {self._start_param: iso(window.start), self._end_param: iso(window.end)},
            {self._token_param: self._key},
            self._read,
            station_idx=station.idx,
            window=str(window),
        )
        self._has_history = True
        return Answer(records)

    def _read(self, reply: Reply) -> list[Any]:
        """Return the records of an answer.

        Raises:
            AqicnClientError: it holds none.
        """
        if reply.status != HTTPStatus.OK:
            raise self._http_failure(reply)
        content = _parsed(reply)
        if not isinstance(content, dict):
            raise AqicnClientError("the answer is JSON, but no object")
        data = content.get("data")
        if content.get("status") != "ok":
            raise self._failure(self._text(data, content.get("message"), content.get("msg")))
        if isinstance(data, list):
            return data
        if isinstance(data, dict) and "status" in data:  # an error inside an ok
            raise self._failure(self._text(data.get("msg"), data.get("data"), data.get("message")))
        if isinstance(data, dict) and "aqi" in data:
            raise AqicnApiError(
                "the endpoint answers with the present observation, not with history; it is not "
                "copied into the past",
                scope=Scope.RUN,
                hint=_ALTERNATIVES,
            )
        raise AqicnClientError("the answer says ok, but holds no list of records")

    def _http_failure(self, reply: Reply) -> AqicnClientError:
        status = reply.status
        said = f"HTTP {status}{_phrase(status)}"
        if status == HTTPStatus.TOO_MANY_REQUESTS or (
            status == HTTPStatus.SERVICE_UNAVAILABLE and reply.retry_after_s is not None
        ):
            return AqicnRateLimitError(said, retry_after_s=reply.retry_after_s)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return _refused(said)
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return self._no_history(said)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return AqicnApiError(
                f"{said}: the API redirects, and a redirect is not followed, since the key would "
                "travel along",
                scope=Scope.RUN,
                hint="Set source.base_url and source.history.path to the final address",
            )
        transient = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_EARLY,
        )
        return AqicnApiError(said, scope=Scope.RETRY if transient else Scope.STATION)

    def _failure(self, text: str) -> AqicnClientError:
        """Return the error for a failure told in words inside HTTP 200."""
        found = (kind for pattern, kind in _SAYS if re.search(pattern, text, re.IGNORECASE))
        said = f"the API says {text!r}"
        match next(found, ""):
            case "throttled":
                return AqicnRateLimitError(said)
            case "refused":
                return _refused(said)
            case "no_history":
                return self._no_history(said)
            case "unknown" | "senseless":
                return AqicnApiError(said, scope=Scope.STATION)
            case _:  # words nobody has recorded: it may pass
                return AqicnApiError(said, scope=Scope.RETRY)

    def _text(self, *candidates: Any) -> str:
        """Return the first that is text or a number: short, harmless, and without the key."""
        for candidate in candidates:
            if isinstance(candidate, str | int | float):
                return _plain(without(self._key, str(candidate)))
        return "nothing of why"

    def _no_history(self, said: str) -> AqicnApiError:
        if self._has_history:  # it answered others: this station is the one that is missing
            return AqicnApiError(f"no history of this station ({said})", scope=Scope.STATION)
        return AqicnApiError(
            f"there is no history endpoint at source.history.path={self._path} ({said}); "
            "AQICN's public API serves the present only",
            scope=Scope.RUN,
            hint=_ALTERNATIVES,
        )


_ALTERNATIVES = (
    "Set source.history.path (and source.base_url) to the endpoint that your data-platform "
    "agreement grants,\nor load measured hours from files: source=airnow source.path=DIR"
)


def _refused(said: str) -> AqicnApiError:
    return AqicnApiError(
        f"the API refuses the key ({said})",
        scope=Scope.RUN,
        hint="Check AQICN_API_KEY in the environment or .env; nothing is lost, run the same "
        "command again",
    )


def _parsed(reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):  # broken, cut off, not UTF-8, numbers without end
        kind = _plain(reply.content_type)
        message = f"the answer is not JSON ({len(reply.body):,} bytes of {kind})"
    raise AqicnClientError(message) from None


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_QUOTED]).strip()


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
