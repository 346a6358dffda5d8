"""Every missing hour has a true cause, and every command that the product prints changes it."""

import csv
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from runner.core.intervals import Interval
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.values import Record
from tests.product.product import FAST, Runner
from tests.quality.test_files import validate
from tests.sources.test_openaq_archive import line, put

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

STATION = 1584
START = datetime(2023, 1, 1, tzinfo=UTC)
MONTH = ("backfill.start_date=2023-01-01", "backfill.end_date=2023-02-01")
CHECKED = (*FAST, "quality=standard", "quality.compare=none", "quality.fail_on=never")
ASK = ("source=sandbox", f"stations.ids=[{STATION}]", *MONTH, *CHECKED)
COLLECTION = "waqi_station_readings"


def judged(runner: Runner, *words: str) -> dict[str, Any]:
    """Return quality.json of `job=validate`."""
    runner("job=validate", *words)
    made = runner.last_json("quality/quality.json")
    validate(made)
    return made


def status(made: dict[str, Any], check_id: str) -> str:
    return str(next(item["status"] for item in made["checks"] if item["id"] == check_id))


def missing(made: dict[str, Any]) -> dict[str, int]:
    """Return the missing hours by cause, without what the source had nothing for or refused."""
    hours: dict[str, int] = made["gaps"]["hours_missing"]
    return {cause: count for cause, count in hours.items() if count and cause != "empty"}


def action(made: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in made["actions"] if item["kind"] == kind)
    return found


def kinds(made: dict[str, Any]) -> list[str]:
    return [item["kind"] for item in made["actions"]]


def follow(runner: Runner, command: str, *more: str, **environment: Any) -> dict[str, Any]:
    """Run a command that the product printed; return quality.json of the run if it made one."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "runner"]
    runner(*words[3:], *more, **environment)
    return {} if more else runner.last_json("quality/quality.json")


def loaded(runner: Runner, *words: str) -> dict[str, Any]:
    """Return quality.json of a fresh load."""
    runner(*ASK, *words)
    made = runner.last_json("quality/quality.json")
    validate(made)
    return made


def hours(database: Mongo, count: int) -> list[datetime]:
    """Return hours of stored readings that follow each other."""
    found = database[COLLECTION].find({"ts": {"$gte": START + timedelta(days=10)}}).sort("ts")
    return [item["ts"] for item in found.limit(count)]


def test_readings_that_are_deleted_are_lost_and_the_printed_command_brings_them_back(
    runner: Runner, sandbox_database: Mongo
) -> None:
    before = loaded(runner)
    assert missing(before).keys() <= {"rejected"}
    victims = hours(sandbox_database, 30)
    sandbox_database[COLLECTION].delete_many({"ts": {"$in": victims}})
    made = judged(runner, *ASK)
    assert missing(made)["lost"] == 30
    assert status(made, "R04") == "fail"
    after = follow(runner, action(made, "gaps")["command"])
    assert (missing(after), status(after, "R04")) == (missing(before), "pass")
    assert "gaps" not in kinds(after)


def test_hours_of_a_documented_checkpoint_are_unknown_and_the_printed_command_settles_them(
    runner: Runner, sandbox_database: Mongo
) -> None:
    end = START + timedelta(days=31)
    sandbox_database["ingest_checkpoints"].insert_one(
        {
            "station_idx": STATION,
            "last_processed_ts": START + timedelta(hours=459),
            "start_ts": START,
            "target_end_ts": end,
            "total_hours_processed": 459,
            "total_readings_inserted": 459,
            "last_updated": end,
            "status": "in_progress",
            "error_message": None,
        }
    )
    runner("job=plan", *ASK)
    assert runner.last_json("plan.json")["totals"]["unknown_hours"] == 459
    done = runner(*ASK)
    made = runner.last_json("quality/quality.json")
    coverage = runner.last_json("outcome.json")["coverage"]
    assert (coverage["unknown"], coverage["covered_before"]) == (459, 0)
    assert "unknown 459" in done.stdout
    assert (missing(made)["unknown"], missing(made).get("lost")) == (459, None)
    assert (status(made, "C03"), status(made, "R04")) == ("fail", "pass")
    after = follow(runner, action(made, "gaps")["command"])
    assert missing(after).keys() <= {"rejected"}
    assert (status(after, "C03"), "gaps" in kinds(after)) == ("pass", False)


def test_numbers_that_are_no_index_are_rejected_rows_that_are_there_and_refetch_mends_them(
    runner: Runner, sandbox_database: Mongo
) -> None:
    before = loaded(runner)
    readings = sandbox_database[COLLECTION]
    victims = hours(sandbox_database, 10)
    readings.update_many({"ts": {"$in": victims}}, {"$set": {"aqi": -5}})
    made = judged(runner, *ASK)
    assert missing(made).keys() == {"rejected"}
    assert made["gaps"]["rejected_by_reason"]["stored_below_zero"] == 10
    assert (status(made, "R04"), status(made, "V01")) == ("pass", "fail")
    assert "gaps" not in kinds(made)
    after = follow(runner, action(made, "refetch")["command"])
    assert (missing(after), status(after, "V01")) == (missing(before), "pass")
    readings.update_many({"ts": {"$in": victims}}, {"$set": {"aqi": 999}})
    made = judged(runner, *ASK)
    assert made["gaps"]["rejected_by_reason"]["stored_filler"] == 10
    after = follow(runner, action(made, "refetch")["command"])
    assert missing(after) == missing(before)


@pytest.mark.parametrize("kind", ["regular", "timeseries"])
def test_dashes_of_a_live_job_are_kept_by_another_writer_and_refetch_is_told_only_if_it_mends(
    runner: Runner, sandbox_database: Mongo, kind: str
) -> None:
    words = (*ASK, f"mongo.readings.kind={kind}")
    dashes = [START + timedelta(days=12, hours=hour) for hour in range(10)]
    if kind == "regular":
        loaded(runner, words[-1])
        readings = sandbox_database[COLLECTION]
        dashes = hours(sandbox_database, 10)
        readings.update_many({"ts": {"$in": dashes}}, {"$set": {"aqi": "-"}})
    else:
        series = {"timeField": "ts", "metaField": "meta"}
        sandbox_database.create_collection(COLLECTION, timeseries=series)
        form = {"meta": {"station_idx": STATION}, "aqi": "-", "iaqi": {}}
        sandbox_database[COLLECTION].insert_many([{"ts": hour, **form} for hour in dashes])
        runner(*words)
    made = judged(runner, *words)
    kept = missing(made)["kept"]
    assert 0 < kept <= 10
    assert (missing(made).get("lost"), status(made, "R04")) == (None, "pass")
    assert "gaps" not in kinds(made)
    command = action(made, "refetch")["command"]
    assert (command is None) == (kind == "timeseries" and not replaces(sandbox_database))
    if command:
        after = follow(runner, command)
        assert ("kept" in missing(after), "refetch" in kinds(after)) == (False, False)


def replaces(database: Mongo) -> bool:
    """Whether the server can replace documents of a time-series collection."""
    version: list[int] = database.client.server_info()["versionArray"]
    return version[0] >= 7


def test_a_station_that_failed_is_complete_after_the_printed_command(
    runner: Runner, database: Mongo
) -> None:
    assert database.name
    key = {"AQICN_API_KEY": "anything"}
    with Sandbox({STATION: "Da Nang"}, Climatology(1)) as api:  # it does not know 13658
        ask = (f"source.base_url={api.url}", "stations.ids=[1584,13658]", *MONTH, *CHECKED)
        runner(*ask, expect=4, **key)
        made = runner.last_json("quality/quality.json")
        port = int(api.url.rpartition(":")[2])
    assert made["gaps"]["hours_missing"]["not_asked"] == 31 * 24
    assert (status(made, "R01"), status(made, "C03")) == ("fail", "fail")
    with Sandbox({STATION: "Da Nang", 13658: "Hue"}, Climatology(1), port=port):
        after = follow(runner, action(made, "retry")["command"], **key)
    assert after["gaps"]["hours_missing"]["not_asked"] == 0
    assert [status(after, one) for one in ("R01", "R02", "C03")] == ["pass"] * 3


def test_hours_not_fetched_yet_are_fetched_by_the_printed_command(
    runner: Runner, sandbox_database: Mongo
) -> None:
    assert sandbox_database.name
    loaded(runner, "backfill.end_date=2023-01-20")
    made = judged(runner, *ASK)
    assert (missing(made)["not_asked"], status(made, "C03")) == (12 * 24, "fail")
    assert "gaps" not in kinds(made)
    after = follow(runner, action(made, "resume")["command"])
    assert ("not_asked" in missing(after), status(after, "C03")) == (False, "pass")


def test_doubles_are_gone_after_the_printed_command(
    runner: Runner, sandbox_database: Mongo
) -> None:
    loaded(runner)
    readings = sandbox_database[COLLECTION]
    readings.drop_index("station_hour")
    doubled = list(readings.find({"ts": {"$in": hours(sandbox_database, 12)}}, {"_id": 0}))
    readings.insert_many(doubled)
    made = judged(runner, *ASK)
    assert status(made, "K01") == "fail"
    follow(runner, action(made, "dedupe")["command"], "confirm=true")
    assert status(judged(runner, *ASK), "K01") == "pass"


def test_what_the_source_refused_is_no_hour_for_which_it_had_nothing(
    runner: Runner, database: Mongo
) -> None:
    values = Climatology(1, missing_rate=0.02, dash_rate=0.05)
    with Sandbox({STATION: "Da Nang"}, values) as api:
        ask = (f"source.base_url={api.url}", f"stations.ids=[{STATION}]", *MONTH, *CHECKED)
        runner(*ask, AQICN_API_KEY="anything")
    made = runner.last_json("quality/quality.json")
    coverage = runner.last_json("outcome.json")["coverage"]
    assert coverage["rejected"] > 0
    assert coverage["empty"] > 0
    told = {"rejected": coverage["rejected"], "empty": coverage["empty"]}
    assert {name: made["gaps"]["hours_missing"][name] for name in told} == told
    assert made["gaps"]["rejected_by_reason"] == {"aqi_dash": coverage["rejected"]}
    with (runner.run_dirs()[-1] / "quality" / "gaps.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {name: sum(int(row[f"{name}_h"]) for row in rows) for name in told} == told
    assert {row["cause"] for row in rows} == {"rejected", "empty"}
    # Without the kept records the cause stays, and its reason is not made up.
    database["ingest_rejects"].delete_many({})
    again = judged(runner, *ask)
    assert again["gaps"]["hours_missing"] == made["gaps"]["hours_missing"]
    assert again["gaps"]["rejected_by_reason"] == {"not_kept": coverage["rejected"]}


def test_what_the_run_stored_and_the_database_lost_with_the_checkpoint_is_found(
    runner: Runner, database: Mongo
) -> None:
    """A failover takes readings and checkpoint back; the run in hand has counted them."""

    class Vanishing(Climatology):
        def records(self, station_idx: int, window: Interval) -> list[Record]:
            if window.start > int(START.timestamp()) // 3600 + 24 * 25:
                database[COLLECTION].delete_many({"ts": {"$lt": START + timedelta(days=7)}})
            return super().records(station_idx, window)

    with Sandbox({STATION: "Da Nang"}, Vanishing(1)) as api:
        ask = (f"source.base_url={api.url}", f"stations.ids=[{STATION}]", *MONTH, *CHECKED)
        runner(*ask, AQICN_API_KEY="anything")
    made = runner.last_json("quality/quality.json")
    found = next(item for item in made["checks"] if item["id"] == "R04")
    account = runner.last_json("outcome.json")["totals"]["inserted"]
    assert found["n_failed"] == account - made["counts"]["readings"] > 0


def test_an_answer_without_a_usable_record_covers_nothing(runner: Runner, database: Mongo) -> None:
    class Refusing(Climatology):
        def records(self, station_idx: int, window: Interval) -> list[Record]:
            del station_idx, window
            return [{"notice": "see our terms"}]

    with Sandbox({STATION: "Da Nang"}, Refusing(1)) as api:
        ask = (f"source.base_url={api.url}", f"stations.ids=[{STATION}]", *MONTH, *CHECKED)
        runner(*ask, expect=4, AQICN_API_KEY="anything")
    coverage = runner.last_json("outcome.json")["coverage"]
    assert (coverage["empty"], coverage["failed"]) == (0, 31 * 24)
    (found,) = database["ingest_checkpoints"].find()
    assert found["covered"] == []


def test_days_without_a_file_were_not_asked_for_until_the_files_are_there(
    runner: Runner, database: Mongo, tmp_path: Path
) -> None:
    bucket = tmp_path / "bucket"

    def copied(days: Iterable[int]) -> None:
        for day in days:
            rows = (line(1440 * (day - 1) + 60 * hour) for hour in range(1, 25))
            put(bucket, rows, datetime(2023, 1, day))  # noqa: DTZ001 - local wall clock

    copied([*range(1, 11), *range(13, 32)])
    ask = (
        "source=openaq_archive",
        f"source.path={bucket}",
        "stations.ids=[8641]",
        *MONTH,
        *CHECKED,
        "+source.openaq.locations={8641: [7441]}",
        "backfill.end_date=2023-01-31",
    )
    done = runner(*ask)
    made = runner.last_json("quality/quality.json")
    coverage = runner.last_json("outcome.json")["coverage"]
    assert (coverage["not_asked"], coverage["empty"]) == (48, 0)
    assert "not asked 48" in done.stdout
    assert missing(made) == {"not_asked": 48}
    assert (status(made, "C03"), kinds(made)[0]) == ("fail", "gaps")
    assert "resume" not in kinds(made)
    (found,) = database["ingest_checkpoints"].find()
    assert (found["status"], len(found["covered"])) == ("completed", 2)
    runner("job=plan", *ask)
    totals = runner.last_json("plan.json")["totals"]
    assert (totals["hours"], totals["not_asked_hours"]) == (0, 48)
    copied([11, 12])
    after = follow(runner, action(made, "gaps")["command"])
    assert (missing(after), status(after, "C03")) == ({}, "pass")
