"""How OpenAQ's API v3 fails: its words, its headers, and rows that are not those asked for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from runner.sandbox.faults import Fault

_PER_MINUTE = 60
_TIMED_OUT = (
    "Connection timed out: Try to provide more specific query parameters or a smaller time frame."
)


def failure_of(fault: Fault) -> tuple[Any, HTTPStatus]:
    """Return what is said, and with which status; "Over quota" is AQICN's, 408 is OpenAQ's own."""
    if fault is Fault.OVER_QUOTA:
        return {"detail": _TIMED_OUT}, HTTPStatus.REQUEST_TIMEOUT
    if fault is Fault.SERVER_ERROR:
        return "Internal Server Error", HTTPStatus.INTERNAL_SERVER_ERROR
    return {"detail": "Too many requests"}, HTTPStatus.TOO_MANY_REQUESTS


def limits(reset_s: int, *, left: int) -> dict[str, str]:
    """Return the headers about the limit; the reset is in so many seconds, no point in time."""
    return {
        "x-ratelimit-limit": str(_PER_MINUTE),
        "x-ratelimit-used": str(_PER_MINUTE - left),
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-reset": str(reset_s),
    }


def spoilt_rows(content: Any) -> Any:
    """Return an answer whose rows have lost their zone, so that nobody can tell their hours."""
    if not isinstance(content, dict) or "results" not in content:
        return content
    rows = [
        {**row, "period": {"datetimeTo": {"utc": row["period"]["datetimeTo"]["utc"][:-1]}}}
        for row in content["results"]
        if "period" in row
    ]
    return {**content, "results": rows or content["results"]}
