"""AQICN's daily CSV beside measured hours: the control total, from the files to the verdict.

No file that AQICN made is at hand. This one is made of AirNow's measured hours by what is known of
AQICN's numbers (floor of the mean of the hourly indices of a local day), with the csv module alone,
in the form and with the oddities of the real ones.
"""

import csv
import math
from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.product.product import SHARED, Runner

FILES = SHARED / "data" / "airnow"
YEAR = FILES / "Hanoi_PM2.5_2020_YTD.csv"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not YEAR.is_file(), reason=f"the AirNow file is not at {YEAR}"),
]
KNOTS = ((0, 0), (12, 50), (35.5, 100), (55.5, 150), (150.5, 200), (250.5, 300), (350.5, 400))


def index_of(ugm3: float) -> int:
    """Return AQICN's number for an hour: it rounds up."""
    pieces = (pair for pair in pairwise(KNOTS) if max(ugm3, 0) <= pair[1][0])
    (low, least), (high, most) = next(pieces)
    return math.ceil(round(least + (max(ugm3, 0) - low) / (high - low) * (most - least), 9))


def days_of_2020() -> dict[date, int]:
    """Return the daily numbers of every local day with 18 hours or more, QC Valid only."""
    hours: defaultdict[date, list[int]] = defaultdict(list)
    with YEAR.open(encoding="utf-8-sig", newline="") as file:
        spring_forward = False
        for row in csv.DictReader(file):
            label = datetime(int(row["Year"]), int(row["Month"]), int(row["Day"]), int(row["Hour"]))  # noqa: DTZ001 - local wall clock, as labelled
            if row["Date (LT)"] == "2020-03-08 03:00 AM" and not spring_forward:
                label -= timedelta(hours=1)  # the first of the two is really 02:00
                spring_forward = True
            if row["QC Name"] == "Valid":
                hours[label.date()].append(index_of(float(row["Raw Conc."])))
    del hours[date(2020, 8, 1)]  # ends with midnight
    return {day: sum(found) // len(found) for day, found in hours.items() if len(found) >= 18}


def test_hours_of_the_same_instrument_agree_with_a_daily_file_on_every_day(
    runner: Runner, tmp_path: Path
) -> None:
    days = days_of_2020()
    assert len(days) > 190
    told: dict[date, int | str] = {**days}
    february = [day for day in days if day.month == 2]
    told[february[3]], told[february[9]] = 828, 999  # as files have a few
    told[february[12]] = ""
    told[february[15]] = days[february[15]] + 1
    lines = [f"{day.year}/{day.month}/{day.day}, {value}, , , , , " for day, value in told.items()]
    path = tmp_path / "hanoi, us embassy-air-quality.csv"
    odd = ["2020/2/30, 7, , , , , ", "2020/7/2, , 81, 12, 4, 1, 3"]
    header = "date, pm25, pm10, o3, no2, so2, co"
    path.write_text("\n".join([header, *odd, *reversed(lines), ""]), encoding="utf-8")

    runner(
        *("source=airnow", f"source.path={FILES}", "stations.ids=[8641]", "report=none"),
        *(
            "backfill.start_date=2020-01-01",
            "backfill.end_date=2020-08-01",
            "quality.fail_on=never",
        ),
        f"+quality.external={{8641: '{path}'}}",
    )
    verdict = runner.last_json("quality/quality.json")
    months = {row["month"]: row for row in verdict["external"]}
    assert list(months) == [f"2020-0{month}" for month in range(1, 8)]
    spoilt = months.pop("2020-02")
    assert (spoilt["days"], spoilt["equal"]) == (len(february) - 1, len(february) - 4)
    assert spoilt["within"] == len(february) - 3
    for row in months.values():
        assert (row["equal"], row["within"], row["mean_difference"]) == (
            row["days"],
            row["days"],
            0,
        )
    assert sum(row["days"] for row in months.values()) >= len(days) - len(february) - 1
    check = next(one for one in verdict["checks"] if one["id"] == "E01")
    assert (check["status"], check["n_failed"]) == ("pass", 2)
