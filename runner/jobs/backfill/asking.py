"""Asks a source for a window, and asks again while the answer cannot be right.

An answer may be well-formed and wrong: another station's records, the hours of another day, a
number that is none. Recorded as covered, the hours it lacks would be lost without a word. So an
answer with unusable records is asked for again, until one comes without, or until the source has
said the same so often that it must mean it. A source that always means it is not doubted for long:
doubt costs requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import structlog

from runner.core.intervals import Interval, Intervals, hour_of, intersect, subtract
from runner.core.readings import (
    SAID_BY_THE_SOURCE,
    Reading,
    Reason,
    Reject,
    to_readings,
)
from runner.core.stations import Station
from runner.sources.provider import Source

log = structlog.get_logger()

BELIEVED = 3
"""So many equal answers are what the source means."""
MOST = 8
"""Requests for one window; then the best answer counts."""
_FRUITLESS = 3
"""Windows in a row for which asking again gained nothing; then the source is believed."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer for one window, checked.

    Attributes:
        records: how many records the answer had.
        refused: how many more the source itself had to refuse.
        repeated: records that said the same as another one of the hour.
        hours: of the readings, UTC.
        readings: sorted by hour, at most one an hour.
        rejects: what did not become a reading, or only in part.
        repaired: records whose hour label the source corrected.
        asked: the UTC hour in which the source was asked.
        not_asked: hours of the window, without a record, that the source was not asked for.
    """

    records: int
    refused: int
    repeated: int
    hours: frozenset[int]
    readings: list[Reading]
    rejects: list[Reject]
    repaired: int
    asked: int
    not_asked: Intervals = ()

    @property
    def unusable(self) -> Counter[str]:
        """Records that became no reading, by reason, each counted once.

        A record for which the source itself says that it has no value is none of them, nor one
        that became a reading without an odd sub-index: to ask again for those would cost requests
        and gain no hour.
        """
        fine = {*SAID_BY_THE_SOURCE, Reason.SUB_INDEX_UNUSABLE}
        return Counter(str(reject.reason) for reject in self.rejects if reject.reason not in fine)

    def says_as(self, other: Answered) -> bool:
        """Whether another answer says the same."""
        mine, others = (
            [(reject.reason, reject.hour) for reject in item.rejects] for item in (self, other)
        )
        return mine == others and self.readings == other.readings


class Asker:
    """Asks one source. Thread-safe.

    Args:
        source: where readings come from.
        now: the present, UTC; no reading may lie after it.
    """

    def __init__(self, source: Source, now: Callable[[], datetime]) -> None:
        self._source = source
        self._now = now
        self._lock = Lock()
        self._fruitless = 0

    def ask(self, station: Station, window: Interval) -> Answered:
        """Return the answer for a window.

        Raises:
            SourceError: the source could not answer.
            StoppedError: a stop was asked for.
        """
        first = self._once(station, window)
        if not first.unusable or self._fruitless >= _FRUITLESS:
            return first
        said = [first]
        for answer in self._again(station, window):
            said.append(answer)
            if not answer.unusable or sum(map(answer.says_as, said)) == BELIEVED:
                break
        best = min(reversed(said), key=lambda answer: answer.unusable.total())
        self._learn(station, window, len(said), fruitful=best.unusable.total() == 0)
        return best

    def _again(self, station: Station, window: Interval) -> Iterator[Answered]:
        for _request in range(MOST - 1):
            yield self._once(station, window)

    def _once(self, station: Station, window: Interval) -> Answered:
        answer = self._source.fetch(station, window)
        made = to_readings(answer.records, station.idx, window, self._now())
        rejects = [*answer.rejects, *made.rejects]
        asked = hour_of(self._now()) if answer.asked is None else answer.asked
        spoken_of = {*made.hours, *(reject.hour for reject in rejects if reject.hour is not None)}
        not_asked = subtract(
            intersect(answer.not_asked, (window,)),
            (Interval(hour, hour + 1) for hour in spoken_of),
        )
        return Answered(
            records=len(answer.records),
            refused=sum(item.reason is not Reason.SUB_INDEX_UNUSABLE for item in answer.rejects),
            repeated=made.repeated,
            hours=frozenset(made.hours),
            readings=made.readings,
            rejects=rejects,
            repaired=answer.repaired,
            asked=asked,
            not_asked=not_asked,
        )

    def _learn(self, station: Station, window: Interval, requests: int, *, fruitful: bool) -> None:
        with self._lock:
            self._fruitless = 0 if fruitful else self._fruitless + 1
            believed = self._fruitless == _FRUITLESS
        log.info(
            "window.asked_again",
            station_idx=station.idx,
            window=str(window),
            requests=requests,
            usable=fruitful,
        )
        if believed:
            log.warning("source.believed", reason="its unusable records stay when asked for again")
