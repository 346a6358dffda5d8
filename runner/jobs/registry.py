"""What each job does, in a dozen lines each, and how every one of them ends."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from runner.config.settings import Config
from runner.core.errors import ConfigError, RunnerError
from runner.core.outcome import Outcome
from runner.process.job import Job, JobContext
from runner.process.logs import LOG_NAME, logging_to
from runner.process.secrets import Redactor
from runner.process.stop import StopFlag
from runner.sources import providers

log = structlog.get_logger()


def run(config: Config, context: JobContext) -> Outcome:
    """Do the configured job; never raises, so that a sweep goes on and the exit code is right.

    However it ends, its outcome is in outcome.json.
    """
    started_at = datetime.now(UTC)
    run_id = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    redact = Redactor(context.environment)
    provider = providers()[config.source.kind]
    job = Job(
        config,
        context,
        run_id,
        started_at,
        StopFlag(context.stop),
        redact,
        asks_present=provider.present_only,
        database_suffix=provider.database_suffix,
    )
    level, as_json = config.log_level.name, job.logs_json
    with logging_to(context.run_dir, level, run_id, redact, as_json=as_json):
        outcome = _attempt(job)
        job.write_json("outcome.json", outcome.to_json())
    return outcome


def _attempt(job: Job) -> Outcome:
    try:
        return _job(job.name)(job)
    except RunnerError as error:
        # In words for a person; for a machine the line of the log is all there is.
        say = log.error if job.logs_json else log.info
        say("job.refused", error=error.message, hint=error.hint)
        job.complain("\n".join(filter(None, (error.message, error.hint))))
        if not isinstance(error, ConfigError):
            job.complain(f"Files of this run: {job.files}")
        return replace(
            job.outcome(),
            error="" if job.stop.exit_code else error.message,
            hint=error.hint,
            configuration_error=isinstance(error, ConfigError),
        )
    except Exception as error:  # the last resort: a defect of ours, reported in one line
        log.exception("job.broke")
        job.complain(
            f"internal error ({type(error).__name__}); details: {job.context.run_dir / LOG_NAME}"
        )
        return replace(job.outcome(), error=f"internal error ({type(error).__name__})")


def _job(name: str) -> Callable[[Job], Outcome]:
    """Return the function `run` of a job: job=NAME is in runner/jobs/NAME.py."""
    found: Callable[[Job], Outcome] = importlib.import_module(f"runner.jobs.{name}").run
    return found
