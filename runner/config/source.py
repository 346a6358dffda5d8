"""Where readings come from: `source=NAME`."""

from __future__ import annotations

from runner.config.section import Section, setting

LOOPBACK = ("localhost", "127.0.0.1", "::1")


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
    """Where readings come from; sources add settings of their own."""

    kind: str = setting("", "where readings come from; chosen with `source=NAME`")
    base_url: str = setting("", "of the API; https, or http to this machine")
    allow_http: bool = setting(
        False,
        "allow http to other machines; the key then travels in the clear",
    )
    connect_timeout_s: float = setting(10.0, "seconds to connect", ge=0.01, le=3600, unit="seconds")
    read_timeout_s: float = setting(
        30.0, "seconds without a byte of the answer", ge=0.01, le=3600, unit="seconds"
    )
    retry: Retry = setting(Retry(), "how a request that failed is tried again")
    path: str | None = setting(None, "directory of the files, for sources that read files")
    keep_raw: bool = setting(
        False,
        "keep every answer of the API, to be read again without asking; terms may restrict that",
    )
    raw_days: int = setting(
        90, "days after which a kept answer is deleted", ge=1, le=36_500, unit="days"
    )
    max_age_hours: int = setting(
        24,
        "of the present observation: an older one is stale: counted, not stored",
        ge=1,
        le=8784,
        unit="hours",
    )
