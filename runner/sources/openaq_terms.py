"""Whose measurements a location's are, and under which licence: to be told with every use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LONGEST = 200
"""Characters of a name that are kept."""


def terms_of(location: int, station_idx: int, results: Sequence[Any]) -> dict[str, Any]:
    """Return the terms of a location as JSON values.

    Args:
        location: its id.
        station_idx: the station it stands for.
        results: those of `/v3/locations/{id}`, unvalidated.

    Returns:
        {"station_idx", "location", "name", "provider", "owner", "licences": [{"name",
        "attribution", "url", "from", "to"}]}; what OpenAQ does not say is None.
    """
    told = results[0] if results and isinstance(results[0], dict) else {}
    licences = told.get("licenses")
    return {
        "station_idx": station_idx,
        "location": location,
        "name": _text(told.get("name")),
        "provider": _named(told.get("provider")),
        "owner": _named(told.get("owner")),
        "licences": [
            _licence(one)
            for one in (licences if isinstance(licences, list) else ())
            if isinstance(one, dict)
        ],
    }


def _licence(one: dict[str, Any]) -> dict[str, Any]:
    attribution = one.get("attribution")
    url = attribution.get("url") if isinstance(attribution, dict) else None
    return {
        "name": _text(one.get("name")),
        "attribution": _named(attribution),
        "url": _text(url),
        "from": _text(one.get("dateFrom")),
        "to": _text(one.get("dateTo")),
    }


def _named(value: Any) -> str | None:
    return _text(value.get("name")) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) and value.strip() else None
