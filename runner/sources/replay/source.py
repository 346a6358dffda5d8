"""Readings from kept answers: the API is not asked, and no request is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from requests.structures import CaseInsensitiveDict

from runner.core.errors import ConfigError, Scope, SourceError
from runner.core.intervals import Interval
from runner.core.kept import KeptAnswer, answer_of
from runner.core.readings import Answer
from runner.core.stations import Station
from runner.core.text import counted
from runner.process.job import Job
from runner.sources.aqicn.answers import AnswerReader
from runner.sources.aqicn.settings import History
from runner.sources.http import Reply
from runner.sources.provider import Access, KeptAnswers, Prepared, Source


def prepared(job: Job, stations: Sequence[Station], kept: KeptAnswers) -> Prepared:
    """Return the kept answers of some stations, named after those who gave them.

    Raises:
        ConfigError: there are none.
    """
    held = kept.held([station.idx for station in stations])
    if not held.hours:
        raise ConfigError(
            f"source={job.source}: {job.database_name} has no kept answer of any of the "
            f"{counted(len(stations), 'chosen stations')}",
            hint="Answers are kept by runs with source.keep_raw=true, for source.raw_days",
        )

    @contextmanager
    def open_replay(access: Access) -> Iterator[ReplaySource]:
        reader = AnswerReader(access.key, job.config.section("source.history", History).path)
        yield ReplaySource(kept.find, reader, f"replay of {', '.join(held.sources)}")

    return Prepared(open_replay, held=held.hours, paced=False)


class ReplaySource(Source):
    """Answers windows, however they are cut, from kept answers.

    Args:
        find: returns the kept answers that overlap a window of a station; raises StoreError.
        reader: the one that reads the answers of the API.
        name: where the answers came from.
    """

    def __init__(
        self,
        find: Callable[[int, Interval], Sequence[KeptAnswer]],
        reader: AnswerReader,
        name: str,
    ) -> None:
        self._find = find
        self._reader = reader
        self.name = name

    def fetch(self, station: Station, window: Interval) -> Answer:
        """Return what the kept answers say of the hours of a window.

        Raises:
            SourceError: for the station: an answer cannot be read.
            StoreError: MongoDB could not answer.
        """
        return answer_of(self._find(station.idx, window), window, self._read)

    def _read(self, answer: KeptAnswer) -> list[Any]:
        try:
            return self._reader.read(Reply(200, CaseInsensitiveDict(), answer.body))
        except SourceError as error:
            message = f"the kept answer for {answer.window}: {error.message}"
        raise SourceError(message, scope=Scope.STATION)
