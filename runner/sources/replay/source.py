"""Readings from kept answers: the API is not asked, and no request is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from requests.structures import CaseInsensitiveDict

from runner.core.errors import Scope, SourceError
from runner.core.intervals import Interval
from runner.core.kept import KeptAnswer, answer_of
from runner.core.readings import Answer
from runner.core.stations import Station
from runner.sources.aqicn.answers import AnswerReader
from runner.sources.http import Reply


class ReplaySource:
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
        self._name = name

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._name

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
