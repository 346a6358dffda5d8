"""Rows, answers and files of OpenAQ with anything in them: a reading or a reject, never a crash."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from runner.core.concentrations import Measured
from runner.core.intervals import Interval
from runner.core.readings import Reject
from runner.core.stations import Station
from runner.process.secrets import Secret
from runner.sources.http import Reply
from runner.sources.openaq.answers import OpenAqError, OpenAqReader
from runner.sources.openaq.api import _sensor
from runner.sources.openaq.archive import COLUMNS, ArchiveFileError, OpenAqArchive
from runner.sources.openaq.match import place_of
from runner.sources.openaq.rows import Sensor, Terms, measured_of, terms_of

SENSOR = Sensor(21632, 7441, "pm25", "µg/m³")
WINDOW = Interval(420_000, 420_984)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400)
)
moments = st.sampled_from(
    [
        "2017-11-29T00:00:00Z",
        "2017-11-29T07:00:00+07:00",
        "2017-11-28T23:00:00Z",
        "2017-11-29T00:00:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "1969-12-31T23:00:00Z",
        "",
    ]
)


def fields(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = ("utc", "local", "name", "units", "id", "hasFlags", "percentComplete", "datetimeTo")
    return st.dictionaries(st.sampled_from(names), inner, max_size=4)


junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | fields(inner), max_leaves=6
)
ends = junk | st.fixed_dictionaries({"utc": moments | junk, "local": moments | junk})
rows = junk | st.fixed_dictionaries(
    {},
    optional={
        "value": scalars,
        "flagInfo": junk,
        "parameter": junk,
        "coverage": junk,
        "period": junk
        | st.fixed_dictionaries({}, optional={"datetimeFrom": ends, "datetimeTo": ends}),
        "id": scalars,
        "isMobile": junk,
        "coordinates": junk,
        "sensors": junk,
        "licenses": junk,
        "provider": junk,
        "datetimeFirst": ends,
        "datetimeLast": ends,
    },
)
LATE = {"utc": "9999-12-31T23:00:00-23:00", "local": "9999-12-31T23:00:00-23:00"}


@given(rows)
@example({"value": 1.0, "period": {"datetimeFrom": LATE, "datetimeTo": LATE}})
def test_any_row_is_a_measured_hour_of_the_window_or_a_reject(row: Any) -> None:
    read = measured_of(row, SENSOR, WINDOW, Terms())
    if isinstance(read, Measured):
        assert WINDOW.start <= read.hour < WINDOW.end
        assert -10 <= read.value < 1e12
    else:
        assert isinstance(read, Reject)
        assert read.raw is row


@given(rows)
@example({"id": 1, "parameter": {"name": "pm25"}, "datetimeFirst": LATE, "datetimeLast": LATE})
def test_any_place_and_any_sensor_is_read_or_left_out(row: Any) -> None:
    place_of(row)
    _sensor(7441, row)
    json.dumps(terms_of(7441, 8641, [row]))


@given(
    st.binary(max_size=60) | junk.map(lambda item: json.dumps(item, default=str).encode()),
    st.integers(200, 599),
)
def test_any_answer_is_a_list_of_results_or_an_error(body: bytes, status: int) -> None:
    reader = OpenAqReader(Secret("key"), lambda _s: None, 0.5)
    headers = CaseInsensitiveDict({"x-ratelimit-reset": "soon", "x-ratelimit-remaining": "-1"})
    told = ""
    try:
        assert isinstance(reader.results(Reply(status, headers, body)), list)
    except OpenAqError as error:
        told = error.message
    assert told.isprintable()


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(*(moments | st.text(max_size=6) for _ in COLUMNS)), max_size=4),
    st.booleans(),
)
def test_any_file_of_the_archive_is_read_or_refused(
    tmp_path: Path, lines: list[tuple[str, ...]], cut: bool
) -> None:
    folder = tmp_path / "locationid=7441" / "year=2017" / "month=11"
    folder.mkdir(parents=True, exist_ok=True)
    told = [",".join(COLUMNS), *("7441,1," + ",".join(line[2:]) for line in lines)]
    packed = gzip.compress("\n".join(told).encode("utf-8", "replace"))
    (folder / "location-7441-20171129.csv.gz").write_bytes(
        packed[: len(packed) // 2] if cut else packed
    )
    archive = OpenAqArchive(tmp_path, {8641: [7441]}, scale="epa_2024", least_coverage=75)
    try:
        got = archive.fetch(Station(8641), WINDOW)
    except ArchiveFileError:
        return
    assert not cut
    json.dumps([reject.raw for reject in got.rejects])


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"results": ' + b"9" * 5000 + b"}", b"\xff"])
def test_answers_that_break_parsers_are_asked_for_again(body: bytes) -> None:
    reader = OpenAqReader(Secret("key"), lambda _s: None, 0.5)
    with pytest.raises(OpenAqError):
        reader.results(Reply(200, CaseInsensitiveDict(), body))
