"""The settings of a run: the schema that every YAML file and every override is checked against.

The YAML under `conf/` repeats the defaults that an analyst wants to see; a test keeps the two
equal. A private option file may therefore state only what it changes. Nothing secret has a setting:
keys and the database address come from the environment or `.env`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from runner.config.discover import Country, Discovery
from runner.config.openaq import OpenAq
from runner.config.quality import Quality
from runner.config.report import Report
from runner.config.sandbox import Flaw


class JobName(Enum):
    """What to do; spelt as typed in `job=NAME`."""

    backfill = "backfill"
    plan = "plan"
    status = "status"
    retry = "retry"
    reset = "reset"
    rejects = "rejects"
    dedupe = "dedupe"
    replay = "replay"
    rescale = "rescale"
    prune = "prune"
    match = "match"
    validate = "validate"
    report = "report"
    sandbox = "sandbox"
    stations = "stations"


class SourceKind(Enum):
    """Where readings come from; spelt as typed in `source=NAME`."""

    aqicn = "aqicn"
    aqicn_live = "aqicn_live"
    airnow = "airnow"
    openaq = "openaq"
    openaq_archive = "openaq_archive"
    sandbox = "sandbox"
    replay = "replay"


class Mode(Enum):
    """Which hours of the range are fetched; spelt as typed in `backfill.mode=NAME`."""

    resume = "resume"
    gaps = "gaps"
    missing = "missing"
    refetch = "refetch"


class Output(Enum):
    """How a job shows what it found; spelt as typed in `output=NAME`."""

    table = "table"
    json = "json"


class LogLevel(Enum):
    """The least severe lines that are logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(slots=True)
class Job:
    """What to do.

    Attributes:
        name: the job.
        confirm: yes to `job=reset` of every station, to what `job=dedupe` and `job=prune` would
            remove, and to what `job=rescale` would change.
        rejects: what `job=replay` tries again: the kept rejects.
        output: table for a person, or json: one document, alone on standard output.
    """

    name: JobName = JobName.backfill
    confirm: bool = False
    rejects: bool = False
    output: Output = Output.table


@dataclass(slots=True)
class StationSelector:
    """Stations of `waqi_stations` by what they are; what is None does not restrict.

    Attributes:
        name: text the name contains, or a pattern with `*` and `?`; case and diacritics do not
            matter.
        bbox: [south, west, north, east] in degrees.
    """

    name: str | None = None
    bbox: list[float] | None = None


@dataclass(slots=True)
class Stations:
    """Which stations; the groups chosen add up, because mappings merge and lists do not.

    Attributes:
        named: station index to name.
        selectors: a label each; their stations are added to the named ones.
        ids: exactly these stations, if any; the groups do not count then. int32, negative for
            citizen stations.
        name: narrows the choice to names that match, as in StationSelector.
        bbox: narrows the choice to [south, west, north, east] in degrees.
    """

    named: dict[int, str] = field(default_factory=dict)
    selectors: dict[str, StationSelector] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)
    name: str | None = None
    bbox: list[float] | None = None


@dataclass(slots=True)
class Backfill:
    """Which hours, and in what portions.

    Attributes:
        start_date: first hour: ISO date or datetime, UTC where it names no zone. Beats years, days.
        end_date: the hour after the last one, written alike; None for the newest hour allowed.
        years: calendar years back from the end.
        days: days of 24 hours back from the end; instead of years.
        batch_size: hours a request asks for.
        workers: stations worked on at the same time.
        lag_hours: full hours left to the live job; nothing newer is fetched.
        mode: resume: what is not covered; gaps: covered hours without a reading; missing: both;
            refetch: all.
        lookback_hours: hours before the covered end that are read again, for late corrections.
        recheck_empty_after_days: days after which hours the source had nothing for are gaps again.
        lease_s: seconds after which the stations of a run that was killed are free for another.
    """

    start_date: str | None = None
    end_date: str | None = None
    years: int | None = None
    days: int | None = None
    batch_size: int = 168
    workers: int = 4
    lag_hours: int = 1
    mode: Mode = Mode.resume
    lookback_hours: int = 0
    recheck_empty_after_days: int = 30
    lease_s: float = 60.0


@dataclass(slots=True)
class RateLimit:
    """How fast requests may follow each other.

    Attributes:
        delay_s: seconds between the starts of two requests.
        max_per_hour: requests in any 3600 seconds; 0 for no limit.
        shared: whether all who use the same key and database keep these limits together.
    """

    delay_s: float = 4.0
    max_per_hour: int = 1000
    shared: bool = True


@dataclass(slots=True)
class History:
    """How the history endpoint is spelt.

    Attributes:
        path: below the base URL; `{feed}` stands for `@1583` or `A476599`.
        start_param: query parameter of the first instant, ISO 8601 UTC.
        end_param: query parameter of the first instant after the window.
        token_param: query parameter of the API key.
    """

    path: str = "/feed/{feed}/history"
    start_param: str = "start"
    end_param: str = "end"
    token_param: str = "token"  # noqa: S105 - the parameter's name


@dataclass(slots=True)
class Retry:
    """How a request that failed is tried again; waits grow exponentially, with full jitter.

    Attributes:
        max_attempts: tries of one request; throttled ones do not count.
        max_elapsed_s: seconds spent on one request after which no further try begins.
        backoff_s: upper bound of the first wait, in seconds; doubles every time.
        backoff_max_s: upper bound of any wait, in seconds.
        throttled_max_s: seconds without any answer, because of throttling, that end the run.
    """

    max_attempts: int = 8
    max_elapsed_s: float = 900.0
    backoff_s: float = 2.0
    backoff_max_s: float = 120.0
    throttled_max_s: float = 7200.0


@dataclass(slots=True)
class Source:
    """Where readings come from.

    Attributes:
        kind: the kind of source.
        base_url: of the API; https, or http to this machine.
        allow_http: allow http elsewhere: the API key then travels in the clear.
        history: the endpoint.
        connect_timeout_s: seconds to connect.
        read_timeout_s: seconds between two bytes of an answer.
        retry: what happens after a failure.
        path: directory of AirNow files, or of OpenAQ's archive.
        sites: AirNow `Site` to station index, or to `station` and `utc_offset` (its clock, as
            "+08:00"), which sites outside Viet Nam need.
        keep_raw: keep every answer of the API, so that source=replay can read it again. AQICN's
            terms restrict keeping its answers.
        raw_days: days after which a kept answer is deleted.
        openaq: what concerns OpenAQ and its archive only.
        max_age_hours: an older present observation is stale: counted, not stored.
    """

    kind: SourceKind = SourceKind.aqicn
    base_url: str = "https://api.waqi.info"
    allow_http: bool = False
    history: History = field(default_factory=History)
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    retry: Retry = field(default_factory=Retry)
    path: str | None = None
    sites: dict[str, Any] = field(default_factory=lambda: {"Hanoi": 8641, "Ho Chi Minh City": 8767})
    keep_raw: bool = False
    raw_days: int = 90
    openaq: OpenAq = field(default_factory=OpenAq)
    max_age_hours: int = 24


@dataclass(slots=True)
class Embedded:
    """The MongoDB server started where no other is configured.

    Attributes:
        data_dir: its data, relative to the working directory.
        port: opens a loopback port; None for a private unix socket only.
        binary: path of `mongod`; None to look for it.
    """

    data_dir: str = "data/mongodb"
    port: int | None = None
    binary: str | None = None


class CollectionKind(Enum):
    """The kind of collection that readings go to; spelt as typed."""

    regular = "regular"
    timeseries = "time-series"


class Indexes(Enum):
    """What a run does about missing indexes."""

    create = "create"
    require = "require"
    none = "none"


@dataclass(slots=True)
class ReadingsCollection:
    """The collection of the readings.

    Attributes:
        kind: what is made where there is none yet; one that is there is used as it is.
    """

    kind: CollectionKind = CollectionKind.regular


@dataclass(slots=True)
class Mongo:
    """The database; its address is MONGO_URI in the environment or `.env`.

    Attributes:
        database: name; None for MONGO_DB, else air_quality_db.
        timeout_s: seconds to find the server.
        outage_limit_s: seconds that a run waits for a server that stopped answering.
        use_embedded: use the embedded server even if MONGO_URI is set.
        indexes: make missing indexes, refuse to run without them, or make and need none.
        readings: the collection of the readings.
        embedded: the embedded server.
    """

    database: str | None = None
    timeout_s: float = 30.0
    outage_limit_s: float = 300.0
    use_embedded: bool = False
    indexes: Indexes = Indexes.create
    readings: ReadingsCollection = field(default_factory=ReadingsCollection)
    embedded: Embedded = field(default_factory=Embedded)


@dataclass(slots=True)
class Limits:
    """How much may go wrong before somebody must look.

    Attributes:
        rejects: refused records kept by one run; more are counted only.
        reject_share: share of a window's records, 0..1, that may be unusable; above it the station
            fails. Hours for which the source itself says that it has no value do not count.
    """

    rejects: int = 100_000
    reject_share: float = 0.5


@dataclass(slots=True)
class Prune:
    """What `job=prune` removes.

    Attributes:
        older_than_days: only what was last touched more days ago.
        checkpoints: also checkpoints of stations that are not chosen; they would be fetched again.
    """

    older_than_days: int = 180
    checkpoints: bool = False


@dataclass(slots=True)
class Faults:
    """What the sandbox does wrong, on purpose.

    Attributes:
        rate_429: share of requests answered 429, 0..1; so are the other rates.
        rate_5xx: answered 500, 502 or 503.
        rate_timeout: not answered for `hold_s`.
        rate_truncated: answered with half a body.
        rate_over_quota: answered 200 with "Over quota" inside.
        rate_wrong: answered 200 with other hours, another station, or no JSON.
        latency_ms: milliseconds before every answer.
        hold_s: seconds a timeout lasts.
        retry_after_s: whole seconds that a 429 asks to wait.
        quota_per_hour: requests an hour before 429; 0 for no quota.
    """

    rate_429: float = 0.0
    rate_5xx: float = 0.0
    rate_timeout: float = 0.0
    rate_truncated: float = 0.0
    rate_over_quota: float = 0.0
    rate_wrong: float = 0.0
    latency_ms: float = 0.0
    hold_s: float = 60.0
    retry_after_s: int = 1
    quota_per_hour: int = 0


@dataclass(slots=True)
class Sandbox:
    """The loopback server that speaks the API.

    Attributes:
        seed: of the invented readings and the faults.
        replay: directory of AirNow files to serve; None for invented readings.
        missing_share: share of the invented hours without a record, 0..0.05.
        flaws: what is wrong with the readings, on purpose.
        port: on 127.0.0.1; 0 for any free one.
        faults: what it does wrong.
    """

    seed: int = 1
    replay: str | None = None
    missing_share: float = 0.02
    flaws: list[Flaw] = field(default_factory=list)
    port: int = 0
    faults: Faults = field(default_factory=Faults)


@dataclass(slots=True)
class Config:
    """All settings of one run.

    Attributes:
        job: what to do.
        stations: for which stations.
        backfill: for which hours.
        rate_limit: how fast.
        source: where readings come from.
        mongo: where they go.
        quality: checks.
        report: the page and the notebooks about the run.
        limits: how much may go wrong.
        prune: what job=prune removes.
        sandbox: the loopback API.
        country: what job=stations keeps to.
        discover: how job=stations finds stations.
        worker: which of several equal runs this is, that share the stations by leases, and wait for
            those that others work on; None for a run of its own.
        dry_run: fetch and validate; nothing is written but the requests in the shared budget.
        log_level: the least severe lines that are logged.
    """

    job: Job = field(default_factory=Job)
    stations: Stations = field(default_factory=Stations)
    backfill: Backfill = field(default_factory=Backfill)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    source: Source = field(default_factory=Source)
    mongo: Mongo = field(default_factory=Mongo)
    quality: Quality = field(default_factory=Quality)
    report: Report = field(default_factory=Report)
    limits: Limits = field(default_factory=Limits)
    prune: Prune = field(default_factory=Prune)
    sandbox: Sandbox = field(default_factory=Sandbox)
    country: Country = field(default_factory=Country)
    discover: Discovery = field(default_factory=Discovery)
    worker: int | None = None
    dry_run: bool = False
    log_level: LogLevel = LogLevel.INFO
