"""One job: its configuration, its process, its identity."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from runner.config.job import Output
from runner.config.read import date_range
from runner.config.settings import Config
from runner.core.flaw import Flaw
from runner.core.intervals import Interval, iso
from runner.core.outcome import Outcome
from runner.core.plan import Mode, Pace
from runner.core.present import hours_asked
from runner.core.provider import Key, Provider
from runner.process.files import write_text
from runner.process.secrets import Redactor, masked
from runner.process.stop import StopFlag

if TYPE_CHECKING:
    from runner.process.secrets import Environment
    from runner.process.stop import StopFlag


log = structlog.get_logger()

DEFAULT_DATABASE = "air_quality_db"
SANDBOX_SUFFIX = "_sandbox"
"""Invented readings go to a database of their own, whatever name is configured."""

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
        provider: what the configured source declares about itself.
        context: environment, run directory, command line.
        run_id: names the job in logs, documents and files.
        started_at: UTC; "now" for the range of the plan.
        stop: stops with the process, or alone when the job cannot go on.
        redact: takes secrets out of text.
    """

    config: Config
    provider: Provider
    context: JobContext
    run_id: str
    started_at: datetime
    stop: StopFlag
    redact: Redactor
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
        if self.asks_present:
            lag, age = self.config.backfill.lag_hours, self.config.source.max_age_hours
            return hours_asked(self.started_at, lag, age)
        return date_range(self.config.backfill, self.started_at)

    @property
    def database_name(self) -> str:
        """`mongo.database`, else MONGO_DB, else the default; invented readings stay apart."""
        environment = self.context.environment
        name = self.config.mongo.database or environment.get("MONGO_DB", DEFAULT_DATABASE)
        if self.source_kind == "sandbox" and not name.endswith(SANDBOX_SUFFIX):
            name += SANDBOX_SUFFIX
        return name

    @property
    def source_kind(self) -> str:
        """The configured source's kind."""
        return self.config.source.kind.name

    @property
    def asks_aqicn(self) -> bool:
        """Whether AQICN's API is asked, with a key that others may use, too."""
        return self.source_kind in ("aqicn", "aqicn_live")

    @property
    def key_name(self) -> str | None:
        """The environment variable of the key that the source wants; None if it wants none."""
        return self.provider.key.variable if self.provider.key else None

    @property
    def key_host(self) -> str:
        """The host, and its port if it is not the usual one, that the key is sent to."""
        return urlsplit(self.config.source.base_url).netloc

    @property
    def key_lines(self) -> list[str]:
        """A line of the plan: where the key goes; none if the source wants no key."""
        if self.key_name is None:
            return []
        clear = self.config.source.base_url.startswith("http:")
        return [f"  key       {self.key_name} goes to {self.key_host}{', unencrypted' * clear}"]

    @property
    def asks_present(self) -> bool:
        """Whether the source has the present observation only."""
        return self.provider.present_only

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
    def invents_readings(self) -> bool:
        """Whether the readings are generated rather than measured."""
        return self.source_kind == "sandbox" and not self.config.sandbox.replay

    @property
    def says_json(self) -> bool:
        """Whether standard output is for one JSON document alone."""
        return self.config.job.output is Output.json

    @property
    def flaws(self) -> list[Flaw]:
        """What is wrong with the sandbox's readings, on purpose."""
        return [
            Flaw(one.station, one.kind, one.day, one.hour, one.hours, one.value or 0.0)
            for one in self.config.sandbox.flaws
        ]

    def origin(self, stations: Iterable[int], kept_of: Sequence[str] = ()) -> dict[str, Any]:
        """Return whose the readings of some stations are, and their flaws, as JSON.

        Args:
            stations: their indices.
            kept_of: the sources of the kept answers, with source=replay.
        """
        providers, flaws, faulty = [self.source_kind], [], False
        if self.source_kind == "replay" and kept_of:
            providers = [*kept_of]
        if self.asks_aqicn:  # its present observations are as much its data as its history
            is_sandbox = self.database_name.endswith(SANDBOX_SUFFIX)
            providers = ["sandbox" if is_sandbox else "aqicn"]
        if self.source_kind == "sandbox":
            providers = ["airnow" if self.config.sandbox.replay else "invented"]
            chosen = frozenset(stations)
            flaws = [
                {"station_idx": flaw.station_idx, "kind": str(flaw.kind),
                 "start": iso(when.start), "end": iso(when.end)}
                for flaw in self.flaws if flaw.station_idx in chosen
                for when in flaw.within(self.wanted)
            ]  # fmt: skip
            faults = self.config.sandbox.faults.model_dump()
            faulty = any(rate for name, rate in faults.items() if name.startswith("rate_"))
        return {"providers": providers, "flaws": flaws, "api_fails_on_purpose": faulty}

    def tell(self, text: str) -> None:
        """Say something to the person, without secrets; where JSON is printed, beside it."""
        to = sys.stderr if self.says_json else sys.stdout
        print(self.redact(text), file=to, flush=True)

    def print_json(self, content: dict[str, Any]) -> None:
        """Print the one JSON document of a job, in ASCII whatever the terminal can show."""
        print(json_text(masked(content, self.redact), ascii_only=True), flush=True)  # noqa: T201 - as above

    def complain(self, text: str) -> None:
        """Say what went wrong, on standard error, without secrets."""
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


def missing_key_message(key: Key) -> str:
    """Return what to do about an API key that is not set."""
    return (
        f"{key.variable} is not set: put it into the environment, or into a file .env here as\n"
        f"{key.variable}=your-key (free: {key.free_at}).\n"
        "No key is needed by: make demo, and python -m runner source=airnow source.path=DIR"
    )
