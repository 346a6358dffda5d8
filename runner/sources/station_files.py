"""Stations from a file: JSON, JSON lines or CSV, as AQICN and others write them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.core.errors import ConfigError
from runner.core.sightings import Sighting, sighting

_INDEX = ("idx", "_id", "station_idx", "station_id", "uid")
_NAME = ("name", "station_name")
_URL = ("url",)
_LATITUDE = ("lat", "latitude")
_LONGITUDE = ("lon", "lng", "long", "longitude")
_POSITION = ("geo", "location", "geometry")
_INSIDE = ("city", "station", "properties")
"""Objects in which a station's fields stand besides."""
_LISTS = ("stations", "data", "features")


def stations_of(path: Path) -> Iterator[tuple[str, Sighting | None]]:
    """Yield where in the file a station stands, and what it says; None if it names none.

    Raises:
        ConfigError: the file cannot be read, or holds no list of objects.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            yield from _csv(text)
        elif path.suffix.lower() == ".json":
            yield from _json(text)
        else:
            yield from _lines(text)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"discover.file={path}: {reason or type(error).__name__}"
    else:
        return
    raise ConfigError(message)


def _csv(text: str) -> Iterator[tuple[str, Sighting | None]]:
    rows = csv.DictReader(io.StringIO(text))
    if not set(_INDEX) & {name.strip() for name in rows.fieldnames or ()}:
        msg = f"its first line names none of the columns {', '.join(_INDEX)}"
        raise ValueError(msg)
    for row in rows:
        plain = {str(key).strip(): value for key, value in row.items() if value not in (None, "")}
        yield f"line {rows.line_num}", _sighting(plain)


def _json(text: str) -> Iterator[tuple[str, Sighting | None]]:
    content = json.loads(text)
    if isinstance(content, dict):
        found = [content[name] for name in _LISTS if isinstance(content.get(name), list | dict)]
        content = found[0] if found else content
        content = [content] if isinstance(content, dict) else content
    if not isinstance(content, list):
        raise ValueError("it holds no list of stations")  # noqa: TRY004 - a bad value of the file
    for number, item in enumerate(content, 1):
        yield f"entry {number}", _sighting(item)


def _lines(text: str) -> Iterator[tuple[str, Sighting | None]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            msg = f"line {number} is not JSON: {error}"
            raise ValueError(msg) from None
        yield f"line {number}", _sighting(item)


def _sighting(item: Any) -> Sighting | None:
    if not isinstance(item, Mapping):
        return None
    parts = [item, *(_feature(item.get(key)) for key in _INSIDE)]
    zones = [*parts, *(_feature(part.get("time")) for part in parts)]
    index, name, url, tz, attributions, position = (
        next((found for part in some if (found := find(part)) not in (None, "")), None)
        for some, find in (
            (parts, lambda part: _first(part, _INDEX)),
            (parts, lambda part: _first(part, _NAME)),
            (parts, lambda part: _first(part, _URL)),
            (zones, lambda part: part.get("tz")),
            (parts, lambda part: part.get("attributions")),
            (parts, _position),
        )
    )
    return sighting(index, name, position, page_of(url), tz, attributions)


def _feature(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _position(item: Mapping[str, Any]) -> list[Any] | None:
    """Return [latitude, longitude] as written; GeoJSON has the longitude first."""
    latitude, longitude = _first(item, _LATITUDE), _first(item, _LONGITUDE)
    if latitude is not None and longitude is not None:
        return [latitude, longitude]
    geo = _first(item, _POSITION)
    if isinstance(geo, Mapping):
        geo = geo.get("coordinates")
        return geo[::-1] if isinstance(geo, list) else None
    return geo if isinstance(geo, list) else None


def _first(item: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((item[key] for key in keys if item.get(key) is not None), None)


_PAGES = "https://aqicn.org/city/"
"""Where the page of a station is, whose address search gives without this."""


def page_of(url: Any) -> Any:
    """Return the address of a station's page, which a search gives from the country on."""
    is_short = isinstance(url, str) and url.strip() and "://" not in url
    return _PAGES + url.strip().lstrip("/") if is_short else url
