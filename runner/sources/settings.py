"""All settings: those that every run has, and those that sources declare; what a source needs."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import create_model

from runner.config.job import JobName
from runner.config.section import Section, setting, with_sections
from runner.config.settings import Config
from runner.config.source import LOOPBACK, Source
from runner.core.plan import Mode
from runner.sources import providers
from runner.sources.provider import Key, Provider

DEFAULT = "aqicn"
"""The source if nobody says another."""
STATION_FILES = (".json", ".jsonl", ".ndjson", ".csv")
"""Endings of files that `job=stations` reads."""


@cache
def all_settings() -> type[Config]:
    """Return the declaration of all settings of a run."""
    known = providers()
    kinds = StrEnum("SourceKind", {name.upper(): name for name in known})  # type: ignore[misc]  # as many as there are
    sentences = {name: field.description or "" for name, field in Source.model_fields.items()}
    key = known[DEFAULT].key
    chosen: dict[str, Any] = {
        "kind": (kinds, setting(kinds(DEFAULT), sentences["kind"])),
        "base_url": (str, setting(f"https://{key.host}" if key else "", sentences["base_url"])),
    }
    choice = create_model("Choice", __base__=Section, **chosen)
    own = [section for one in known.values() for section in one.settings()]
    return with_sections(_Checked, [("source", choice), *dict.fromkeys(own)])


class _Checked(Config):
    """All settings of one run."""

    def broken(self) -> Iterator[str]:
        """Yield a line for everything that the chosen source cannot work with."""
        provider = providers()[self.source.kind]
        if provider.present_only:
            yield from _present(self, provider.name)
        if provider.reads_files:
            yield from _files(self.source, provider.name)
        if provider.key:
            yield from _url(self.source, provider.key)
        if self.source.keep_raw and provider.keeps_no_answer:
            yield f"source.keep_raw=true: {provider.keeps_no_answer}"
        yield from provider.problems(self)
        if self.job.name is JobName.stations:
            yield from _discovery(self, provider)


def _present(config: Config, name: str) -> Iterator[str]:
    """A source of the present has no past, and asks every station in every run."""
    chosen = config.backfill
    for key in ("start_date", "end_date"):
        if getattr(chosen, key) is not None:
            yield f"backfill.{key}: source={name} has the present only; leave it out"
    for key in ("days", "lookback_hours"):
        value = getattr(chosen, key)
        # profile=nightly has them for every source
        if value and chosen.mode is not Mode.MISSING:
            yield f"backfill.{key}={value}: source={name} has the present only; leave it out"
    # all that it can be asked for is missing
    if chosen.mode not in (Mode.RESUME, Mode.MISSING):
        yield f"backfill.mode={chosen.mode}: source={name} has the present only"
    if config.job.name is JobName.retry:
        yield f"job=retry: every run of source={name} asks every station; leave it out"
    if config.worker is not None:
        yield f"worker={config.worker}: every run of source={name} asks every station itself"


def _files(source: Source, name: str) -> Iterator[str]:
    if source.path is None:
        yield f"source.path=DIR is missing: source={name} reads the files in it"
    elif not Path(source.path).is_dir():
        yield f"source.path={source.path}: there is no such directory"


def _discovery(config: Config, provider: Provider) -> Iterator[str]:
    file, stations = config.discover.file, config.stations
    if file is not None:
        if not Path(file).is_file():
            yield f"discover.file={file}: there is no such file"
        elif Path(file).suffix.lower() not in STATION_FILES:
            endings = ", ".join(STATION_FILES)
            yield f"discover.file={file}: its name must end in one of {endings}"
    elif provider.stations is None:
        able = " or ".join(f"source={one.name}" for one in providers().values() if one.stations)
        yield (
            f"job=stations asks {able}, or reads discover.file=PATH; "
            f"source={provider.name} knows no stations"
        )
    elif not (config.country.parts or stations.bbox or stations.ids) and any(
        selector.bbox is None for selector in stations.selectors.values()
    ):
        yield "country=anywhere needs a box: stations.bbox=[20.9,105.7,21.2,106.0]"


def _url(source: Source, wanted: Key) -> Iterator[str]:
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
        yield f"{key}: no user, password, query or fragment; the key is {wanted.variable}"
    elif url.scheme == "http" and host not in LOOPBACK and not source.allow_http:
        yield (
            f"{key}={source.base_url}: the key would travel in the clear (source.allow_http=true)"
        )
