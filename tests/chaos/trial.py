"""One trial: disturb the real product, resume it until it is done, and compare with the truth."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from pymongo.database import Database

from runner.core.intervals import Interval, hour_of
from runner.core.readings import to_readings
from runner.sandbox.climatology import Climatology
from runner.sandbox.faults import Faults
from runner.sandbox.server import Sandbox
from tests.chaos.faults import DATABASE, PROCESS, Fault, Process
from tests.chaos.servers import Mongod
from tests.process.product import PRIVATE, REPOSITORY

Document = dict[str, Any]

STATIONS = {1584: "A", 8641: "B", -476599: "C"}
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
WANTED = Interval(START, START + 16 * 24)
_MOST_RUNS = 12
_RUN_LIMIT_S = 240


@dataclass
class Result:
    """What became of a trial.

    Attributes:
        seed: with the faults, repeats the trial.
        faults: what was done.
        lost: readings of the truth that are not there.
        doubled: documents more than one for a station and hour.
        wrong: readings with another value than the truth's.
        invented: documents for hours the truth has no reading for.
        refetched: windows' worth of hours that were served more than once.
        allowed: how many of those are allowed: workers x kills, and answers that came too late.
        problems: everything else that is not as promised, in words.
        codes: exit codes of the runs.
        struck: the faults that came to pass: a kill may come too late.
    """

    seed: str
    faults: tuple[str, ...]
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    invented: int = 0
    refetched: float = 0
    allowed: int = 0
    problems: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        counts = self.lost + self.doubled + self.wrong + self.invented
        return not (counts or self.problems or self.refetched > self.allowed)


class Trial:
    """Runs one trial.

    Args:
        seed: of everything that is random.
        faults: what is to go wrong.
        mongod: the server; used by nobody else meanwhile.
    """

    def __init__(self, seed: str, faults: Sequence[Fault], mongod: Mongod) -> None:
        self._rng = Random(seed)
        self._faults = faults
        self._mongod = mongod
        self._workers = self._rng.choice((1, 2, 3))
        self._batch_hours = self._rng.choice((12, 24))
        self._kind = self._rng.choice(("regular", "timeseries"))
        self._values = Climatology(self._rng.randrange(1000))
        self._database_name = f"chaos_{abs(hash(seed)):x}_{os.getpid()}"
        self._result = Result(seed, tuple(fault.name for fault in faults))
        self._result.allowed = self._workers * ends_without_saving(faults)

    def run(self) -> Result:
        """Disturb, resume, compare."""
        directory = Path(tempfile.mkdtemp(prefix="chaos-run-"))
        (directory / "full").mkdir()
        (directory / "full" / "backfill.log").symlink_to("/dev/full")
        (directory / "none").write_text("a file where a directory should be")
        try:
            with self._sandbox() as api:
                self._work(directory, api)
                self._refetched(api)
                self._result.allowed += _late(directory, api)
            self._result.struck += [fault.name for fault in self._faults if self._struck(fault)]
            with self._database() as database:
                self._compare(database)
                database.client.drop_database(database.name)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return self._result

    def _sandbox(self) -> Sandbox:
        rates: Document = {}
        for fault in self._faults:
            rates |= fault.api
        seed = self._rng.randrange(1000)
        return Sandbox(STATIONS, self._values, Faults(**rates, latency_ms=15, seed=seed))

    @contextmanager
    def _database(self) -> Iterator[Database[Document]]:
        self._mongod.wait_until_writable()
        with self._mongod.client() as client:
            yield client[self._database_name]

    def _work(self, directory: Path, api: Sandbox) -> None:
        """Start the product until it is done, and disturb it on the way."""
        todo = sorted(
            (self._moment(fault), position)
            for position, fault in enumerate(self._faults)
            if fault.act
        )
        allowed = {0}.union(*(fault.codes for fault in self._faults))
        for number in range(_MOST_RUNS):
            process = self._start(directory, api, first=number == 0)
            while todo and self._reached(todo[0][0], process, api):
                fault = self._faults[todo.pop(0)[1]]
                if fault.act:
                    fault.act(process, self._mongod, self._rng)
                    self._result.struck.append(fault.name)
            _out, err = process.communicate(timeout=_RUN_LIMIT_S)
            self._judge_run(process.returncode, err, allowed if number == 0 or todo else None)
            with self._database() as database:
                self._covered_is_stored(database)
            if process.returncode == 0:
                return
            api._service.quota.reset()  # the hour is over
        self._result.problems.append(f"not done after {_MOST_RUNS} runs: {self._result.codes}")

    def _struck(self, fault: Fault) -> bool:
        """Whether a fault came to pass that nobody acts out."""
        if fault.kill:
            return self._result.codes[0] == -signal.SIGKILL
        return fault.act is None

    def _moment(self, fault: Fault) -> float:
        """Return how many requests come before a fault; below 1, seconds after the start."""
        windows = len(STATIONS) * WANTED.hours / self._batch_hours
        return (
            self._rng.uniform(0, 0.9) if fault.at_start else 1 + self._rng.uniform(0, 0.7) * windows
        )

    def _reached(self, moment: float, process: Process, api: Sandbox) -> bool:
        began = time.monotonic()
        while process.poll() is None:
            passed = time.monotonic() - began if moment < 1 else api.stats()["requests"]
            if passed >= moment:
                return True
            time.sleep(0.005)
        return False

    def _start(self, directory: Path, api: Sandbox, *, first: bool) -> Process:
        environment = {name: text for name, text in os.environ.items() if name not in PRIVATE}
        environment |= {
            "MONGO_URI": self._mongod.uri,
            "MONGO_DB": self._database_name,
            "AQICN_API_KEY": "anything",
            "PYTHONPATH": str(REPOSITORY),
        }
        armed = [fault for fault in self._faults if first and (fault.kill or fault.clock_s)]
        for fault in armed:
            if fault.kill:
                when, place, most = fault.kill
                environment["CHAOS_KILL"] = f"{when}:{place}:{self._rng.randint(1, most)}"
            if fault.clock_s:
                place = "runner.store.checkpoints:Checkpoints.advance"
                number = self._rng.randint(1, 20)
                environment["CHAOS_CLOCK"] = f"{place}:{number}:{fault.clock_s}"
        special = [text for fault in self._faults for text in fault.arguments]
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.chaos.armed" if armed else "runner",
                f"stations.ids=[{','.join(map(str, STATIONS))}]",
                "backfill.start_date=2023-01-01",
                "backfill.end_date=2023-01-17",
                f"backfill.batch_size={self._batch_hours}",
                f"backfill.workers={self._workers}",
                "backfill.lease_s=2",
                "rate_limit=unlimited",
                "quality=off",
                "report=none",
                f"source.base_url={api.url}",
                "source.retry.backoff_s=0.01",
                "source.retry.backoff_max_s=0.1",
                "mongo.timeout_s=5",
                f"mongo.readings.kind={self._kind}",
                *(text.format(directory=directory) for text in special),
            ],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _judge_run(self, code: int, err: str, allowed: set[int] | None) -> None:
        """Look at how a run ended: as announced, and never with a traceback."""
        self._result.codes.append(code)
        if "Traceback" in err or "internal error" in err:
            self._result.problems.append(f"exit {code}: {err[-2000:]}")
        if allowed is not None and code not in allowed:
            self._result.problems.append(f"exit {code} is not one of {allowed}: {err[-2000:]}")
        says = [fault.says for fault in self._faults if fault.says]
        if len(self._faults) == 1 and any(said not in err for said in says):
            self._result.problems.append(f"standard error does not say {says}: {err[-2000:]}")

    def _truth(self) -> dict[tuple[int, datetime], Document]:
        now = datetime.now(UTC)
        found: dict[tuple[int, datetime], Document] = {}
        for idx in STATIONS:
            records = self._values.records(idx, WANTED)
            for reading in to_readings(records, idx, WANTED, now).readings:
                found[idx, reading["ts"]] = dict(reading)
        return found

    def _covered_is_stored(self, database: Database[Document]) -> None:
        """At any moment, what a checkpoint says is covered has to be in the collection."""
        stored = {_key(item) for item in database["waqi_station_readings"].find()}
        for checkpoint in database["ingest_checkpoints"].find():
            for start, end in checkpoint.get("covered") or []:
                for idx, ts in self._truth():
                    inside = idx == checkpoint["station_idx"] and start <= ts < end
                    if inside and (idx, ts) not in stored:
                        self._result.problems.append(f"{idx} {ts} is covered, and not stored")

    def _compare(self, database: Database[Document]) -> None:
        """Compare everything stored with the truth."""
        truth, result = self._truth(), self._result
        stored: dict[tuple[int, datetime], list[Document]] = defaultdict(list)
        for item in database["waqi_station_readings"].find({}, {"_id": 0}):
            stored[_key(item)].append(item)
        result.lost = len(truth.keys() - stored.keys())
        result.invented = len(stored.keys() - truth.keys())
        result.doubled = sum(len(found) - 1 for found in stored.values())
        result.wrong = sum(stored[key][0] != truth[key] for key in truth.keys() & stored.keys())
        checkpoints = {item["station_idx"]: item for item in database["ingest_checkpoints"].find()}
        # A run that was killed gives nothing back; its leases run out by the server's clock.
        ended = {
            item["_id"] for item in database["ingest_runs"].find({"outcome": {"$exists": True}})
        }
        if checkpoints.keys() != STATIONS.keys():
            result.problems.append(f"checkpoints of {sorted(checkpoints)}")
        for idx, checkpoint in checkpoints.items():
            covered = [[hour_of(start), hour_of(end)] for start, end in checkpoint["covered"]]
            if covered != [[*WANTED]] or checkpoint["status"] != "completed":
                result.problems.append(f"{idx}: {checkpoint['status']}, covered {covered}")
            if checkpoint.get("lease", {}).get("owner") in ended:
                result.problems.append(f"{idx}: leased by a run that has ended")
            readings = sum(key[0] == idx for key in truth)
            if checkpoint["total_readings_inserted"] != readings:
                counted = checkpoint["total_readings_inserted"]
                result.problems.append(f"{idx}: {readings} readings inserted, {counted} counted")

    def _refetched(self, api: Sandbox) -> None:
        """Count the hours that were served in full more than once, in windows."""
        hours: Counter[tuple[str, int]] = Counter()
        for idx, windows in api.stats()["windows"].items():
            for start, end, count in windows:
                served = range(*(hour_of(datetime.fromisoformat(text)) for text in (start, end)))
                hours.update({(idx, hour): count for hour in served})
        again = sum(count - 1 for count in hours.values())
        self._result.refetched = again / self._batch_hours


def ends_without_saving(faults: Sequence[Fault]) -> int:
    """Return how often the windows in hand may be lost: kills, and a stop without a database.

    A stop ends the run at once while the database is away: there is nowhere to save to.
    """
    kills = sum(fault.kills for fault in faults)
    stops = any(fault.group is PROCESS and fault.act and not fault.kills for fault in faults)
    away = any(fault.group is DATABASE and not fault.kills for fault in faults)
    return kills + (stops and away)


def _late(directory: Path, api: Sandbox) -> int:
    """Return how many right answers came too late, on a busy machine, and are asked for again.

    They are the tries that the log says had no answer, without those the sandbox held back.
    """
    logs = (path.read_text("utf-8") for path in directory.glob("runs/*/*/backfill.log"))
    unanswered = sum(log.count('"error": "no answer from') for log in logs)
    return max(0, unanswered - int(api.stats()["outcomes"]["rate_timeout"]))


def _key(item: Document) -> tuple[int, datetime]:
    return item["meta"]["station_idx"], item["ts"]
