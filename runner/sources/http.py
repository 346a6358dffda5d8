"""One small HTTP client for all sources: pacing, timeouts, retries, and no secret in any error."""

from __future__ import annotations

import errno
import http.client
import io
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers, select_proxy
from urllib3.exceptions import DecodeError, HTTPError, NewConnectionError, ReadTimeoutError

from runner import __version__
from runner.config.source import Retry
from runner.core.errors import Scope, SourceError, ThrottledError
from runner.process.secrets import Secret, masked, without
from runner.process.stop import StopFlag
from runner.sources.pacing import Pacing
from runner.sources.patience import (
    FailedTries,
    Patience,
    Throttle,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = structlog.get_logger()

USER_AGENT = f"air-quality-backfill-runner/{__version__}"
LARGEST_BODY = 64 * 2**20
"""Bytes. A year of hours takes about 2 MB; what is larger than this answers no question of ours."""

_CHUNK = 2**16
_CONNECTIONS = 64
"""Connections kept open: one per worker, and this is the most workers."""
_SLOWEST = 10
"""Read timeouts that a whole answer may take, head and body; one that drips for ever is cut off."""

_PROXY_HINT = (
    "Nothing is lost. Put the proxy right, or name the API's host in NO_PROXY, and run the same "
    "command again"
)
_OF_PROXIES = (requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL)
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")

Result = TypeVar("Result")


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
        """Seconds the server asks to wait; None if it does not say, or not understandably.

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


def parsed_json(body: bytes) -> Any:
    """Return the JSON of a body: UTF-8, -16 or -32, with or without a byte order mark.

    NaN, Infinity and integers of any size pass: one of them makes a record unusable, not the
    answer around it.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(body)
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None


class _TooSlowError(OSError):
    """The answer goes on, and its time is over."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(errno.ETIME, f"the answer was not complete after {limit_s:g} s")


class _Timed(io.RawIOBase):
    """Read a response from a socket: every read within its timeout, all of them in a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._timeout_s = sock.gettimeout() or 0.0
        self._limit_s = _SLOWEST * self._timeout_s
        self._deadline = time.monotonic() + self._limit_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise _TooSlowError(self._limit_s)
        self._sock.settimeout(min(self._timeout_s, left_s))
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            if left_s < self._timeout_s:
                raise _TooSlowError(self._limit_s) from None
            raise

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """A response with a deadline from its first byte on, the interim ones (100) before it too."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock))


class _Adapter(HTTPAdapter):
    """Let connections of every kind, through proxies too, make timed responses."""

    def get_connection_with_tls_context(
        self, *args: Any, **options: Any
    ) -> Any:  # a pool of urllib3
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        usual = pool.ConnectionCls
        if usual.response_class is not _TimedResponse:
            timed = type(usual.__name__, (usual,), {"response_class": _TimedResponse})
            pool.ConnectionCls = timed
        return pool


class HttpClient:
    """GETs from one server. Thread-safe.

    Redirects are not followed: a token must not travel to where an answer points. Secrets that an
    answer echoes are masked before anything reads it, and in every error: nothing that a source
    makes of an answer can hold one.

    Args:
        base_url: of the server, without a trailing slash.
        pacer: gives a permit for every try.
        stop: ends every wait at once.
        redact: takes secrets out of text.
        policy: of retries.
        timeouts: of one try.
        failure: the error class for what goes wrong on the way.
        failed: counts the tries that came to nothing.
        secret_headers: sent with every request; they stand in no log and no error.
    """

    def __init__(
        self,
        base_url: str,
        pacer: Pacing,
        stop: StopFlag,
        redact: Callable[[str], str],
        policy: Retry,
        timeouts: Timeouts,
        *,
        failure: type[SourceError] = SourceError,
        failed: FailedTries | None = None,
        secret_headers: Mapping[str, Secret] | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._pacer = pacer
        self._stop = stop
        self._redact = redact
        self._policy = policy
        self._timeouts = timeouts
        self._failure = failure
        self._throttle = Throttle()
        self._failed = failed or FailedTries()
        self._secret_headers = dict(secret_headers or {})
        self._adapter = _Adapter(pool_maxsize=_CONNECTIONS)
        self._headers = {**default_headers(), "User-Agent": USER_AGENT}
        with requests.Session() as session:  # proxies and certificates, as the environment says
            found = session.merge_environment_settings(self._base_url, {}, True, None, None)  # noqa: FBT003 - its form
        self._proxies, self._verify = found["proxies"], found["verify"] or True
        self._proxy = _proxy_of(self._base_url, self._proxies)

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

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
        patience = Patience(self._policy, self._throttle)
        logger = log.bind(**context)
        clean = self._cleaner(secrets)

        def attempt() -> Result:
            self._pacer.acquire()
            began = time.monotonic()
            try:
                result = read(self._ask(path, params, secrets))
            except SourceError as error:
                error.message, error.hint = clean(error.message), clean(error.hint)
                error.args = (error.message,)
                self._failed.count(error)
                if not isinstance(error, ThrottledError) and error.scope is not Scope.RETRY:
                    self._throttle.over()
                raise
            finally:
                patience.spent_s += time.monotonic() - began
            self._throttle.over()
            elapsed_ms = round((time.monotonic() - began) * 1000)
            logger.debug("request.answered", attempt=patience.tries + 1, elapsed_ms=elapsed_ms)
            return result

        while True:
            try:
                return attempt()
            except SourceError as error:
                if error.scope is not Scope.RETRY:
                    raise
                wait_s = patience.wait_s(error)
                shown_s = round(wait_s, 3)
                logger.info(
                    "request.failed", attempt=patience.tries, error=error.message, wait_s=shown_s
                )
                if error.unreachable and patience.tries == 1:
                    log.warning("source.unreachable", error=error.message, wait_s=shown_s)
                if isinstance(error, ThrottledError) and self._pacer.pause(shown_s):
                    log.warning("source.throttled", error=error.message, wait_s=shown_s)
            self._stop.sleep(wait_s)

    def _ask(self, path: str, params: Mapping[str, str], secrets: Mapping[str, Secret]) -> Reply:
        """Ask once, straight through the adapter.

        A session would send a password that a netrc file has for the host, and it reads the whole
        body of a redirect that it was asked not to follow.
        """
        revealed = {name: secret.reveal() for name, secret in secrets.items()}
        headers = {name: secret.reveal() for name, secret in self._secret_headers.items()}
        timeout = (self._timeouts.connect_s, self._timeouts.read_s)
        with self._plain_errors():
            request = requests.Request(
                "GET",
                self._base_url + path,
                {**self._headers, **headers},
                params={**params, **revealed},
            )
            with self._adapter.send(
                request.prepare(),
                stream=True,
                timeout=timeout,
                verify=self._verify,
                proxies=self._proxies,
            ) as response:
                reply = self._whole(response)
        if reply.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise self._failure(
                f"{self._proxy or 'a proxy'} refuses: HTTP {reply.status}",
                scope=Scope.RUN,
                hint=_PROXY_HINT,
            )
        return _cleaned(reply, self._cleaner(secrets))

    def _cleaner(self, secrets: Mapping[str, Secret]) -> Callable[[str], str]:
        """Return what masks the secrets of a request, and all others of this process."""
        sent = (*secrets.values(), *self._secret_headers.values())

        def clean(text: str) -> str:
            for secret in sent:
                text = without(secret, text)
            return self._redact(text)

        return clean

    def _whole(self, response: requests.Response) -> Reply:
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > LARGEST_BODY:
                raise self._failure(f"the answer is larger than {LARGEST_BODY >> 20} MB")
        return Reply(response.status_code, response.headers, bytes(body))

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Raise what goes wrong on the way as our error: the original's text has the key in it."""
        try:
            yield
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            message, scope = self._explained(error)
            unreachable = scope is Scope.RETRY and _is_unreachable(error)
            hint = _PROXY_HINT if isinstance(error, _OF_PROXIES) else ""
        else:
            return
        failure = self._failure(message, scope=scope, hint=hint)
        failure.unreachable = unreachable
        raise failure from None

    def _explained(self, error: Exception) -> tuple[str, Scope]:
        where = self._redact(self._base_url)
        if self._proxy:
            where += f" through {self._proxy}"
        match error:
            case requests.exceptions.ProxyError() if refused := _TUNNEL.search(str(error)):
                status = int(refused[1])
                can_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR
                said = f"{self._proxy or 'the proxy'} refuses: HTTP {status}"
                return said, Scope.RETRY if can_pass else Scope.RUN
            case requests.exceptions.InvalidProxyURL():
                return f"{self._proxy} has no address that can be used", Scope.RUN
            case requests.exceptions.InvalidHeader(request=None) | UnicodeEncodeError():
                return f"no request can be sent to {where}: a header is refused", Scope.RUN
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


def _proxy_of(base_url: str, proxies: Mapping[str, str]) -> str:
    """Return the proxy of an address in words, without user and password; empty without one."""
    chosen = select_proxy(base_url, proxies)
    if not chosen:
        return ""
    names = (f"{urlsplit(base_url).scheme}_proxy", "all_proxy")
    spellings = [spelling for name in names for spelling in (name, name.upper())]
    variable = next((name for name in spellings if os.environ.get(name) == chosen), spellings[1])
    try:
        parts = urlsplit(chosen if "://" in chosen else f"http://{chosen}")
        place = (parts.hostname or "?") + (f":{parts.port}" if parts.port else "")
    except ValueError:  # no port, no address
        place = "?"
    return f"the proxy {place} ({variable})"


def _cleaned(reply: Reply, clean: Callable[[str], str]) -> Reply:
    """Return an answer without secrets; the same one if it holds none."""
    headers, body = reply.headers, reply.body
    encoding = json.detect_encoding(body)
    if encoding.startswith("utf-8"):
        text, errors = body.decode("utf-8", "surrogateescape"), "surrogateescape"
    else:
        text, errors = body.decode(encoding, "replace"), "replace"
    if (without_secrets := clean(text)) != text:
        body = without_secrets.encode("utf-8" if encoding == "utf-8-sig" else encoding, errors)
    said = " ".join(chain.from_iterable(headers.items()))
    if clean(said) != said:
        headers = CaseInsensitiveDict(masked(dict(headers.items()), clean))
    return Reply(reply.status, headers, body)


def _is_unreachable(error: BaseException) -> bool:
    """Whether no connection came about: name unknown, refused, no way there, no answer to it."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
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
