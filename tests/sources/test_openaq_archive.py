"""OpenAQ's archive: whose hour a measurement is, what a mean needs, and files that are none."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.concentrations import MeasuredHour
from runner.core.errors import ArchiveFileError, Scope
from runner.core.intervals import Interval, hour_of
from runner.core.readings import Answer, Reason, to_readings
from runner.core.stations import Station
from runner.sources.openaq_archive import OpenAqArchive

HEADER = "location_id,sensors_id,location,datetime,lat,lon,parameter,units,value"
HANOI = Station(8641, "Hanoi US Embassy")
DAY = datetime(2023, 1, 1)  # noqa: DTZ001 - local wall clock
START = hour_of(datetime(2022, 12, 31, 17, tzinfo=UTC))  # its midnight, +07:00
TODAY = Interval(START + 1, START + 25)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def line(minutes: int, value: object = 71.0, *, sensor: int = 21632, what: str = "pm25") -> str:
    """Return the row that ended so many minutes after local midnight."""
    ended = (DAY + timedelta(minutes=minutes)).isoformat()
    return f"7441,{sensor},Hanoi-7441,{ended}+07:00,21.021939,105.818806,{what},µg/m³,{value}"


def put(root: Path, lines: Iterable[str], day: datetime = DAY, header: str = HEADER) -> Path:
    folder = root / f"locationid=7441/year={day:%Y}/month={day:%m}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"location-7441-{day:%Y%m%d}.csv.gz"
    path.write_bytes(gzip.compress("\n".join([header, *lines, ""]).encode()))
    return path


def source(root: Path, least_coverage: float = 75) -> OpenAqArchive:
    return OpenAqArchive(root, {8641: [7441]}, scale="aqicn", least_coverage=least_coverage)


def told(got: Answer, window: Interval = TODAY) -> dict[int, int | float]:
    """Return aqi by the hours since the local midnight."""
    made = to_readings(got.records, 8641, window, NOW)
    assert made.rejects == []
    return {hour_of(reading["ts"]) - START: reading["aqi"] for reading in made.readings}


def test_an_hour_ends_with_its_label_and_midnight_ends_the_day(tmp_path: Path) -> None:
    put(tmp_path, (line(60 * hour, 12.0 if hour == 24 else 35.5) for hour in range(1, 25)))
    got = source(tmp_path).fetch(HANOI, TODAY)
    assert told(got) == {**dict.fromkeys(range(1, 24), 100), 24: 50}
    assert got.records[0]["time"] == {"s": "2023-01-01 01:00:00", "tz": "+07:00"}
    assert got.records[-1]["time"] == {"s": "2023-01-02 00:00:00", "tz": "+07:00"}


def test_the_bucket_itself_is_found_below_a_directory(tmp_path: Path) -> None:
    put(tmp_path / "records" / "csv.gz", [line(60)])
    assert source(tmp_path).offers(8641)
    assert told(source(tmp_path).fetch(HANOI, TODAY)) == {1: 159}


def test_quoted_columns_and_five_minutes_make_the_mean_of_the_hour(tmp_path: Path) -> None:
    rows = [line(5 * part, float(part)) for part in range(1, 25)]
    quoted = [",".join(f'"{cell}"' for cell in row.split(",")) for row in rows]
    header = ",".join(f'"{name}"' for name in HEADER.split(","))
    put(tmp_path, quoted, header=header)
    kept: list[MeasuredHour] = []
    archive = source(tmp_path)
    archive.keep = lambda _station, hours: kept.extend(hours)
    archive.fetch(HANOI, TODAY)
    assert [(one.hour - START, one.measured[0].value) for one in kept] == [(1, 6.5), (2, 18.5)]


def test_an_hour_with_too_few_of_the_usual_measurements_is_refused(tmp_path: Path) -> None:
    rows = [line(5 * part) for part in range(1, 37) if part not in range(13, 17)]  # 4 of 12 missing
    put(tmp_path, rows)
    got = source(tmp_path).fetch(HANOI, TODAY)
    assert sorted(told(got)) == [1, 3]
    assert {one.reason for one in got.rejects} == {Reason.COVERAGE_LOW}
    assert len(got.rejects) == 8
    assert sorted(told(source(tmp_path, 60).fetch(HANOI, TODAY))) == [1, 2, 3]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(120, -999.0), Reason.OUTSIDE_SCALE),
        (line(120, 985.0), Reason.OUTSIDE_SCALE),
        (line(120, "nan"), Reason.CONCENTRATION_UNUSABLE),
        (line(120, "much"), Reason.CONCENTRATION_UNUSABLE),
        (line(120, ""), Reason.VALUE_MISSING),
        (line(120).replace("µg/m³", "particles/cm³"), Reason.CONCENTRATION_UNUSABLE),
        (line(120).replace("7441,", "9999,", 1), Reason.WRONG_STATION),
        (line(120).replace("+07:00", ""), Reason.TIME_UNPARSEABLE),
        (line(120).replace("21632", "x"), Reason.TIME_UNPARSEABLE),
    ],
)
def test_rows_that_are_no_air_are_refused_with_file_and_line(
    tmp_path: Path, bad: str, reason: Reason
) -> None:
    put(tmp_path, [line(60), bad])
    got = source(tmp_path).fetch(HANOI, TODAY)
    assert list(told(got)) == [1]
    (reject,) = got.rejects
    assert reject.reason is reason
    assert (reject.raw["file"], reject.raw["line"]) == ("location-7441-20230101.csv.gz", 3)


def test_weather_is_left_out_and_a_row_that_stands_twice_counts_once(tmp_path: Path) -> None:
    put(
        tmp_path,
        [line(60), line(60), line(60, 30, what="temperature"), line(120, 12), line(120, 35.5)],
    )
    got = source(tmp_path).fetch(HANOI, TODAY)
    assert told(got) == {1: 159, 2: 100}
    assert [(one.reason, one.raw["value"]) for one in got.rejects] == [
        (Reason.DUPLICATE_HOUR, "12")
    ]


@pytest.mark.parametrize("broken", ["cut", "no gzip", "header", "not utf-8"])
def test_a_file_that_cannot_be_read_fails_its_station(tmp_path: Path, broken: str) -> None:
    path = put(tmp_path, [line(60 * hour) for hour in range(1, 25)])
    whole = path.read_bytes()
    if broken == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif broken == "no gzip":
        path.write_bytes(b"<html>")
    elif broken == "header":
        put(tmp_path, [line(60)], header="location_id,value")
    else:
        path.write_bytes(gzip.compress(HEADER.encode() + b"\n\xff\xfe\n"))
    with pytest.raises(ArchiveFileError, match="location-7441-20230101") as failed:
        source(tmp_path).fetch(HANOI, TODAY)
    assert failed.value.scope is Scope.STATION


def test_a_location_that_was_not_copied_fails_and_says_how_to_copy_it(tmp_path: Path) -> None:
    assert not source(tmp_path).offers(8641)
    with pytest.raises(ArchiveFileError) as failed:
        source(tmp_path).fetch(HANOI, TODAY)
    assert "s3://openaq-data-archive/records/csv.gz/locationid=7441" in failed.value.hint


@settings(max_examples=25)
@given(st.lists(st.integers(1, 47), min_size=1, unique=True).map(sorted))
def test_however_a_range_is_cut_the_hours_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    root = tmp_path_factory.mktemp("archive")
    for number in range(2):
        day = DAY + timedelta(days=number)
        put(root, (line(1440 * number + 30 * part, part) for part in range(1, 49)), day)
    archive = source(root)
    edges = [START, *(START + cut for cut in cuts), START + 49]
    pieces = [Interval(*pair) for pair in pairwise(edges)]
    cut = [record for piece in pieces for record in archive.fetch(HANOI, piece).records]
    assert cut == archive.fetch(HANOI, Interval(START, START + 49)).records
    assert len(cut) == 48
