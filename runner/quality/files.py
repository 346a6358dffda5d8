"""Reads and writes the files of the contract (see the package's description)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from runner.process.files import replacing, write_text
from runner.process.secrets import masked
from runner.quality.grid import MISSING, SCHEMA, empty, utc
from runner.quality.inspect import Inspected
from runner.quality.judge import CheckResult
from runner.quality.ledger import Previous

DOCUMENT = "quality.json"
READINGS = "readings"
STATIONS = "stations"
SCHEMA_VERSIONS = (1, 2, 3)
"""Of quality.json, that can be read: `up_to_date` brings 1 and 2 into the form of 3."""
OLD_CAUSES = {"not_fetched": "not_asked", "source_empty": "empty"}
"""Names of causes in files of schema 1; what they said was guessed at times."""
_MOST_LOOKED_AT = 200
"""Earlier runs looked at for the previous one, the newest first."""
_UTC = "%Y-%m-%dT%H:%M:%SZ"
_FORMULA = r"^'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])"
_NUMBER = r"^[+-]?\d+(?:\.\d+)?$"


def up_to_date(document: dict[str, Any]) -> dict[str, Any]:
    """Return quality.json of an older schema with the names and fields of today's.

    Schema 1 had other causes; schemas 1 and 2 judged all stations together and called a check
    that was not evaluated `skip`.
    """
    if document["schema_version"] == 1 and "gaps" in document:
        missing = document["gaps"]["hours_missing"]
        document["gaps"]["hours_missing"] = {
            OLD_CAUSES.get(cause, cause): hours for cause, hours in missing.items()
        }
    old = "skip"
    for one in document.get("checks", ()):
        for judged in (one, one.get("previous") or {}):
            if judged.get("status") == old:
                judged["status"] = "not_evaluated"
        one.setdefault("n_stations", None)
        one.setdefault("worst", None)
    for held in (document, document.get("compare") or {}):
        counts = (held.get("counts") or {}).get("checks", {})
        if old in counts:
            counts["not_evaluated"] = counts.pop(old)
    return document


def readings_path(directory: Path, station_idx: int, year: int) -> Path:
    """Return the file of a station's readings in a UTC year."""
    return directory / READINGS / f"{station_idx}-{year}.parquet"


def read_readings(directory: Path, station_idx: int) -> pl.DataFrame:
    """Return the extracted readings of a station, in the order of time."""
    paths = sorted((directory / READINGS).glob(f"{station_idx}-[0-9][0-9][0-9][0-9].parquet"))
    if not paths:
        return empty()
    rows = pl.concat([pl.read_parquet(path, glob=False) for path in paths]).select(list(SCHEMA))
    ts = rows["ts"]
    if ts.null_count() == 0 and ts.is_sorted():  # but for odd documents: the files are in order
        return rows.with_columns(pl.col("ts").set_sorted())
    return rows.sort("ts", maintain_order=True)


def spreadsheet_safe(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before every text that a spreadsheet would run as a formula."""
    text = pl.col(pl.String)
    is_formula = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return frame.with_columns(pl.when(is_formula).then("'" + text).otherwise(text).name.keep())


def read_spreadsheet_safe(path: Path, schema_overrides: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows of a CSV file of ours, without those apostrophes."""
    text = pl.col(pl.String)
    is_marked = text.str.contains(_FORMULA) & text.str.starts_with("'")
    return pl.read_csv(path, glob=False, schema_overrides=schema_overrides).with_columns(
        pl.when(is_marked).then(text.str.slice(1)).otherwise(text).name.keep()
    )


def write_aggregates(directory: Path, inspected: Inspected, redact: Callable[[str], str]) -> None:
    """Write agg/*.parquet except the hours, and gaps.csv.

    Args:
        directory: `quality/` of the run.
        inspected: the tables.
        redact: takes secrets out of names and messages, as older versions stored them.

    Raises:
        OSError: a file cannot be written.
    """
    place = directory / "agg"
    place.mkdir(parents=True, exist_ok=True)
    texts = pl.col(pl.String).map_elements(redact, return_dtype=pl.String)
    stations = inspected.stations.with_columns(texts)
    days = inspected.days.with_columns(pl.col("day").cast(pl.Date))
    causes = inspected.stretches.select(
        "station_idx", utc("start").alias("start"), utc("end").alias("end"), "cause"
    )
    station_first = ("station_idx", pl.exclude("station_idx"))
    for name, table in (
        ("stations", stations),
        ("day", days.select(*station_first)),
        ("month", inspected.months.select(*station_first)),
        ("diurnal", inspected.diurnal.select(*station_first)),
        ("category", inspected.categories),
        ("cause", causes),
    ):
        _write_parquet(place / f"{name}.parquet", table)
    named = stations.select("station_idx", "name", pl.col("error").alias("detail"))
    gaps = inspected.gaps.join(named, on="station_idx", how="left", maintain_order="left")
    gaps = gaps.sort("hours", "station_idx", "start", descending=[True, False, False]).select(
        "station_idx",
        "name",
        utc("start").dt.strftime(_UTC),
        utc("end").dt.strftime(_UTC),
        "hours",
        "cause",
        *(pl.col(str(cause)).alias(f"{cause}_h") for cause in MISSING),
        "detail",
    )
    with replacing(directory / "gaps.csv") as path:
        spreadsheet_safe(gaps).write_csv(path)


def station_path(directory: Path, station_idx: int) -> Path:
    """Return the file of a station's entry in quality.json."""
    return directory / STATIONS / f"{station_idx}.json"


def write_stations(
    directory: Path,
    stations: Iterable[Mapping[str, Any]],
    results: Mapping[str, CheckResult],
    redact: Callable[[str], str],
) -> None:
    """Write stations/<station>.json: the entry of quality.json and the result of every check.

    A file names a station in a path, which is all that a notebook is given.

    Args:
        directory: of the quality files.
        stations: the entries.
        results: by check id.
        redact: takes secrets out of text.
    """
    (directory / STATIONS).mkdir(exist_ok=True)
    for one in stations:
        idx = one["station_idx"]
        judged = {
            check_id: result.judged[idx].to_json()
            for check_id, result in results.items()
            if idx in result.judged
        }
        entry = masked({**one, "judged": judged}, redact)
        text = json.dumps(entry, indent=2, ensure_ascii=False, allow_nan=False)
        path = station_path(directory, idx)
        write_text(path, text)


def write_hours(directory: Path, grids: Iterable[pl.DataFrame]) -> None:
    """Write agg/hour.parquet; nothing without a grid."""
    if pieces := list(grids):
        _write_parquet(directory / "agg" / "hour.parquet", pl.concat(pieces))


def write_failures(directory: Path, results: Mapping[str, CheckResult]) -> dict[str, str]:
    """Write failures/<id>.parquet; return the files by check id, relative to the directory."""
    made = {}
    for check_id, result in results.items():
        rows = result.tally.rows
        if rows.height:
            name = f"failures/{check_id}.parquet"
            (directory / "failures").mkdir(parents=True, exist_ok=True)
            _write_parquet(directory / name, rows)
            made[check_id] = name
    return made


def find_previous(
    compare: str, run_dir: Path, run_id: str, fingerprint: str, database: str
) -> Previous | None:
    """Return the run to compare with; None if there is none.

    Args:
        compare: `previous`, `none`, or the directory of a run.
        run_dir: of this run; earlier ones lie beside it, or beside its day.
        run_id: of this run.
        fingerprint: of its stations and range.
        database: its name.
    """
    if compare == "none":
        return None
    if compare != "previous":
        return _read_previous(Path(compare) / "quality")
    paths = [
        path
        for pattern in (f"*/*/quality/{DOCUMENT}", f"*/quality/{DOCUMENT}")
        for path in run_dir.parent.parent.glob(pattern)
        if run_dir not in path.parents
    ]
    dated = sorted(((path.stat().st_mtime, path) for path in paths), reverse=True)
    for _time, path in dated[:_MOST_LOOKED_AT]:
        found = _read_previous(path.parent)
        if found is None or found.run_id == run_id:
            continue
        config = found.document.get("config", {})
        if (config.get("fingerprint"), found.document.get("database")) == (fingerprint, database):
            return found
    return None


def _read_previous(directory: Path) -> Previous | None:
    """Return what a run left; None if it cannot be read."""
    try:
        text = (directory / DOCUMENT).read_text(encoding="utf-8")
        content: Any = json.loads(text)
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("schema_version") not in SCHEMA_VERSIONS:
        return None
    content = up_to_date(content)
    # days of older versions began an hour earlier: their digests cannot be compared
    is_new = content["schema_version"] == max(SCHEMA_VERSIONS)
    days = _frame(directory / "agg" / "day.parquet") if is_new else pl.DataFrame()
    if "day" in days.columns:
        days = days.with_columns(pl.col("day").cast(pl.Int32))
    return Previous(content, days, _frame(directory / "agg" / "stations.parquet"))


def _frame(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame()


def forget_readings(directory: Path) -> None:
    """Remove the extracted readings, and what a killed run left half written beside them."""
    if (directory / READINGS).is_dir():
        shutil.rmtree(directory / READINGS)


def _write_parquet(path: Path, table: pl.DataFrame) -> None:
    with replacing(path) as fresh:
        table.write_parquet(fresh)
