"""Four readers of what comes from outside, each as a function of bytes that must not fail."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from requests.structures import CaseInsensitiveDict

from runner.core.checkpoint import Checkpoint
from runner.core.errors import SourceError, StoreError
from runner.core.intervals import Interval, hour_of, to_datetime, union
from runner.core.readings import Answer, to_readings
from runner.core.stations import Station
from runner.core.text import harmless
from runner.process.secrets import Secret
from runner.sources.airnow.files import AirNowFileError
from runner.sources.airnow.source import AirNowSource
from runner.sources.aqicn.answers import AnswerReader
from runner.sources.http import Reply
from runner.store.checkpoint_document import to_checkpoint
from tests.robustness.fuzz.schema import check

STATION = 8641
NOW = datetime(2023, 6, 1, tzinfo=UTC)
WINDOW = Interval(hour_of(datetime(2022, 12, 25, tzinfo=UTC)), hour_of(NOW) + 48)
EVER = Interval(0, hour_of(datetime(9999, 12, 31, 23, tzinfo=UTC)))
LONGEST_MESSAGE = 500

_AS_STORED = CodecOptions[dict[str, Any]](
    tz_aware=True,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
"""As `runner.store.collection.open_collection` reads."""


def fuzz_records(data: bytes) -> None:
    """Parse JSON as the records of a window."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return
    read_records(content if isinstance(content, list) else [content])


def fuzz_answer(data: bytes) -> None:
    """Classify an answer: status and headers in two lines, then the body."""
    head, _, body = data.partition(b"\n")
    said, _, body = body.partition(b"\n")
    status = int(head) if head.isdigit() and len(head) == 3 else 200
    retry_after, _, date = said.decode("latin-1").partition("|")
    read_answer(status, {"Retry-After": retry_after, "Date": date}, body)


def fuzz_airnow(data: bytes) -> None:
    """Read a file of measurements."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "fuzz.csv").write_bytes(data)
        read_airnow(Path(directory))


def fuzz_checkpoint(data: bytes) -> None:
    """Read a stored document."""
    try:
        document = bson.decode(data, _AS_STORED)
    except (bson.errors.BSONError, OverflowError, RecursionError, ValueError):
        return
    read_checkpoint(document)


TARGETS = {
    "records": fuzz_records,
    "answer": fuzz_answer,
    "airnow": fuzz_airnow,
    "checkpoint": fuzz_checkpoint,
}


def read_records(records: list[Any]) -> None:
    """Assert that records become readings and rejects, and nothing else."""
    check(to_readings(records, STATION, WINDOW, NOW), records, STATION, WINDOW, NOW)


def read_answer(status: int, headers: dict[str, str], body: bytes) -> None:
    """Assert that an answer is a list of records or a SourceError fit to be shown."""
    reply = Reply(status, CaseInsensitiveDict(headers), body)
    try:
        records = AnswerReader(Secret("a-key"), "/{feed}").read(reply)
    except SourceError as error:
        check_message(error.message)
    else:
        assert type(records) is list
        read_records(records)
    assert reply.retry_after_s is None or reply.retry_after_s >= 0


def read_airnow(directory: Path) -> None:
    """Assert that files are read whole, or refused with a message."""
    source = AirNowSource(directory, {"Hanoi": STATION})
    try:
        answer = source.fetch(Station(STATION), EVER)
    except AirNowFileError as error:
        check_message(error.message)
        return
    check(
        to_readings(answer.records, STATION, EVER, to_datetime(EVER.end)),
        answer.records,
        STATION,
        EVER,
        to_datetime(EVER.end),
    )
    _check_rejects(answer)


def _check_rejects(answer: Answer) -> None:
    for reject in answer.rejects:
        assert reject.hour in range(*EVER)
        assert {"file", "line"} <= set(reject.raw)


def read_checkpoint(document: dict[str, Any]) -> None:
    """Assert that a document is a sound checkpoint, nobody's, or a StoreError."""
    try:
        found = to_checkpoint(document)
    except StoreError as error:
        check_message(error.message)
    else:
        if found is not None:
            check_checkpoint(found)


def check_checkpoint(found: Checkpoint) -> None:
    assert found.covered == union(found.covered)
    assert all(piece.start >= 0 for piece in found.covered)
    assert list(found.empty) == sorted(found.empty)
    assert all(left.end <= right.start for left, right in zip(found.empty, found.empty[1:]))  # noqa: B905
    for hour in (found.start_hour, found.target_end_hour):
        assert hour is None or to_datetime(hour) >= to_datetime(0)
    assert found.updated_at is None or found.updated_at.utcoffset() == timedelta(0)
    assert -(2**31) <= found.station_idx < 2**31
    assert all(0 <= count < 2**63 for count in (found.total.readings, found.total.windows))


def check_message(message: str) -> None:
    assert len(message) < LONGEST_MESSAGE, message
    assert harmless(message) == message, message
