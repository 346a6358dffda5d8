"""What sources say and do not say, from the command line to the database."""

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of
from runner.sources.airnow.files import STANDARD
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.openaq import OpenAqAnswers, Reply
from runner.sources.sandbox.server import Sandbox
from tests.product.product import FAST, Runner, readings_of
from tests.sources.loopback import Loopback, answer, says

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

PLACES = "+source.openaq.locations={8641: [7441]}"
MARCH = (
    "stations.ids=[8641]",
    PLACES,
    "backfill.start_date=2018-03-01",
    "backfill.end_date=2018-04-01",
    *FAST,
)
FIRST = hour_of(datetime(2018, 3, 1, tzinfo=UTC))


def every_hour(_idx: int, window: Interval) -> Mapping[str, Sequence[tuple[int, float]]]:
    return {"pm25": [(hour, 9.0) for hour in range(window.start, window.end)]}


class Api(OpenAqAnswers):
    """OpenAQ with pages of at most `most_rows` rows, whatever is asked for."""

    def __init__(self, most_rows: int = 1000) -> None:
        super().__init__({8641: [7441]}, {}, every_hour, lambda: datetime.now(UTC), synthetic=True)
        self._most_rows = most_rows

    def answer(self, path: str, query: Mapping[str, str]) -> Reply:
        limit = str(min(int(query.get("limit", 100)), self._most_rows))
        return super().answer(path, {**query, "limit": limit})


def openaq(answers: OpenAqAnswers) -> Sandbox:
    return Sandbox({8641: "Hanoi"}, Climatology(1), openaq=answers)


def test_an_api_that_gives_shorter_pages_than_asked_for_is_read_to_the_last_one(
    runner: Runner, database: Mongo
) -> None:
    with openaq(Api(most_rows=100)) as api:
        ask = ("source=openaq", f"source.base_url={api.url}", *MARCH)
        runner(*ask, OPENAQ_API_KEY="anything")
    stored = [hour_of(item["ts"]) for item in readings_of(database)]
    assert stored == list(range(FIRST, FIRST + 744))


def test_hours_outside_the_announced_life_of_a_sensor_are_not_asked_for_until_gaps_are_wanted(
    runner: Runner, database: Mongo
) -> None:
    class Young(Api):
        def answer(self, path: str, query: Mapping[str, str]) -> Reply:
            said = super().answer(path, query)
            if path.endswith("/sensors"):
                first = {"datetimeFirst": {"utc": "2018-06-01T00:00:00Z"}}
                said.content["results"] = [{**one, **first} for one in said.content["results"]]
            return said

    with openaq(Young()) as api:
        ask = ("source=openaq", f"source.base_url={api.url}", *MARCH)
        runner(*ask, OPENAQ_API_KEY="anything")
        assert api.stats()["requests"] == 2
        totals = runner.last_json("outcome.json")["totals"]
        assert (totals["empty_hours"], totals["unasked_windows"]) == (0, 1)
        noted = database["ingest_checkpoints"].find_one({"station_idx": 8641}) or {}
        assert not noted["covered"]
        runner(*ask, OPENAQ_API_KEY="anything")
        assert api.stats()["requests"] == 2  # settled, though nothing is covered
    with openaq(Api()) as api:  # by now the API announces the hours
        runner(
            *ask[:1],
            f"source.base_url={api.url}",
            *MARCH,
            "backfill.mode=gaps",
            OPENAQ_API_KEY="anything",
        )
    stored = [hour_of(item["ts"]) for item in readings_of(database)]
    assert stored == list(range(FIRST, FIRST + 744))


@pytest.mark.parametrize("key", ["first\nsecond", "khóa-đầu"])
def test_a_key_that_cannot_be_sent_is_refused_before_the_first_request(
    runner: Runner, key: str
) -> None:
    with openaq(Api()) as api:
        ask = ("source=openaq", f"source.base_url={api.url}", *MARCH)
        done = runner(*ask, expect=2, OPENAQ_API_KEY=key)
        assert api.stats()["requests"] == 0
    assert "OPENAQ_API_KEY" in done.stderr
    assert not any(part in done.stdout + done.stderr for part in (key, "second", "khóa"))


def test_an_address_with_a_blank_is_refused(runner: Runner) -> None:
    ask = ("source=openaq", "source.base_url='https://api.example.org /v3'", *MARCH)
    assert "source.base_url" in runner(*ask, expect=2, OPENAQ_API_KEY="anything").stderr


def test_a_proxy_that_refuses_ends_the_run_and_leaves_the_stations(
    runner: Runner, database: Mongo
) -> None:
    two = ("stations.ids=[8641,8767]", "backfill=last_30_days", "backfill.workers=1")
    with Loopback(answer(407)) as proxy:
        place = proxy.url.removeprefix("http://")
        done = runner(
            *("source=aqicn", "source.base_url=http://127.0.0.1:9", *two, *FAST),
            expect=1,
            AQICN_API_KEY="anything",
            HTTP_PROXY=f"http://user:hidden-word@{place}",
            NO_PROXY="",
            no_proxy="",
        )
        assert len(proxy.asked) == 1
    states = [one["state"] for one in runner.last_json("outcome.json")["stations"]]
    assert states == ["left", "left"]
    assert f"{place} (HTTP_PROXY)" in done.stdout + done.stderr
    written = [path for path in runner.directory.rglob("*") if path.is_file()]
    told = done.stdout + done.stderr + "".join(path.read_text("utf-8") for path in written)
    assert "hidden-word" not in told
    assert readings_of(database) == []


def test_over_quota_inside_a_list_of_records_covers_no_hour(
    runner: Runner, database: Mongo
) -> None:
    quota = says({"status": "ok", "data": [{"status": "error", "msg": "Over quota"}]})
    with Loopback(quota) as api:
        runner(
            *("source=aqicn", f"source.base_url={api.url}", "stations.ids=[8641]", *FAST),
            *("backfill.start_date=2024-01-01", "backfill.end_date=2024-02-01"),
            "source.retry.throttled_max_s=0.2",
            expect=1,
            AQICN_API_KEY="anything",
        )
    noted = database["ingest_checkpoints"].find_one({"station_idx": 8641}) or {}
    assert not noted.get("covered")
    totals = runner.last_json("outcome.json")["totals"]
    assert (totals["windows"], totals["empty_hours"]) == (0, 0)


ULAANBAATAR = (
    "source=airnow",
    "stations.ids=[8551]",
    "+stations.named={8551: Ulaanbaatar}",
    "backfill.start_date=2018-01-04T19:00",
    "backfill.end_date=2018-01-04T22:00",
    *FAST,
)


def test_a_site_of_airnow_is_stored_by_its_own_clock_or_refused(
    runner: Runner, database: Mongo, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    with (files / "u.csv").open("w", newline="") as file:
        rows = csv.DictWriter(
            file, ["Date (LT)", *(name for name in STANDARD if name[:4] != "Date")]
        )
        rows.writeheader()  # the date first, as a data frame saves it
        for hour, value in ((3, "273.0"), (4, "-1.0"), (5, "382.0")):
            wall = {"Year": "2018", "Month": "1", "Day": "5", "Hour": str(hour)}
            of = {"Site": "Ulaanbaatar", "Parameter": "PM2.5 - Principal", "Duration": "1 Hr"}
            said = {"Raw Conc.": value, "Conc. Unit": "UG/M3", "QC Name": "Valid"}
            rows.writerow({**wall, **of, **said})
    ask = (*ULAANBAATAR, f"source.path={files}")
    refused = runner(*ask, "+source.sites={Ulaanbaatar: 8551}", expect=2)
    assert "+source.sites={Ulaanbaatar: {station: 8551, utc_offset:" in refused.stderr
    runner(*ask, "+source.sites={Ulaanbaatar: {station: 8551, utc_offset: '+08:00'}}")
    stored = [(f"{item['ts']:%d %H}", item["time"]["tz"]) for item in readings_of(database)]
    assert stored == [("04 19", "+08:00"), ("04 21", "+08:00")]
    rejects = list(database["ingest_rejects"].find())
    assert [one["reason"] for one in rejects] == ["below_zero"]


def test_rows_of_the_archive_that_cannot_be_read_are_rejects_of_their_hours(
    runner: Runner, database: Mongo, tmp_path: Path
) -> None:
    month = tmp_path / "bucket/locationid=7441/year=2023/month=01"
    month.mkdir(parents=True)
    lines = ["location_id,sensors_id,location,datetime,lat,lon,parameter,units,value"]
    for hour in range(1, 24):
        name = "a, b" if hour == 3 else "a"
        what = "PM2.5" if hour == 5 else "pm25"
        lines.append(f"7441,1,{name},2023-01-01T{hour:02}:00:00+07:00,21,105,{what},ug/m3,9")
    packed = gzip.compress("\n".join(lines).encode())
    (month / "location-7441-20230101.csv.gz").write_bytes(packed)
    runner(
        *("source=openaq_archive", f"source.path={tmp_path / 'bucket'}", "stations.ids=[8641]"),
        *("backfill.start_date=2022-12-31T18:00", "backfill.end_date=2023-01-01T17:00"),
        *(PLACES, *FAST),
    )
    assert len(readings_of(database)) == 21
    rejects = {one["reason"] for one in database["ingest_rejects"].find()}
    assert rejects == {"row_unreadable", "parameter_unknown"}
    totals = runner.last_json("outcome.json")["totals"]
    assert (totals["rejected_hours"], totals["empty_hours"]) == (2, 0)


def test_a_saved_answer_of_aqicn_is_a_file_of_stations(
    runner: Runner, database: Mongo, tmp_path: Path
) -> None:
    station = {"name": "Hanoi, Vietnam", "geo": [21.05, 105.88], "url": "vietnam/hanoi"}
    item = {"uid": 1583, "aqi": "-", "time": {"tz": "+07:00"}, "station": station}
    path = tmp_path / "search.json"
    path.write_text(json.dumps({"status": "ok", "data": [item]}), "utf-8")
    runner("job=stations", f"discover.file={path}")
    (stored,) = database["waqi_stations"].find()
    assert stored["city"]["name"] == "Hanoi, Vietnam"
    assert stored["city"]["geo"]["coordinates"] == [105.88, 21.05]
    assert stored["city"]["url"] == "https://aqicn.org/city/vietnam/hanoi"
    assert stored["time"]["tz"] == "+07:00"


def test_the_plan_names_stations_that_cannot_be_planned(
    runner: Runner, sandbox_database: Mongo
) -> None:
    sandbox_database["waqi_stations"].insert_many(
        [{"_id": 13672, "city": {"name": "A"}}, {"_id": "1584"}, {"_id": 2**40}]
    )
    plan = runner("job=plan", "source=sandbox", "stations=all", "backfill=last_30_days", *FAST)
    assert "2 documents" in plan.stdout
    assert "'1584', 1099511627776" in plan.stdout
    written = runner.last_json("plan.json")
    assert written["no_stations"] == ["'1584'", "1099511627776"]
    assert [one["station_idx"] for one in written["stations"]] == [13672]
