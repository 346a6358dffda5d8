"""The source over a directory of files: overlaps, windows, conservation of every row."""

from __future__ import annotations

import csv
import math
import shutil
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from runner.core.errors import Scope
from runner.core.intervals import Interval, hour_of, subtract, to_datetime
from runner.core.readings import Answer, Reason, to_readings
from runner.core.stations import Station
from runner.sources.airnow.files import STANDARD, AirNowFileError
from runner.sources.airnow.source import AirNowSource

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "airnow"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the published AirNow files are not at ../shared/data/airnow"
)

HANOI = Station(8641, "Hanoi US Embassy")
HCMC = Station(8767, "Ho Chi Minh City US Consulate")
SITES = {"Hanoi": 8641, "Ho Chi Minh City": 8767}
ALWAYS = Interval(0, 10**6)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def hour(text: str) -> int:
    return hour_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def put(directory: Path, name: str, *rows: str, site: str = "Hanoi") -> None:
    """Write a file; a row is `2018-01-01 07 69.2 Valid` (label, value, quality control)."""
    lines = [",".join(STANDARD)]
    for row in rows:
        day, at, value, qc = row.split()
        wall = datetime.fromisoformat(f"{day} {at}:00")
        lines.append(
            f"{site},PM2.5 - Principal,{wall:%Y-%m-%d %I:%M %p},{wall:%Y,%m,%d,%H},40.0,112,"
            f"Moderate,{value},UG/M3,1 Hr,{qc}"
        )
    (directory / name).write_text("\n".join([*lines, ""]), encoding="utf-8")


def answer(directory: Path, window: Interval = ALWAYS, station: Station = HANOI) -> Answer:
    return AirNowSource(directory, SITES).fetch(station, window)


def said(got: Answer) -> tuple[dict[str, int], list[tuple[Reason, str, str]]]:
    """Return index by local label, and (reason, value, file) of the rejects."""
    records = {record["time"]["s"]: record["aqi"] for record in got.records}
    assert len(records) == len(got.records)
    return records, [(r.reason, r.raw["Raw Conc."], r.raw["file"]) for r in got.rejects]


def test_a_record_has_aqicns_shape_and_arithmetic(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "2018-01-01 01 69.2 Valid")
    assert answer(tmp_path).records == [
        {
            "aqi": 158,
            "iaqi": {"pm25": {"v": 158}},
            "time": {"s": "2018-01-01 01:00:00", "tz": "+07:00"},
        }
    ]


def test_a_window_holds_its_hours_and_no_others(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", *(f"2018-01-01 {at:02} {at} Valid" for at in (7, 8, 10, 11)))
    put(tmp_path, "b.csv", "2018-01-01 09 -999 Missing", "2018-01-01 12 -999 Missing")
    start = hour("2018-01-01 01:00")
    records, rejects = said(answer(tmp_path, Interval(start, start + 2)))
    assert list(records) == ["2018-01-01 08:00:00"]
    assert rejects == [(Reason.QC_MISSING, "-999", "b.csv")]
    for outside in (Interval(start + 10, start + 178), Interval(start - 178, start - 1)):
        assert answer(tmp_path, outside) == Answer([], not_asked=(outside,))


def test_hours_before_after_and_between_files_were_not_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "2018-01-01 07 1 Valid", "2018-01-01 10 -999 Missing")
    put(tmp_path, "b.csv", "2018-01-01 15 1 Valid", "2018-01-01 18 1 Valid")
    put(tmp_path, "c.csv", "2018-01-02 15 1 Valid", site="Dhaka")
    midnight = hour("2018-01-01")
    got = answer(tmp_path, Interval(midnight - 5, midnight + 20))
    assert [(one.start - midnight, one.end - midnight) for one in got.not_asked] == [
        (-5, 0),
        (4, 8),
        (12, 20),
    ]


def test_a_row_with_two_different_times_stretches_no_file(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "2018-01-01 07 1 Valid", "2018-01-03 09 1 Valid")
    path = tmp_path / "a.csv"
    path.write_text(path.read_text("utf-8").replace("09:00 AM", "10:00 AM"), "utf-8")
    midnight = hour("2018-01-01")
    window = Interval(midnight, midnight + 5)
    assert answer(tmp_path, window).not_asked == (Interval(midnight + 1, midnight + 5),)


def test_a_site_has_a_clock_of_its_own(tmp_path: Path) -> None:
    rows = ("2018-01-05 03 273.0 Valid", "2018-01-05 05 382.0 Valid", "2018-01-05 06 -1 Valid")
    put(tmp_path, "u.csv", *rows, site="Ulaanbaatar")
    put(tmp_path, "h.csv", *rows)
    sites = {**SITES, "Ulaanbaatar": {"station": 8551, "utc_offset": "+08:00"}}
    source = AirNowSource(tmp_path, sites)
    got = source.fetch(Station(8551), ALWAYS)
    assert [record["time"] for record in got.records] == [
        {"s": "2018-01-05 03:00:00", "tz": "+08:00"},
        {"s": "2018-01-05 05:00:00", "tz": "+08:00"},
    ]
    made = to_readings(got.records, 8551, ALWAYS, NOW)
    assert [f"{reading['ts']:%d %H}" for reading in made.readings] == ["04 19", "04 21"]
    assert [reject.hour for reject in got.rejects] == [hour("2018-01-04 22:00")]
    assert got.not_asked == subtract([ALWAYS], [Interval(hour("2018-01-04 19:00"), 420862 + 1)])
    hanoi = to_readings(source.fetch(HANOI, ALWAYS).records, 8641, ALWAYS, NOW)
    assert [f"{reading['ts']:%d %H}" for reading in hanoi.readings] == ["04 20", "04 22"]


def test_windows_in_any_split_give_what_one_window_gives(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", *(f"2018-01-0{day} 05 {day} Valid" for day in range(1, 10)))
    put(tmp_path, "b.csv", *(f"2018-01-0{day} 06 -999 Missing" for day in range(1, 10)))
    source = AirNowSource(tmp_path, SITES)
    first, last = hour("2017-12-30"), hour("2018-01-12")
    parts = [source.fetch(HANOI, Interval(at, at + 5)) for at in range(first, last, 5)]
    whole = source.fetch(HANOI, ALWAYS)
    assert [record for part in parts for record in part.records] == whole.records
    assert [reject for part in parts for reject in part.rejects] == whole.rejects


def test_offers_says_whether_a_file_speaks_of_a_station(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "2018-01-01 01 69.2 Valid")
    put(tmp_path, "b.csv", "2018-01-01 01 10.0 Valid", site="Dhaka")
    source = AirNowSource(tmp_path, SITES)
    assert [source.offers(idx) for idx in (8641, 8767, 1)] == [True, False, False]
    nothing = Answer([], not_asked=(ALWAYS,))
    assert source.fetch(HCMC, ALWAYS) == source.fetch(Station(1), ALWAYS) == nothing


def test_a_reject_keeps_the_row_as_published_and_its_hour(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "2018-01-01 07 -999 Missing")
    (reject,) = answer(tmp_path).rejects
    assert (reject.reason, reject.hour) == (Reason.QC_MISSING, hour("2018-01-01 00:00"))
    assert list(reject.raw) == [*STANDARD, "file", "line"]
    assert (reject.raw["Date (LT)"], reject.raw["Raw Conc."]) == ("2018-01-01 07:00 AM", "-999")
    assert (reject.raw["file"], reject.raw["line"]) == ("a.csv", 2)


# --- overlapping files


def test_rows_that_say_the_same_count_once(tmp_path: Path) -> None:
    rows = ("2018-01-01 07 36.0 Valid", "2018-01-01 08 -999 Missing")
    put(tmp_path, "year.csv", *rows, "2018-01-01 09 1.0 Valid")
    put(tmp_path, "month.csv", *(row.replace("36.0", "36") for row in rows))
    put(tmp_path, "twice.csv", *rows, *rows)
    records, rejects = said(answer(tmp_path))
    assert len(records) == 2
    assert rejects == [(Reason.QC_MISSING, "-999", "year.csv")]


def test_the_march_pair_of_two_files_is_repaired_once(tmp_path: Path) -> None:
    rows = [f"2018-03-11 {row} Valid" for row in ("01 47.8", "03 43.0", "03 44.1", "04 47.8")]
    put(tmp_path, "year.csv", *rows)
    put(tmp_path, "month.csv", *rows)
    got = answer(tmp_path)
    assert [record["time"]["s"][11:13] for record in got.records] == ["01", "02", "03", "04"]
    assert (got.rejects, got.repaired) == ([], 1)
    at = hour("2018-03-10 19:00")
    assert answer(tmp_path, Interval(at, at + 1)).repaired == 1
    assert answer(tmp_path, Interval(at + 1, at + 24)).repaired == 0


def test_where_files_differ_the_one_that_reaches_further_decides(tmp_path: Path) -> None:
    put(tmp_path, "later.csv", "2018-01-01 07 10.0 Valid", "2018-06-01 00 1.0 Valid")
    put(tmp_path, "z_earlier.csv", "2018-01-01 07 12.0 Valid", "2018-05-01 00 1.0 Valid")
    records, rejects = said(answer(tmp_path))
    assert records["2018-01-01 07:00:00"] == 42
    assert rejects == [(Reason.DUPLICATE_HOUR, "12.0", "z_earlier.csv")]


def test_of_files_that_reach_equally_far_the_longer_decides(tmp_path: Path) -> None:
    put(tmp_path, "a_year.csv", *(f"2018-12-31 {at:02} 10.0 Valid" for at in range(20, 24)))
    put(tmp_path, "b_month.csv", *(f"2018-12-31 {at:02} 12.0 Valid" for at in range(22, 24)))
    records, rejects = said(answer(tmp_path))
    assert set(records.values()) == {42}
    assert rejects == [(Reason.DUPLICATE_HOUR, "12.0", "b_month.csv")] * 2


def test_a_later_publication_may_supply_a_value_or_withdraw_it(tmp_path: Path) -> None:
    put(tmp_path, "early.csv", "2018-01-01 07 -999 Missing", "2018-01-01 08 9.0 Valid")
    put(
        tmp_path,
        "late.csv",
        "2018-01-01 07 12.0 Valid",
        "2018-01-01 08 9.0 Invalid",
        "2018-01-01 09 1 Valid",
    )
    records, rejects = said(answer(tmp_path))
    assert list(records) == ["2018-01-01 07:00:00", "2018-01-01 09:00:00"]
    assert Counter(rejects) == Counter(
        [
            (Reason.QC_MISSING, "-999", "early.csv"),
            (Reason.QC_INVALID, "9.0", "late.csv"),
            (Reason.DUPLICATE_HOUR, "9.0", "early.csv"),
        ]
    )


def test_within_a_file_usable_comes_first_and_then_the_later_line(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a.csv",
        "2018-01-01 07 10.0 Valid",
        "2018-01-01 07 12.0 Valid",
        "2018-01-01 07 -999 Missing",
    )
    records, rejects = said(answer(tmp_path))
    assert records == {"2018-01-01 07:00:00": 50}
    assert {(reason, value) for reason, value, _ in rejects} == {
        (Reason.DUPLICATE_HOUR, "10.0"),
        (Reason.QC_MISSING, "-999"),
    }


def test_a_row_with_two_different_times_takes_no_hour_from_another(tmp_path: Path) -> None:
    put(tmp_path, "late.csv", "2018-01-01 07 10.0 Valid", "2018-01-01 09 10.0 Valid")
    path = tmp_path / "late.csv"
    path.write_text(path.read_text("utf-8").replace("07:00 AM", "07:00 PM"), "utf-8")
    put(tmp_path, "early.csv", "2018-01-01 07 12.0 Valid")
    records, rejects = said(answer(tmp_path))
    assert records["2018-01-01 07:00:00"] == 50
    assert rejects == [(Reason.TIME_UNPARSEABLE, "10.0", "late.csv")]


# --- the directory


@pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
def test_a_directory_without_files_says_what_to_give(tmp_path: Path, kind: str) -> None:
    directory = tmp_path / "airnow"
    if kind == "empty":
        directory.mkdir()
        (directory / "notes.txt").touch()
    elif kind == "a file":
        directory.touch()
    with pytest.raises(AirNowFileError, match="airnow") as caught:
        AirNowSource(directory, SITES).offers(8641)
    assert caught.value.scope is Scope.RUN
    assert "source.path=DIR" in caught.value.hint


def test_one_file_not_understood_is_never_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "2018-01-01 07 10.0 Valid")
    (tmp_path / "b.csv").write_text("date,pm25\n", encoding="utf-8")
    with pytest.raises(AirNowFileError, match=r"b\.csv, line 1"):
        answer(tmp_path)


def test_nothing_is_read_before_the_first_question(tmp_path: Path) -> None:
    source = AirNowSource(tmp_path / "absent", SITES)
    source.close()
    assert source.name == "airnow"


def test_threads_that_ask_at_once_read_the_directory_once(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", *(f"2018-01-01 {at:02} {at} Valid" for at in range(24)))
    source = AirNowSource(tmp_path, SITES)
    answers: list[Answer] = []
    ready = threading.Barrier(8)

    def ask() -> None:
        ready.wait()
        answers.append(source.fetch(HANOI, ALWAYS))

    with capture_logs() as logs:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [entry["event"] for entry in logs] == ["airnow.read"]
    assert len(answers) == 8
    assert all(got == answers[0] for got in answers)


# --- the published files, counted independently with the csv module


class Line(NamedTuple):
    """One line of a published file; the hour is UTC, the March pair put right."""

    file: str
    site: str
    hour: int
    value: float
    qc: str


MARCH = {
    "Hanoi": ("2016-03-13", "2017-03-12", "2018-03-11", "2019-03-10", "2020-03-08"),
    "Ho Chi Minh City": ("2016-03-13", "2017-03-12", "2019-03-10"),
}


def published_lines(directory: Path) -> list[Line]:
    found: list[Line] = []
    for path in sorted(directory.glob("*.csv")):
        lines = path.read_bytes().decode().splitlines()
        delimiter = ";" if ";" in lines[0] else ","
        rows = list(csv.reader(lines, delimiter=delimiter))
        header = rows.pop(0) if rows[0][0] == "Site" else list(STANDARD)
        value_at = header.index("Raw Conc." if "Raw Conc." in header else "Value")
        changed: set[str] = set()
        for row in rows:
            wall = datetime.strptime(row[2], "%Y-%m-%d %I:%M %p").replace(tzinfo=UTC)
            day = f"{wall:%Y-%m-%d}"
            if wall.hour == 3 and day in MARCH[row[0]] and day not in changed:
                changed.add(day)
                wall -= timedelta(hours=1)
            at = hour_of(wall - timedelta(hours=7))
            found.append(Line(path.name, row[0], at, float(row[value_at]), row[-1]))
    return found


def exact_index(value: float) -> int:
    """Return the index by fractions, written out apart from the product."""
    at = max(Fraction(str(value)), Fraction(0))
    knots = [(0, 0), (12, 50), (35.5, 100), (55.5, 150), (150.5, 200), (250.5, 300), (350.5, 400)]
    table = [(Fraction(str(x)), y) for x, y in [*knots, (500.5, 500)]]
    for (x0, y0), (x1, y1) in pairwise(table):
        if at <= x1 or y1 == 500:
            return math.ceil(y0 + (at - x0) * (y1 - y0) / (x1 - x0))
    raise AssertionError


def below(value: float) -> Reason:
    return Reason.BELOW_ZERO if value >= -10 else Reason.CONCENTRATION_UNUSABLE


def utc_hour(record: Any) -> int:
    return hour_of(datetime.fromisoformat(record["time"]["s"] + record["time"]["tz"]))


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return published_lines(DATA)


@pytest.fixture(scope="module")
def published() -> AirNowSource:
    return AirNowSource(DATA, SITES)


@needs_data
@pytest.mark.parametrize("station", [HANOI, HCMC], ids=["hanoi", "hcmc"])
def test_every_published_row_is_a_record_or_a_reject_or_said_before(
    lines: list[Line], published: AirNowSource, station: Station
) -> None:
    distinct = {
        (line.hour, line.value, line.qc) for line in lines if SITES[line.site] == station.idx
    }
    got = published.fetch(station, ALWAYS)
    assert len(got.records) + len(got.rejects) == len(distinct)
    usable = {(at, value) for at, value, qc in distinct if qc == "Valid" and value >= 0}
    assert {(utc_hour(record), record["aqi"]) for record in got.records} == {
        (at, exact_index(value)) for at, value in usable
    }
    assert len(got.records) == len(usable) == len({at for at, _ in usable})
    assert {
        (reject.hour, float(reject.raw.get("Raw Conc.", reject.raw.get("Value"))), reject.reason)
        for reject in got.rejects
    } == {
        (at, value, below(value) if qc == "Valid" else f"qc_{qc.lower()}")
        for at, value, qc in distinct
        if (at, value) not in usable or qc != "Valid"
    }
    assert got.repaired == len(MARCH["Hanoi" if station is HANOI else "Ho Chi Minh City"])


@needs_data
@pytest.mark.parametrize("station", [HANOI, HCMC], ids=["hanoi", "hcmc"])
def test_every_record_of_the_published_files_becomes_a_reading(
    published: AirNowSource, station: Station
) -> None:
    got = published.fetch(station, ALWAYS)
    made = to_readings(got.records, station.idx, ALWAYS, NOW)
    assert made.rejects == []
    assert len(made.readings) == len(got.records)


@needs_data
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside_all_others"])
def test_hanoi_2018_gives_exactly_the_valid_hours_of_its_file(
    lines: list[Line], tmp_path: Path, alone: bool
) -> None:
    name = "Hanoi_PM2.5_2018_YTD.csv"
    directory = DATA
    if alone:
        directory = tmp_path
        shutil.copyfile(DATA / name, tmp_path / name)
    of_2018 = [line for line in lines if line.file == name]
    window = Interval(hour("2017-12-31 18:00"), hour("2018-12-31 18:00"))
    got = AirNowSource(directory, SITES).fetch(HANOI, window)
    valid = {line.hour: line.value for line in of_2018 if line.qc == "Valid"}
    assert {utc_hour(record): record["aqi"] for record in got.records} == {
        at: exact_index(value) for at, value in valid.items() if value >= 0
    }
    assert len(got.records) == len(valid) - 1 == 7997
    assert Counter(reject.reason for reject in got.rejects) == {
        Reason.QC_MISSING: 145,
        Reason.QC_INVALID: 196,
        Reason.BELOW_ZERO: 1,
    }
    assert got.repaired == 1
    (below_zero,) = [one for one in got.rejects if one.reason is Reason.BELOW_ZERO]
    assert below_zero.hour is not None
    assert (float(below_zero.raw["Raw Conc."]), valid[below_zero.hour]) == (-2.0, -2.0)


@needs_data
@pytest.mark.parametrize(
    ("station", "day"),
    [(HANOI, day) for day in MARCH["Hanoi"]] + [(HCMC, day) for day in MARCH["Ho Chi Minh City"]],
)
def test_the_change_of_clocks_of_march_leaves_a_day_of_24_hours(
    published: AirNowSource, station: Station, day: str
) -> None:
    start = hour(day) - 7
    got = published.fetch(station, Interval(start, start + 24))
    labels = [to_datetime(utc_hour(record) + 7).hour for record in got.records]
    assert {1, 2, 3, 4} <= set(labels)
    assert len(labels) == len(set(labels))
    assert got.repaired == 1


@needs_data
def test_hours_no_file_is_at_hand_for_were_not_asked_for(published: AirNowSource) -> None:
    for station, day in ((HCMC, "2018-06-01"), (HANOI, "2019-06-01")):
        window = Interval(hour(day), hour(day) + 168)
        assert published.fetch(station, window) == Answer([], not_asked=(window,))


def test_hours_between_the_rows_of_a_file_were_asked_for_and_had_nothing(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "2018-01-01 07 1 Valid", "2018-01-03 07 1 Valid")
    at = hour("2018-01-01 01:00")
    assert answer(tmp_path, Interval(at, at + 24)) == Answer([])
