"""What a source declares about itself, and what a job hands to it.

Everything that others know of a source is in its `Provider`: outside this folder no code names one.
Importing this costs nothing: what asks an API or reads files is imported by the functions below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from runner.config.section import Section
    from runner.config.settings import Config
    from runner.core.concentrations import MeasuredHour
    from runner.core.errors import SourceError
    from runner.core.intervals import Interval, Intervals
    from runner.core.kept import Held, KeptAnswer
    from runner.core.plan import Cost
    from runner.core.readings import Answer
    from runner.core.sightings import Sighting
    from runner.core.stations import Box, Station
    from runner.process.job import Job
    from runner.process.secrets import Secret
    from runner.sources.http import HttpClient
    from runner.sources.pacing import Pacing
    from runner.sources.patience import FailedTries


class Source(ABC):
    """Where readings come from. Used by several threads at once.

    Attributes:
        name: as in `source=NAME`.
    """

    name: str

    @abstractmethod
    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return what the source has for the hours of a window.

        Raises:
            SourceError: it could not answer, also after retries; its scope says how far that goes.
            StoppedError: a stop was asked for while waiting.
        """

    def attributions(self) -> Sequence[dict[str, Any]]:
        """Return whose measurements were given, by place, as JSON; nothing if it is one owner."""
        return ()

    @property
    def observed(self) -> dict[str, int]:
        """How many stations' present observations became what; of sources of the present."""
        return {}


class StationFinder(Protocol):
    """Finds stations. All methods raise SourceError and StoppedError."""

    def search(self, keyword: str) -> list[Sighting]:
        """Return the stations whose name or place fits a keyword."""
        ...

    def inside(self, box: Box) -> list[Sighting]:
        """Return the stations in a box; of a large one, perhaps not all of them."""
        ...

    def details(self, station: Station) -> Sighting:
        """Return what is known of a station."""
        ...


class KeptAnswers(Protocol):
    """The answers that earlier runs kept. All methods raise StoreError."""

    def held(self, station_ids: Collection[int]) -> Held:
        """Return which hours of some stations are kept."""
        ...

    def find(self, station_idx: int, window: Interval) -> Sequence[KeptAnswer]:
        """Return the kept answers that hold any hour of a window."""
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """An API key that a source wants.

    Attributes:
        variable: the environment variable that holds it.
        host: who issued it: no file may send it elsewhere.
        free_at: where a person gets one.
        misspelt: names that other programs have for the variable.
    """

    variable: str
    host: str
    free_at: str
    misspelt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """What a job hands to a source that it opens.

    Attributes:
        job: for its settings and its clock.
        key: the API key; empty if the source wants none.
        pacer: gives a permit for every request.
        failed: counts failed attempts of requests.
        names: of the stations that will be asked for, by index.
        keep_answer: keeps an answer as it came; None if none is kept.
        keep_measured: keeps concentrations; None if none are kept.
        is_taken: whether another writer has a reading of a station within an hour, not at its
            beginning; raises StoreError.
    """

    job: Job
    key: Secret
    pacer: Pacing
    failed: FailedTries
    names: Mapping[int, str] = field(default_factory=dict)
    keep_answer: Callable[[Station, KeptAnswer], None] | None = None
    keep_measured: Callable[[Station, Sequence[MeasuredHour]], None] | None = None
    is_taken: Callable[[int, int], bool] = lambda _idx, _hour: False

    def client(
        self,
        failure: type[SourceError],
        *,
        base_url: str = "",
        secret_headers: Mapping[str, Secret] | None = None,
    ) -> HttpClient:
        """Return the way to a server, with the job's patience and pace; the caller closes it.

        Args:
            failure: the error class for what goes wrong on the way.
            base_url: of the server; empty for `source.base_url`.
            secret_headers: sent with every request.
        """
        from runner.sources.http import HttpClient, Timeouts  # noqa: PLC0415 - brings requests

        source = self.job.config.source
        return HttpClient(
            base_url or source.base_url,
            self.pacer,
            self.job.stop,
            self.job.redact,
            source.retry,
            Timeouts(source.connect_timeout_s, source.read_timeout_s),
            failure=failure,
            failed=self.failed,
            secret_headers=secret_headers,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source that is ready to be planned with and opened.

    Attributes:
        open: opens it until a block ends.
        offers: whether it has a station at all, by index; None if it has them all.
        cost: how many requests it takes; None for one per window.
        held: the only hours it can speak of, by station index; None for all.
        paced: whether a window costs a request.
    """

    open: Callable[[Access], AbstractContextManager[Source]]
    offers: Callable[[int], bool] | None = None
    cost: Cost | None = None
    held: Mapping[int, Intervals] | None = None
    paced: bool = True


Prepare = Callable[["Job", Sequence["Station"], KeptAnswers], Prepared]
"""From the stations chosen; raises ConfigError if the source has none of them."""


def opened_by(open_source: Callable[[Access], AbstractContextManager[Source]]) -> Prepare:
    """Return how to prepare a source that offers every station, at a request per window."""
    return lambda _job, _stations, _kept: Prepared(open_source)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose readings a run stored, and what is wrong with them on purpose.

    Attributes:
        providers: whose they are: names that `credits` of a provider has.
        flaws: faults put into the readings: station_idx, kind, start, end.
        api_fails_on_purpose: whether requests were failed, too.
    """

    providers: Sequence[str]
    flaws: Sequence[Mapping[str, Any]] = ()
    api_fails_on_purpose: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the record of a run and quality.json have it."""
        return {
            "providers": [*self.providers],
            "flaws": [*self.flaws],
            "api_fails_on_purpose": self.api_fails_on_purpose,
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning at the top of a report.

    Attributes:
        title: in two words.
        text: in a sentence or two.
        credit: what the foot of a page adds; may be empty.
    """

    title: str
    text: str
    credit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One `source=NAME`.

    Attributes:
        name: as typed.
        prepare: makes it ready for the chosen stations.
        credits: whose readings these are, in a sentence or two for the foot of a page; by the name
            that `origin` gives to whoever measured them.
        title: as people write its name, where it gives the places that measured.
        key: the API key it wants, if any.
        settings: declares its own settings, by dotted key: `source.NAME`.
        problems: what of the settings it cannot work with, a line each: key, value, what is
            allowed.
        reads_files: whether it reads the directory `source.path`.
        keeps_no_answer: why its answers cannot be kept for later; empty if they can.
        present_only: whether it has the present observation and no history.
        rejects_are_records: whether its rejects have AQICN's shape, so that they can be tried
            again; rows of files have a form of their own.
        scale_setting: dotted key of the setting that names the scale of its indices, if it computes
            them from concentrations, which are then kept; None if they are on AQICN's scale.
        database_suffix: ends the name of its database, whatever name is configured.
        example: overrides to try it with, if it needs neither key nor sandbox.
        origin: whose readings it gives for some stations; None if they are its own.
        is_synthetic: whether the readings are generated rather than measured.
        notice: a warning about the readings of a quality.json; None if there is none to give.
        stations: opens what finds stations, if it can.
        match: proposes its places for stations, as lines of YAML, if it can.
        serve: serves its API on loopback until the block ends, and says how to use it, if it can.
    """

    name: str
    prepare: Prepare
    credits: Mapping[str, str]
    title: str = ""
    key: Key | None = None
    settings: Callable[[], Iterable[tuple[str, type[Section]]]] = tuple
    problems: Callable[[Config], Iterable[str]] = lambda _config: ()
    reads_files: bool = False
    keeps_no_answer: str = ""
    present_only: bool = False
    rejects_are_records: bool = True
    scale_setting: str | None = None
    database_suffix: str = ""
    example: str = ""
    origin: Callable[[Job, Iterable[int], KeptAnswers], Origin] | None = None
    is_synthetic: Callable[[Job], bool] = lambda _job: False
    notice: Callable[[Mapping[str, Any]], Notice | None] = lambda _document: None
    stations: Callable[[Access], AbstractContextManager[StationFinder]] | None = None
    match: Callable[[Access, Sequence[Station]], list[str]] | None = None
    serve: Callable[[Job, Mapping[int, str]], AbstractContextManager[str]] | None = None

    def origin_of(self, job: Job, stations: Iterable[int], kept: KeptAnswers) -> Origin:
        """Return whose the readings of some stations are."""
        return self.origin(job, stations, kept) if self.origin else Origin((self.name,))
