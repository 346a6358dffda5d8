"""job=export: stored readings in files that other programs read in one line."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pymongo.database import Database

from runner.cli.main import main

Mongo = Database[dict[str, Any]]
STATION = 8641
BEGIN = datetime(2024, 5, 1, tzinfo=UTC)
HOURS = 48
GAP = 30
"""This hour has no reading; its concentration is kept."""
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "howto" / "export.md"


def document(hour: int) -> dict[str, Any]:
    ts = BEGIN + timedelta(hours=hour)
    local = (ts + timedelta(hours=7)).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "ts": ts,
        "meta": {"station_idx": STATION},
        "aqi": 100,
        "time": {"s": local, "tz": "+07:00"},
        "iaqi": {"pm25": {"v": 100}},
    }


def kept(hour: int) -> dict[str, Any]:
    measured = {"pollutant": "pm25", "value": 35.4, "unit": "ug/m3", "location": 1, "sensor": 2}
    return {
        "station_idx": STATION,
        "ts": BEGIN + timedelta(hours=hour),
        "source": "openaq",
        "scale": "aqicn",
        "local": document(hour)["time"],
        "measured": [{**measured, "coverage": 100.0, "decides": True}],
    }


@pytest.fixture
def place(tmp_path: Path, database: Mongo, mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and a database with two days of a station, a gap and a credit."""
    hours = [hour for hour in range(HOURS) if hour != GAP]
    database["waqi_station_readings"].insert_many([document(hour) for hour in hours])
    database["ingest_concentrations"].insert_many([kept(hour) for hour in range(HOURS)])
    point = {"coordinates": [105.82, 21.02]}
    database["waqi_stations"].insert_one(
        {"_id": STATION, "city": {"name": "=Hà Nội", "geo": point}}
    )
    database["ingest_checkpoints"].insert_one(
        {
            "station_idx": STATION,
            "last_processed_ts": BEGIN + timedelta(hours=HOURS),
            "start_ts": BEGIN,
            "target_end_ts": BEGIN + timedelta(hours=HOURS),
            "status": "completed",
        }
    )
    licence = {"name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}
    credit = {"station_idx": STATION, "location": 1, "owner": "An owner", "licences": [licence]}
    database["ingest_runs"].insert_one(
        {
            "source": "openaq",
            "planned": {},
            "started_at": BEGIN,
            "outcome": {"attributions": [credit]},
        }
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    monkeypatch.setenv("MONGO_DB", database.name)
    return tmp_path


def export(*words: str) -> int:
    return main(["job=export", f"stations.ids=[{STATION}]", *words])


def test_what_is_covered_is_written_with_indices_concentrations_and_a_dictionary(
    place: Path,
) -> None:
    assert export() == 0
    rows = pl.read_parquet(place / "export" / "readings" / "*.parquet")
    assert rows.height == HOURS
    assert rows["ts"].to_list() == [BEGIN + timedelta(hours=hour) for hour in range(HOURS)]
    first = rows.row(0, named=True)
    assert (first["station_idx"], first["name"], first["lat"]) == (STATION, "=Hà Nội", 21.02)
    assert (first["local"], first["aqi"], first["aqi_pm25"]) == ("2024-05-01 07:00:00", 100, 100)
    assert (first["pm25"], first["pm25_unit"]) == (35.4, "ug/m3")
    assert (first["scale"], first["source"], first["flags"]) == ("aqicn", "openaq", None)
    gap = rows.row(GAP, named=True)
    assert (gap["aqi"], gap["pm25"]) == (None, 35.4)
    about = (place / "export" / "ABOUT.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", about, re.MULTILINE) == rows.columns
    assert "An owner" in about
    assert "CC BY 4.0" in about


def test_indices_are_computed_anew_on_another_scale_from_what_is_kept(place: Path) -> None:
    words = ("export.scale=vn_aqi", "export.shape=long", "export.format=csv")
    assert export(*words, "backfill.start_date=2024-05-01", "backfill.end_date=2024-05-02") == 0
    rows = pl.read_csv(place / "export" / "readings.csv")
    assert set(rows["pollutant"]) == {"aqi", "pm25"}
    assert rows["scale"].unique().to_list() == ["vn_aqi"]
    # 35.4 ug/m3 between 25 (50) and 50 (100); the first hour has no second one for NowCast.
    assert rows.filter(pl.col("pollutant") == "aqi")["index"].to_list() == [71] * 23
    assert set(rows["name"]) == {"'=Hà Nội"}  # a spreadsheet runs no formula
    assert rows["ts"].to_list()[-1] == "2024-05-01T23:00:00Z"


def test_nothing_is_written_over_and_a_dry_run_writes_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("dry_run=true") == 0
    assert "48 station-hours of 1 station" in capsys.readouterr().out
    assert not (place / "export").exists()
    (place / "export").mkdir()
    (place / "export" / "mine.txt").touch()
    assert export() == 2
    assert "holds something" in capsys.readouterr().err
    assert [path.name for path in (place / "export").iterdir()] == ["mine.txt"]
    assert export("export.scale=mine", "export.dir=other") == 2


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_the_lines_of_the_document_read_an_export(place: Path, library: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed: the runner does not need it")
    assert export() == 0
    assert export("export.format=csv", "export.dir=export_csv") == 0
    assert place == Path.cwd()
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (block,) = (text for text in blocks if f"import {library}" in text)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - the document's
    assert len(names["rows"]) == len(names["same"]) == HOURS
