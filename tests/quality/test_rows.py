"""Checks of single readings, spelling by spelling."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from runner.quality.checks.rows import another_instant
from runner.quality.files import read_readings, readings_path
from runner.quality.inputs import frame

TS = int(datetime(2024, 2, 29, 20, 0, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("s", "tz", "wrong"),
    [
        ("2024-03-01 03:00:00", "+07:00", False),
        ("2024-03-01T03:00:00", "+07:00", False),
        ("2024-02-29 14:30:00", "-05:30", False),
        ("2024-02-29T14:30:00", "-0530", False),
        ("2024-03-01 03:00:00", "+0700", False),
        ("2024-02-29 20:00:00", "+07:00", True),
        ("2024-03-01 03:00:00", "+08:00", True),
        ("2024-03-01T03:00:00", "-07:00", True),
        ("2024-03-01 03:00", "+07:00", None),
        ("2024-02-30 03:00:00", "+07:00", None),
        ("2024-03-01 03:00:00", "ICT", None),
        ("2024-03-01 03:00:00", "+7:00", None),
        ("2024-03-01 03:00:00", None, None),
        (None, "+07:00", None),
    ],
)
def test_a_local_time_says_ts_or_another_instant_or_cannot_be_read(
    s: str | None, tz: str | None, wrong: bool | None
) -> None:
    usual = {"ts": TS, "s": "2024-03-01 03:00:00", "tz": "+07:00"}
    rows = frame([usual, {"ts": TS, "s": s, "tz": tz}, usual])
    assert rows.select(another_instant({})).to_series().to_list() == [False, wrong, False]


def test_readings_come_in_the_order_of_time_whatever_odd_documents_there_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "readings").mkdir()
    years: dict[int, list[int | None]] = {
        2023: [1, 2, 2, 3],
        2024: [None, 4, 5],
    }  # what has no date is in the last file
    for year, times in years.items():
        documents = [{"ts": ts, "aqi": float(at)} for at, ts in enumerate(times)]
        frame(documents).write_parquet(readings_path(tmp_path, -1, year))
    rows = read_readings(tmp_path, -1)
    assert rows["ts"].to_list() == [None, 1, 2, 2, 3, 4, 5]
    assert rows.filter(pl.col("ts") == 2)["aqi"].to_list() == [1.0, 2.0]
    (tmp_path / "readings" / "-1-2024.parquet").unlink()
    assert read_readings(tmp_path, -1)["ts"].to_list() == [1, 2, 2, 3]
