"""What values the settings may have, beyond their types."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from urllib.parse import urlsplit

from runner.config.openaq import OPENAQ_RANGES, broken_openaq_rules
from runner.config.quality import broken_quality_rules
from runner.config.sandbox import broken_flaw_rules
from runner.config.settings import Config, JobName, Mode, Output, Source, SourceKind
from runner.core.country import corners_of
from runner.core.stations import site_of

FILES = (".json", ".jsonl", ".ndjson", ".csv")


def broken_discovery_rules(config: Config) -> Iterator[str]:
    """Yield a line for every value that is not possible: key, value, what is allowed."""
    for label, text in config.country.parts.items():
        try:
            corners_of(text)
        except ValueError as error:
            yield f"country.parts.{label}: {error}"
    if config.job.name is not JobName.stations:
        return
    file = config.discover.file
    if file is not None:
        if not Path(file).is_file():
            yield f"discover.file={file}: there is no such file"
        elif Path(file).suffix.lower() not in FILES:
            yield f"discover.file={file}: its name must end in one of {', '.join(FILES)}"
    elif config.source.kind not in (SourceKind.aqicn, SourceKind.aqicn_live, SourceKind.sandbox):
        yield (
            f"job=stations asks AQICN's API (source=aqicn) or reads discover.file=PATH; "
            f"source={config.source.kind.name} knows no stations"
        )
    elif not (config.country.parts or config.stations.bbox or config.stations.ids) and any(
        selector.bbox is None for selector in config.stations.selectors.values()
    ):
        yield "country=anywhere needs a box: stations.bbox=[20.9,105.7,21.2,106.0]"


INT32 = range(-(2**31), 2**31)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
KEYS = {
    SourceKind.aqicn: ("AQICN_API_KEY", "api.waqi.info"),
    SourceKind.aqicn_live: ("AQICN_API_KEY", "api.waqi.info"),
    SourceKind.openaq: ("OPENAQ_API_KEY", "api.openaq.org"),
}
"""Per source that wants a key: its environment variable, and the host that issued it."""
_LONGEST_DATABASE_NAME = 50
_SAID_AS_JSON = (JobName.status, JobName.plan)
_SIDES = 4

RANGES: dict[str, tuple[float, float, str]] = {
    "backfill.years": (1, 100, "calendar years"),
    "backfill.days": (1, 36_600, "days"),
    "backfill.batch_size": (1, 8784, "hours"),
    "backfill.workers": (1, 64, "stations at a time"),
    "backfill.lag_hours": (0, 8784, "hours"),
    "backfill.lookback_hours": (0, 8784, "hours"),
    "backfill.recheck_empty_after_days": (0, 36_600, "days"),
    "backfill.lease_s": (1, 86_400, "seconds"),
    "rate_limit.delay_s": (0, 3600, "seconds"),
    "rate_limit.max_per_hour": (0, 10_000_000, "requests; 0 for no limit"),
    "source.connect_timeout_s": (0.01, 3600, "seconds"),
    "source.read_timeout_s": (0.01, 3600, "seconds"),
    "source.retry.max_attempts": (1, 1000, "tries"),
    "source.retry.max_elapsed_s": (0, 604_800, "seconds"),
    "source.retry.backoff_s": (0, 3600, "seconds"),
    "source.retry.backoff_max_s": (0, 3600, "seconds"),
    "source.retry.throttled_max_s": (0, 604_800, "seconds"),
    "source.raw_days": (1, 36_500, "days"),
    "source.max_age_hours": (1, 8784, "hours"),
    **OPENAQ_RANGES,
    "mongo.timeout_s": (0.01, 3600, "seconds"),
    "mongo.outage_limit_s": (0, 604_800, "seconds"),
    "mongo.embedded.port": (1, 65_535, "a TCP port"),
    "quality.utc_offset_hours": (-12, 14, "hours ahead of UTC"),
    "quality.samples": (0, 1000, "examples"),
    "quality.most_failures": (0, 1_000_000, "rows"),
    "report.station_pages": (0, 300, "stations"),
    "report.cell_timeout_s": (1, 86_400, "seconds"),
    "limits.rejects": (0, 100_000_000, "records"),
    "limits.reject_share": (0, 1, "share of the records"),
    "worker": (0, 99_999, "any number that tells it apart"),
    "prune.older_than_days": (1, 36_500, "days"),
    "discover.tile_degrees": (0.01, 180, "degrees"),
    "discover.smallest_tile_degrees": (0.001, 180, "degrees"),
    "sandbox.missing_share": (0, 0.05, "share of the hours"),
    "sandbox.port": (0, 65_535, "a TCP port; 0 for any free one"),
    "sandbox.faults.rate_429": (0, 1, "share of the requests"),
    "sandbox.faults.rate_5xx": (0, 1, "share of the requests"),
    "sandbox.faults.rate_timeout": (0, 1, "share of the requests"),
    "sandbox.faults.rate_truncated": (0, 1, "share of the requests"),
    "sandbox.faults.rate_over_quota": (0, 1, "share of the requests"),
    "sandbox.faults.rate_wrong": (0, 1, "share of the requests"),
    "sandbox.faults.latency_ms": (0, 3_600_000, "milliseconds"),
    "sandbox.faults.hold_s": (0, 3600, "seconds"),
    "sandbox.faults.retry_after_s": (0, 3600, "seconds"),
    "sandbox.faults.quota_per_hour": (0, 10_000_000, "requests; 0 for no quota"),
}
"""Lowest and highest value allowed, and what it counts. A setting that is None is not checked."""


def broken_rules(config: Config) -> Iterator[str]:
    """Yield a line for every value that is not possible: key, value, what is allowed."""
    for key, (lowest, highest, unit) in RANGES.items():
        value = attrgetter(key)(config)
        if value is not None and not lowest <= value <= highest:  # not: nan is never between
            yield f"{key}={value}: allowed are {lowest:,} to {highest:,} ({unit})"
    if config.job.output is Output.json and config.job.name not in _SAID_AS_JSON:
        yield f"output=json: job={config.job.name.name} has no JSON; job=status and job=plan have"
    yield from _backfill(config)
    yield from _present(config)
    yield from _stations(config)
    yield from _source(config.source)
    yield from _database(config.mongo.database)
    yield from broken_quality_rules(config.quality)
    yield from broken_discovery_rules(config)
    yield from broken_flaw_rules(config.sandbox.flaws)
    if config.quality.run_dir is not None and config.job.name.name != "validate":
        yield "quality.run_dir: only job=validate judges what a run has kept"
    replay = config.sandbox.replay
    if replay is not None and not Path(replay).is_dir():
        yield f"sandbox.replay={replay}: there is no such directory"
    faults = config.sandbox.faults
    total = faults.rate_429 + faults.rate_5xx + faults.rate_timeout + faults.rate_truncated
    if total + faults.rate_over_quota + faults.rate_wrong > 1 + 1e-9:
        yield "sandbox.faults: the rates add up to more than 1, that is, to more than every request"


def _backfill(config: Config) -> Iterator[str]:
    chosen = config.backfill
    if chosen.years is not None and chosen.days is not None and chosen.start_date is None:
        yield (
            f"backfill.years={chosen.years} and backfill.days={chosen.days} exclude each other; "
            f"write backfill=two_years backfill.years={chosen.years}, "
            f"or backfill=last_30_days backfill.days={chosen.days}"
        )
    again = chosen.mode is not Mode.resume or chosen.lookback_hours > 0
    if config.worker is not None and (again or config.dry_run):
        yield (
            f"worker={config.worker}: workers share hours that are not covered, each is asked for "
            "once; so no dry_run, backfill.mode=resume and backfill.lookback_hours=0 only"
        )


def _present(config: Config) -> Iterator[str]:
    """A source of the present has no past, and asks every station in every run."""
    if config.source.kind is not SourceKind.aqicn_live:
        return
    chosen = config.backfill
    for key in ("start_date", "end_date"):
        if getattr(chosen, key) is not None:
            yield f"backfill.{key}: source=aqicn_live has the present only; leave it out"
    for key in ("days", "lookback_hours"):
        value = getattr(chosen, key)
        if value and chosen.mode is not Mode.missing:  # profile=nightly has them for every source
            yield f"backfill.{key}={value}: source=aqicn_live has the present only; leave it out"
    if chosen.mode not in (Mode.resume, Mode.missing):  # all that it can be asked for is missing
        yield f"backfill.mode={chosen.mode.name}: source=aqicn_live has the present only"
    if config.job.name is JobName.retry:
        yield "job=retry: every run of source=aqicn_live asks every station; leave it out"
    if config.worker is not None:
        yield f"worker={config.worker}: every run of source=aqicn_live asks every station itself"


def _stations(config: Config) -> Iterator[str]:
    chosen = config.stations
    for idx, count in Counter(chosen.ids).items():
        if count > 1:
            yield f"stations.ids: {idx} stands there {count} times; name it once"
    for key, ids in (("stations.ids", chosen.ids), ("stations.named", chosen.named)):
        for idx in ids:
            if idx not in INT32 or idx == 0:
                yield f"{key}: {idx} is no station index ({INT32[0]} to {INT32[-1]}, not 0)"
    yield from _bbox("stations.bbox", chosen.bbox)
    for label, selector in chosen.selectors.items():
        yield from _bbox(f"stations.selectors.{label}.bbox", selector.bbox)


def _bbox(key: str, bbox: Sequence[float] | None) -> Iterator[str]:
    if bbox is None:
        return
    if len(bbox) == _SIDES:
        south, west, north, east = bbox
        if -90 <= south <= north <= 90 and -180 <= west <= east <= 180:  # noqa: PLR2004 - degrees
            return
    example = "[20.9,105.7,21.2,106.0]"
    yield f"{key}={list(bbox)}: write [south,west,north,east] in degrees, as {example}"


def _source(source: Source) -> Iterator[str]:
    if source.kind in (SourceKind.airnow, SourceKind.openaq_archive):
        yield from _files(source)
    for site, setting in source.sites.items():
        try:
            site_of(site, setting)
        except ValueError as error:
            yield f"source.sites: {site}: {error}"
    if source.keep_raw:
        yield from _keep_raw(source.kind)
    if source.kind in (SourceKind.aqicn, SourceKind.aqicn_live, SourceKind.openaq):
        yield from _url(source)
    if "{feed}" not in source.history.path or not source.history.path.startswith("/"):
        yield f"source.history.path={source.history.path}: it starts with / and contains {{feed}}"
    if not source.history.path.isprintable() or " " in source.history.path:
        yield f"source.history.path={source.history.path!r}: there is a blank or the like in it"
    yield from broken_openaq_rules(source.openaq)


def _files(source: Source) -> Iterator[str]:
    if source.path is None:
        yield f"source={source.kind.name} needs the directory of its files: source.path=DIR"
    elif not Path(source.path).is_dir():
        yield f"source.path={source.path}: there is no such directory"
    elif source.kind is SourceKind.airnow and not any(
        path.suffix.lower() == ".csv" for path in Path(source.path).iterdir()
    ):
        yield f"source.path={source.path}: there is no *.csv file in it"


def _keep_raw(kind: SourceKind) -> Iterator[str]:
    if kind in (SourceKind.airnow, SourceKind.replay):
        yield f"source.keep_raw=true: source={kind.name} asks no API, so nothing is answered"
    if kind in (SourceKind.openaq, SourceKind.openaq_archive):
        yield "source.keep_raw=true: what OpenAQ measured is kept anyway, in ingest_concentrations"
    if kind is SourceKind.aqicn_live:
        yield "source.keep_raw=true: a present observation cannot be replayed as history"


def _url(source: Source) -> Iterator[str]:
    key = "source.base_url"
    if not source.base_url.isprintable() or " " in source.base_url:
        yield f"{key}={source.base_url!r}: there is a blank or a control character in it"
        return
    try:
        url = urlsplit(source.base_url)
        host = url.hostname
        _ = url.port, (host or "").encode("idna")
    except ValueError as error:
        yield f"{key}: {error}"
        return
    if url.scheme not in ("https", "http") or not host:
        yield f"{key}={source.base_url}: write https://HOST, with a port or path if need be"
    elif url.username or url.password or url.query or url.fragment:
        yield f"{key}: no user, password, query or fragment; the key is {KEYS[source.kind][0]}"
    elif url.scheme == "http" and host not in LOOPBACK and not source.allow_http:
        yield f"{key}={source.base_url}: the key would travel in the clear (source.allow_http=true)"


def _database(name: str | None) -> Iterator[str]:
    if name is None:
        return
    if not re.fullmatch(r"[^/\\. \"$*<>:|?\x00]+", name) or len(name) > _LONGEST_DATABASE_NAME:
        yield (
            f"mongo.database={name}: 1 to {_LONGEST_DATABASE_NAME} characters, "
            'none of / \\ . " $ * < > : | ? or a blank'
        )
