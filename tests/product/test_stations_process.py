"""Stations found and present observations collected, by the product as a person runs it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from tests.product.product import FAST, Runner, readings_of

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

KEY = "canary-key-0a1b2c3d4e"
NAMES = {1584: "Da Nang, Vietnam", 13658: "Hai Chau", -476599: "Citizen", 7219: "Wenshan, China"}


def stations(database: Mongo) -> dict[int, dict[str, Any]]:
    return {item["_id"]: item for item in database["waqi_stations"].find()}


def everything(runner: Runner) -> str:
    files = [path for path in runner.directory.rglob("*") if path.is_file()]
    return "".join(path.read_text("utf-8", errors="replace") for path in files)


def test_stations_are_found_noted_and_kept_up_to_date(runner: Runner, database: Mongo) -> None:
    database["waqi_stations"].insert_one(
        {"_id": 1584, "station_id": 1584, "city": {"name": "Old"}, "latest_reading_at": "2025"}
    )
    faults = Faults(rate_5xx=0.05, rate_truncated=0.05)
    with Sandbox(NAMES, Climatology(1), faults, token=KEY) as api:
        ask = ("job=stations", f"source.base_url={api.url}", "discover.tile_degrees=8", *FAST)
        dry = runner(*ask, "dry_run=true", AQICN_API_KEY=KEY)
        assert "3 found, 2 new, 1 changed" in dry.stdout
        assert set(stations(database)) == {1584}
        done = runner(*ask, AQICN_API_KEY=KEY)
        assert "3 found, 2 new, 1 changed, 0 unchanged" in done.stdout
        assert "Refused, outside the country: 1: 7219 Wenshan, China" in done.stdout
        found = stations(database)
        assert set(found) == {1584, 13658, -476599}
        assert found[1584]["latest_reading_at"] == "2025"
        assert found[1584]["city"]["name"] == "Da Nang, Vietnam (synthetic)"
        longitude, latitude = found[-476599]["city"]["geo"]["coordinates"]
        assert 105 < longitude < 107
        assert 20 < latitude < 22
        assert found[-476599]["attributions"][0]["name"].startswith("Synthetic values")
        before = api.stats()["requests"]
        again = runner(*ask, AQICN_API_KEY=KEY)
        assert "3 found, 0 new, 0 changed, 3 unchanged" in again.stdout
        assert api.stats()["requests"] - before < before / 2
        assert stations(database) == found
        refused = runner(*ask, expect=1, AQICN_API_KEY="wrong-key")
        assert "AQICN_API_KEY" in refused.stderr
    told = everything(runner) + done.stdout + done.stderr + refused.stderr
    assert "canary" not in told
    assert runner.run_dirs()


def test_stations_come_from_a_file_without_a_key_and_the_wrong_way_round_is_said(
    runner: Runner, database: Mongo, tmp_path: Path
) -> None:
    rows = [
        {"idx": 1, "name": "Right", "lat": 21.03, "lon": 105.85, "tz": "+07:00"},
        {"idx": 2, "name": "Wrong way round", "lat": 105.85, "lon": 21.03},
        {"idx": 7219, "name": "Wenshan", "lat": 23.369, "lon": 104.244},
        {"idx": 3, "name": "Somewhere, Vietnam"},
        {"idx": 4, "name": "Nowhere"},
        {"idx": 1, "name": "Again", "lat": 21.03, "lon": 105.85},
        {"name": "nobody"},
    ]
    path = tmp_path / "stations.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    done = runner("job=stations", f"discover.file={path}", *FAST)
    assert "Stations in Viet Nam: 3 found, 3 new" in done.stdout
    assert "swapped to latitude, longitude: 1 (2)" in done.stdout
    for reason in ("outside the country: 1", "named twice: 1", "without a usable station index: 1"):
        assert f"Refused, {reason}" in done.stdout
    found = stations(database)
    assert found[2]["city"]["geo"]["coordinates"] == [105.85, 21.03]
    assert found[1]["city"]["name"] == "Right"
    assert "geo" not in found[3]["city"]
    kept = runner.last_json("stations.json")
    assert len(kept["refused"]) == 4


def test_groups_and_their_boxes_are_kept_to_by_the_api_and_by_files(
    runner: Runner, database: Mongo, tmp_path: Path
) -> None:
    rows = [
        {"idx": 1584, "name": "Da Nang, Vietnam", "lat": 16.05, "lon": 108.2},
        {"idx": 1, "name": "Red River", "lat": 21.0, "lon": 105.8},
        {"idx": 2, "name": "Hue", "lat": 16.46, "lon": 107.6},
    ]
    path = tmp_path / "stations.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    file = ("job=stations", f"discover.file={path}", *FAST)
    assert "2 found, 2 new" in runner(*file, "stations=[red_river_delta,da_nang]").stdout
    assert set(stations(database)) == {1, 1584}
    names = {1584: "Da Nang, Vietnam", 8641: "Hanoi", -476599: "Hanoi, Vietnam"}
    with Sandbox(names, Climatology(1), token=KEY) as api:
        coarse = ("discover.refresh=true", "discover.smallest_tile_degrees=1", *FAST)
        ask = ("job=stations", "stations=red_river_delta", f"source.base_url={api.url}", *coarse)
        done = runner(*ask, AQICN_API_KEY=KEY)
        assert "2 found, 2 new" in done.stdout
        assert api.stats()["requests"] < 40  # of the whole country some 130
    assert set(stations(database)) == {1, 1584, 8641, -476599}


def test_the_sandbox_has_stations_to_find(runner: Runner, sandbox_database: Mongo) -> None:
    ask = ("job=stations", "source=sandbox", "stations.bbox=[15.5,107.5,16.5,108.7]")
    done = runner(*ask, "discover.smallest_tile_degrees=1", *FAST)
    assert " new," in done.stdout
    assert 1584 in stations(sandbox_database)


def test_the_present_is_collected_hour_by_hour_and_covers_no_other_hour(
    runner: Runner, database: Mongo
) -> None:
    now = datetime.now(UTC).replace(minute=30)
    this = hour_of(now)
    clock = [now]

    class Quiet(Climatology):
        """Station 3 has had nothing for two days: it is shown as offline."""

        def records(self, station_idx: int, window: Interval) -> list[dict[str, Any]]:
            return [] if station_idx == 3 else super().records(station_idx, window)

    names = {1584: "Da Nang", -476599: "Citizen", 3: "Offline"}
    values = Quiet(1, missing_rate=0, dash_rate=0)
    database["ingest_checkpoints"].insert_one(
        {
            "station_idx": 1584,
            "status": "completed",
            "start_ts": to_datetime(this - 900),
            "target_end_ts": to_datetime(this - 800),
            "last_processed_ts": to_datetime(this - 800),
        }
    )
    before = [Interval(this - 900, this - 800)]
    with Sandbox(names, values, token=KEY, clock=lambda: clock[0]) as api:
        ask = (
            *("source=aqicn_live", f"source.base_url={api.url}", *FAST),
            "+stations.named={3: Offline, 4: Gone}",
            "stations.ids=[1584,-476599,3,4]",
        )
        left = runner(*ask, expect=4, AQICN_API_KEY=KEY)
        assert "1 offline, 2 left to the live job" in left.stdout
        assert "backfill.lag_hours=0" in left.stdout
        account = runner.last_json("outcome.json")["coverage"]
        assert (account["empty"], account["not_asked"]) == (1, 2)  # offline; the live job's
        assert readings_of(database) == []
        clock[0] = now - timedelta(hours=2)
        first = runner(*ask, "backfill.lag_hours=0", expect=4, AQICN_API_KEY=KEY)
        assert "2 current, 1 offline" in first.stdout
        assert "4 Gone: the API says 'Unknown ID'" in first.stdout
        assert "job=retry" not in first.stdout
        clock[0] = now
        second = runner(*ask, "backfill.lag_hours=0", expect=4, AQICN_API_KEY=KEY)
        assert "Total readings inserted: 2" in second.stdout
        again = runner(*ask, "backfill.lag_hours=0", expect=4, AQICN_API_KEY=KEY)
        assert "Total readings inserted: 0" in again.stdout
        assert "Total readings unchanged: 2" in again.stdout
    stored = [(item["meta"]["station_idx"], hour_of(item["ts"])) for item in readings_of(database)]
    assert stored == [(idx, hour) for idx in (-476599, 1584) for hour in (this - 2, this)]
    noted = {item["station_idx"]: item for item in database["ingest_checkpoints"].find()}
    covered = [
        [Interval(hour_of(start), hour_of(end)) for start, end in noted[idx]["covered"]]
        for idx in (1584, -476599, 3)
    ]
    seen = [Interval(this - 2, this - 1), Interval(this, this + 1)]
    assert covered == [before + seen, seen, []]
    assert noted[1584]["status"] == "completed"
    assert hour_of(noted[1584]["target_end_ts"]) == this - 800
    assert "canary" not in everything(runner)
