"""What the notebooks show, from the files of a run with known faults."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from runner.core.errors import ConfigError
from runner.core.verdict import Pages
from runner.quality.report.charts import palette_png
from runner.quality.report.digest import MOST_LINES, digest
from runner.quality.report.html import Markup, paragraph, table
from runner.quality.report.run_files import RunFiles, latest_run, open_run
from runner.quality.report.sections.coverage import coverage
from runner.quality.report.station_page import StationPage
from runner.quality.report.summary_page import SummaryPage
from tests.quality.faults import FAULTS
from tests.quality.world import KNOWN, WINDOW, World, world


def run_of(made: World, *, readings: bool = True) -> RunFiles:
    """Write the files of a run and open them."""
    made.check()
    place = made.directory / "quality" / "readings"
    if readings:
        place.mkdir()
        for idx, frame in made.frames.items():
            frame.write_parquet(place / f"{idx}-2024.parquet")
    return RunFiles.of(made.directory)


def pieces(run: RunFiles, station_idx: int = KNOWN) -> Iterator[Markup]:
    page = StationPage(run, station_idx)
    yield from (page.summary(), page.checks(), page.hours(), page.course(), page.gaps())
    yield from (page.hour_of_day(), page.footer())


@pytest.mark.parametrize("check_id", sorted(FAULTS))
def test_the_page_of_a_station_shows_whatever_a_check_keeps(tmp_path: Path, check_id: str) -> None:
    faulty = world(tmp_path)
    FAULTS[check_id].inject(faulty)
    run = run_of(faulty)
    shown = [piece.html for piece in pieces(run)]
    assert all(shown)
    blamed = run.station(KNOWN)["checks"]
    for one in (*blamed["fail"], *blamed["warn"]):
        assert f"<td>{one}</td>" in shown[1]


def test_hours_are_dense_and_say_why_one_is_missing(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    lost = {WINDOW.start + 30, WINDOW.start + 31}
    faulty.lose(lost)
    run = run_of(faulty)
    hours = run.hours(KNOWN)
    assert hours.height == WINDOW.hours
    missing = hours.filter(pl.col("aqi").is_null())
    assert missing["cause"].to_list() == ["empty"] * 2
    assert missing["ts"].dt.timestamp("ms").to_list() == [hour * 3_600_000 for hour in sorted(lost)]
    first = hours.row(0, named=True)
    assert first["hod"] == (WINDOW.start + 7) % 24


def test_without_readings_kept_the_page_has_its_days_and_a_note(tmp_path: Path) -> None:
    run = run_of(world(tmp_path), readings=False)
    shown = [piece.html for piece in pieces(run)]
    assert "kept no hours" in shown[2]
    assert "<svg " in shown[3]


def test_pages_are_the_same_for_the_same_input(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        faulty = world(tmp_path / name)
        FAULTS["T01"].inject(faulty)
        run = run_of(faulty)
        air = SummaryPage(run)
        made.append([piece.html for piece in pieces(run)])
        made[-1] += [air.categories().html, air.exceedances().html, air.seasons().html]
    assert made[0] == made[1]


def test_the_air_is_summed_up_with_a_named_scale_and_named_limits(tmp_path: Path) -> None:
    page = SummaryPage(run_of(world(tmp_path)))
    assert "aqicn_pm25" in page.introduction().html
    assert "WHO 2021" in page.exceedances().html
    scale = page.scale().html
    assert "<td>51 to" not in scale  # a breakpoint is where one line ends and the next begins
    assert "<td>50 to 100</td><td>12 to 35.5</td>" in scale
    assert "40 CFR 58, appendix G" in scale
    assert "aqicn.org/faq" in scale
    assert "svg" in page.hour_of_day().html


def test_micrograms_are_worked_back_by_the_scale_that_the_indices_are_on(tmp_path: Path) -> None:
    one = world(tmp_path, stations=(KNOWN, 8767))
    one.ledgers[KNOWN] = replace(one.ledgers[KNOWN], scale="vn_aqi")
    one.change(pl.lit(value=True), pm25=pl.lit(150.0), pm10=pl.lit(90.0))
    run = run_of(one)
    means = dict(
        run.table("day").group_by("station_idx").agg(pl.col("pm25_ugm3").mean()).iter_rows()
    )
    assert means[KNOWN] == pytest.approx(80.0)  # decision 1459/QD-TCMT: 150 is 80 µg/m³
    assert run.document["scale"] == "aqicn_pm25, vn_aqi_pm25"
    assert [run.station(idx)["scale"] for idx in (KNOWN, 8767)] == ["vn_aqi", "aqicn"]
    page = SummaryPage(run)
    assert "VN_AQI, Viet Nam" in page.introduction().html
    assert "index (vn_aqi_pm25)" in page.scale().html
    assert "index (aqicn_pm25)" in page.scale().html
    one.ledgers[KNOWN] = replace(one.ledgers[KNOWN], scale="somebody's")
    unknown = one.check()
    judged = json.loads((run.directory / "stations" / f"{KNOWN}.json").read_text("utf-8"))
    assert judged["judged"]["X02"]["status"] == "not_evaluated"
    assert "somebody's" in unknown["scale"]


def test_days_above_a_limit_are_counted_by_year_and_by_the_limit_of_their_date(
    tmp_path: Path,
) -> None:
    run = run_of(world(tmp_path, stations=(KNOWN,)))
    path = run.directory / "agg" / "day.parquet"
    days = pl.read_parquet(path).head(4)
    path.unlink()
    days.with_columns(
        pl.Series(
            "day", [date(2024, 5, 1), date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2)]
        ),
        pl.Series("pm25_ugm3", [51.0, 48.0, 48.0, 14.0]),
        pl.lit(18).alias("pm25_n"),
    ).write_parquet(path)
    html = SummaryPage(RunFiles.of(tmp_path)).exceedances().html
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in html.split("<tr>")[2:]]
    assert [(row[1], row[2], *row[4:]) for row in rows] == [
        ("2024", "1", "1 (100.0 %)", "1 (100.0 %)"),
        ("2025", "1", "1 (100.0 %)", "0 (0 %)"),
        ("2026", "2", "1 (50.0 %)", "1 (50.0 %)"),
    ]


def test_a_day_has_the_hours_01_to_24_and_a_month_cut_short_has_no_colour(tmp_path: Path) -> None:
    faulty = world(tmp_path, stations=(KNOWN,))
    faulty.lose(set(range(WINDOW.end - 50, WINDOW.end)))
    run = run_of(faulty)
    hours = run.hours(KNOWN).with_columns(local=pl.col("ts") + pl.duration(hours=7))
    midnight = hours.filter(pl.col("local").dt.hour() == 0)
    assert set(midnight["hod"]) == {24}
    assert (midnight["day"] == (midnight["local"].dt.date().dt.offset_by("-1d"))).all()
    whole = run.table("day").filter(pl.col("expected") == 24)
    assert whole.height == 121  # from the first hour 01:00 to the last 24:00 of the range
    html = coverage(run).html
    assert re.search(r'class="c0" title="Jul 2023: 0 of 6 h, too few for a month', html)
    assert not re.search(r'class="c1"', html)


def test_the_hours_of_an_older_run_are_labelled_anew(tmp_path: Path) -> None:
    run = run_of(world(tmp_path, stations=(KNOWN,)))
    path = run.directory / "agg" / "hour.parquet"
    old = {"day": [date(2024, 1, 2)] * 2, "hod": [0, 1], "aqi": [1.0, 2.0]}
    path.unlink(missing_ok=True)
    pl.DataFrame(old).write_parquet(path)
    kept = run.table("hour")
    assert kept.rows() == [(date(2024, 1, 1), 24, 1.0), (date(2024, 1, 2), 1, 2.0)]


def test_the_worst_station_comes_first(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    FAULTS["C03"].inject(faulty)
    run = run_of(faulty)
    assert run.stations[0]["station_idx"] == KNOWN
    assert run.with_findings[0] == KNOWN
    with pytest.raises(ConfigError, match="424242"):
        run.station(424242)


def test_a_station_is_named_by_its_file_in_whatever_run(tmp_path: Path) -> None:
    run = run_of(world(tmp_path))
    file = run.directory / "stations" / "8767.json"
    for page in (StationPage.of(None, file), StationPage.of(str(tmp_path), str(file))):
        assert (page.run.directory, page.station_idx) == (run.directory, 8767)
    assert StationPage.of(tmp_path).station_idx == run.stations[0]["station_idx"]
    kept = json.loads(file.read_text("utf-8"))
    judged = kept.pop("judged")
    assert kept == run.station(8767)
    assert judged["V01"]["status"] == "pass"
    assert judged["E01"] == {
        "status": "not_evaluated", "n_failed": 0, "n_evaluated": 0, "share": None, "month": None,
        "message": "no daily file is named in quality.external",
    }  # fmt: skip
    for broken in ("", "[]", '{"station_idx": "x"}'):
        file.write_text(broken)
        with pytest.raises(ConfigError, match=r"quality/stations/8767\.json"):
            StationPage.of(tmp_path, file)
    file.write_text('{"station_idx": 424242}')
    with pytest.raises(ConfigError, match="424242"):
        StationPage.of(tmp_path, file)


def test_everything_from_outside_is_escaped() -> None:
    hostile = "<script>x</script>\x1b[31m & \u202e"
    for made in (paragraph(hostile), table(("a", hostile), [(hostile, None)])):
        assert "<script" not in made.html
        assert "\x1b" not in made.html
        assert "\u202e" not in made.html


@pytest.mark.parametrize("check_id", ["C03", "K01", "V03"])
def test_the_digest_is_short_and_shows_names_as_they_are(tmp_path: Path, check_id: str) -> None:
    faulty = world(tmp_path)
    FAULTS[check_id].inject(faulty)
    document = json.loads(json.dumps(faulty.check()))
    for one in document["stations"]:
        one["name"] = "<b>`Đà Nẵng`</b> | *x*"
    text = digest(document)
    assert len(text.splitlines()) <= MOST_LINES
    assert "<b>" not in text
    assert "Đà Nẵng" in text
    assert check_id in text


def test_the_newest_run_is_the_one_with_the_latest_name(tmp_path: Path) -> None:
    for name in ("2026-01-02/08-00-00-000000", "2026-01-02/07-00-00-000000", "2026-01-03/01-00"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert latest_run([tmp_path]) is None
    for name in ("2026-01-02/08-00-00-000000", "2026-01-02/07-00-00-000000"):
        made = tmp_path / "runs" / name / "quality"
        made.mkdir()
        (made / "quality.json").write_text("{}")
    assert latest_run([tmp_path / "none", tmp_path]) == (
        tmp_path / "runs" / "2026-01-02" / "08-00-00-000000"
    )


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": 4}', "\xff"])
def test_a_directory_without_a_verdict_is_refused_in_words(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError):
        open_run(tmp_path)
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality" / "quality.json").write_text(content, "latin-1")
    with pytest.raises(ConfigError, match=r"quality\.json"):
        open_run(tmp_path)


def test_an_image_is_a_png_of_its_pixels() -> None:
    made = palette_png([b"\x00\x01", b"\x01\x00"], ("#000000", "#ffffff"))
    assert made.startswith(b"\x89PNG\r\n\x1a\n")
    assert made[16:24] == (2).to_bytes(4, "big") + (2).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("pages", "lines", "failed"),
    [
        (Pages("r.html"), ["Report: r.html"], False),
        (Pages("r.html", problems=("a", "b")), ["Report: a", "Report: b", "Report: r.html"], False),
        (Pages(error="x"), ["Report: NOT MADE: x; job=report tries again"], False),
        (Pages(error="x", required=True), ["Report: NOT MADE: x; job=report tries again"], True),
    ],
)
def test_a_person_is_told_the_path_last(pages: Pages, lines: list[str], *, failed: bool) -> None:
    told: list[Any] = pages.lines
    assert told == lines
    assert pages.failed is failed
