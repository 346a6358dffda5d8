"""One job: its configuration, its process, its identity."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import socket
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from runner.config.backfill import RANGE_KEYS
from runner.config.job import Output
from runner.config.mongo import OF_MONGODB
from runner.config.read import date_range
from runner.config.settings import Config
from runner.core.intervals import Interval
from runner.core.outcome import Outcome
from runner.core.plan import Mode, Pace
from runner.core.present import hours_asked
from runner.process.files import write_text
from runner.process.secrets import Redactor, Secret, database_of, hosts_of, masked
from runner.process.stop import StopFlag

if TYPE_CHECKING:
    from runner.process.secrets import Environment
    from runner.process.stop import StopFlag


log = structlog.get_logger()

DEFAULT_DATABASE = "air_quality_db"


def whoami() -> dict[str, Any]:
    """Return host, process id and user, for those who look from elsewhere."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user of no name
        user = str(os.getuid())
    return {"host": socket.gethostname(), "pid": os.getpid(), "user": user}


PROGRAM = ("python", "-m", "runner")


def json_text(content: dict[str, Any], *, ascii_only: bool = False) -> str:
    """Return JSON to read and to search: indented, but of a list of objects one a line."""
    parts = []
    for name, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n    ".join(json.dumps(row, ensure_ascii=ascii_only) for row in value)
            text = f"[\n    {rows}\n  ]"
        else:
            text = json.dumps(value, indent=2, ensure_ascii=ascii_only).replace("\n", "\n  ")
        parts.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}"


@dataclass(frozen=True)
class Job:
    """One job: its configuration, its process, its identity.

    Attributes:
        config: as composed and checked.
        context: environment, run directory, command line.
        run_id: names the job in logs, documents and files.
        started_at: UTC; "now" for the range of the plan.
        stop: stops with the process, or alone when the job cannot go on.
        redact: takes secrets out of text.
        asks_present: whether the source has the present observation only.
        database_suffix: ends the name of the source's database; invented readings stay apart.
        stored: the hours to look at if nobody chose a range: those that the stations cover.
    """

    config: Config
    context: JobContext
    run_id: str
    started_at: datetime
    stop: StopFlag
    redact: Redactor
    asks_present: bool = False
    database_suffix: str = ""
    stored: Interval | None = None
    _began_s: float = field(default_factory=time.monotonic, init=False)

    @property
    def name(self) -> str:
        """The job's name, as in `job=NAME`."""
        return self.config.job.name.name

    def now(self) -> datetime:
        """Return the present, UTC, on a clock that nobody sets while the job runs."""
        return self.started_at + timedelta(seconds=time.monotonic() - self._began_s)

    @cached_property
    def wanted(self) -> Interval:
        """The range asked for, UTC; of a source of the present the hours it may speak of."""
        if self.stored is not None:
            return self.stored
        if self.asks_present:
            lag, age = self.config.backfill.lag_hours, self.config.source.max_age_hours
            return hours_asked(self.started_at, lag, age)
        return date_range(self.config.backfill, self.started_at)

    @property
    def has_default_range(self) -> bool:
        """Whether nobody chose the hours, neither on the command line nor in a profile."""
        names = ("backfill", *(f"backfill.{key}" for key in (*RANGE_KEYS, "end_date", "last")))
        typed = {word.lstrip("+").partition("=")[0] for word in self.context.overrides}
        return typed.isdisjoint(names) and self.config.backfill.is_default_range

    @property
    def database_name(self) -> str:
        """`mongo.database`, else MONGO_DB, else as in MONGO_URI, with the source's suffix."""
        named = (self.config.mongo.database, self.context.environment.get("MONGO_DB"))
        name = next(filter(None, (*named, self._database_of_uri)), DEFAULT_DATABASE)
        return name if name.endswith(self.database_suffix) else name + self.database_suffix

    @property
    def mongo_uri(self) -> Secret:
        """The address of the server; empty for the embedded one."""
        if self.config.mongo.use_embedded:
            return Secret("")
        return self.context.environment.secret("MONGO_URI")

    @property
    def _database_of_uri(self) -> str:
        found = database_of(self.mongo_uri)
        return "" if found in OF_MONGODB else found  # `…/admin` is where the user is known

    @property
    def server(self) -> str:
        """The server in words, without a user."""
        if uri := self.mongo_uri:
            return hosts_of(uri)
        return f"the embedded server in {self.config.mongo.embedded.data_dir}"

    @property
    def place(self) -> str:
        """Where readings go: `air_quality_db on cluster0.ab1cd.mongodb.net`."""
        return f"{self.database_name} on {self.server}"

    @property
    def database_remarks(self) -> list[str]:
        """What a person should know of how the database was chosen."""
        remarks = []
        environment = self.context.environment
        of_uri, chosen = self._database_of_uri, self.config.mongo.database
        beats = f"mongo.database={chosen}" if chosen else f"MONGO_DB={environment.get('MONGO_DB')}"
        if of_uri and beats.partition("=")[2] not in ("", of_uri):
            remarks.append(f"{beats} beats the database in MONGO_URI, {of_uri}")
        if not chosen and (other := environment.misspelt("MONGO_DB")):
            remarks.append(f"{other} is not read: the database is MONGO_DB, in MONGO_URI, or")
            remarks[-1] += " mongo.database"
        return remarks

    @property
    def files(self) -> str:
        """The run directory, as short as it is clear."""
        place = self.context.run_dir
        here = Path.cwd()
        return str(place.relative_to(here) if place.is_relative_to(here) else place)

    @property
    def logs_json(self) -> bool:
        """Whether standard error is for JSON lines alone."""
        chosen = self.config.log_format
        return (chosen.name if chosen else self.context.environment.get("LOG_FORMAT")) == "json"

    @property
    def source(self) -> str:
        """The name of the configured source."""
        return str(self.config.source.kind)

    @property
    def pace(self) -> Pace:
        """The configured pace."""
        return Pace(self.config.rate_limit.delay_s, self.config.rate_limit.max_per_hour)

    @property
    def identity(self) -> dict[str, Any]:
        """What says of a document which job made it, how and when."""
        created_at = self.started_at.isoformat()
        return {
            "run_id": self.run_id,
            "job": self.name,
            "command": self.command(),
            "created_at": created_at,
        }

    def command(self, *changes: str) -> str:
        """Return the exact command of this job, or of the same with some overrides changed."""
        changed = {change.split("=", 1)[0] for change in changes}
        kept = [item for item in self.context.overrides if item.split("=", 1)[0] not in changed]
        return shlex.join([*PROGRAM, *kept, *changes])

    @property
    def resume_command(self) -> str:
        """The command that goes on where this job ends; it refetches nothing a second time."""
        refetches = self.config.backfill.mode is Mode.REFETCH
        return self.command("backfill.mode=resume") if refetches else self.command()

    @property
    def says_json(self) -> bool:
        """Whether standard output is for one document for machines alone."""
        return self.config.job.output is not Output.table

    def tell(self, text: str) -> None:
        """Say something to the person, without secrets; where JSON is printed, beside it."""
        to = sys.stderr if self.says_json else sys.stdout
        print(self.redact(text), file=to, flush=True)

    def print_json(self, content: dict[str, Any]) -> None:
        """Print the one JSON document of a job, in ASCII whatever the terminal can show."""
        print(json_text(masked(content, self.redact), ascii_only=True), flush=True)  # noqa: T201 - as above

    def complain(self, text: str) -> None:
        """Print what went wrong to standard error, without secrets; the log has it as JSON."""
        if not self.logs_json:
            print(self.redact(text), file=sys.stderr, flush=True)  # noqa: T201 - as above

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a file of the run directory; a disk that refuses costs a warning, not the run."""
        text = json_text(masked(content, self.redact))
        try:
            write_text(self.context.run_dir / name, text)
        except OSError as error:
            log.warning("file.not_written", file=name, error=str(error))

    def outcome(self) -> Outcome:
        """Return an outcome with what is known of the job so far."""
        return Outcome(
            job=self.name,
            run_id=self.run_id,
            started_at=self.started_at,
            ended_at=self.now(),
            dry_run=self.config.dry_run,
            stopped_by=self.stop.exit_code,
            database=self.place,
            resume_command=self.resume_command,
            retry_command=(
                "" if self.config.dry_run or self.asks_present else self.command("job=retry")
            ),
        )


@dataclass(frozen=True, slots=True)
class JobContext:
    """What the process hands to a job besides the configuration.

    Attributes:
        environment: settings and secrets of the environment and `.env`.
        stop: the process's stop flag.
        run_dir: existing directory for the files of this run.
        argv: the command line as typed.
        overrides: the arguments that repeat this job, as `stations=hanoi`.
        shares_terminal: whether other jobs write to the same terminal at the same time.
    """

    environment: Environment
    stop: StopFlag
    run_dir: Path
    argv: tuple[str, ...]
    overrides: tuple[str, ...]
    shares_terminal: bool = False
