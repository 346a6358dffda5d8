"""One file at a time, every trap in a few lines of CSV; the published files where present."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import AirNowFileError, Scope
from runner.core.intervals import hour_of, to_datetime
from runner.core.readings import Reason
from runner.sources.airnow_files import LAYOUT_2015, STANDARD, MeasurementFile, read_file

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "airnow"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the published AirNow files are not at ../shared/data/airnow"
)

OLDER = (*STANDARD[:7], "AQI", "AQI Category", "24-hr. Midpoint Avg. Conc.", *STANDARD[10:])


def cells(label: str, value: str = "43.0", qc: str = "Valid", **changed: str) -> dict[str, str]:
    """Return one row by column name; label as `2018-03-11 15`."""
    wall = datetime.strptime(label, "%Y-%m-%d %H").replace(tzinfo=UTC)
    return {
        "Site": "Hanoi",
        "Parameter": "PM2.5 - Principal",
        "Date (LT)": wall.strftime("%Y-%m-%d %I:%M %p"),
        **{part: wall.strftime(f"%{part[0] if part != 'Month' else 'm'}") for part in ("Year",)},
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


def text_of(
    rows: list[dict[str, str]],
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
    return [(f"{to_datetime(hour):%m-%d %H}", value, reason) for hour, value, reason in rows]


TWO_HOURS = [cells("2018-01-01 07", "69.2"), cells("2018-01-01 08", "36")]
AS_READ = [("01-01 00", 69.2, None), ("01-01 01", 36.0, None)]

UNPADDED = [{**row, "Month": "1", "Day": "1", "Hour": row["Hour"].lstrip("0")} for row in TWO_HOURS]
VARIANTS: dict[str, str | bytes] = {
    "standard": text_of(TWO_HOURS),
    "older, categories 1..6": text_of(TWO_HOURS, OLDER),
    "2015, value and unit": text_of(TWO_HOURS, LAYOUT_2015),
    "other column order": text_of(TWO_HOURS, STANDARD[::1][:1] + STANDARD[:0:-1]),
    "crlf": text_of(TWO_HOURS, newline="\r\n"),
    "no newline at the end": text_of(TWO_HOURS).rstrip(),
    "semicolons, unpadded": text_of(UNPADDED, OLDER, delimiter=";", newline="\r\n"),
    "tabs": text_of(TWO_HOURS, delimiter="\t"),
    "headerless": text_of(TWO_HOURS, header=False),
    "headerless 2015": text_of(TWO_HOURS, LAYOUT_2015, header=False),
    "byte order mark": text_of(TWO_HOURS).encode("utf-8-sig"),
    "headerless byte order mark": text_of(TWO_HOURS, header=False).encode("utf-8-sig"),
    "latin-1": text_of([{**row, "Conc. Unit": "µg/m³"} for row in TWO_HOURS]).encode("latin-1"),
    "utf-8 unit": text_of([{**row, "Conc. Unit": "µg/m³"} for row in TWO_HOURS]),
    "quoted": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in text_of(TWO_HOURS).split()
    ).replace('" "', " ")
    if False
    else text_of([{key: f'"{value}"' for key, value in row.items()} for row in TWO_HOURS]),
    "blank lines and spaces": text_of(
        [{key: f" {value} " for key, value in row.items()} for row in TWO_HOURS]
    ).replace("\n", "\n\n"),
}


@pytest.mark.parametrize("content", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_layout_reads_the_same(tmp_path: Path, content: str | bytes) -> None:
    assert seen(read(tmp_path, content)) == AS_READ
