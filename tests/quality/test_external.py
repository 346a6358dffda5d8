"""WAQI's daily file as a control total: agreement by month, in quality.json and on the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from runner.quality.checks.external import read_daily
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections import checks
from tests.quality.world import KNOWN, World, world

FIRST = date(2023, 3, 2)  # the first whole day, +07:00


def told_by(made: World) -> dict[date, int]:
    """Return floor(mean of pm25) of every whole local day, counted without the checks' code."""
    sums: dict[date, list[float]] = {}
    for ts, pm25 in made.frames[KNOWN].select("ts", "pm25").iter_rows():
        hour = ts // 3_600_000 + 7
        sums.setdefault(date(1970, 1, 1) + timedelta(days=hour // 24), []).append(pm25)
    return {day: int(sum(all_) / len(all_)) for day, all_ in sums.items() if len(all_) == 24}


def with_file(made: World, days: dict[date, int | str]) -> None:
    lines = [f"{day.year}/{day.month}/{day.day}, {value},,,,, " for day, value in days.items()]
    path = made.directory / "daily.csv"
    header = "date, pm25, pm10, o3, no2, so2, co"
    path.write_text("\n".join([header, *reversed(lines)]), encoding="utf-8")
    made.scope = replace(made.scope, external=((KNOWN, str(path)),))


def test_agreement_is_told_by_month(tmp_path: Path) -> None:
    made = world(tmp_path)
    days: dict[date, int | str] = dict(told_by(made))
    april = [day for day in days if day.month == 4]
    for day in april[:10]:
        days[day] = int(days[day]) + 1  # near
    for day in april[10:15]:
        days[day] = int(days[day]) - 40
    days[april[20]] = " "
    with_file(made, days)
    document = made.check()
    rows = {row["month"]: row for row in document["external"]}
    assert {row["station_idx"] for row in rows.values()} == {KNOWN}
    assert list(rows) == ["2023-03", "2023-04", "2023-05", "2023-06"]
    may = rows["2023-05"]
    assert (may["days"], may["equal"], may["within"], may["mean_difference"]) == (31, 31, 31, 0)
    spoilt = rows["2023-04"]
    assert (spoilt["days"], spoilt["equal"], spoilt["within"]) == (29, 14, 24)
    assert spoilt["mean_difference"] == pytest.approx((5 * 40 - 10) / 29)
    check = next(one for one in document["checks"] if one["id"] == "E01")
    assert check["n_failed"] == 5

    html = checks(RunFiles(tmp_path, document)).html
    assert "105 of 120 days equal" in html
    assert "another instrument" not in html


def test_a_file_of_another_instrument_is_said_to_be_one(tmp_path: Path) -> None:
    made = world(tmp_path)
    with_file(made, {day: value + 59 for day, value in told_by(made).items()})
    document = made.check()
    assert all(row["equal"] == 0 for row in document["external"])
    assert "another instrument" in checks(RunFiles(tmp_path, document)).html


def test_without_a_file_there_is_nothing_and_a_broken_one_breaks_its_check_alone(
    tmp_path: Path,
) -> None:
    made = world(tmp_path)
    document = made.check()
    assert document["external"] == []
    assert "daily file of" not in checks(RunFiles(tmp_path, document)).html
    path = tmp_path / "daily.csv"
    path.write_text("nothing, of, the, kind\n1,2,3,4\n", encoding="utf-8")
    made.scope = replace(made.scope, external=((KNOWN, str(path)),))
    document = made.check()
    assert document["external"] == []
    errors = [one["id"] for one in document["checks"] if one["status"] == "error"]
    assert errors == ["E01"]


def test_dates_are_read_unpadded_unsorted_and_with_blanks(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    text = "\ufeffdate, pm25, pm10\n2020/12/31, 120, 3\n2020/1/5, 98,\n2020/2/3, ,\n2020/1/5, 7,\n"
    path.write_text(text, encoding="utf-8")
    days = read_daily(path).with_columns(pl.col("day").cast(pl.Date)).rows()
    assert days == [(date(2020, 12, 31), 120.0), (date(2020, 1, 5), 98.0)]


def test_a_line_that_is_no_day_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    rows = ["2020/2/30, 120,", "2020/13/1, 9,", "2020/1/7, nan,", "2020/1/6, -,", "2020/1/5, 828,"]
    path.write_text("\n".join(["date, pm25, pm10, o3, no2, so2, co", *rows]), encoding="utf-8")
    days = read_daily(path).with_columns(pl.col("day").cast(pl.Date)).rows()
    assert days == [(date(2020, 1, 5), 828.0)]
