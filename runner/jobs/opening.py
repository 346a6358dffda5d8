"""Picks implementations for a job. The only place that does, with its parts `*_assembly.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.core.country import Country, country_of
from runner.core.errors import AqicnClientError, ConfigError, SourceError
from runner.process.job import Job, missing_key_message
from runner.process.secrets import Secret
from runner.sources.aqicn.answers import AnswerReader
from runner.sources.aqicn.history import AqicnSource, Keep
from runner.sources.aqicn.live import AqicnLive
from runner.sources.http import HttpClient, Timeouts
from runner.sources.pacing import Pacer, Pacing
from runner.sources.patience import FailedTries
from runner.sources.replay.source import ReplaySource
from runner.store.budget import Budget, Limits
from runner.store.database import Store
from runner.store.outage import Outage
from runner.store.raw import Held
from runner.store.shared_pacer import SharedPacer

if TYPE_CHECKING:
    from runner.sources.airnow.source import AirNowSource
    from runner.store.raw import Held


def api_key(job: Job) -> Secret:
    """Return the API key; a word in its place for sources that need none.

    Raises:
        ConfigError: it is needed and not set, or cannot be sent.
    """
    wanted = job.provider.key
    if wanted is None:
        return Secret("sandbox-needs-no-key")
    name = wanted.variable
    key = job.context.environment.secret(name)
    if not key:
        raise ConfigError(missing_key_message(wanted))
    value = key.reveal()
    if not value.isprintable() or value != value.encode("latin-1", "ignore").decode("latin-1"):
        raise ConfigError(
            f"{name} cannot be sent: it holds a line break, or a character that no key has",
            hint="Copy the key again, on one line, into the environment or .env",
        )
    return key


def airnow_files(directory: str | None, sites: Mapping[str, Any]) -> AirNowSource:
    """Return the source that reads the AirNow files of a directory."""
    from runner.sources.airnow.source import AirNowSource  # noqa: PLC0415 - brings polars

    return AirNowSource(Path(directory or ""), sites)


def budget_of(job: Job, store: Store, key: Secret) -> Budget | None:
    """Return the budget that the job's requests come from; None if they need none.

    A sandbox of the job's own has no key that others use, and without any limit there is nothing
    to keep. Everybody else shares, with the embedded server, too: several processes may use it,
    and a permit costs some 5 ms of the seconds between two requests. A dry run asks as others do.
    """
    limit = job.config.rate_limit
    limited = limit.delay_s or limit.max_per_hour
    if job.key_name is None or not limit.shared or not limited or not key:
        return None
    return store.budget(job.config.source.base_url, key)


def pacer_of(job: Job, budget: Budget | None, outage: Outage) -> Pacing:
    """Return what hands out the job's permits: from a budget where there is one."""
    if budget is None:
        return Pacer(job.pace.delay_s, job.pace.max_per_hour, job.stop)
    return SharedPacer(budget, Limits.of(job.pace), outage, job.stop)


@contextmanager
def open_client(
    job: Job, pacer: Pacing, names: Mapping[int, str], failed: FailedTries
) -> Iterator[HttpClient]:
    """Open the way to the AQICN API, or to a sandbox that speaks it, until the block ends.

    Args:
        job: for its settings.
        pacer: gives a permit for every request.
        names: the stations a sandbox knows.
        failed: counts the tries that came to nothing.
    """
    source = job.config.source
    with ExitStack() as opened:
        base_url = source.base_url
        if job.source_kind == "sandbox":
            from runner.sources.sandbox.opening import sandbox_server  # noqa: PLC0415 - a whole server

            base_url = opened.enter_context(sandbox_server(job, names)).url
        with closing(http_client(job, base_url, pacer, failed, AqicnClientError)) as client:
            yield client


def history_source(job: Job, client: HttpClient, key: Secret, keep: Keep | None) -> AqicnSource:
    """Return the source that asks the configured history endpoint.

    Args:
        job: for its settings.
        client: to the API.
        key: the API key.
        keep: keeps the answers; None if they are not kept.
    """
    history = job.config.source.history
    return AqicnSource(
        client,
        key,
        history_path=history.path,
        start_param=history.start_param,
        end_param=history.end_param,
        token_param=history.token_param,
        name=job.source_kind,
        keep=keep,
    )


def live_source(
    job: Job, client: HttpClient, key: Secret, store: Store, outage: Outage
) -> AqicnLive:
    """Return the source of the present observations."""

    def is_taken(station_idx: int, hour: int) -> bool:
        return outage.outlast(lambda: store.readings.has_off_hour(station_idx, hour))

    return AqicnLive(client, key, job.now, is_taken)


def wanted_country(job: Job) -> Country:
    """Return the country that stations must lie in."""
    chosen = job.config.country
    return country_of(chosen.name, chosen.parts, chosen.words, chosen.others)


def http_client(
    job: Job,
    base_url: str,
    pacer: Pacing,
    failed: FailedTries,
    failure: type[SourceError],
    secret_headers: Mapping[str, Secret] | None = None,
) -> HttpClient:
    """Return the way to a server, with the job's patience and pace; the caller closes it.

    Args:
        job: for its settings.
        base_url: of the server.
        pacer: gives a permit for every request.
        failed: counts the tries that came to nothing.
        failure: the error class for what goes wrong on the way.
        secret_headers: sent with every request.
    """
    source = job.config.source
    return HttpClient(
        base_url,
        pacer,
        job.stop,
        job.redact,
        source.retry,
        Timeouts(source.connect_timeout_s, source.read_timeout_s),
        failure=failure,
        failed=failed,
        secret_headers=secret_headers,
    )


def replay_source(job: Job, store: Store, held: Held) -> ReplaySource:
    """Return the source that reads kept answers, named after those who gave them."""
    reader = AnswerReader(api_key(job), job.config.source.history.path)
    return ReplaySource(store.raw.find, reader, f"replay of {', '.join(held.sources)}")
