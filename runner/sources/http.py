"""One small HTTP client for all sources: pacing, timeouts, retries, and no secret in any error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from threading import Lock
from typing import TypeVar

import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential
from urllib3.exceptions import DecodeError, HTTPError, NewConnectionError, ReadTimeoutError

from runner import __version__
from runner.core.errors import Scope, SourceError, ThrottledError
from runner.pacing import Pacer
from runner.secrets import Secret
from runner.shutdown import StopFlag

log = structlog.get_logger()

USER_AGENT = f"air-quality-backfill-runner/{__version__}"
LARGEST_BODY = 64 * 2**20
"""Bytes. A year of hours takes about 2 MB; what is larger than this answers no question of ours."""

_CHUNK = 2**16
_CONNECTIONS = 64
"""Kept open: one a worker, and there are at most so many workers."""
_SLOWEST = 10
"""A body may take so many read timeouts in all; one that drips on for ever is cut off. (A head that
drips on for ever is not: only the read timeout guards it, and the stop at 64 KiB a line.)"""

_UNREACHABLE = "Nothing is lost: run the same command again once it can be reached"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a request that failed is tried again.

    Attributes:
        max_attempts: tries of one request; throttled ones do not count.
        max_elapsed_s: seconds spent on tries and on waits between them, after which no further try
            begins; waiting for a slot of the pacer does not count.
        backoff_s: upper bound of the first wait, in seconds; doubles every time (full jitter).
        backoff_max_s: upper bound of any such wait, in seconds.
        throttled_max_s: seconds without a single answer to anyone, because of throttling, after
            which the run ends.
    """

    max_attempts: int
    max_elapsed_s: float
    backoff_s: float
    backoff_max_s: float
    throttled_max_s: float


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for the other side.

    Attributes:
        connect_s: seconds to connect.
        read_s: seconds between two bytes of an answer.
    """

    connect_s: float
    read_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole.

    Attributes:
        status: HTTP status code.
        headers: by name, in any case.
        body: bytes, decompressed.
    """

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type, without parameters; "no content type" where none is said."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip() or "no content type"

    @property
    def retry_after_s(self) -> float | None:
        """Seconds the server asks to wait; None where it does not say, or not understandably.

        A date is read against the answer's own `Date`, so that a wrong clock here does no harm.
        """
        text = self.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            until = parsedate_to_datetime(text)
            now = parsedate_to_datetime(self.headers.get("Date", ""))
        except (TypeError, ValueError, OverflowError):
            return None
        return max(0.0, (_aware(until) - _aware(now)).total_seconds())


class _Session(requests.Session):
    """Looks at no redirect: requests reads the target, and the whole body, even if not told to."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target."""


class HttpClient:
    """GETs from one server. Thread-safe.

    Redirects are not followed: a token must not travel to where an answer points.

    Args:
        base_url: of the server, without a trailing slash.
        pacer: gives a permit for every try.
        stop: ends every wait at once.
        redact: takes secrets out of text.
        policy: of retries.
        timeouts: of one try.
        failure: the error class for what goes wrong on the way.
    """

    def __init__(
        self,
        base_url: str,
        pacer: Pacer,
        stop: StopFlag,
        redact: Callable[[str], str],
        policy: RetryPolicy,
        timeouts: Timeouts,
        *,
        failure: type[SourceError] = SourceError,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._pacer = pacer
        self._stop = stop
        self._redact = redact
        self._policy = policy
        self._timeouts = timeouts
        self._failure = failure
        self._throttle = _Throttle()
        self._session = _Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["User-Agent"] = USER_AGENT
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        secrets: Mapping[str, Secret],
        read: Callable[[Reply], Result],
        **context: object,
    ) -> Result:
        """Ask until there is an answer that can be read, or until trying again makes no sense.

        Args:
            path: below the base URL, with a leading slash.
            params: query parameters.
            secrets: query parameters that stand in no log and no error.
            read: makes a result of an answer, or raises a SourceError whose scope says whether to
                try again, and a ThrottledError where everyone has to wait.
            context: stands in every log line.

        Raises:
            SourceError: no usable answer; the scope says how far that reaches.
            StoppedError: a stop was asked for while waiting.
        """
        patience = _Patience(self._policy, self._throttle)
        logger = log.bind(**context)

        def attempt() -> Result:
            self._pacer.acquire()
            began = time.monotonic()
            try:
                result = read(self._ask(path, params, secrets))
            except SourceError as error:
                if not isinstance(error, ThrottledError) and error.scope is not Scope.RETRY:
                    self._throttle.over()
                raise
            finally:
                patience.spent_s += time.monotonic() - began
            self._throttle.over()
            elapsed_ms = round((time.monotonic() - began) * 1000)
            logger.debug("request.answered", attempt=patience.tries + 1, elapsed_ms=elapsed_ms)
            return result

        def before_sleep(state: RetryCallState) -> None:
            error, wait_s = _error_of(state), round(state.upcoming_sleep, 3)
            logger.info(
                "request.failed", attempt=patience.tries, error=error.message, wait_s=wait_s
            )
            if isinstance(error, ThrottledError) and self._pacer.pause(wait_s):
                log.warning("source.throttled", error=error.message, wait_s=wait_s)

        retrying = Retrying(
            retry=retry_if_exception(_is_retriable),
            wait=patience.wait,
            stop=patience.is_over,
            before_sleep=before_sleep,
            sleep=self._stop.sleep,
            retry_error_callback=patience.give_up,
        )
        return retrying(attempt)

    def _ask(self, path: str, params: Mapping[str, str], secrets: Mapping[str, Secret]) -> Reply:
        revealed = {name: secret.reveal() for name, secret in secrets.items()}
        longest_s = _SLOWEST * self._timeouts.read_s
        deadline = time.monotonic() + self._timeouts.connect_s + longest_s
        with (
            self._plain_errors(),
            self._session.get(
                self._base_url + path,
                params={**params, **revealed},
                timeout=(self._timeouts.connect_s, self._timeouts.read_s),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            body = bytearray()
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise self._failure(f"the answer is larger than {LARGEST_BODY >> 20} MB")
                if time.monotonic() > deadline:
                    raise self._failure(f"the answer was not complete after {longest_s:g} s")
            return Reply(response.status_code, response.headers, bytes(body))

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Raise what goes wrong on the way as our error: the original's text has the key in it."""
        try:
            yield
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            message, scope = self._explained(error)
            unreachable = _is_unreachable(error)
        else:
            return
        failure = self._failure(message, scope=scope)
        failure.unreachable = unreachable
        raise failure from None

    def _explained(self, error: Exception) -> tuple[str, Scope]:
        where = self._redact(self._base_url)
        match error:
            case requests.ConnectTimeout():
                said = f"no connection to {where} within {self._timeouts.connect_s:g} s"
            case requests.Timeout() | ReadTimeoutError():
                said = f"no answer from {where} within {self._timeouts.read_s:g} s"
            case requests.exceptions.SSLError():
                said = f"no trusted TLS connection to {where}"
            case requests.exceptions.ContentDecodingError() | DecodeError():
                said = "the answer cannot be decompressed"
            case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema():
                return f"{where} cannot be asked ({type(error).__name__})", Scope.RUN
            case _:
                said = f"the connection to {where} failed ({_root_reason(error)})"
        return said, Scope.RETRY


class _Throttle:
    """Since when nobody got an answer because of throttling. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._since: float | None = None

    def over(self) -> None:
        """Note that somebody got an answer."""
        with self._lock:
            self._since = None

    def lasts_s(self) -> float:
        """Note that somebody was throttled; return for how many seconds that has gone on."""
        now = time.monotonic()
        with self._lock:
            self._since = now if self._since is None else self._since
            return now - self._since


class _Patience:
    """Decides for one request how long to wait before the next try, and when to give up."""

    def __init__(self, policy: RetryPolicy, throttle: _Throttle) -> None:
        self._policy = policy
        self._throttle = throttle
        self._failures = 0
        self._refusals = 0
        self.spent_s = 0.0

    @property
    def tries(self) -> int:
        """Tries that came to nothing."""
        return self._failures + self._refusals

    def wait(self, state: RetryCallState) -> float:
        """Return the seconds to wait, after counting the failure."""
        error = _error_of(state)
        throttled = isinstance(error, ThrottledError)
        self._failures += not throttled
        self._refusals += throttled
        counted = RetryCallState(state.retry_object, None, (), {})
        counted.attempt_number = self._refusals if throttled else self._failures
        longest_s = self._policy.backoff_max_s
        wait_s = wait_random_exponential(self._policy.backoff_s, longest_s)(counted)
        if isinstance(error, ThrottledError) and error.retry_after_s is not None:
            return error.retry_after_s + min(wait_s, 1.0)  # not all at the same instant
        if throttled:
            return wait_s
        self.spent_s += wait_s
        return wait_s

    def is_over(self, state: RetryCallState) -> bool:
        """Return whether to give up rather than wait."""
        error = _error_of(state)
        if isinstance(error, ThrottledError):
            wait_s = state.upcoming_sleep if error.retry_after_s is None else error.retry_after_s
            return self._throttle.lasts_s() + wait_s > self._policy.throttled_max_s
        policy = self._policy
        return self._failures >= policy.max_attempts or self.spent_s > policy.max_elapsed_s

    def give_up(self, state: RetryCallState) -> None:
        """Raise the last error, saying how often it was tried.

        Raises:
            SourceError: for the station; for the run where everyone is throttled.
        """
        error = _error_of(state)
        if isinstance(error, ThrottledError):
            error.scope = Scope.RUN
            error.hint = (
                "Run the same command again later; or lower the pace (rate_limit=gentle), "
                "or wait longer (source.retry.throttled_max_s)"
            )
            asked = error.retry_after_s
            wait = "" if asked is None else f", and asks to wait {asked:,.0f} s"
            error.message = (
                f"throttled{wait}: {error.message}; "
                f"source.retry.throttled_max_s={self._policy.throttled_max_s:g} s is used up"
            )
        else:
            tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
            error.message = f"{error.message} (given up after {tries})"
            error.scope = Scope.RUN if error.unreachable else Scope.STATION
            error.hint = _UNREACHABLE if error.unreachable else error.hint
        error.args = (error.message,)
        raise error


def _error_of(state: RetryCallState) -> SourceError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, SourceError):
        msg = f"only source errors are tried again, not {error!r}"
        raise TypeError(msg)
    return error


def _is_retriable(error: BaseException) -> bool:
    return isinstance(error, SourceError) and error.scope is Scope.RETRY


def _is_unreachable(error: BaseException) -> bool:
    """Whether no connection came about: name unknown, refused, no way there, no answer to it."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", None)  # of urllib3's MaxRetryError
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def _root_reason(error: BaseException) -> str:
    """Return the class of the innermost error, as words: its text may hold the URL."""
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        inner = [item for item in (*at.args, getattr(at, "reason", None)) if item is not None]
        nested = [item for item in inner if isinstance(item, BaseException)]
        at = at.__cause__ or at.__context__ or next(iter(nested), None)
    systemic = [item for item in seen if isinstance(item, OSError) and item.strerror]
    return systemic[-1].strerror or "" if systemic else type(seen[-1]).__name__


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
