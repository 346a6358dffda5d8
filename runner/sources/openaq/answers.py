"""What an answer of OpenAQ's API v3 says: results, or which failure, and when to ask again.

    200 {"meta": {"found": 53 or ">100", ...}, "results": [...]}
    401 {"detail": "Invalid credentials"}     404 {"detail": "Sensor not found"}
    408 {"detail": "Connection timed out: Try to provide more specific query parameters or a
         smaller time frame."}                429 {"detail": "Too many requests"}
    403 banned    410 an older version of the API    422 a list, or text holding one
    500 plain text

Every answer says in `x-ratelimit-remaining` how many requests are left, and in `x-ratelimit-reset`
in how many seconds (not when) there are more. Whoever goes on after 429 or 408 is banned: so the
wait doubles with each refusal in a row, and after MOST_REFUSALS of them the run ends.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import count
from threading import Lock
from typing import Any, NamedTuple

from requests.structures import CaseInsensitiveDict

from runner.core.errors import Scope, SourceError, ThrottledError
from runner.process.secrets import Secret, without
from runner.sources.http import Reply, parsed_json

MOST_REFUSALS = 5
"""429s in a row, each after its wait, that end the run before the key is banned."""
MOST_TIMEOUTS = 20
"""408s in a row that end the run. To cut a year into days takes 9 and the tries of one day 8: a
single sensor that cannot be read fails its station, and a second one after it ends the run."""
_MINUTE_S = 60.0
"""The limit is one of a minute: what a 429 means that does not say how long."""
_LONGEST_WAIT_S = 3600.0
_SAYS = (
    (r"too many requests|rate limit|throttl", HTTPStatus.TOO_MANY_REQUESTS),
    (r"invalid credentials|unauthori[sz]ed|api key", HTTPStatus.UNAUTHORIZED),
    (r"forbidden|banned", HTTPStatus.FORBIDDEN),
    (r"timed out", HTTPStatus.REQUEST_TIMEOUT),
    (r"not found", HTTPStatus.NOT_FOUND),
)
"""The status that belongs to the words of a refusal; the first that fits counts."""
_REFUSAL_KEYS = frozenset({"detail", "status", "code", "meta", "results"})
"""An object with these keys at most is no row."""
_LONGEST_QUOTED = 200
"""Characters of an answer quoted in an error."""


MOST_ROWS = 1000
"""Rows of a page; the API gives no more."""


class OpenAqError(SourceError):
    """The OpenAQ API could not be reached, said no, or its answer could not be read."""


class OpenAqRateLimitError(OpenAqError, ThrottledError):
    """Throttled by OpenAQ: 429. Who goes on asking is banned."""


class OpenAqTimeoutError(OpenAqError):
    """OpenAQ gave up on a question (408): a smaller time frame may be answered."""


class Page(NamedTuple):
    """One page of results.

    Attributes:
        rows: as answered, unvalidated.
        limit: rows that a full page has, as the API says; None if it does not say.
    """

    rows: list[Any]
    limit: int | None = None

    @property
    def is_last(self) -> bool:
        """Whether no page follows. The size asked for does not count: the API may give less."""
        return not self.rows or (self.limit is not None and len(self.rows) < self.limit)


def pages(ask: Callable[[int], Page], most: float = math.inf) -> Iterator[list[Any]]:
    """Yield the rows of page after page, up to the last one.

    Args:
        ask: return the page of a number, from 1.
        most: rows that there may be; a page more is let pass.

    Raises:
        OpenAqError: for the station: the API repeats a page, or has no last one.
    """
    earlier: list[Any] = []
    had = 0
    for number in count(1):
        page = ask(number)
        if page.rows and page.rows == earlier:
            raise OpenAqError(
                f"page {number} repeats page {number - 1}: there is no last page",
                scope=Scope.STATION,
            )
        yield page.rows
        if page.is_last:
            return
        earlier = page.rows
        had += len(page.rows)
        if had > most + MOST_ROWS:
            raise OpenAqError(
                f"there is no last page: {had:,} rows so far, where {most:,} at most can be",
                scope=Scope.STATION,
            )


class OpenAqReader:
    """Reads answers, and holds everyone back where OpenAQ asks for it. Thread-safe.

    Args:
        key: the API key, which stands in no error.
        pause: holds every request back for some seconds.
        backoff_s: seconds to wait after a first 408; doubles with each one in a row.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        key: Secret,
        pause: Callable[[float], object],
        backoff_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._pause = pause
        self._backoff_s = backoff_s
        self._clock = clock
        self._lock = Lock()
        self._refusals = 0
        self._timeouts = 0
        self._refused_until = -float("inf")

    def results(self, reply: Reply) -> list[Any]:
        """Return the results of an answer; see `page`."""
        return self.page(reply).rows

    def page(self, reply: Reply, *, divisible: bool = False) -> Page:
        """Return the results of an answer, and how many a full page has.

        Args:
            reply: the answer.
            divisible: whether less can be asked for at a time, should this have been too much.

        Raises:
            OpenAqRateLimitError: everyone has to wait.
            OpenAqTimeoutError: it was too much; for the station where it is divisible.
            OpenAqError: it holds none; the scope says how far that reaches.
        """
        if reply.status != HTTPStatus.OK:
            raise self._failure(reply, divisible=divisible)
        content = _parsed(reply.body)
        results = content.get("results") if isinstance(content, dict) else None
        refusal = _refusal_in(content, results)
        if refusal is not None:
            raise self._failure(refusal, divisible=divisible)
        if not isinstance(results, list):
            raise OpenAqError(f"the answer is no list of results ({self._quoted(reply.body)})")
        with self._lock:
            self._refusals = self._timeouts = 0
        reset_s = _seconds(reply, "x-ratelimit-reset")
        if _seconds(reply, "x-ratelimit-remaining") == 0 and reset_s:
            self._pause(min(reset_s, _LONGEST_WAIT_S))
        return Page(results, _limit(content))

    def _failure(self, reply: Reply, *, divisible: bool) -> OpenAqError:
        status = reply.status
        said = f"HTTP {status}: {self._quoted(reply.body)}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._throttled(reply, said)
        if status == HTTPStatus.REQUEST_TIMEOUT:
            return self._timed_out(said, divisible=divisible)
        if status == HTTPStatus.UNAUTHORIZED:
            return OpenAqError(
                f"OpenAQ refuses the key ({said})",
                scope=Scope.RUN,
                hint="Check OPENAQ_API_KEY in the environment or .env; nothing is lost, run the "
                "same command again",
            )
        if status == HTTPStatus.FORBIDDEN:
            return OpenAqError(
                f"OpenAQ forbids the use of the key ({said}); a key that went over the limits too "
                "often is banned",
                scope=Scope.RUN,
                hint="Write to OpenAQ, or use another source; what is stored stays",
            )
        if status == HTTPStatus.GONE or (
            HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
        ):
            return OpenAqError(
                f"there is no API v3 at source.base_url ({said}); a redirect is not followed",
                scope=Scope.RUN,
                hint="It is source.base_url=https://api.openaq.org, without a version",
            )
        transient = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_EARLY
        return OpenAqError(said, scope=Scope.RETRY if transient else Scope.STATION)

    def _throttled(self, reply: Reply, said: str) -> OpenAqRateLimitError:
        waits = (_seconds(reply, "x-ratelimit-reset"), reply.retry_after_s)
        asked_s = max((max(1.0, each) for each in waits if each is not None), default=_MINUTE_S)
        with self._lock:
            now = self._clock()
            if now >= self._refused_until:  # not one that was under way when another was refused
                self._refusals += 1
            wait_s = min(asked_s * 2.0 ** (self._refusals - 1), _LONGEST_WAIT_S)
            self._refused_until = max(self._refused_until, now + wait_s)
            over = self._refusals >= MOST_REFUSALS
        if over:
            return OpenAqRateLimitError(
                f"OpenAQ refused {MOST_REFUSALS} times in a row, after longer and longer waits; "
                f"to go on would get the key banned ({said})",
                scope=Scope.RUN,
                hint="Run the same command again later, slower, and with nothing else on this key: "
                "rate_limit.delay_s=4 rate_limit.max_per_hour=900",
            )
        return OpenAqRateLimitError(said, retry_after_s=wait_s)

    def _timed_out(self, said: str, *, divisible: bool) -> OpenAqTimeoutError:
        with self._lock:
            self._timeouts += 1
            wait_s = min(self._backoff_s * 2.0 ** (self._timeouts - 1), _MINUTE_S)
            over = self._timeouts >= MOST_TIMEOUTS
        if over:
            return OpenAqTimeoutError(
                f"OpenAQ timed out {MOST_TIMEOUTS} times in a row; to go on would get the key "
                f"banned ({said})",
                scope=Scope.RUN,
                hint="Run the same command again later",
            )
        if divisible:
            self._pause(wait_s)
        return OpenAqTimeoutError(said, scope=Scope.STATION if divisible else Scope.RETRY)

    def _quoted(self, body: bytes) -> str:
        """Return what an answer says: short, harmless, and without the key."""
        content = _parsed(body)
        detail = content.get("detail") if isinstance(content, dict) else content
        text = str(detail) if detail else body[:_LONGEST_QUOTED].decode("utf-8", "replace")
        plain = without(self._key, text)[:_LONGEST_QUOTED]
        return "".join(c if c.isprintable() else " " for c in plain).strip() or "nothing of why"


def _parsed(body: bytes) -> Any:
    try:
        return parsed_json(body)
    except ValueError:
        return None


def _limit(content: Any) -> int | None:
    """Return how many rows a full page has; None if what is said cannot be that."""
    meta = content.get("meta")
    limit = meta.get("limit") if isinstance(meta, dict) else None
    return limit if type(limit) is int and 1 <= limit <= MOST_ROWS else None


def _refusal_in(content: Any, results: Any) -> Reply | None:
    """Return the refusal that an answer with status 200 holds, as a reply of its own status."""
    items = [content, *(results if isinstance(results, list) else ())]
    for item in items:
        detail = item.get("detail") if isinstance(item, dict) else None
        if not isinstance(detail, str) or not item.keys() <= _REFUSAL_KEYS:
            continue
        found = (status for pattern, status in _SAYS if re.search(pattern, detail, re.IGNORECASE))
        status = next(found, HTTPStatus.BAD_GATEWAY)
        return Reply(status, CaseInsensitiveDict(), json.dumps({"detail": detail}).encode())
    return None


def _seconds(reply: Reply, header: str) -> float | None:
    """Return a header that is a whole number; None if it is missing, or is none."""
    text = reply.headers.get(header, "").strip()
    return float(text[:9]) if text.isascii() and text.isdigit() else None
