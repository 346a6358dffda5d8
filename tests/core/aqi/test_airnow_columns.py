"""AirNow's own NowCast and AQI columns, hour by hour: 47,000 measured hours of two consulates.

The columns stand beside the raw concentration in the published files (2016 to 2020, so with the
breakpoints of 2012). They are nobody's input here: an independent answer to the same questions.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from runner.core.aqi import SCALES
from runner.core.readings import Reason
from runner.sources.airnow.files import read_file
from tests.core.aqi.columns import index_of, nowcast_of

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "airnow"
YEARS = (
    *(f"Hanoi_PM2.5_{year}_YTD.csv" for year in (2016, 2017, 2018, 2020)),
    *(f"HoChiMinhCity_PM2.5_{year}_YTD.csv" for year in (2017, 2019)),
)

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the published AirNow files are not at ../shared/data/airnow"
)


def hours_of(name: str) -> pl.DataFrame:
    """Return a row for every hour: `raw` (where it is a measurement), `nowcast` and `aqi`."""
    file = read_file(DATA / name)
    places = {column: str(place) for place, column in enumerate(file.columns)}
    told = file.cells.select(
        pl.int_range(pl.len()).alias("position"),
        pl.col(places["NowCast Conc."]).str.strip_chars().cast(pl.Float64).alias("nowcast"),
        pl.col(places["AQI"]).str.strip_chars().cast(pl.Int64).alias("aqi"),
    )
    measured = pl.col("reason").is_null() | (pl.col("reason") == Reason.BELOW_ZERO.value)
    raw = pl.when(measured).then("value").alias("raw")
    rows = file.rows.join(told, on="position").select("hour", raw, "nowcast", "aqi")
    every = pl.DataFrame({"hour": range(file.rows["hour"].min(), file.last_hour + 1)})  # type: ignore[arg-type]  # an integer
    return every.join(rows.unique("hour", keep="first"), on="hour", how="left").sort("hour")


@pytest.mark.parametrize("name", YEARS)
def test_the_aqi_column_is_the_2012_index_of_the_nowcast_column_without_exception(
    name: str,
) -> None:
    told = hours_of(name).filter(pl.col("nowcast") >= 0, pl.col("aqi") >= 0)
    table = SCALES["epa_2012"].tables["pm25", "nowcast"]
    other = told.filter(index_of(pl.col("nowcast"), table).ne_missing(pl.col("aqi")))
    assert told.height > 5000
    assert other.rows() == []


@pytest.mark.parametrize("name", YEARS)
def test_the_nowcast_column_is_the_nowcast_of_the_hours_before(name: str) -> None:
    """Within a tenth: some files are truncated to it, others rounded. The exceptions are hours
    after the beginning of a file, whose hours before are not in it, and around gaps."""
    hours = hours_of(name).with_columns(nowcast_of(pl.col("raw")).alias("ours"))
    both = hours.filter(pl.col("nowcast") >= 0, pl.col("ours").is_not_null())
    near = both.filter((pl.col("ours") - pl.col("nowcast")).abs() < 0.1 + 1e-9)
    assert both.height > 5000
    assert near.height / both.height > 0.995


def test_no_other_edition_gives_that_column() -> None:
    told = hours_of("Hanoi_PM2.5_2020_YTD.csv").filter(pl.col("nowcast") >= 0, pl.col("aqi") >= 0)
    for name, averaging in (("epa_2024", "nowcast"), ("vn_aqi", "nowcast"), ("aqicn", "1h")):
        table = SCALES[name].tables["pm25", averaging]
        equal = told.filter(index_of(pl.col("nowcast"), table) == pl.col("aqi")).height
        assert equal / told.height < 0.9, name


@pytest.mark.parametrize("name", YEARS)
def test_aqicn_s_hour_is_another_number_than_airnow_s(name: str) -> None:
    """AQICN takes the raw hour, AirNow twelve: they met in 6 of 111 hours of 2021."""
    told = hours_of(name).filter(pl.col("raw") >= 0, pl.col("aqi") >= 0)
    hour = index_of(pl.col("raw"), SCALES["aqicn"].tables["pm25", "1h"])
    assert told.filter(hour == pl.col("aqi")).height / told.height < 0.1
