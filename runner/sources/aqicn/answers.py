"""What an answer of AQICN's API says: records, or which failure, in words or as an HTTP status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from runner.core.errors import Scope, SourceError, ThrottledError
from runner.process.secrets import Secret, without
from runner.sources.http import Reply, parsed_json

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
_WORDS = ("msg", "message", "error")
"""Where a refusal has its words, besides `data`."""
_OF_RECORDS = frozenset({"aqi", "current_aqi", "time", "idx", "uid", "station", "city"})
"""What an error object has none of."""
_DEEPEST = 4
"""How far inside an answer a refusal is looked for."""


class AqicnClientError(SourceError):
    """The AQICN API could not be reached, or its answer could not be read."""


class AqicnRateLimitError(AqicnClientError, ThrottledError):
    """Throttled by the API: 429, or "Over quota" inside HTTP 200."""


class AqicnApiError(AqicnClientError):
    """The API answered, and the answer says no."""


class AnswerReader:
    """Reads answers: those of a live API, and those that were kept.

    Args:
        key: the API key, which stands in no error.
        history_path: of the endpoint, for error messages; None if the present is read.

    Attributes:
        has_history: whether the endpoint has answered with records.
    """

    def __init__(self, key: Secret, history_path: str | None = None) -> None:
        self._key = key
        self._path = history_path
        self.has_history = False

    def read(self, reply: Reply) -> list[Any]:
        """Return the records of an answer of the history endpoint.

        Raises:
            AqicnClientError: it holds none.
        """
        data = self.data(reply)
        if isinstance(data, list):
            return data
        if isinstance(data, dict) and "aqi" in data:
            raise AqicnApiError(
                "the endpoint answers with the present observation, not with history; it is not "
                "copied into the past",
                scope=Scope.RUN,
                hint=_ALTERNATIVES,
            )
        raise AqicnClientError("the answer says ok, but holds no list of records")

    def objects(self, reply: Reply) -> list[dict[str, Any]]:
        """Return the list of an answer of search or map, without what is no object.

        Raises:
            AqicnClientError: it holds no list.
        """
        data = self.data(reply)
        if not isinstance(data, list):
            raise AqicnClientError("the answer says ok, but holds no list of stations")
        return [item for item in data if isinstance(item, dict)]

    def observation(self, reply: Reply) -> dict[str, Any]:
        """Return the present observation of a feed.

        Raises:
            AqicnClientError: it holds none.
        """
        data = self.data(reply)
        if not isinstance(data, dict) or "aqi" not in data:
            raise AqicnClientError("the answer says ok, but holds no observation")
        return data

    def data(self, reply: Reply) -> Any:
        """Return what an answer holds.

        Raises:
            AqicnClientError: it says no, or cannot be read.
        """
        if reply.status != HTTPStatus.OK:
            raise self._http_failure(reply)
        content = _parsed(reply)
        refusal = next(_refusals(content), None)
        if refusal is not None:
            raise self._failure([*_texts(refusal)])
        if not isinstance(content, dict):
            raise AqicnClientError("the answer is JSON, but no object")
        if content.get("status") != "ok":
            raise self._failure([*_texts(content)])
        return content.get("data")

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

    def _failure(self, texts: list[str]) -> AqicnClientError:
        """Return the error for a refusal in words inside HTTP 200."""
        known = ((text, kind) for text in texts if (kind := _kind_of(text)))
        text, kind = next(known, (texts[0] if texts else "nothing of why", ""))
        said = f"the API says {_plain(without(self._key, text))!r}"
        match kind:
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

    def _no_history(self, said: str) -> AqicnApiError:
        if self._path is None:
            return AqicnApiError(
                f"there is no such address below source.base_url ({said})",
                scope=Scope.RUN,
                hint="AQICN's API is at source.base_url=https://api.waqi.info",
            )
        if self.has_history:  # it answered others: this station is the one that is missing
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
    """Return the JSON of an answer.

    Raises:
        AqicnClientError: the answer is not JSON.
    """
    try:
        return parsed_json(reply.body)
    except ValueError:
        kind = _plain(reply.content_type)
        message = f"the answer is not JSON ({len(reply.body):,} bytes of {kind})"
    raise AqicnClientError(message) from None


def _refusals(value: Any, depth: int = 0, *, listed: bool = False) -> Iterator[Any]:
    """Yield the parts of an answer that are the API's "no".

    They stand where the whole answer should be, or the data, or one of the records.
    """
    if isinstance(value, str) and _kind_of(value):
        yield value
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            yield from _refusals(item, depth + 1, listed=True)
    elif isinstance(value, dict):
        is_record = not value.keys().isdisjoint(_OF_RECORDS)
        has_words = any(isinstance(value.get(key), str) for key in _WORDS)
        if is_record and listed:
            return
        if value.get("status", "ok") != "ok" or (depth and has_words and not is_record):
            yield value
        elif depth < _DEEPEST:
            yield from _refusals(value.get("data"), depth + 1)


def _kind_of(text: str) -> str:
    """Return what the words of a refusal mean; empty if nobody has recorded them."""
    found = (kind for pattern, kind in _SAYS if re.search(pattern, text, re.IGNORECASE))
    return next(found, "")


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the words of a refusal, and numbers in their place."""
    if isinstance(value, str | int | float):
        yield str(value)
    elif isinstance(value, dict) and depth <= _DEEPEST:
        for key in ("data", *_WORDS):
            yield from _texts(value.get(key), depth + 1)
    elif isinstance(value, list) and depth <= _DEEPEST:
        for item in value[:1]:
            yield from _texts(item, depth + 1)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_QUOTED]).strip()


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
