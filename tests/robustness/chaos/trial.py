"""One trial: disturb the real product, resume it until it is done, and compare with the truth."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any, ClassVar, NamedTuple

from pymongo.database import Database

from runner.core.causes import MISSING, Cause, decide
from runner.core.intervals import Interval, hour_of, union
from runner.core.readings import to_readings
from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.settings import Faults
from runner.sources.sandbox.values import Record, Values
from runner.store.checkpoint_document import to_checkpoint
from tests.product.forked import REPOSITORY
from tests.product.product import PRIVATE
from tests.robustness.chaos.faults import DATABASE, PROCESS, Fault, Process
from tests.robustness.chaos.servers import Bed, Server

Document = dict[str, Any]
Key = tuple[int, datetime]
"""Station and hour."""

STATIONS = {1584: "A", 8641: "B", -476599: "C"}
START = hour_of(datetime(2023, 1, 1, tzinfo=UTC))
WANTED = Interval(START, START + 16 * 24)
_MOST_RUNS = 12
_RUN_LIMIT_S = 240
_LEASE_S = 2


class Case(NamedTuple):
    """What a trial is about.

    Attributes:
        seed: of everything that is random.
        faults: what is to go wrong.
        bed: the MongoDB it runs on.
        kind: of the collection, regular or timeseries.
    """

    seed: str
    faults: tuple[Fault, ...] = ()
    bed: Bed = Bed.STANDALONE
    kind: str = "regular"

    def __str__(self) -> str:
        names = " + ".join(fault.name for fault in self.faults) or "nothing"
        return f"{self.seed}: {names} ({self.bed}, {self.kind})"


@dataclass
class Result:
    """What became of a trial.

    Attributes:
        case: repeats the trial.
        lost: readings of the truth that are not there.
        doubled: documents more than one for a station and hour.
        stale: readings with a value that the source has corrected since, and that a later run was
            given corrected.
        wrong: readings with another value than the truth's.
        invented: documents for hours the truth has no reading for.
        not_stored: hours that a checkpoint or a log calls stored, and that are not there.
        refetched: windows' worth of hours that were served more than once.
        allowed: how many of those are allowed: workers x kills and sleeps, and answers that came
            too late.
        problems: everything else that is not as promised, in words.
        codes: exit codes of the runs.
        struck: the faults that came to pass: a kill may come too late.
        files: the directory of the runs, kept if the trial failed.
    """

    case: Case
    lost: int = 0
    doubled: int = 0
    stale: int = 0
    wrong: int = 0
    invented: int = 0
    not_stored: int = 0
    refetched: float = 0
    allowed: int = 0
    problems: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    files: Path | None = None

    def __str__(self) -> str:
        names = ("lost", "doubled", "stale", "wrong", "invented", "not_stored", "refetched")
        found = [f"{name} {getattr(self, name):g}" for name in names if getattr(self, name)]
        return (
            f"{self.case}: {', '.join(found)}, allowed {self.allowed}, exits {self.codes}, "
            f"struck {self.struck}, files in {self.files}, problems {self.problems}"
        )

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        counts = (
            *(self.lost, self.doubled, self.stale),
            *(self.wrong, self.invented, self.not_stored),
        )
        return not (any(counts) or self.problems or self.refetched > self.allowed)


class Corrected:
    """Records that the source corrects once; remembers for which hours it gave out the new ones.

    Args:
        values: the first records.
    """

    synthetic: ClassVar[bool] = True

    def __init__(self, values: Values) -> None:
        self._values = values
        self._lock = Lock()
        self._is_corrected = False
        self._given: set[tuple[int, int]] = set()

    def correct(self) -> None:
        """Give out the corrected records from now on."""
        with self._lock:
            self._is_corrected = True

    def gave_corrected(self, station_idx: int, hour: int) -> bool:
        """Whether a run was given the corrected record of an hour."""
        return (station_idx, hour) in self._given

    def records(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the records of a window, corrected or not."""
        with self._lock:
            corrected = self._is_corrected
            if corrected:
                self._given.update((station_idx, hour) for hour in range(*window))
        return self.corrected(station_idx, window) if corrected else self.first(station_idx, window)

    def first(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the records before the correction."""
        return self._values.records(station_idx, window)

    def corrected(self, station_idx: int, window: Interval) -> list[Record]:
        """Return the records after the correction."""
        records = self._values.records(station_idx, window)
        for record in records:
            if record["current_aqi"] != "-":
                record["current_aqi"] += 1
                record["current_iaqi"]["pm25"]["v"] += 1
        return records


class Trial:
    """Runs one trial.

    Args:
        case: what it is about.
        server: of the case's bed; used by nobody else meanwhile.
    """

    def __init__(self, case: Case, server: Server) -> None:
        self._rng = Random(case.seed)
        self._faults = case.faults
        self._server = server
        self._workers = self._rng.choice((1, 2, 3))
        self._batch_hours = self._rng.choice((12, 24))
        self._kind = case.kind
        self._values = Corrected(Climatology(self._rng.randrange(1000)))
        self._database_name = f"chaos_{abs(hash(case.seed)):x}_{os.getpid()}"
        self._result = Result(case)
        self._result.allowed = self._workers * ends_without_saving(case.faults)
        self._started: list[Process] = []

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
        finally:
            for process in self._started:
                process.kill()
            with self._database() as database:
                database.client.drop_database(database.name)
            if self._result.good:
                shutil.rmtree(directory, ignore_errors=True)
            else:
                self._result.files = directory
        return self._result

    def _sandbox(self) -> Sandbox:
        rates: Document = {}
        for fault in self._faults:
            rates |= fault.api
        seed = self._rng.randrange(1000)
        return Sandbox(STATIONS, self._values, Faults(**rates, latency_ms=15), seed=seed)

    @contextmanager
    def _database(self) -> Iterator[Database[Document]]:
        self._server.revive()
        self._server.wait_until_writable()
        with self._server.client() as client:
            yield client[self._database_name]

    def _work(self, directory: Path, api: Sandbox) -> None:
        """Start the product until it is done, and disturb it on the way."""
        todo = sorted(
            (self._moment(fault), position)
            for position, fault in enumerate(self._faults)
            if fault.act or fault.suspends
        )
        allowed = {0}.union(*(fault.codes for fault in self._faults))
        for number in range(_MOST_RUNS):
            process = self._start(directory, api, first=number == 0)
            while todo and self._reached(todo[0][0], process, api):
                fault = self._faults[todo.pop(0)[1]]
                if fault.suspends:
                    self._outsleep(process, directory, api, allowed)
                elif fault.act:
                    fault.act(process, self._server, self._rng)
                self._result.struck.append(fault.name)
            err = self._end_of(process)
            self._judge_run(process.returncode, err, allowed if number == 0 or todo else None)
            with self._database() as database:
                self._covered_is_stored(database)
                self._said_is_stored(database, directory)
                self._causes_are_true(database)
            if process.returncode == 0:
                return
            api._service.quota.reset()  # the hour is over
        self._result.problems.append(f"not done after {_MOST_RUNS} runs: {self._result.codes}")

    def _outsleep(self, process: Process, directory: Path, api: Sandbox, allowed: set[int]) -> None:
        """Suspend the process for longer than its lease; another run takes its stations over.

        The source corrects its values meanwhile: what the process has in hand is stale. It wakes up
        while the other run works, or after its end.
        """
        process.send_signal(signal.SIGSTOP)
        self._values.correct()
        asked = api.stats()["requests"]
        other = self._start(directory, api, first=False)
        wanted = asked + self._rng.choice((1, self._rng.randint(2, 20), 10_000, 10_000))
        while other.poll() is None and api.stats()["requests"] < wanted:
            time.sleep(0.005)
        process.send_signal(signal.SIGCONT)
        err = self._end_of(other)
        self._judge_run(other.returncode, err, allowed)

    def _end_of(self, process: Process) -> str:
        """Wait for the end of a run; return what it wrote to standard error."""
        try:
            return process.communicate(timeout=_RUN_LIMIT_S)[1]
        except subprocess.TimeoutExpired:
            self._result.problems.append(f"a run did not end within {_RUN_LIMIT_S} s")
            process.kill()
            return process.communicate()[1]

    def _struck(self, fault: Fault) -> bool:
        """Whether a fault came to pass that nobody acts out."""
        if fault.kill:
            return self._result.codes[0] == -signal.SIGKILL
        return not (fault.act or fault.suspends)

    def _moment(self, fault: Fault) -> float:
        """Return how many requests come before a fault.

        Below 1 it is seconds after the start; 0 is when the process suspends itself.
        """
        if fault.suspends not in ("", "anywhere"):
            return 0
        windows = len(STATIONS) * WANTED.hours / self._batch_hours
        return (
            self._rng.uniform(0, 0.9) if fault.at_start else 1 + self._rng.uniform(0, 0.7) * windows
        )

    def _reached(self, moment: float, process: Process, api: Sandbox) -> bool:
        began = time.monotonic()
        while process.poll() is None:
            if moment == 0:
                if _is_suspended(process):
                    return True
                time.sleep(0.005)
                continue
            passed = time.monotonic() - began if moment < 1 else api.stats()["requests"]
            if passed >= moment:
                return True
            time.sleep(0.005)
        return False

    def _start(self, directory: Path, api: Sandbox, *, first: bool) -> Process:
        environment = {name: text for name, text in os.environ.items() if name not in PRIVATE}
        environment |= {
            "MONGO_URI": self._server.uri,
            "MONGO_DB": self._database_name,
            "AQICN_API_KEY": "anything",
            "PYTHONPATH": str(REPOSITORY),
        }
        armed = [
            fault
            for fault in self._faults
            if first and (fault.kill or fault.clock_s or fault.suspends not in ("", "anywhere"))
        ]
        for fault in armed:
            if fault.suspends:
                environment["CHAOS_STOP"] = f"{fault.suspends}:{self._rng.randint(1, 20)}"
            if fault.kill:
                when, place, most = fault.kill
                environment["CHAOS_KILL"] = f"{when}:{place}:{self._rng.randint(1, most)}"
            if fault.clock_s:
                place = "runner.store.checkpoints:Checkpoints.advance"
                number = self._rng.randint(1, 20)
                environment["CHAOS_CLOCK"] = f"{place}:{number}:{fault.clock_s}"
        special = [text for fault in self._faults for text in fault.arguments]
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.robustness.chaos.armed" if armed else "runner",
                f"stations.ids=[{','.join(map(str, STATIONS))}]",
                "backfill.start_date=2023-01-01",
                "backfill.end_date=2023-01-17",
                f"backfill.batch_size={self._batch_hours}",
                f"backfill.workers={self._workers}",
                f"backfill.lease_s={_LEASE_S}",
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
        self._started.append(process)
        return process

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

    @cached_property
    def _before(self) -> dict[Key, Document]:
        """The readings of the source before it corrected them."""
        return _readings_of(self._values.first)

    @cached_property
    def _after(self) -> dict[Key, Document]:
        """The readings of the source after it corrected them."""
        return _readings_of(self._values.corrected)

    def _covered_is_stored(self, database: Database[Document]) -> None:
        """At any moment, what a checkpoint says is covered has to be in the collection."""
        for checkpoint in database["ingest_checkpoints"].find():
            idx = checkpoint["station_idx"]
            for start, end in checkpoint.get("covered") or []:
                window = Interval(hour_of(start), hour_of(end))
                self._is_stored(database, idx, window, "its checkpoint calls covered")

    def _said_is_stored(self, database: Database[Document], directory: Path) -> None:
        """At any moment, what a log says is stored has to be in the collection."""
        said: dict[int, set[int]] = defaultdict(set)
        for path in directory.glob("runs/*/*/backfill.log"):
            for line in path.read_text("utf-8").splitlines():
                if '"window.stored"' in line:
                    event = json.loads(line)
                    ends = (datetime.fromisoformat(text) for text in event["window"].split(".."))
                    said[event["station_idx"]].update(range(*map(hour_of, ends)))
        for idx, hours in said.items():
            for window in union(Interval(hour, hour + 1) for hour in hours):
                self._is_stored(database, idx, window, "a log calls stored")

    def _causes_are_true(self, database: Database[Document]) -> None:
        """At any moment, no hour that the source has and the collection lacks is called empty.

        It is named as not asked, lost or unknown, by the checkpoint alone.
        """
        stored: dict[int, set[int]] = defaultdict(set)
        for item in database["waqi_station_readings"].find():
            stored[item["meta"]["station_idx"]].add(hour_of(item["ts"]))
        open_causes = {Cause.NOT_ASKED, Cause.LOST, Cause.UNKNOWN}
        for document in database["ingest_checkpoints"].find():
            checkpoint = to_checkpoint(document)
            if checkpoint is None:
                continue
            idx = checkpoint.station_idx
            causes = decide(WANTED, checkpoint.progress)
            true = {hour_of(ts) for number, ts in self._before if number == idx}
            wrong = [
                hour
                for hour in sorted(true - stored[idx])
                if MISSING[causes[hour - WANTED.start]] not in open_causes
            ]
            if wrong:
                said = MISSING[causes[wrong[0] - WANTED.start]]
                self._result.problems.append(
                    f"{idx}: {len(wrong)} hours that the source has and nobody stored are called "
                    f"{said} and the like, from {wrong[0]}"
                )

    def _is_stored(
        self, database: Database[Document], idx: int, window: Interval, who: str
    ) -> None:
        chosen = {"meta.station_idx": idx}
        stored = {item["ts"] for item in database["waqi_station_readings"].find(chosen)}
        true = {
            ts for number, ts in self._before if number == idx and hour_of(ts) in range(*window)
        }
        if missing := true - stored:
            self._result.not_stored += len(missing)
            self._result.problems.append(
                f"{idx}: {len(missing)} hours of what {who} are not stored, from {min(missing)}"
            )

    def _compare(self, database: Database[Document]) -> None:
        """Compare everything stored with the truth."""
        truth, result = self._before, self._result
        stored: dict[Key, list[Document]] = defaultdict(list)
        for item in database["waqi_station_readings"].find({}, {"_id": 0}):
            stored[_key(item)].append(item)
        result.lost = len(truth.keys() - stored.keys())
        result.invented = len(stored.keys() - truth.keys())
        result.doubled = sum(len(found) - 1 for found in stored.values())
        revised = {
            (item["station_idx"], item["ts"]) for item in database["ingest_revisions"].find()
        }
        for key in truth.keys() & stored.keys():
            self._compare_values(key, stored[key], is_revised=key in revised)
        self._compare_checkpoints(database)

    def _compare_checkpoints(self, database: Database[Document]) -> None:
        """Look whether the checkpoints say that all is done, and nobody holds a station."""
        result = self._result
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
            readings = sum(key[0] == idx for key in self._before)
            if checkpoint["total_readings_inserted"] != readings:
                counted = checkpoint["total_readings_inserted"]
                result.problems.append(f"{idx}: {readings} readings inserted, {counted} counted")

    def _compare_values(self, key: Key, found: list[Document], *, is_revised: bool) -> None:
        """Compare what is stored for an hour with what the source last said of it to a run."""
        before, after = self._before[key], self._after[key]
        if not self._values.gave_corrected(key[0], hour_of(key[1])):
            right = [before]
        elif is_revised:  # what a time-series collection cannot replace
            right = [before, after]
        else:
            right = [after]
        wrong = [document for document in found if document not in right]
        stale = wrong.count(before)
        self._result.stale += stale
        self._result.wrong += len(wrong) - stale

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


def _readings_of(records: Callable[[int, Interval], list[Record]]) -> dict[Key, Document]:
    """Return what the product should make of the records."""
    now = datetime.now(UTC)
    return {
        (idx, reading["ts"]): dict(reading)
        for idx in STATIONS
        for reading in to_readings(records(idx, WANTED), idx, WANTED, now).readings
    }


def _is_suspended(process: Process) -> bool:
    """Whether all threads of a process are stopped."""
    text = Path(f"/proc/{process.pid}/stat").read_text("utf-8")
    return text.rpartition(") ")[2].startswith("T")


def _key(item: Document) -> Key:
    return item["meta"]["station_idx"], item["ts"]
