"""AQICN's stations: by keyword, by box, and one by one. What it says, unchecked against a country.

GET /search/?keyword=vietnam        data: [{uid, time{tz}, station{name, geo[lat,lon], url}}]
GET /v2/map/bounds?latlng=...       data: [{uid, lat, lon, station{name}}], citizens included;
                                    dense areas are thinned in large boxes, the order is random
GET /feed/@1583/, /feed/A476599/    data: {idx, city{name, url, geo}, time{tz}, attributions}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from runner.core.sightings import Sighting, sighting
from runner.core.stations import Box, Station
from runner.process.secrets import Secret
from runner.sources.aqicn.answers import AnswerReader, AqicnClientError
from runner.sources.http import HttpClient, Reply
from runner.sources.provider import Access
from runner.sources.station_files import page_of

Result = TypeVar("Result")


@contextmanager
def open_stations(access: Access) -> Iterator[AqicnStations]:
    """Open AQICN's API until the block ends."""
    with closing(access.client(AqicnClientError)) as client:
        yield AqicnStations(client, access.key)


class AqicnStations:
    """Asks AQICN's API about stations. All methods raise AqicnClientError and StoppedError.

    Args:
        client: to the API.
        key: the API key.
    """

    def __init__(self, client: HttpClient, key: Secret) -> None:
        self._client = client
        self._key = key
        self._reader = AnswerReader(key)

    def search(self, keyword: str) -> list[Sighting]:
        """Return the stations whose name or place fits a keyword."""
        found = self._get("/search/", {"keyword": keyword}, self._reader.objects)
        return [seen for seen in map(_searched, found) if seen]

    def inside(self, box: Box) -> list[Sighting]:
        """Return the stations that the map shows in a box; in a large one, not all of them."""
        corners = ",".join(f"{side:g}" for side in (box.south, box.west, box.north, box.east))
        params = {"latlng": corners, "networks": "all"}
        found = self._get("/v2/map/bounds", params, self._reader.objects)
        return [seen for seen in map(_mapped, found) if seen]

    def details(self, station: Station) -> Sighting:
        """Return what a station's feed says of it."""
        data = self._get(f"/feed/{station.feed}/", {}, self._reader.observation)
        seen = _fed(data)
        if seen is None or seen.idx != station.idx:
            raise AqicnClientError(f"the feed {station.feed} is that of another station")
        return seen

    def _get(self, path: str, params: Mapping[str, str], read: Callable[[Reply], Result]) -> Result:
        return self._client.get(path, params, {"token": self._key}, read, asked=path)


def _searched(item: Mapping[str, Any]) -> Sighting | None:
    station, time = _object(item.get("station")), _object(item.get("time"))
    url = page_of(station.get("url"))
    return sighting(item.get("uid"), station.get("name"), station.get("geo"), url, time.get("tz"))


def _mapped(item: Mapping[str, Any]) -> Sighting | None:
    name = _object(item.get("station")).get("name")
    return sighting(item.get("uid"), name, [item.get("lat"), item.get("lon")])


def _fed(data: Mapping[str, Any]) -> Sighting | None:
    city, time = _object(data.get("city")), _object(data.get("time"))
    return sighting(
        data.get("idx"),
        city.get("name"),
        city.get("geo"),
        city.get("url"),
        time.get("tz"),
        data.get("attributions"),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
