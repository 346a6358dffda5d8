from __future__ import annotations

from threading import Thread
from typing import Any

from bson import Int64, ObjectId
from pymongo.database import Database

from runner.core.sightings import Sighting
from runner.core.stations import Station
from runner.store.stations import NAME, Stations, StationsRecorded, StationsWritten

Documents = Database[dict[str, Any]]

HANOI = Station(8641, "Hanoi US Embassy, Vietnam (Đại sứ quán Mỹ)", 21.0215, 105.8188)
CITIZEN = Station(-476_599, "Hue")

# What the existing system's validator asks for (facts of the database we share).
VALIDATOR = {
    "$jsonSchema": {
        "bsonType": "object",
        "required": ["_id", "station_id", "city"],
        "properties": {
            "_id": {"bsonType": "int"},
            "station_id": {"bsonType": "int"},
            "city": {
                "bsonType": "object",
                "required": ["name", "geo"],
                "properties": {
                    "name": {"bsonType": "string"},
                    "geo": {
                        "bsonType": "object",
                        "required": ["type", "coordinates"],
                        "properties": {"coordinates": {"minItems": 2, "maxItems": 2}},
                    },
                },
            },
            "time": {"properties": {"tz": {"bsonType": "string"}}},
        },
    }
}


def test_a_new_station_has_the_existing_systems_shape(database: Documents) -> None:
    assert Stations(database).ensure([HANOI]) == StationsWritten(inserted=1)
    assert list(database[NAME].find()) == [
        {
            "_id": 8641,
            "station_id": 8641,
            "city": {
                "name": HANOI.name,
                "geo": {"type": "Point", "coordinates": [105.8188, 21.0215]},
            },
            "time": {"tz": "+07:00"},
        }
    ]
    types = {"_id": {"$type": "int"}, "station_id": {"$type": "int"}}
    assert database[NAME].count_documents(types) == 1


def test_no_coordinates_are_invented(database: Documents) -> None:
    Stations(database).ensure([CITIZEN], tz="+07:30")
    assert list(database[NAME].find()) == [
        {
            "_id": -476_599,
            "station_id": -476_599,
            "city": {"name": "Hue"},
            "time": {"tz": "+07:30"},
        }
    ]


def test_what_others_wrote_about_a_station_is_never_changed(database: Documents) -> None:
    theirs = {"_id": 8641, "city": {"name": "Their name"}, "latest_reading_at": "2025-01-01"}
    database[NAME].insert_one(theirs)
    written = Stations(database).ensure([HANOI, CITIZEN, CITIZEN])
    assert written == StationsWritten(inserted=1, present=1)
    assert database[NAME].find_one({"_id": 8641}) == theirs


def test_a_second_ensure_writes_nothing(database: Documents) -> None:
    Stations(database).ensure([HANOI, CITIZEN])
    before = list(database[NAME].find())
    assert Stations(database).ensure([HANOI, CITIZEN]) == StationsWritten(present=2)
    assert Stations(database).ensure([]) == StationsWritten()
    assert list(database[NAME].find()) == before


def test_a_station_the_validator_refuses_is_reported_and_the_others_are_written(
    database: Documents,
) -> None:
    database.create_collection(NAME, validator=VALIDATOR)
    written = Stations(database).ensure([CITIZEN, HANOI])
    assert written == StationsWritten(inserted=1, refused=(CITIZEN,))
    assert Stations(database).known() == [HANOI]


def test_a_station_known_under_another_id_counts_as_present(database: Documents) -> None:
    database[NAME].create_index("station_id", unique=True)
    database[NAME].insert_one({"station_id": 8641})
    written = Stations(database).ensure([HANOI, CITIZEN])
    assert written == StationsWritten(inserted=1, present=1)


def test_two_runs_insert_a_station_once(database: Documents) -> None:
    stations = [Station(idx, str(idx)) for idx in range(300)]
    written: list[StationsWritten] = []
    runs = [
        Thread(target=lambda: written.append(Stations(database).ensure(stations))) for _ in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sum(item.inserted for item in written) == 300
    assert sum(item.present for item in written) == 600


def test_known_stations_come_back_as_they_were_written_sorted(database: Documents) -> None:
    stations = Stations(database)
    assert stations.known() == []
    stations.ensure([HANOI, CITIZEN])
    assert stations.known() == [CITIZEN, HANOI]


def test_documents_of_others_are_read_as_far_as_they_go(database: Documents) -> None:
    database[NAME].insert_many(
        [
            {
                "_id": 1.0,
                "city": {"name": "one", "geo": {"type": "Point", "coordinates": [105, 21]}},
            },
            {"_id": 2, "city": {"name": 5, "geo": [21.0, 105.0]}},
            {"_id": 3, "city": "three"},
            {"_id": 4, "city": {"name": "four", "geo": {"coordinates": [21.0, 105.0]}}},
            {"_id": 5, "city": {"name": "five", "geo": {"coordinates": [float("nan"), 21]}}},
            {"_id": 6, "city": {"name": "six", "geo": {"coordinates": ["105", True]}}},
            {"_id": 2**40, "city": {"name": "no index"}},
            {"_id": 7.5, "city": {"name": "no index"}},
            {"_id": "8", "city": {"name": "no index"}},
            {"city": {"name": "no index"}},
        ]
    )
    assert Stations(database).known() == [
        Station(1, "one", 21.0, 105.0),
        Station(2),
        Station(3),
        Station(4, "four"),
        Station(5, "five"),
        Station(6, "six"),
    ]


SEEN = Sighting(
    8641,
    "Hanoi US Embassy",
    21.0215,
    105.8188,
    "https://aqicn.org/x",
    "+07:00",
    ({"name": "US Embassy", "url": "https://u"},),
)
RECORDED = {
    "_id": 8641,
    "station_id": 8641,
    "city": {
        "name": "Hanoi US Embassy",
        "geo": {"type": "Point", "coordinates": [105.8188, 21.0215]},
        "url": "https://aqicn.org/x",
    },
    "time": {"tz": "+07:00"},
    "attributions": [{"name": "US Embassy", "url": "https://u"}],
}


def test_a_recorded_station_has_the_existing_systems_shape_and_int32_ids(
    database: Documents,
) -> None:
    assert Stations(database).record([SEEN]) == StationsRecorded(new=(8641,))
    assert database[NAME].find_one({"_id": {"$type": "int"}}) == RECORDED
    assert Stations(database).complete() == {8641}
    assert Stations(database).record([SEEN]) == StationsRecorded(unchanged=(8641,))


def test_a_record_changes_what_was_seen_and_leaves_what_others_wrote(database: Documents) -> None:
    theirs = {"location": {"type": "Point", "coordinates": [1, 2]}, "latest_reading_at": "2025"}
    city = {
        "name": "Old",
        "geo": {"type": "Point", "coordinates": [21.0, 105.8]},
        "location": "Str.",
    }
    time = {"tz": "+08:00", "v": 7}
    database[NAME].insert_one({"_id": 8641, "city": city, "time": time, **theirs})
    assert Stations(database).record([SEEN]) == StationsRecorded(changed=(8641,))
    assert database[NAME].find_one() == {
        **RECORDED,
        **theirs,
        "city": {**RECORDED["city"], "location": "Str."},  # type: ignore[dict-item]
        "time": {"tz": "+07:00", "v": 7},
    }


def test_what_was_not_seen_is_not_erased(database: Documents) -> None:
    Stations(database).record([SEEN])
    assert Stations(database).record([Sighting(8641)]) == StationsRecorded(unchanged=(8641,))
    assert database[NAME].find_one() == RECORDED


def test_a_dry_record_says_the_same_and_writes_nothing(database: Documents) -> None:
    database[NAME].insert_one({"_id": 5, "station_id": 5, "city": {"name": "Old"}})
    before = list(database[NAME].find())
    seen = [SEEN, Sighting(5, "New")]
    expected = StationsRecorded(new=(8641,), changed=(5,))
    assert Stations(database).record(seen, dry_run=True) == expected
    assert list(database[NAME].find()) == before
    assert Stations(database).record(seen) == expected


def test_a_record_the_validator_refuses_is_reported_and_the_others_are_written(
    database: Documents,
) -> None:
    database.create_collection(NAME, validator=VALIDATOR)
    written = Stations(database).record([Sighting(-7, "No place"), SEEN])
    assert written == StationsRecorded(new=(8641,), refused=(-7,))


def test_documents_whose_id_is_no_station_index_are_named_beside_the_stations(
    database: Documents,
) -> None:
    odd = ObjectId()
    database[NAME].insert_many(
        [
            {"_id": "1584", "city": {"name": "text"}},
            {"_id": odd, "station_id": 13687},
            {"_id": 2**40},
            {"_id": 0},
            {"_id": "\x1b[31m" + "x" * 500},
            {"_id": Int64(13672), "city": {"name": "long"}},
            {"_id": 13658.0, "city": {"name": "double"}},
        ]
    )
    stations, others = Stations(database).read()
    assert [station.idx for station in stations] == [13658, 13672]
    assert stations == Stations(database).known()
    assert len(others) == 5
    assert {"'1584'", repr(odd), "1099511627776", "0"} < set(others)
    assert all(text.isprintable() and len(text) <= 60 for text in others)
