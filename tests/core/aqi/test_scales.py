"""The published tables and worked examples of every scale."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from runner.core.aqi import BANDS, SCALES, Scale
from runner.core.aqi.breakpoints import converted

EPA_2012, EPA_2024, VN_AQI, AQICN = (
    SCALES[name] for name in ("epa_2012", "epa_2024", "vn_aqi", "aqicn")
)

TABLE_5 = {
    ("o3", "8h", "ppm"): "0-50 .000-.054|51-100 .055-.070|101-150 .071-.085|151-200 .086-.105"
    "|201-300 .106-.200",
    ("o3", "1h", "ppm"): "101-150 .125-.164|151-200 .165-.204|201-300 .205-.404"
    "|301-400 .405-.504|401-500 .505-.604",
    ("pm25", "24h", "ug/m3"): "0-50 0.0-12.0|51-100 12.1-35.4|101-150 35.5-55.4|151-200 55.5-150.4"
    "|201-300 150.5-250.4|301-400 250.5-350.4|401-500 350.5-500.4",
    ("pm10", "24h", "ug/m3"): "0-50 0-54|51-100 55-154|101-150 155-254|151-200 255-354"
    "|201-300 355-424|301-400 425-504|401-500 505-604",
    ("co", "8h", "ppm"): "0-50 0.0-4.4|51-100 4.5-9.4|101-150 9.5-12.4|151-200 12.5-15.4"
    "|201-300 15.5-30.4|301-400 30.5-40.4|401-500 40.5-50.4",
    ("so2", "1h", "ppb"): "0-50 0-35|51-100 36-75|101-150 76-185|151-200 186-304",
    ("so2", "24h", "ppb"): "201-300 305-604|301-400 605-804|401-500 805-1004",
    ("no2", "1h", "ppb"): "0-50 0-53|51-100 54-100|101-150 101-360|151-200 361-649"
    "|201-300 650-1249|301-400 1250-1649|401-500 1650-2049",
}
"""EPA-454/B-18-007, table 5, as printed."""

TABLE_6 = {
    **{key: TABLE_5[key] for key in TABLE_5 if key[:2] in {("o3", "8h"), ("so2", "1h")}},
    ("o3", "1h", "ppm"): "101-150 .125-.164|151-200 .165-.204|201-300 .205-.404|301-500 .405-.604",
    ("pm25", "24h", "ug/m3"): "0-50 0.0-9.0|51-100 9.1-35.4|101-150 35.5-55.4|151-200 55.5-125.4"
    "|201-300 125.5-225.4|301-500 225.5-325.4",
    ("pm10", "24h", "ug/m3"): "0-50 0-54|51-100 55-154|101-150 155-254|151-200 255-354"
    "|201-300 355-424|301-500 425-604",
    ("co", "8h", "ppm"): "0-50 0.0-4.4|51-100 4.5-9.4|101-150 9.5-12.4|151-200 12.5-15.4"
    "|201-300 15.5-30.4|301-500 30.5-50.4",
    ("so2", "24h", "ppb"): "201-300 305-604|301-500 605-1004",
    ("no2", "1h", "ppb"): "0-50 0-53|51-100 54-100|101-150 101-360|151-200 361-649"
    "|201-300 650-1249|301-500 1250-2049",
}
"""EPA-454/B-24-002, table 6, with the concentrations at 500 from the footnote of appendix G."""


def index_of(scale: Scale, pollutant: str, value: float, unit: str, averaging: str) -> int | None:
    table = scale.tables[pollutant, averaging]
    return table.index(converted(value, unit, table.unit, pollutant))


@pytest.mark.parametrize(
    ("scale", "printed"), [(EPA_2012, TABLE_5), (EPA_2024, TABLE_6)], ids=["2018", "2024"]
)
def test_both_ends_of_every_printed_row_have_the_printed_index(
    scale: Scale, printed: Mapping[tuple[str, str, str], str]
) -> None:
    for (pollutant, averaging, unit), rows in printed.items():
        for row in rows.split("|"):
            indices, concentrations = row.split()
            for index, concentration in zip(
                indices.split("-"), concentrations.split("-"), strict=True
            ):
                found = index_of(scale, pollutant, float(concentration), unit, averaging)
                assert found == int(index), (pollutant, averaging, row)


@pytest.mark.parametrize("scale", [EPA_2012, EPA_2024], ids=["epa_2012", "epa_2024"])
@pytest.mark.parametrize(
    ("pollutant", "value", "averaging", "index"),
    [
        ("o3", 0.07853333, "8h", 126),
        ("o3", 0.078, "8h", 126),
        ("pm25", 35.9, "24h", 102),
        ("pm25", 35.92431999, "24h", 102),
        ("co", 8.4, "8h", 90),
        ("co", 8.47532711, "8h", 90),
    ],
)
def test_epa_s_worked_examples(
    scale: Scale, pollutant: str, value: float, averaging: str, index: int
) -> None:
    """EPA-454/B-18-007, "Using the table and equation": 126, 102, 90, the largest is 126."""
    unit = scale.tables[pollutant, averaging].unit
    assert index_of(scale, pollutant, value, unit, averaging) == index


def test_ozone_of_one_hour_is_rounded_to_the_nearest_index_too() -> None:
    """148 is quoted for 0.162 ppm (R package con2aqi, from EPA's document of 2016). The line gives
    147.487, and the rule of the documents, nearest, 147; not compared with the printed page."""
    assert index_of(EPA_2012, "o3", 0.162, "ppm", "1h") == 147


def test_the_index_of_the_air_is_the_largest_sub_index() -> None:
    assert EPA_2012.aqi([("o3", 126), ("pm25", 102), ("co", 90)]) == 126
    assert EPA_2012.aqi([("o3", None), ("o3", 148)]) == 148
    assert EPA_2012.aqi([("o3", None)]) is None
    assert EPA_2012.aqi([]) is None


@pytest.mark.parametrize(
    ("value", "before", "since"),
    [
        (9.0, 38, 50),
        (9.05, 38, 50),
        (9.1, 38, 51),
        (12.0, 50, 56),
        (15.0, 57, 62),
        (45.0, 124, 124),
        (50.0, 137, 137),
        (111.7, 180, 190),
        (96.9, 172, 180),
    ],
)
def test_the_change_of_may_2024_moves_pm25(value: float, before: int, since: int) -> None:
    assert index_of(EPA_2012, "pm25", value, "ug/m3", "24h") == before
    assert index_of(EPA_2024, "pm25", value, "ug/m3", "24h") == since


@pytest.mark.parametrize(
    ("scale", "pollutant", "value", "averaging", "index"),
    [
        (EPA_2012, "pm25", 500.5, "24h", 500),
        (EPA_2012, "pm25", 600.0, "24h", 566),
        (EPA_2024, "pm25", 325.5, "24h", 500),
        (EPA_2024, "pm25", 425.3, "24h", 699),
        (EPA_2012, "pm10", 704.0, "24h", 600),
        (EPA_2012, "no2", 3000.0, "1h", 736),
    ],
)
def test_beyond_500_the_hazardous_line_goes_on(
    scale: Scale, pollutant: str, value: float, averaging: str, index: int
) -> None:
    unit = scale.tables[pollutant, averaging].unit
    assert index_of(scale, pollutant, value, unit, averaging) == index


@pytest.mark.parametrize("scale", [EPA_2012, EPA_2024], ids=["epa_2012", "epa_2024"])
def test_blank_places_of_epa_s_tables_have_no_index(scale: Scale) -> None:
    assert index_of(scale, "o3", 0.201, "ppm", "8h") is None
    assert index_of(scale, "o3", 0.124, "ppm", "1h") is None
    assert index_of(scale, "so2", 304, "ppb", "24h") is None
    assert index_of(scale, "so2", 400, "ppb", "1h") == 200


VN_TABLE_2 = {
    ("o3", "1h"): (0, 160, 200, 300, 400, 800, 1000, 1200),
    ("o3", "8h"): (0, 100, 120, 170, 210, 400),
    ("co", "1h"): (0, 10000, 30000, 45000, 60000, 90000, 120000, 150000),
    ("so2", "1h"): (0, 125, 350, 550, 800, 1600, 2100, 2630),
    ("no2", "1h"): (0, 100, 200, 700, 1200, 2350, 3100, 3850),
    ("pm10", "24h"): (0, 50, 150, 250, 350, 420, 500, 600),
    ("pm25", "24h"): (0, 25, 50, 80, 150, 250, 350, 500),
}


def test_vn_aqi_s_table_2_has_the_printed_indices() -> None:
    for (pollutant, averaging), column in VN_TABLE_2.items():
        for value, index in zip(column, (0, 50, 100, 150, 200, 300, 400, 500), strict=False):
            assert index_of(VN_AQI, pollutant, value, "ug/m3", averaging) == index
        top = column[-1]
        above = None if averaging == "8h" else 500
        assert index_of(VN_AQI, pollutant, top * 1.5, "ug/m3", averaging) == above


@pytest.mark.parametrize(
    ("pollutant", "value", "averaging", "index"),
    [
        ("o3", 136.1, "1h", 43),
        ("pm25", 20.3, "nowcast", 41),
        ("o3", 89.3, "8h", 45),
        ("o3", 114.6, "1h", 36),
        ("no2", 130.8, "1h", 65),
        ("pm25", 55.7, "24h", 110),
    ],
)
def test_vn_aqi_s_worked_examples(pollutant: str, value: float, averaging: str, index: int) -> None:
    """Decision 1459/QD-TCMT, 2.3 b (an hour) and c (a day, 110)."""
    assert index_of(VN_AQI, pollutant, value, "ug/m3", averaging) == index


def test_vn_aqi_s_example_of_nitrogen_dioxide_is_one_less_here() -> None:
    """2.3 b prints 60 for 118.7; the formula gives 59.35, and the same text rounds 65.4 to 65."""
    assert index_of(VN_AQI, "no2", 118.7, "ug/m3", "1h") == 59


def test_vn_aqi_needs_particles() -> None:
    assert VN_AQI.aqi([("no2", 65), ("o3", 45)]) is None
    assert VN_AQI.aqi([("no2", 65), ("pm10", None)]) is None
    assert VN_AQI.aqi([("no2", 65), ("o3", 45), ("o3", 36), ("pm25", 110)]) == 110


def test_every_index_has_one_band_and_its_label_says_which() -> None:
    lowest = 0
    for band in BANDS[:-1]:
        assert band.label == f"{lowest}-{band.highest}"
        lowest = int(band.highest) + 1
    assert (BANDS[-1].label, BANDS[-1].highest) == (f"{lowest}+", math.inf)
    assert BANDS[2].title == "Unhealthy for sensitive groups · Kém"


def test_a_unit_is_converted_where_the_table_has_another() -> None:
    assert index_of(EPA_2024, "o3", 154.0, "µg/m³", "8h") == 126  # 0.0784 ppm
    assert index_of(EPA_2024, "o3", 78.5, "ppb", "8h") == 126
    assert index_of(EPA_2024, "co", 909.0, "µg/m³", "8h") == 8  # 0.79 ppm
    assert index_of(VN_AQI, "co", 10.0, "mg/m3", "1h") == 50


def test_every_scale_names_its_source() -> None:
    for name, scale in SCALES.items():
        assert scale.name == name
        assert len(scale.source) > 20
        names = {table.name for table in scale.tables.values()}
        assert all(other is scale or not names & {t.name for t in other.tables.values()}
                   for other in SCALES.values())  # fmt: skip
