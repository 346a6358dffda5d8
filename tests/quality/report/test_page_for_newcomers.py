"""A page says where a finding is, when it was, what it means, and whose the readings are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from runner.quality.catalogue import ADVICE
from runner.quality.report.attribution import attribution
from runner.quality.report.charts import hours_image
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections import (
    calendar,
    coverage,
    header,
    next_steps,
    provenance,
    verdict,
)
from runner.quality.report.sections.checks import when
from runner.quality.report.sections.coverage import YEARS_ABREAST
from tests.quality.faults import FAULTS
from tests.quality.report.pages import Reader, page
from tests.quality.world import KNOWN, WINDOW, world

_UNITS = "station|hour|gap|day|month|check|reading|request|window|record|step|calendar"
FLAWS = [
    {"station_idx": KNOWN, "kind": "flat_line",
     "start": "2023-04-30T17:00:00Z", "end": "2023-05-01T17:00:00Z"},
]  # fmt: skip


def run_with(place: Path, check_id: str, **document: Any) -> RunFiles:
    """Return the run of a world with one fault; some of its quality.json is changed."""
    place.mkdir()
    made = world(place)
    FAULTS[check_id].inject(made)
    path = place / "quality" / "quality.json"
    told = made.check() | document
    path.write_text(json.dumps(told), encoding="utf-8")
    return RunFiles.of(place)


def test_a_finding_shows_in_verdict_checks_calendar_and_station(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", "T01")
    texts = Reader(page(tmp_path / "run", tmp_path)).texts
    name = f"Station {KNOWN}"
    span = "2023-05-01 07:00 to 2023-05-02 23:00"  # 40 hours from midnight UTC
    assert span in texts["verdict"]
    assert name in texts["verdict"]
    assert span in texts["checks"]
    assert ADVICE["T01"] in texts["checks"]
    assert "▲ T01 Stuck: 2023-05-01" in texts["calendar"]
    assert "T01 Stuck" in texts["stations"]
    assert f"stations.ids=[{KNOWN}]" in next_steps(run).html
    assert texts["calendar"].count("▲") == 1


@pytest.mark.parametrize("check_id", ["C02", "C04", "E01", "K01", "R05", "T04", "T05"])
def test_whatever_a_check_keeps_its_times_are_told_or_left_out(
    tmp_path: Path, check_id: str
) -> None:
    run = run_with(tmp_path / "run", check_id)
    for check in run.document["checks"]:
        told = when(check, run.offset_h, {})
        assert "Z" not in told
        if told:
            assert re.match(r"(station \d+: )?(\d{4}-\d\d-\d\d|[A-Z][a-z]{2} \d{4})", told), told
    assert set(run.flags["day"].is_null()) <= {False}
    calendar(run)


@pytest.mark.parametrize(
    ("samples", "total", "told"),
    [
        ([{"start": "2024-01-01T17:00:00Z", "hours": 24}], 1,
         "2024-01-02 00:00 to 2024-01-03 00:00"),
        ([{"start": "2024-01-01T17:00:00Z", "end": "2024-01-01T20:00:00Z", "hours": 3}] * 2, 2,
         "2024-01-02 00:00 to 03:00"),
        ([{"ts": f"2024-01-01T{hour}:00:00Z"} for hour in (19, 17, 18)], 3,
         "2024-01-02 00:00 to 03:00"),
        ([{"ts": "2024-01-01T17:00:00Z"}], 5, "2024-01-02 00:00 and others"),
        ([{"day": f"2024-01-0{day}"} for day in (1, 2, 3)], 3, "2024-01-01, 2024-01-02 and 1 more"),
        ([{"month": "2024-05"}], 1, "May 2024"),
        ([{"ts": "2024-03-01T17:00:00Z"}, {"ts": "2024-01-01T17:00:00Z"}], 2,
         "2024-03-02 00:00, 2024-01-02 00:00"),  # the worst first, as the examples are
        ([{"station_idx": 5, "month": "2024-05"}, {"station_idx": 1, "month": "2024-04"}], 2,
         "station 5: May 2024 and others"),
        ([{"share": 0.5}], 1, ""),
        ([], 0, ""),
    ],
)  # fmt: skip
def test_times_are_joined_and_local(samples: list[Any], total: int, told: str) -> None:
    assert when({"samples": samples, "samples_total": total}, 7, {}) == told


def test_days_are_marked_where_something_was_found_and_nowhere_else(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", "C04")
    (gap,) = [one for one in run.document["checks"] if one["id"] == "C04"]
    flags = run.flags.filter(pl.col("check") == "C04")
    assert set(flags["station_idx"]) == set(gap["stations"])
    hours = run.table("hour").filter(pl.col("station_idx") == KNOWN)
    missing = hours.filter(pl.col("cause").is_not_null())
    assert set(flags["day"]) == set(missing["day"])
    with_marks, without = (
        hours_image(hours, "UTC+7", marks).html for marks in (set(flags["day"]), ())
    )
    assert "height:208px" in with_marks
    assert "A mark below a day" in with_marks
    assert "height:192px" in without
    assert "the source had nothing" in without
    assert "source empty" not in without


def test_the_page_names_the_scale_that_its_indices_are_on(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", "T01")
    for section in (header, provenance):
        assert "AQICN InstantCast" in section(run).html
    told = {"attributions": [{"station_idx": KNOWN, "location": 1, "scale": "epa_2024"}]}
    (tmp_path / "run" / "attributions.json").write_text(json.dumps(told), encoding="utf-8")
    path = tmp_path / "run" / "quality" / "quality.json"
    made = json.loads(path.read_text("utf-8"))
    for one in made["stations"]:  # as an older version left it
        del one["scale"]
    path.write_text(json.dumps(made), encoding="utf-8")
    run = RunFiles.of(tmp_path / "run")
    for section in (header, provenance):
        assert "on the scale US EPA since 6 May 2024" in section(run).html
        assert "InstantCast" not in section(run).html
        assert "2012" not in section(run).html


def test_the_page_says_which_source_stored_the_readings_and_for_when(tmp_path: Path) -> None:
    stored = {"providers": ["airnow"], "start": "2016-01-01T00:00:00Z",
              "end": "2018-01-01T00:00:00Z"}  # fmt: skip
    stations = [{"station_idx": idx, "source": "airnow", **stored} for idx in (KNOWN, 8767)]
    origin = {"providers": ["airnow"], "flaws": [], "stations": stations}
    html = provenance(run_with(tmp_path / "run", "T01", origin=origin)).html
    assert "airnow: 2 stations, asked for 2016-01-01T00:00:00Z to 2018-01-01T00:00:00Z" in html
    assert "AirNow (airnow.gov)" in html


def test_faults_on_purpose_are_announced_before_anything_else(tmp_path: Path) -> None:
    origin = {"providers": ["invented"], "flaws": FLAWS, "api_fails_on_purpose": True}
    run = run_with(tmp_path / "run", "T01", origin=origin)
    told = header(run).html
    assert "SYNTHETIC DATA" in told
    assert "on purpose" in told
    assert "a flat line" in told
    assert "2023-05-01 00:00 to 2023-05-02 00:00" in told
    assert f'href="#station{KNOWN}"' in told
    assert "The API failed on purpose, too" in told
    calm = run_with(tmp_path / "calm", "T01", origin={"providers": ["invented"], "flaws": []})
    assert "on purpose" not in header(calm).html
    assert "SYNTHETIC DATA" in header(calm).html


@pytest.mark.parametrize(
    ("document", "told", "never"),
    [
        ({"source": "sandbox", "origin": {"providers": ["invented"]}}, "Synthetic", "AirNow"),
        ({"source": "sandbox", "origin": {"providers": ["airnow"]}}, "AirNow", "ynthetic"),
        ({"source": "sandbox"}, "does not say which", "Synthetic"),
        ({"source": "airnow", "origin": {}}, "AirNow", "sandbox"),
        ({"source": "replay", "origin": {"providers": ["aqicn"]}}, "World Air Quality", "replay"),
        ({"source": "aqicn", "origin": {"providers": ["sandbox"]}}, "sandbox", "World Air"),
        ({"source": "sandbox", "origin": {"providers": ["airnow"], "flaws": FLAWS}}, "on purpose",
         "ynthetic"),
    ],
)  # fmt: skip
def test_readings_are_attributed_to_who_made_them(
    document: Mapping[str, Any], told: str, never: str
) -> None:
    html = attribution({"database": "air", "stations": [], **document}).html
    assert told in html
    assert never not in html


def test_years_of_coverage_stand_in_blocks_that_fit_a_sheet(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", "T01")
    month = run.table("month")
    one = month.filter(pl.col("month") == "2023-05")
    years = range(2012, 2023)
    pieces = [
        one.with_columns(month=pl.lit(f"{year}-{number:02}"))
        for year in years for number in range(1, 13)
    ]  # fmt: skip
    pl.concat(pieces).write_parquet(run.directory / "agg" / "month.parquet")
    html = coverage(RunFiles.of(tmp_path / "run")).html
    tables = html.split('<table class="months">')[1:]
    assert len(tables) == 3
    assert sum(table.count('<td class="c') for table in tables) == 11 * 12 * 5
    for table in tables:
        assert table.count("colspan=") <= YEARS_ABREAST
    assert [re.findall(r">(\d{4})</th>", table)[0] for table in tables] == ["2012", "2016", "2020"]


def test_one_is_singular_on_the_page(tmp_path: Path) -> None:
    made = world(tmp_path / "run", stations=(KNOWN,))
    made.lose({WINDOW.start + 50})
    made.check()
    html = page(tmp_path / "run", tmp_path)
    for text in Reader(html).texts.values():
        assert not re.search(rf"(?<![\d,. ])1 ({_UNITS})(-\w+)?s\b", text)
    assert "of 42 checks" in verdict(RunFiles.of(tmp_path / "run")).html


@pytest.mark.parametrize("months", [1, 4, 14, 36])
def test_a_narrow_screen_has_room_for_the_labels_below_the_hours(months: int) -> None:
    days = pl.date_range(pl.date(2023, 1, 15), pl.date(2023, 1, 15).dt.offset_by(f"{months}mo"))
    hours = pl.select(days.alias("day")).with_columns(
        pl.lit(0, pl.Int8).alias("hod"),
        pl.lit(40.0).alias("aqi"),
        pl.lit(None, pl.String).alias("cause"),
    )
    labels = re.findall(
        r'<span( class="rare")? style="left:([\d.]+)%">', hours_image(hours, "").html
    )
    assert 1 <= sum(not rare for rare, _left in labels) <= 4
    assert len(labels) <= 12
    assert all(float(left) < 94 for _rare, left in labels)
