"""Where readings come from: `source=NAME`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.config.openaq import OpenAq
from runner.config.section import Section, setting
from runner.core.stations import site_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SourceKind(Enum):
    """Where readings come from; spelt as typed in `source=NAME`."""

    aqicn = "aqicn"
    aqicn_live = "aqicn_live"
    airnow = "airnow"
    openaq = "openaq"
    openaq_archive = "openaq_archive"
    sandbox = "sandbox"
    replay = "replay"


KEYS = {
    SourceKind.aqicn: ("AQICN_API_KEY", "api.waqi.info"),
    SourceKind.aqicn_live: ("AQICN_API_KEY", "api.waqi.info"),
    SourceKind.openaq: ("OPENAQ_API_KEY", "api.openaq.org"),
}
"""Per source that wants a key: its environment variable, and the host that issued it."""


class History(Section):
    """How the history endpoint is spelt."""

    path: str = setting(
        "/feed/{feed}/history",
        "the history endpoint, below the base URL; `{feed}` is `@1583`, or `A476599` for a citizen "
        "station",
    )
    start_param: str = setting("start", "parameter of the first instant, ISO 8601 UTC")
    end_param: str = setting("end", "parameter of the first instant after the window")
    token_param: str = setting("token", "parameter of the key")

    def broken(self) -> Iterator[str]:
        """Yield a line if the path cannot be one."""
        if "{feed}" not in self.path or not self.path.startswith("/"):
            yield f"source.history.path={self.path}: it starts with / and contains {{feed}}"
        if not self.path.isprintable() or " " in self.path:
            yield f"source.history.path={self.path!r}: there is a blank or the like in it"


class Retry(Section):
    """How a request that failed is tried again; waits grow exponentially, with full jitter."""

    max_attempts: int = setting(
        8, "tries of one request; throttling does not count", ge=1, le=1000, unit="tries"
    )
    max_elapsed_s: float = setting(
        900.0,
        "seconds spent on one request after which no further try begins",
        ge=0,
        le=604_800,
        unit="seconds",
    )
    backoff_s: float = setting(
        2.0,
        "upper bound of the first wait, seconds; doubles every time",
        ge=0,
        le=3600,
        unit="seconds",
    )
    backoff_max_s: float = setting(
        120.0, "upper bound of any wait, seconds", ge=0, le=3600, unit="seconds"
    )
    throttled_max_s: float = setting(
        7200.0,
        "seconds of throttling without any answer that end the run (resumable)",
        ge=0,
        le=604_800,
        unit="seconds",
    )


class Source(Section):
    """Where readings come from."""

    kind: SourceKind = setting(
        SourceKind.aqicn, "where readings come from; chosen with `source=NAME`"
    )
    base_url: str = setting("https://api.waqi.info", "of the API; https, or http to this machine")
    allow_http: bool = setting(
        False,
        "allow http to other machines; the key then travels in the clear",
    )
    history: History = setting(History(), "the history endpoint")
    connect_timeout_s: float = setting(10.0, "seconds to connect", ge=0.01, le=3600, unit="seconds")
    read_timeout_s: float = setting(
        30.0, "seconds without a byte of the answer", ge=0.01, le=3600, unit="seconds"
    )
    retry: Retry = setting(Retry(), "how a request that failed is tried again")
    path: str | None = setting(None, "directory of the AirNow files, or of OpenAQ's archive")
    sites: dict[str, Any] = setting(
        {"Hanoi": 8641, "Ho Chi Minh City": 8767},
        "AirNow site name to station id; a site other than Hanoi and Ho Chi Minh City needs its "
        "offset from UTC, in whole hours and all year: "
        "`\"+source.sites={Ulaanbaatar: {station: 8551, utc_offset: '+08:00'}}\"`",
    )
    keep_raw: bool = setting(
        False,
        "keep every answer of the API for `source=replay`; AQICN's terms restrict that",
    )
    raw_days: int = setting(
        90, "days after which a kept answer is deleted", ge=1, le=36_500, unit="days"
    )
    openaq: OpenAq = setting(OpenAq(), "what concerns OpenAQ and its archive only")
    max_age_hours: int = setting(
        24,
        "`source=aqicn_live`: an older observation is stale: counted, not stored",
        ge=1,
        le=8784,
        unit="hours",
    )

    def broken(self) -> Iterator[str]:
        """Yield a line for every rule that is broken."""
        if self.kind in (SourceKind.airnow, SourceKind.openaq_archive):
            yield from self._files()
        for site, where in self.sites.items():
            try:
                site_of(site, where)
            except ValueError as error:
                yield f"source.sites: {site}: {error}"
        if self.keep_raw:
            yield from _keep_raw(self.kind)
        if self.kind in KEYS:
            yield from self._url()

    def _files(self) -> Iterator[str]:
        if self.path is None:
            yield f"source.path=DIR is missing: source={self.kind.name} reads the files in it"
        elif not Path(self.path).is_dir():
            yield f"source.path={self.path}: there is no such directory"
        elif self.kind is SourceKind.airnow and not any(
            path.suffix.lower() == ".csv" for path in Path(self.path).iterdir()
        ):
            yield f"source.path={self.path}: there is no *.csv file in it"

    def _url(self) -> Iterator[str]:
        key = "source.base_url"
        if not self.base_url.isprintable() or " " in self.base_url:
            yield f"{key}={self.base_url!r}: there is a blank or a control character in it"
            return
        try:
            url = urlsplit(self.base_url)
            host = url.hostname
            _ = url.port, (host or "").encode("idna")
        except ValueError as error:
            yield f"{key}: {error}"
            return
        if url.scheme not in ("https", "http") or not host:
            yield f"{key}={self.base_url}: write https://HOST, with a port or path if need be"
        elif url.username or url.password or url.query or url.fragment:
            yield f"{key}: no user, password, query or fragment; the key is {KEYS[self.kind][0]}"
        elif url.scheme == "http" and host not in LOOPBACK and not self.allow_http:
            yield (
                f"{key}={self.base_url}: the key would travel in the clear (source.allow_http=true)"
            )


def _keep_raw(kind: SourceKind) -> Iterator[str]:
    if kind in (SourceKind.airnow, SourceKind.replay):
        yield f"source.keep_raw=true: source={kind.name} asks no API, so nothing is answered"
    if kind in (SourceKind.openaq, SourceKind.openaq_archive):
        yield "source.keep_raw=true: what OpenAQ measured is kept anyway, in ingest_concentrations"
    if kind is SourceKind.aqicn_live:
        yield "source.keep_raw=true: a present observation cannot be replayed as history"
