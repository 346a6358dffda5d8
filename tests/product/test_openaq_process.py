"""The main job on OpenAQ's API v3, as imitated on loopback."""

import csv
import gzip
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.openaq import OpenAqAnswers, concentrations_of
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from runner.sources.sandbox.values import position_of
from tests.product.openaq_api import invented_api, measured_api
from tests.product.product import FAST, SHARED, Runner, readings_of

FILES = SHARED / "data" / "airnow"
pytestmark = pytest.mark.slow
YEAR = (
    "stations.ids=[8641]",
    "backfill.start_date=2018-01-01",
    "backfill.end_date=2019-01-01",
)
WEEKS = (
    "stations.ids=[8641]",
    "backfill.start_date=2016-11-01",  # over the day on which one location follows the other
    "backfill.end_date=2016-11-20",
    "backfill.batch_size=40",
)


@pytest.mark.skipif(not FILES.is_dir(), reason=f"the AirNow files are not at {FILES}")
def test_hanoi_2018_is_the_same_from_openaq_as_from_the_files_of_the_same_instrument(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    runner(*YEAR, *FAST, "source=airnow", f"source.path={FILES}", "backfill.batch_size=8784")
    from_files = readings_of(database)
    assert len(from_files) == 7997  # one more is below zero
    database["waqi_station_readings"].delete_many({})
    database["ingest_checkpoints"].delete_many({})

    with measured_api(FILES) as api:
        runner(*YEAR, *FAST, "source=openaq", f"source.base_url={api.url}", OPENAQ_API_KEY="any")
        assert api.stats()["requests"] == 9 + 2 * 2  # a page of 984 hours; two places looked up
    assert runner.last_json("plan.json")["totals"]["requests"] == 9 + 2 * 2
    assert readings_of(database) == from_files

    kept = list(database["ingest_concentrations"].find({"station_idx": 8641}))
    values = {item["ts"]: item["measured"][0]["value"] for item in kept}
    file = values_of_2018()
    both = range_of(file)
    assert range_of(values) == both
    assert {ts: values[ts] for ts in both} == {ts: file[ts] for ts in both}
    assert len(both) > 7980
    assert all(item["measured"][0]["decides"] for item in kept)
    run = database["ingest_runs"].find_one({"source": "openaq"})
    assert run is not None
    places = run["outcome"]["attributions"]
    assert [(one["location"], one["licences"][0]["name"]) for one in places] == [
        (2539, "US Public Domain"),
        (7441, "US Public Domain"),
    ]


def range_of(values: dict[datetime, float]) -> set[datetime]:
    """Return the hours in the file of 2018, whose clock is ahead, and in 2018 by UTC."""
    first, end = datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 12, 31, 18, tzinfo=UTC)
    return {ts for ts in values if first <= ts < end}


def values_of_2018() -> dict[datetime, float]:
    """Read the file with the csv module alone: UTC instants and ug/m3 of the rows with QC Valid."""
    found = {}
    with (FILES / "Hanoi_PM2.5_2018_YTD.csv").open(encoding="utf-8-sig", newline="") as file:
        repeated = False
        for row in csv.DictReader(file):
            label = datetime(int(row["Year"]), int(row["Month"]), int(row["Day"]), int(row["Hour"]))  # noqa: DTZ001 - local wall clock, as labelled
            if row["Date (LT)"] == "2018-03-11 03:00 AM" and not repeated:
                label -= timedelta(hours=1)  # the first of the two is really 02:00
                repeated = True
            if row["QC Name"] == "Valid":
                found[(label - timedelta(hours=7)).replace(tzinfo=UTC)] = float(row["Raw Conc."])
    return found


def test_failures_of_the_api_cost_no_hour_and_no_concentration(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    ask = (*WEEKS, *FAST, "source=openaq", "source.retry.max_attempts=20")
    with invented_api() as api:
        runner(*ask, f"source.base_url={api.url}", OPENAQ_API_KEY="any")
    expected = readings_of(database)
    kept = concentrations(database)
    assert len(expected) == sum(one["scale"] == "aqicn" for one in kept) > 400
    for name in ("waqi_station_readings", "ingest_checkpoints", "ingest_concentrations"):
        database[name].delete_many({})
    bad = Faults(
        rate_429=0.04, rate_5xx=0.1, rate_truncated=0.1, rate_over_quota=0.1, rate_wrong=0.1
    )
    with invented_api(bad, seed=3) as api:
        runner(*ask, f"source.base_url={api.url}", OPENAQ_API_KEY="any")
        outcomes = api.stats()["outcomes"]
    assert all(outcomes[name] for name in ("rate_5xx", "rate_truncated", "rate_over_quota"))
    assert readings_of(database) == expected
    assert concentrations(database) == kept


def concentrations(database: Database[dict[str, Any]]) -> list[dict[str, Any]]:
    told = database["ingest_concentrations"].find({}, {"_id": 0, "run_id": 0, "stored_at": 0})
    return sorted(told, key=lambda item: item["ts"])


def test_a_month_of_fillers_is_asked_for_once_and_fails_nothing(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    first, last = (hour_of(datetime(2018, month, 1, tzinfo=UTC)) for month in (2, 3))

    def hours(_idx: int, window: Interval) -> dict[str, list[tuple[int, float]]]:
        told = range(window.start, window.end)
        return {"pm25": [(hour, -999.0 if first <= hour < last else 9.0) for hour in told]}

    answers = OpenAqAnswers({8641: [7441]}, {}, hours, lambda: datetime.now(UTC), synthetic=True)
    with Sandbox({8641: "Hanoi"}, Climatology(1), openaq=answers) as api:
        runner(
            *("source=openaq", f"source.base_url={api.url}", "stations.ids=[8641]", *FAST),
            *("backfill.start_date=2018-01-01", "backfill.end_date=2018-04-01"),
            *("+source.openaq.locations={8641: [7441]}", "backfill.batch_size=240"),
            OPENAQ_API_KEY="any",
        )
        assert api.stats()["requests"] == 2 + 9
    assert len(readings_of(database)) == 24 * (31 + 31)
    assert {item["ts"].month for item in readings_of(database)} == {1, 3}
    rejects = list(database["ingest_rejects"].find())
    assert len(rejects) == last - first
    assert {item["reason"] for item in rejects} == {"outside_scale"}


def test_a_dry_run_keeps_nothing(runner: Runner, database: Database[dict[str, Any]]) -> None:
    ask = (*WEEKS, *FAST, "source=openaq", "dry_run=true", "backfill.batch_size=984")
    with invented_api() as api:
        done = runner(*ask, f"source.base_url={api.url}", OPENAQ_API_KEY="any")
    assert "would be inserted: 4" in done.stdout
    assert database.list_collection_names() == []


def test_without_a_key_or_a_confirmed_place_nothing_is_asked(runner: Runner) -> None:
    ask = ("source=openaq", "stations.ids=[1583]", *FAST)
    assert "OPENAQ_API_KEY is not set" in runner(*ask, expect=2).stderr
    refused = runner(*ask, expect=2, OPENAQ_API_KEY="any")
    assert "source.openaq.locations names none of the 1 chosen stations" in refused.stderr
    assert "stations.ids=[8641,8767]" in refused.stderr


def test_two_scales_are_not_mixed_in_one_database(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    with invented_api() as api:
        ask = [*WEEKS, "backfill.batch_size=984", *FAST, "source=openaq"]
        ask.append(f"source.base_url={api.url}")
        runner(*ask, OPENAQ_API_KEY="any")
        before = readings_of(database)
        other = (*ask, "source.openaq.scale=epa_2024", "backfill.mode=refetch")
        refused = runner(*other, expect=2, OPENAQ_API_KEY="any")
    assert "station 8641 has indices on the scale aqicn" in refused.stderr
    assert f"mongo.database={database.name}_epa_2024" in refused.stderr
    assert readings_of(database) == before


def test_another_source_does_not_mix_two_scales_either(
    runner: Runner, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    ts = datetime(2016, 11, 2, tzinfo=UTC)
    readings, kept = database["waqi_station_readings"], database["ingest_concentrations"]
    readings.insert_one({"ts": ts, "meta": {"station_idx": 8641}, "aqi": 1})  # AQICN's, or AirNow's
    ask = (*WEEKS, *FAST, "backfill.mode=refetch")
    other = ("source=openaq", "source.openaq.scale=epa_2024")
    refused = runner(*ask, *other, expect=2, OPENAQ_API_KEY="any")
    assert "station 8641 has indices on the scale aqicn" in refused.stderr
    assert f"mongo.database={database.name}_epa_2024" in refused.stderr

    kept.insert_one({"station_idx": 8641, "ts": ts, "source": "openaq", "scale": "epa_2024"})
    (tmp_path / "Hanoi_PM2.5_2016_YTD.csv").touch()
    refused = runner(*ask, "source=airnow", f"source.path={tmp_path}", expect=2)
    assert "station 8641 has indices on the scale epa_2024" in refused.stderr
    assert f"Take another database for aqicn, as mongo.database={database.name}" in refused.stderr
    assert readings.count_documents({}) == 1


def test_locations_are_proposed_as_yaml_that_names_them_and_nothing_is_written(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    place = position_of(1584)
    station = {"name": "Da Nang", "geo": {"type": "Point", "coordinates": [*place][::-1]}}
    database["waqi_stations"].insert_one({"_id": 1584, "station_id": 1584, "city": station})
    before = {name: database[name].count_documents({}) for name in database.list_collection_names()}
    ask = ("job=match", "source=openaq", "rate_limit=unlimited", "stations.ids=[1584,8641,13658]")
    with invented_api(places={1584: [77, 88], 8641: [99]}) as api:
        done = runner(*ask, f"source.base_url={api.url}", OPENAQ_API_KEY="any")
    assert "1 confirmed already, 1 likely, 0 unsure" in done.stdout
    assert "1 without coordinates" in done.stdout
    assert runner.last_json("outcome.json")["requests"] == 1
    proposed = yaml.safe_load(done.stdout)
    assert proposed == {"source": {"openaq": {"locations": {1584: [77, 88]}}}}
    after = {name: database[name].count_documents({}) for name in database.list_collection_names()}
    assert after == before

    refused = runner("job=match", expect=2)
    assert "job=match source=openaq" in refused.stderr


def copy_days(bucket: Path, days: Iterable[int]) -> None:
    """Write files of invented hours, as the archive has them, of days: 1 is 1 January 2018."""
    local = timezone(timedelta(hours=7))
    for day in days:
        begin = datetime(2018, 1, 1, tzinfo=local) + timedelta(days=day - 1)
        start = hour_of(begin)
        hours = concentrations_of(Climatology(1))(8641, Interval(start + 1, start + 25))["pm25"]
        rows = [
            f"7441,21632,Hanoi-7441,{to_datetime(hour).astimezone(local).isoformat()},21.0,105.8,"
            f"pm25,µg/m³,{value}"
            for hour, value in hours
        ]
        folder = bucket / f"records/csv.gz/locationid=7441/year={begin:%Y}/month={begin:%m}"
        folder.mkdir(parents=True, exist_ok=True)
        header = "location_id,sensors_id,location,datetime,lat,lon,parameter,units,value"
        text = "\n".join([header, *rows, ""]).encode()
        (folder / f"location-7441-{begin:%Y%m%d}.csv.gz").write_bytes(gzip.compress(text))


def test_days_that_were_copied_later_are_filled_in_at_once(
    runner: Runner, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    days = (
        "stations.ids=[8641]",
        "backfill.start_date=2017-12-31T18:00",  # the label 01:00 of 1 January there
        "backfill.end_date=2018-01-03T18:00",
        "+source.openaq.locations={8641: [7441]}",
        *("source=openaq_archive", f"source.path={tmp_path / 'bucket'}", *FAST),
    )
    copy_days(tmp_path / "bucket", (1, 3))
    runner(*days)
    before = readings_of(database)
    copy_days(tmp_path / "bucket", [2])
    runner(*days, "backfill.mode=gaps")
    after = readings_of(database)
    assert [item for item in after if item in before] == before
    assert {f"{item['time']['s']:.10}" for item in after if item not in before} >= {"2018-01-02"}
    assert len(after) > len(before) + 20


def test_the_archive_loads_what_the_api_does(
    runner: Runner, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    copy_days(tmp_path / "bucket", range(8))  # hours before are kept as well
    week = (
        "stations.ids=[8641]",
        "backfill.start_date=2018-01-01T02:00",
        "backfill.end_date=2018-01-07T05:00",
        "+source.openaq.locations={8641: [7441]}",
        *FAST,
    )
    runner(*week, "source=openaq_archive", f"source.path={tmp_path / 'bucket'}")
    from_files = readings_of(database)
    kept = concentrations(database)
    assert runner.last_json("attributions.json")["attributions"][0]["name"] == "Hanoi-7441"
    for name in ("waqi_station_readings", "ingest_checkpoints", "ingest_concentrations"):
        database[name].delete_many({})
    with invented_api(places={8641: [7441]}) as api:
        ask = (*week, "source=openaq", f"source.base_url={api.url}")
        runner(*ask, OPENAQ_API_KEY="any")
    assert readings_of(database) == from_files
    assert len(from_files) > 100
    same = [{**item, "source": "openaq_archive"} for item in concentrations(database)]
    assert same == kept
