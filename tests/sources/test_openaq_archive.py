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
from runner.core.errors import Scope
from runner.core.intervals import Interval, hour_of
from runner.core.readings import Answer, Reason, to_readings
from runner.core.stations import Station
from runner.jobs.backfill.asking import Asker
from runner.sources.openaq.archive import ArchiveFileError, OpenAqArchive

HEADER = "location_id,sensors_id,location,datetime,lat,lon,parameter,units,value"
HANOI = Station(8641, "Hanoi US Embassy")
DAY = datetime(2023, 1, 1)  # noqa: DTZ001 - local wall clock
START = hour_of(datetime(2022, 12, 31, 17, tzinfo=UTC))  # its midnight, +07:00
TODAY = Interval(START + 1, START + 25)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def line(
    minutes: int,
    value: object = 71.0,
    *,
    sensor: int = 21632,
    what: str = "pm25",
    unit: str = "µg/m³",
    zone: str = "+07:00",
) -> str:
    """Return the row that ended so many minutes after local midnight."""
    ended = (DAY + timedelta(minutes=minutes)).isoformat()
    return f"7441,{sensor},Hanoi-7441,{ended}{zone},21.021939,105.818806,{what},{unit},{value}"


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


def kept(root: Path) -> dict[int, list[tuple[str, float, str]]]:
    """Return what was measured, by the hours since the local midnight."""
    hours: list[MeasuredHour] = []
    archive = source(root)
    archive.keep = lambda _station, found: hours.extend(found)
    archive.fetch(HANOI, TODAY)
    return {
        one.hour - START: [(it.pollutant, it.value, it.unit) for it in one.measured]
        for one in hours
    }


def test_units_of_one_hour_are_converted_before_their_mean(tmp_path: Path) -> None:
    ozone = [line(75 + 15 * n, 60.0, what="o3") for n in range(3)]
    put(tmp_path, [*ozone, line(120, 0.03, what="o3", unit="ppm")])
    ((name, value, unit),) = kept(tmp_path)[2]
    assert (name, unit) == ("o3", "ppm")
    assert value == pytest.approx((3 * 60 / (48.0 / 24.45) / 1000 + 0.03) / 4)


def test_units_that_cannot_be_converted_refuse_the_hour_and_keep_its_rows(tmp_path: Path) -> None:
    put(tmp_path, [line(75), line(90, 12, unit="ppb"), line(180), line(195)])
    got = source(tmp_path, 0).fetch(HANOI, TODAY)
    assert set(told(got)) == {3, 4}
    assert [(one.reason, one.hour, one.raw["units"]) for one in got.rejects] == [
        (Reason.UNITS_MIXED, START + 2, "µg/m³"),
        (Reason.UNITS_MIXED, START + 2, "ppb"),
    ]


def test_two_pollutants_under_one_sensor_are_two_means(tmp_path: Path) -> None:
    rows = [line(60, 10.0), line(60, 0.03, what="o3", unit="ppm")]
    put(tmp_path, rows)
    assert kept(tmp_path)[1] == [("o3", 0.03, "ppm"), ("pm25", 10.0, "ug/m3")]


@pytest.mark.parametrize(
    ("bad", "reason", "hour"),
    [
        (line(120).replace("Hanoi-7441", "Name, with comma"), Reason.ROW_UNREADABLE, 2),
        (line(120) + ",", Reason.ROW_UNREADABLE, 2),
        (line(120).rsplit(",", 5)[0], Reason.ROW_UNREADABLE, 2),
        ("7441,21632", Reason.ROW_UNREADABLE, None),
        (line(120, what="PM2.5"), Reason.PARAMETER_UNKNOWN, 2),
        (line(120, what=""), Reason.PARAMETER_UNKNOWN, 2),
        (line(120, what="radon"), Reason.PARAMETER_UNKNOWN, 2),
    ],
)
def test_a_row_that_cannot_be_read_is_a_reject_whatever_its_parameter(
    tmp_path: Path, bad: str, reason: Reason, hour: int | None
) -> None:
    put(tmp_path, [line(60), bad, line(180)])
    got = source(tmp_path).fetch(HANOI, TODAY)
    assert set(told(got)) == {1, 3}
    (reject,) = got.rejects
    assert (reject.reason, reject.hour) == (reason, None if hour is None else START + hour)
    assert reject.raw["line"] == 3
    assert all(isinstance(name, str) for name in reject.raw)
    if reason is Reason.ROW_UNREADABLE:
        assert reject.raw["cells"][: len(bad.split(","))] == bad.split(",")


def test_a_parameter_nobody_knows_is_no_sign_of_a_wrong_answer(tmp_path: Path) -> None:
    new = [line(5 * part, what="pm25_forecast") for part in range(1, 25)]
    put(tmp_path, [line(60), line(120), *new])
    asked = Asker(source(tmp_path), lambda: NOW).ask(HANOI, TODAY)
    assert (len(asked.readings), len(asked.rejects)) == (2, 24)
    assert not asked.unusable


@pytest.mark.parametrize("what", ["um003", "relativehumidity", "temperature", "pm1", "no"])
def test_rows_of_what_is_known_and_not_used_are_no_rejects(tmp_path: Path, what: str) -> None:
    put(tmp_path, [line(60), line(120, what=what)])
    got = source(tmp_path).fetch(HANOI, TODAY)
    assert (set(told(got)), got.rejects) == ({1}, [])


@pytest.mark.parametrize(
    ("days", "not_asked"),
    [
        ((0, 1, 2), []),
        ((0, 2), [(25, 49)]),
        ((1,), [(1, 25), (49, 73)]),
        ((2,), [(1, 49)]),
    ],
)
def test_the_hours_of_a_day_without_a_file_were_not_asked_for(
    tmp_path: Path, days: tuple[int, ...], not_asked: list[tuple[int, int]]
) -> None:
    for day in days:
        put(tmp_path, [line(24 * 60 * day + 60)], DAY + timedelta(days=day))
    got = source(tmp_path).fetch(HANOI, Interval(START + 1, START + 73))
    assert [(one.start - START, one.end - START) for one in got.not_asked] == not_asked


@pytest.mark.parametrize(
    ("zone", "first", "hours"), [("+05:30", 2, 25), ("+07:00", 1, 24), ("-05:00", 13, 24)]
)
def test_the_day_of_a_file_is_that_of_the_clock_of_its_rows(
    tmp_path: Path, zone: str, first: int, hours: int
) -> None:
    put(tmp_path, [line(60, zone=zone)])
    window = Interval(START - 100, START + 100)
    got = source(tmp_path).fetch(HANOI, window)
    ((before_end), (after_start)) = (got.not_asked[0].end, got.not_asked[1].start)
    assert (before_end - START, after_start - before_end) == (first, hours)


def test_a_location_that_has_the_day_was_asked_whatever_another_lacks(tmp_path: Path) -> None:
    put(tmp_path, [line(60)])
    other = tmp_path / "locationid=2539/year=2016/month=01/location-2539-20160101.csv.gz"
    other.parent.mkdir(parents=True)
    other.write_bytes(gzip.compress(HEADER.encode()))
    both = OpenAqArchive(tmp_path, {8641: [2539, 7441]}, scale="aqicn", least_coverage=75)
    assert both.fetch(HANOI, TODAY).not_asked == ()


@pytest.mark.parametrize("what", ["location", "month", "range"])
def test_a_folder_without_one_expected_file_fails_and_says_which_is_missing(
    tmp_path: Path, what: str
) -> None:
    path = put(tmp_path, [line(60)])
    wanted = TODAY
    if what == "location":
        path.rename(path.with_name("20230101.csv.gz"))
    elif what == "month":
        later = DAY + timedelta(days=40)
        put(tmp_path, [line(60)], later)
        path.rename(path.with_name("measurements.csv.gz"))
    else:
        wanted = Interval(START + 2400, START + 2424)
    archive = OpenAqArchive(
        tmp_path, {8641: [7441]}, scale="aqicn", least_coverage=75, wanted=wanted
    )
    with pytest.raises(ArchiveFileError, match="location-7441-") as failed:
        archive.fetch(HANOI, wanted)
    assert failed.value.scope is Scope.STATION
    assert "locationid=7441" in failed.value.hint


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
