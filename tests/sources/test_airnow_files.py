"""One file at a time: every trap in a few lines of CSV, and the published files where present."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.errors import Scope
from runner.core.intervals import to_datetime
from runner.core.readings import Reason
from runner.sources.airnow.files import (
    LAYOUT_2015,
    STANDARD,
    AirNowFileError,
    MeasurementFile,
    read_file,
)

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "airnow"
PUBLISHED = sorted(DATA.glob("*.csv")) if DATA.is_dir() else []
needs_data = pytest.mark.skipif(
    not PUBLISHED, reason="the published AirNow files are not at ../shared/data/airnow"
)

OLDER = (*STANDARD[:7], "AQI", "AQI Category", "24-hr. Midpoint Avg. Conc.", *STANDARD[10:])

Cells = dict[str, str]


def cells(label: str, value: str = "43.0", qc: str = "Valid", **changed: str) -> Cells:
    """Return one row by column name; the label as `2018-03-11 15`."""
    wall = datetime.strptime(label, "%Y-%m-%d %H").replace(tzinfo=UTC)
    return {
        "Site": "Hanoi",
        "Parameter": "PM2.5 - Principal",
        "Date (LT)": f"{wall:%Y-%m-%d %I:%M %p}",
        "Year": f"{wall:%Y}",
        "Month": f"{wall:%m}",
        "Day": f"{wall:%d}",
        "Hour": f"{wall:%H}",
        "NowCast Conc.": "40.0",
        "24-hr. Midpoint Avg. Conc.": "30.0",
        "AQI": "112",
        "AQI Category": "Unhealthy for Sensitive Groups",
        "Raw Conc.": value,
        "Value": value,
        "Conc. Unit": "UG/M3",
        "Unit": "UG/M3",
        "Duration": "1 Hr",
        "QC Name": qc,
        **changed,
    }


def written(
    rows: list[Cells],
    columns: tuple[str, ...] = STANDARD,
    *,
    header: bool = True,
    delimiter: str = ",",
    newline: str = "\n",
) -> str:
    lines = [delimiter.join(row[column] for column in columns) for row in rows]
    return newline.join([*([delimiter.join(columns)] if header else []), *lines, ""])


def read(tmp_path: Path, content: str | bytes) -> MeasurementFile:
    path = tmp_path / "Hanoi_PM2.5_2018_YTD.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_file(path)


def seen(file: MeasurementFile) -> list[tuple[str, float | None, str | None]]:
    """Return (UTC time, value, reason) of every row."""
    rows = file.rows.select("hour", "value", "reason").iter_rows()
    return [(f"{to_datetime(hour):%Y-%m-%d %H}", value, reason) for hour, value, reason in rows]


def hours(file: MeasurementFile) -> list[tuple[str, float, bool]]:
    """Return (UTC hour of day, value, repaired) of every row."""
    rows = file.rows.select("hour", "value", "repaired").iter_rows()
    return [(f"{to_datetime(hour):%H}", value, repaired) for hour, value, repaired in rows]


TWO = [cells("2018-01-01 07", "69.2"), cells("2018-01-01 08", "36")]
TWO_READ = [("2018-01-01 00", 69.2, None), ("2018-01-01 01", 36.0, None)]
UNPADDED = [{**row, "Month": "1", "Day": "1", "Hour": row["Hour"][1:]} for row in TWO]
METRIC = [{**row, "Conc. Unit": "µg/m³"} for row in TWO]
QUOTED = [{name: f'"{cell}"' for name, cell in row.items()} for row in TWO]
SPACED = [{name: f" {cell} " for name, cell in row.items()} for row in TWO]

LAYOUTS: dict[str, str | bytes] = {
    "standard": written(TWO),
    "older with categories": written(TWO, OLDER),
    "2015 with value and unit": written(TWO, LAYOUT_2015),
    "another order of columns": written(TWO, (STANDARD[0], *reversed(STANDARD[1:]))),
    "another column first": written(TWO, (STANDARD[2], *STANDARD[:2], *STANDARD[3:])),
    "a column of numbers before": written([{**row, "": "7"} for row in TWO], ("", *STANDARD)),
    "crlf": written(TWO, newline="\r\n"),
    "no newline at the end": written(TWO).rstrip(),
    "semicolons and unpadded": written(UNPADDED, OLDER, delimiter=";", newline="\r\n"),
    "tabs": written(TWO, delimiter="\t"),
    "no header": written(TWO, header=False),
    "no header 2015": written(TWO, LAYOUT_2015, header=False),
    "byte order mark": written(TWO).encode("utf-8-sig"),
    "byte order mark and no header": written(TWO, header=False).encode("utf-8-sig"),
    "latin-1": written(METRIC).encode("latin-1"),
    "utf-8": written(METRIC).encode(),
    "quoted": written(QUOTED),
    "blank lines and spaces": written(SPACED).replace("\n", "\n\n"),
}


@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_reads_the_same(tmp_path: Path, content: str | bytes) -> None:
    assert seen(read(tmp_path, content)) == TWO_READ


def test_midnight_belongs_to_the_day_that_begins(tmp_path: Path) -> None:
    file = read(tmp_path, written([cells("2018-12-31 23"), cells("2019-01-01 00")]))
    assert file.cells.item(1, 2) == "2019-01-01 12:00 AM"
    assert [at for at, _, _ in seen(file)] == ["2018-12-31 16", "2018-12-31 17"]


def test_a_raw_row_has_the_files_own_names_and_its_line(tmp_path: Path) -> None:
    content = written(TWO, LAYOUT_2015).replace("\n", "\n\n", 1)
    assert read(tmp_path, content).raw(1) == {
        **{name: TWO[1][name] for name in LAYOUT_2015},
        "file": "Hanoi_PM2.5_2018_YTD.csv",
        "line": 4,
    }


def test_a_file_without_header_is_given_the_standard_names(tmp_path: Path) -> None:
    raw = read(tmp_path, written(TWO, header=False)).raw(0)
    assert (raw["Raw Conc."], raw["QC Name"], raw["line"]) == ("69.2", "Valid", 1)


REASONS = [
    ("43.0", "Valid", {}, None),
    ("0", "Valid", {}, None),
    ("-0.0", "Valid", {}, None),
    ("-0.1", "Valid", {}, Reason.BELOW_ZERO),
    ("-4.0", "Valid", {}, Reason.BELOW_ZERO),
    ("-10", " VALID ", {}, Reason.BELOW_ZERO),
    ("-15.0", "Invalid", {}, Reason.QC_INVALID),
    ("555.0", "Valid", {}, None),
    ("-999", "Missing", {}, Reason.QC_MISSING),
    ("985.0", "Invalid", {}, Reason.QC_INVALID),
    ("80.0", "Suspect", {}, Reason.QC_SUSPECT),
    ("80.0", "Estimated", {}, Reason.QC_OTHER),
    ("80.0", "", {}, Reason.QC_OTHER),
    ("-999.0", "Valid", {}, Reason.CONCENTRATION_UNUSABLE),
    ("-10.1", "Valid", {}, Reason.CONCENTRATION_UNUSABLE),
    ("", "Valid", {}, Reason.CONCENTRATION_UNUSABLE),
    ("n/a", "Valid", {}, Reason.CONCENTRATION_UNUSABLE),
    ("nan", "Valid", {}, Reason.CONCENTRATION_UNUSABLE),
    ("inf", "Valid", {}, Reason.CONCENTRATION_UNUSABLE),
    ("43.0", "Valid", {"Conc. Unit": "PPB"}, Reason.CONCENTRATION_UNUSABLE),
    ("43.0", "Valid", {"Duration": "24 Hr"}, Reason.CONCENTRATION_UNUSABLE),
    ("43.0", "Valid", {"Date (LT)": "2018-05-02 07:00 PM"}, Reason.TIME_UNPARSEABLE),
    ("43.0", "Valid", {"Date (LT)": "5/2/2018 7:00"}, None),
]


@pytest.mark.parametrize(("value", "qc", "changed", "reason"), REASONS)
def test_a_row_is_usable_or_says_why_not(
    tmp_path: Path, value: str, qc: str, changed: Cells, reason: Reason | None
) -> None:
    file = read(tmp_path, written([cells("2018-05-02 07", value, qc, **changed)]))
    assert [(at, why) for at, _, why in seen(file)] == [("2018-05-02 00", reason)]


def test_other_parameters_are_not_read_as_pm25(tmp_path: Path) -> None:
    file = read(tmp_path, written([cells("2018-01-01 07", Parameter="OZONE"), *TWO]))
    assert seen(file) == TWO_READ


def test_a_row_torn_at_the_end_of_a_download_is_a_reject(tmp_path: Path) -> None:
    torn = written(TWO).rstrip().removesuffix("G/M3,1 Hr,Valid")
    assert seen(read(tmp_path, torn)) == [TWO_READ[0], ("2018-01-01 01", 36.0, Reason.QC_OTHER)]


# --- the US daylight-saving artefact of March; 2018-03-11 is the second Sunday


def march(*labels_and_values: str, day: str = "2018-03-11") -> list[Cells]:
    pairs = (pair.split("=") for pair in labels_and_values)
    return [cells(f"{day} {label}", value) for label, value in pairs]


def test_the_first_of_two_0300_in_march_is_0200(tmp_path: Path) -> None:
    file = read(tmp_path, written(march("01=47.8", "03=43.0", "03=44.1", "04=47.8")))
    assert hours(file) == [
        ("18", 47.8, False),
        ("19", 43.0, True),
        ("20", 44.1, False),
        ("21", 47.8, False),
    ]


def test_two_0300_with_one_value_are_two_hours(tmp_path: Path) -> None:
    file = read(tmp_path, written(march("01=30.0", "03=28.0", "03=28.0", "04=30.0")))
    assert hours(file)[1:3] == [("19", 28.0, True), ("20", 28.0, False)]


def test_the_pair_is_repaired_in_a_file_of_sorted_blocks(tmp_path: Path) -> None:
    august = march("01=6.2", "02=11.8", day="2018-08-09")
    block = march("01=1.0", "03=1.2", "03=6.9", "04=2.0")
    file = read(tmp_path, written([*august, *block]))
    assert [repaired for _, _, repaired in hours(file)] == [False] * 3 + [True] + [False] * 2


def test_the_pair_is_repaired_at_either_end_of_a_file(tmp_path: Path) -> None:
    assert hours(read(tmp_path, written(march("03=1.2", "03=6.9")))) == [
        ("19", 1.2, True),
        ("20", 6.9, False),
    ]


UNREPAIRED = {
    "02:00 is there": march("01=1", "02=2", "03=3", "03=4", "04=5"),
    "02:00 is there, elsewhere": march("01=1", "03=3", "03=4", "04=5", "02=2"),
    "the first Sunday": march("01=1", "03=3", "03=4", "04=5", day="2018-03-04"),
    "a Monday": march("01=1", "03=3", "03=4", "04=5", day="2018-03-12"),
    "November": march("01=1", "03=3", "03=4", "04=5", day="2018-11-11"),
    "another hour": march("01=1", "02=2", "04=3", "04=4", "05=5"),
    "three of them": march("01=1", "03=3", "03=4", "03=5", "04=6"),
    "the newest first": march("04=5", "03=4", "03=3", "01=1"),
    "apart": march("01=1", "03=3", "04=5", "03=4"),
}


@pytest.mark.parametrize("rows", UNREPAIRED.values(), ids=UNREPAIRED.keys())
def test_nothing_else_is_repaired(tmp_path: Path, rows: list[Cells]) -> None:
    assert not any(repaired for _, _, repaired in hours(read(tmp_path, written(rows))))


def test_each_site_of_a_file_has_its_own_pair(tmp_path: Path) -> None:
    hanoi = march("01=1", "03=2", "03=3", "04=4")
    other = [{**row, "Site": "Ho Chi Minh City"} for row in hanoi]
    mixed = [row for pair in zip(hanoi, other, strict=True) for row in pair]
    assert sum(repaired for _, _, repaired in hours(read(tmp_path, written(mixed)))) == 2


# --- files that are not understood


DAMAGED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "empty"),
    "blank": ("\n \n", "empty"),
    "another table": (
        "date, pm25, pm10\n2018/1/1, 80, 40\n",
        r"line 1: expected a header.*found 3",
    ),
    "a web page": ("<!DOCTYPE html>\n<html></html>\n", "line 1: expected a header"),
    "a workbook": (b"PK\x03\x04\x14\x00\x06\x00\xff\xfe\x00", "line 1: expected a header"),
    "utf-16": (written(TWO).encode("utf-16"), "line 1: Year, Month, Day, Hour"),
    "no site": (written(TWO, STANDARD[1:]), "line 1: the header has no column 'site'"),
    "no quality flags": (written(TWO, STANDARD[:13]), "line 1: .*no column 'qc name'"),
    "no value": (written(TWO, (*STANDARD[:10], *STANDARD[11:])), "'raw conc.' or 'value'"),
    "a header in the middle": (written(TWO) + written(TWO), r"line 4: .*'Year', 'Month'"),
    "hour 24": (written([{**TWO[0], "Hour": "24"}]), r"line 2: .*'24'.*an hour 0\.\.23"),
    "30 February": (written([*TWO, {**TWO[0], "Month": "02", "Day": "30"}]), "line 4: .*'30'"),
    "torn before the hour": (written(TWO) + "Hanoi,PM2.5 - Prin", "line 4: Year.*None"),
    "a cell too many": (written(TWO).rstrip() + ",x\n", "line 3: 15 columns, expected 14"),
    "an open quotation mark": (
        written([TWO[0], {**TWO[0], "QC Name": '"Valid'}, *TWO]),
        "expected one row a line|CSV",
    ),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_file_not_understood_ends_the_run_and_says_where(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(AirNowFileError, match=message) as caught:
        read(tmp_path, content)
    assert caught.value.scope is Scope.RUN
    assert caught.value.message.startswith("Hanoi_PM2.5_2018_YTD.csv")
    assert str(tmp_path) not in caught.value.message


def test_a_header_without_rows_is_an_empty_file_of_measurements(tmp_path: Path) -> None:
    file = read(tmp_path, written([]))
    assert (seen(file), file.last_hour) == ([], -1)


# --- the published files, counted independently


@pytest.mark.parametrize("path", PUBLISHED, ids=[path.name for path in PUBLISHED])
def test_a_published_file_gives_every_row_its_own_line_and_value(path: Path) -> None:
    lines = path.read_bytes().decode().splitlines()
    delimiter = ";" if ";" in lines[0] else ","
    has_header = lines[0].startswith("Site")
    value_at = lines[0].split(delimiter).index("Value") if ",Value," in lines[0] else 10
    wanted = [
        (line, float(row[value_at]), row[-1])
        for line, row in enumerate(csv.reader(lines, delimiter=delimiter), 1)
        if line > has_header
    ]
    file = read_file(path)
    found = [
        (file.lines[position], value, str(file.raw(position)["QC Name"]))
        for position, value in file.rows.select("position", "value").iter_rows()
    ]
    assert found == wanted


@needs_data
def test_the_unsorted_file_repairs_the_same_row_as_the_sorted_one() -> None:
    repaired = []
    for name in ("Hanoi_PM2.5_2016_YTD.csv", "Hanoi_PM2.5_2016_YTD.older_format.csv"):
        rows = read_file(DATA / name).rows
        repaired.append(rows.filter("repaired").select("hour", "value").rows())
    assert repaired[0] == repaired[1]
    assert [(str(to_datetime(hour)), value) for hour, value in repaired[0]] == [
        ("2016-03-12 19:00:00+00:00", 1.2)
    ]
