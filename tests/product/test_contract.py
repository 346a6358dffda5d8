"""The running product keeps what the document of the job promises: names, meanings, recipes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from pymongo.database import Database

from runner.cli.arguments import parse
from runner.core.checkpoint import Status
from runner.core.errors import ConfigError
from runner.process.secrets import Environment
from runner.sources import key_names
from tests.product.contract import DOCUMENT, Contract, Snippet
from tests.product.product import FAST, Runner, readings_of, stop, wait_for
from tests.sources.loopback import Loopback, says

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DOCUMENT.exists(), reason="needs ../shared/contract/backfill_job.md"),
]
Mongo = Database[dict[str, Any]]

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
RANGE = (f"backfill.start_date={START:%Y-%m-%d}", f"backfill.end_date={END:%Y-%m-%d}")
CHECKPOINTS = "ingest_checkpoints"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract.read()


@pytest.fixture(scope="module")
def documented(contract: Contract) -> dict[str, Any]:
    """The checkpoint of the document."""
    found: dict[str, Any] = Snippet(contract.snippets("Checkpoint Schema")[0]).value()
    return found


@pytest.fixture(scope="module")
def station(documented: dict[str, Any]) -> int:
    found: int = documented["station_idx"]
    return found


@pytest.fixture(scope="module")
def options(contract: Contract) -> dict[str, str]:
    """The default of every flag, as the table has it."""
    return {row[0]: row[2] for row in contract.table("Command Line Options")}


def first_number(text: str) -> int:
    found = re.search(r"\d+", text)
    assert found is not None
    return int(found[0])


def ask(station: int, *more: str) -> tuple[str, ...]:
    """Return a run of the documented station alone, chosen by name: naming ids would retry it."""
    chosen = (f"+stations.named={{{station}: Documented}}", "stations.name=Documented")
    return ("source=sandbox", "stations=hanoi", *chosen, *RANGE, *FAST, *more)


FAILING = ("sandbox.faults.rate_5xx=1", "source.retry.max_attempts=1")


def checkpoint(database: Mongo, station: int) -> dict[str, Any]:
    found = database[CHECKPOINTS].find_one({"station_idx": station})
    assert found is not None
    return found


def loop(contract: Contract, options: dict[str, str], start: datetime) -> list[tuple[Any, ...]]:
    """Run the documented loop, and return its calls with their windows, in order."""
    calls: list[tuple[Any, ...]] = []

    def fetch(_station: int, begin: datetime, end: datetime) -> str:
        calls.append(("fetch", begin, end))
        return "readings"

    names = {
        "current_time": start,
        "target_end_time": END,
        "batch_size_hours": timedelta(hours=first_number(options["--batch-size"])),
        "station_id": 1,
        "readings_collection": None,
        "fetch_historical_batch": fetch,
        "upsert_readings_bulk": lambda *_: calls.append(("upsert",)),
        "update_checkpoint": lambda _station, end: calls.append(("checkpoint", end)),
    }
    exec(contract.snippets("Batch Processing", "python")[0], names)  # noqa: S102 - the document's
    return calls


def windows_asked(runner: Runner) -> list[tuple[datetime, datetime]]:
    """Return the windows of the last run, in order."""
    log = (runner.run_dirs()[-1] / "backfill.log").read_text("utf-8")
    lines = [json.loads(line) for line in log.splitlines()]
    texts = [line["window"].split("..") for line in lines if line["event"] == "window.stored"]
    found = [[datetime.fromisoformat(text) for text in pair] for pair in texts]
    return [(begin, end) for begin, end in found]


def kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_a_checkpoint_has_the_documented_fields_first_in_order_kind_and_meaning(
    contract: Contract,
    documented: dict[str, Any],
    station: int,
    runner: Runner,
    sandbox_database: Mongo,
) -> None:
    done = runner(*ask(station))
    written = checkpoint(sandbox_database, station)
    names = [*documented]
    assert [name for name in written if name != "_id"][: len(names)] == names
    assert [kind(written[name]) for name in names] == [kind(documented[name]) for name in names]
    stated = set(re.findall(r'"(\w+)"', contract.snippets("Checkpoint Schema")[0]))
    assert {*map(str, Status)} <= stated
    assert (written["start_ts"], written["target_end_ts"]) == (START, END)
    assert written["last_processed_ts"] == written["target_end_ts"]
    assert written["total_hours_processed"] == (END - START) / timedelta(hours=1)
    stored = len(readings_of(sandbox_database))
    assert written["total_readings_inserted"] == stored
    assert f"inserted: {stored:,}" in done.stdout
    again = runner(*ask(station))  # completed stations are skipped on restart
    assert "skipped" in contract.terms("Resumability")["Partial completion"]
    assert "Skipped stations: 1" in again.stdout
    assert runner.last_json("outcome.json")["requests"] == 0
    collections = contract.terms("Generated Collections")
    log_file = re.findall(r"`(\S+)`", collections.pop("Log file"))
    assert collections.keys() <= {*sandbox_database.list_collection_names()}
    assert [(runner.run_dirs()[0] / name).is_file() for name in log_file] == [True]


def test_a_new_checkpoint_is_what_the_creation_snippet_makes(
    contract: Contract, station: int, runner: Runner, sandbox_database: Mongo
) -> None:
    names = {"station_id": station, "start_time": START, "end_time": END}
    snippet = contract.snippets("Checkpoint Management", "python")[0]
    made = Snippet(snippet, names).after("not", "checkpoint", ":", "checkpoint", "=").value()
    runner(*ask(station, *FAILING), expect=4)  # nothing was fetched yet
    written = checkpoint(sandbox_database, station)
    assert {name: written[name] for name in made} == {**made, "status": "failed"}
    database = sandbox_database
    database.drop_collection(CHECKPOINTS)
    database[CHECKPOINTS].insert_one(made)  # as the documented job leaves it, if it ends here
    runner(*ask(station))
    assert windows_asked(runner)[0][0] == START
    assert checkpoint(database, station)["status"] == "completed"


@pytest.mark.parametrize("windows", [1, 3])
def test_the_loop_goes_on_behind_a_checkpoint_that_the_documented_one_left(
    contract: Contract,
    options: dict[str, str],
    station: int,
    runner: Runner,
    sandbox_database: Mongo,
    windows: int,
) -> None:
    calls = loop(contract, options, START)
    assert [call[0] for call in calls[:3]] == ["fetch", "upsert", "checkpoint"]
    ends = [call[1] for call in calls if call[0] == "checkpoint"]
    left = {
        "station_idx": station,
        "last_processed_ts": ends[windows - 1],
        "start_ts": START,
        "target_end_ts": END,
        "status": "in_progress",
    }
    sandbox_database[CHECKPOINTS].insert_one(left)
    runner(*ask(station))
    rest = loop(contract, options, ends[windows - 1])
    assert windows_asked(runner) == [call[1:] for call in rest if call[0] == "fetch"]
    assert checkpoint(sandbox_database, station)["last_processed_ts"] == END


def test_a_checkpoint_moves_window_by_window_as_the_loop_moves_it_and_an_interrupt_saves_it(
    contract: Contract,
    options: dict[str, str],
    station: int,
    runner: Runner,
    sandbox_database: Mongo,
) -> None:
    ends = [call[1] for call in loop(contract, options, START) if call[0] == "checkpoint"]
    process = runner.start(*ask(station, "rate_limit.delay_s=1"))
    found = sandbox_database[CHECKPOINTS]

    def reached() -> datetime:
        document = found.find_one({"station_idx": station}) or {"last_processed_ts": START}
        at: datetime = document["last_processed_ts"]
        return at

    seen = {wait_for(lambda: reached() if reached() >= ends[1] else None)}
    assert "checkpoint saving" in contract.terms("Error Handling")["Interrupt Handling"]
    code, out, _err = stop(process)
    assert code == 130
    assert "SUMMARY" in out
    seen.add(reached())
    assert seen <= {*ends}
    saved = checkpoint(sandbox_database, station)
    assert saved["status"] == "in_progress"
    stored = [item["ts"] for item in readings_of(sandbox_database)]
    assert START <= min(stored) <= max(stored) < saved["last_processed_ts"]
    assert saved["total_readings_inserted"] == len(stored)
    runner(*ask(station))
    assert windows_asked(runner)[0][0] == saved["last_processed_ts"]
    moved = checkpoint(sandbox_database, station)
    assert moved["total_readings_inserted"] == len(readings_of(sandbox_database))


@pytest.mark.parametrize("recipe", [0, 1])
def test_the_reset_recipes_let_a_failed_station_be_fetched(
    contract: Contract, station: int, runner: Runner, sandbox_database: Mongo, recipe: int
) -> None:
    runner(*ask(station, *FAILING), expect=4)
    assert checkpoint(sandbox_database, station)["status"] == "failed"
    runner(*ask(station), expect=4)
    assert runner.last_json("outcome.json")["counts"]["skipped"] == 1
    (snippet,) = contract.snippets("Resetting Failed Stations")
    texts = re.split(r"\n\n", snippet.strip())
    (result,) = Snippet(texts[recipe]).run(sandbox_database)
    assert result.modified_count == 1
    runner(*ask(station))
    assert checkpoint(sandbox_database, station)["status"] == "completed"
    assert checkpoint(sandbox_database, station)["error_message"] is None


def test_the_recipes_for_status_and_full_restart_and_the_sample_query_work(
    contract: Contract, station: int, runner: Runner, sandbox_database: Mongo
) -> None:
    discovery = contract.snippets("Station Discovery", "python")[0]
    query = Snippet(contract.snippets("Sample Validation Query")[0])
    asked = Snippet(query.text).after("find", "(").value()
    first = asked["ts"]["$gte"]
    dates = (f"backfill.start_date={first:%Y-%m-%d}", "backfill.end_date=2023-09-17")
    runner(*ask(station), *dates)
    (found,) = query.run(sandbox_database)
    newest = [item["ts"] for item in found]
    stored = sorted((item["ts"] for item in readings_of(sandbox_database)), reverse=True)
    assert newest == stored[: len(newest)]
    assert len(newest) > 1
    (known,) = Snippet(discovery).run(sandbox_database)
    assert [item["_id"] for item in known] == [station]
    status, restart = (
        Snippet(text)
        for text in contract.snippets("Recovery Procedures", "javascript")
        if "aggregate" in text or "delete" in text
    )
    (groups,) = status.run(sandbox_database)
    told = json.loads(runner("job=status", "output=json", "source=sandbox").stdout)
    states = {state: count for state, count in told["totals"]["states"].items() if count}
    assert {group["_id"]: group["count"] for group in groups} == states
    (deleted,) = restart.run(sandbox_database)
    assert deleted.deleted_count == 1
    before = readings_of(sandbox_database)
    runner(*ask(station), *dates)
    outcome = runner.last_json("outcome.json")
    assert outcome["totals"]["inserted"] == 0
    assert outcome["totals"]["unchanged"] == len(before)
    assert readings_of(sandbox_database) == before


def test_the_record_of_the_example_is_stored_as_the_document_of_the_example(
    contract: Contract, runner: Runner, database: Mongo
) -> None:
    snippet = Snippet(contract.snippets("Data Transformation", "python")[0])
    record, wanted = snippet.value(), snippet.value()
    idx = wanted["meta"]["station_idx"]
    day = wanted["ts"].replace(hour=0)
    with Loopback(says({"status": "ok", "data": [record]})) as api:
        runner(
            f"+stations.named={{{idx}: Example}}",
            f"stations.ids=[{idx}]",
            f"source.base_url={api.url}",
            f"backfill.start_date={day:%Y-%m-%d}",
            f"backfill.end_date={day + timedelta(days=1):%Y-%m-%d}",
            *FAST,
            AQICN_API_KEY="any-text",
        )
    assert readings_of(database) == [wanted]


def test_every_option_has_its_setting_with_the_documented_default(
    options: dict[str, str], runner: Runner
) -> None:
    config = yaml.safe_load(runner("--cfg", "job").stdout)
    assert len(options) > 5
    for flag, default in options.items():
        with pytest.raises(ConfigError) as refused:
            parse([flag, "1"], Environment({}, DOCUMENT, key_names))
        (key,) = re.findall(r"write: ([\w.]+)=", refused.value.message)
        value: Any = config
        for name in key.split("."):
            value = value[name]
        if flag == "--stations":  # all of them
            assert not value
            assert [*config["stations"]["selectors"].values()] == [{}]
        elif flag in ("--start-date", "--years"):  # years back from the end
            assert value is None
            assert config["backfill"]["last"] == f"{first_number(default)} years"
        else:
            assert str(value).removesuffix(".0") == default.split()[0], flag


def test_the_log_levels_are_the_documented_ones_and_each_says_what_it_is_said_to(
    contract: Contract, station: int, runner: Runner
) -> None:
    levels = [*contract.terms("Log Levels")]
    (flag,) = [row[1] for row in contract.table("Command Line Options") if "level" in row[0]]
    assert re.findall(r"[A-Z]{4,}", flag) == levels
    for level in levels[1:]:
        parse([f"log_level={level}"], Environment({}, DOCUMENT, key_names))
    runner(*ask(station, "log_level=DEBUG"))
    log = (runner.run_dirs()[-1] / "backfill.log").read_text("utf-8")
    found = {line["event"]: line for line in map(json.loads, log.splitlines())}
    ours = {
        "Starting": ("run.started", ["stations"]),
        "Processing": ("station.started", ["number", "of", "station_idx"]),
        "Station": ("station.progress", ["station_idx", "percent"]),
        "Progress": ("run.progress", ["stations", "of"]),
        "Completed": ("station.completed", ["station_idx", "readings"]),
    }
    sample = contract.snippets("Progress Tracking")[0].strip().splitlines()
    assert len(sample) == len(ours)
    for line in sample:
        _when, level, text = line.split(" - ", 2)
        event, facts = ours[re.split(r"\W", text)[0]]
        assert found[event]["level"].upper() == level
        assert {*facts} <= found[event].keys()


def test_the_documented_environment_is_read_from_a_file(
    contract: Contract, runner: Runner, database: Mongo
) -> None:
    text = contract.snippets("Environment Variables", "bash")[0]
    names = re.findall(r"^(\w+)=", text, re.MULTILINE)
    ours = {"MONGO_URI": runner.environment["MONGO_URI"], "MONGO_DB": database.name}
    key = (set(names) - ours.keys()).pop()
    lines = [f"{name}={ours.get(name, 'a-fine-key')}" for name in names]
    without = {name: value for name, value in runner.environment.items() if name not in names}
    plain = Runner(runner.directory, without)
    (plain.directory / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert f"in {database.name}" in plain("job=status").stdout
    lines = [line for line in lines if not line.startswith(key)]
    (plain.directory / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    refused = plain("stations=hanoi", *RANGE, *FAST, expect=2)
    assert key in refused.stdout + refused.stderr


def test_the_summary_has_the_documented_lines_in_order_and_form(
    contract: Contract, station: int, runner: Runner
) -> None:
    block = contract.snippets("Successful Execution")[0].strip().splitlines()
    shown = runner(*ask(station)).stdout.splitlines()
    at = 0
    for line in block:
        label, colon, value = line.partition(": ")
        form = re.escape(label + colon)
        if value:
            digits = re.sub(r"\d{1,3}(,\d{3})+|\d+", "#", value)
            form += re.escape(digits).replace(re.escape("#"), r"\d{1,3}(,\d{3})*")
        found = [
            number
            for number, text in enumerate(shown[at:], at)
            if re.match(rf"{form}( \(|$)", text)
        ]
        assert found, f"{line!r} is not in the summary after line {at}"
        at = found[0] + 1
