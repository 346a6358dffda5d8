"""What the API answers, as JSON values: the shapes of recorded answers, no HTTP."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.stations import Station, name_matches
from runner.sources.sandbox.values import Record, Values, position_of

Json = dict[str, Any]

OVER_QUOTA: Json = {"status": "error", "data": "Over quota"}
INVALID_KEY: Json = {"status": "error", "data": "Invalid key"}
TOO_MANY_REQUESTS: Json = {"status": "error", "data": "Too Many Requests"}
NO_SUCH_ROUTE: Json = {"status": "error", "message": "404"}

_LOOK_BACK_H = 24
"""Hours without a record after which a station is shown as offline."""
_VIETNAM = timezone(timedelta(hours=7))
_JAPAN = timezone(timedelta(hours=9))
"""The API's own clock: `debug.sync` and the times of map/bounds."""
_CROWD = 10
"""Map: more stations than this are thinned."""
_PARTS = 16
"""Map, thinned: parts per side of a box; of the stations in one part, one is shown."""
_POLLUTANTS = ("pm25", "pm10", "o3", "no2", "so2", "co")


class Refusal(Exception):  # noqa: N818 - an answer of the API, not an error of ours
    """The API says no.

    Attributes:
        answer: what it says.
    """

    def __init__(self, answer: Json) -> None:
        super().__init__(str(answer))
        self.answer = answer


class _Observation(NamedTuple):
    """The latest record of a station; hour is None if there is none."""

    hour: int | None
    aqi: Any
    iaqi: Json


class Answers:
    """Answers questions about some stations.

    Args:
        stations: idx to name.
        values: their hourly records.
        clock: the present, aware; nothing after it is answered.
    """

    def __init__(
        self, stations: Mapping[int, str], values: Values, clock: Callable[[], datetime]
    ) -> None:
        mark = " (synthetic)" if values.synthetic else ""
        self._stations = {
            idx: Station(idx, f"{name}{mark}".strip(), *position_of(idx))
            for idx, name in stations.items()
        }
        self._values = values
        self._clock = clock

    def history(self, feed: str, start: str, end: str) -> tuple[Json, int, Interval]:
        """Return the hours [start, end) of a station, its index, and the window.

        Args:
            feed: `@1583`, or `A476599` for idx -476599.
            start: first hour, like 2023-01-01T00:00:00Z.
            end: hour after the last; beyond the present there is nothing.

        Raises:
            Refusal: unknown station, or hours that cannot be read.
        """
        station = self._station(feed)
        if station is None:
            raise _unknown(feed)
        window = Interval(_hour(start), _hour(end))
        if window.hours <= 0:
            raise _refusal("Invalid query: start must be before end")
        past = Interval(window.start, min(window.end, hour_of(self._clock()) + 1))
        records = self._values.records(station.idx, past) if past.hours > 0 else []
        return _ok(records), station.idx, window

    def feed(self, feed: str) -> Json:
        """Return the current observation of a station.

        Args:
            feed: `@1583`, `A476599`, or `geo:21.02;105.85` for the nearest station.

        Raises:
            Refusal: unknown station or unreadable position.
        """
        if feed.startswith("geo:"):
            station: Station | None = self._nearest(feed.removeprefix("geo:"))
        else:
            station = self._station(feed)
        if station is None and re.fullmatch(r"@\d+", feed):
            raise Refusal(_ok({"status": "error", "msg": "Unknown ID"}))
        if station is None:
            raise _unknown(feed)
        return _ok(self._observed(station))

    def search(self, keyword: str) -> Json:
        """Return the stations whose name holds a keyword, regardless of case and diacritics."""
        found = []
        for station in self._stations.values():
            if not keyword.strip() or not name_matches(keyword.strip(), station.name):
                continue
            seen = self._latest(station)
            time: Json = {"tz": "+07:00", "stime": "", "vtime": 0}
            if seen.hour is not None:
                time |= {"stime": _wall_clock(seen.hour), "vtime": seen.hour * 3600}
            place = {"name": station.name, "geo": _geo(station), "url": f"sandbox/{station.feed}"}
            found.append({"uid": station.idx, "aqi": str(seen.aqi), "time": time, "station": place})
        return _ok(found)

    def bounds(self, latlng: str) -> Json:
        """Return the stations in a box, of a crowd only some, as on the real map.

        Args:
            latlng: two opposite corners in degrees, `lat1,lng1,lat2,lng2`.

        Raises:
            Refusal: not four numbers.
        """
        parts = [*latlng.split(","), "", "", ""][:4]
        lat1, lng1, lat2, lng2 = (_coordinate(part) for part in parts)
        south, north, west, east = *sorted((lat1, lat2)), *sorted((lng1, lng2))
        here = [
            station
            for station in self._stations.values()
            if south <= (geo := _geo(station))[0] <= north and west <= geo[1] <= east
        ]
        if len(here) > _CROWD:
            apart = {
                (_part(_geo(it)[0], south, north), _part(_geo(it)[1], west, east)): it
                for it in here
            }
            here = [*apart.values()]
        found = []
        for station in here:
            latitude, longitude = _geo(station)
            seen = self._latest(station)
            hour = hour_of(self._clock()) - _LOOK_BACK_H if seen.hour is None else seen.hour
            found.append(
                {
                    "lat": latitude,
                    "lon": longitude,
                    "uid": station.idx,
                    "aqi": str(seen.aqi),
                    "station": {"name": station.name, "time": _iso(hour, _JAPAN)},
                }
            )
        return _ok(found)

    def _station(self, feed: str) -> Station | None:
        parts = re.fullmatch(r"([@A])(\d{1,10})", feed)
        if parts is None:
            return None
        return self._stations.get(int(parts[2]) if parts[1] == "@" else -int(parts[2]))

    def _nearest(self, position: str) -> Station | None:
        try:
            latitude, longitude = (float(part) for part in position.split(";"))
        except ValueError:
            text = position.replace(";", ",")
            raise _refusal(f"Invalid geo position - Can not parse '{text}'") from None
        here = (latitude, longitude)
        return min(self._stations.values(), key=lambda s: math.dist(here, _geo(s)), default=None)

    def _latest(self, station: Station) -> _Observation:
        end = hour_of(self._clock()) + 1
        for hours in (1, _LOOK_BACK_H):
            records = self._values.records(station.idx, Interval(end - hours, end))
            if records:
                return _observation(records[-1])
        return _Observation(None, "-", {})

    def _observed(self, station: Station) -> Json:
        seen = self._latest(station)
        citizen = station.idx < 0
        loudest = max(
            (name for name in _POLLUTANTS if name in seen.iaqi),
            key=lambda name: seen.iaqi[name]["v"],
            default="",
        )
        time: Json = {"tz": "+07:00", "v": 0}
        if seen.hour is not None:
            time = {
                "s": _wall_clock(seen.hour),
                "tz": "+07:00",
                # As recorded: the local wall clock read as if UTC, save for citizen stations.
                "v": (seen.hour if citizen else seen.hour + 7) * 3600,
                "iso": _iso(seen.hour, UTC if citizen else _VIETNAM).replace("+00:00", "Z"),
            }
        origin = "Synthetic values" if self._values.synthetic else "Replayed values"
        data: Json = {
            "aqi": seen.aqi,
            "idx": station.idx,
            "attributions": [
                {"url": "http://127.0.0.1/", "name": f"{origin} of the runner's sandbox"},
            ],
            "city": {
                "geo": _geo(station),
                "name": station.name,
                "url": f"http://127.0.0.1/station/{station.feed}",
                "location": "",
            },
            "dominentpol": loudest,
            "iaqi": seen.iaqi,
            "time": time,
        }
        if not citizen:
            data["debug"] = {"sync": _iso(hour_of(self._clock()), _JAPAN)}
        return data


def _ok(data: Any) -> Json:
    return {"status": "ok", "data": data}


def _refusal(text: str) -> Refusal:
    return Refusal({"status": "error", "data": text})


def _unknown(feed: str) -> Refusal:
    return _refusal("no such station" if re.fullmatch(r"A\d+", feed) else "Unknown station")


def _hour(text: str) -> int:
    """Read an hour as the history endpoint takes it."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _refusal(f"Invalid query: can not parse time '{text}'") from None
    if moment.minute or moment.second:
        raise _refusal(f"Invalid query: '{text}' is not on the hour")
    return hour_of(moment)


def _coordinate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _refusal(
            f'invalid bounds: strconv.ParseFloat: parsing "{text}": invalid syntax'
        ) from None


def _observation(record: Record) -> _Observation:
    time = record["time"]
    offset = time["tz"] if time["tz"] != "Z" else "+00:00"
    local = datetime.fromisoformat(f"{time['s']}{offset}")
    aqi = record.get("current_aqi", record.get("aqi", "-"))
    return _Observation(hour_of(local), aqi, record.get("current_iaqi") or record.get("iaqi") or {})


def _geo(station: Station) -> list[float]:
    """Return [latitude, longitude]; every station here has both."""
    return [station.latitude or 0.0, station.longitude or 0.0]


def _part(value: float, low: float, high: float) -> int:
    """Return in which of the parts of a side a coordinate lies."""
    return int(_PARTS * (value - low) / (high - low)) if high > low else 0


def _wall_clock(hour: int) -> str:
    return to_datetime(hour).astimezone(_VIETNAM).strftime("%Y-%m-%d %H:%M:%S")


def _iso(hour: int, zone: timezone) -> str:
    return to_datetime(hour).astimezone(zone).isoformat()
