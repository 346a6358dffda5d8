"""The files a run left under `quality/`, as a page or an analyst in a notebook reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from runner.core.errors import ConfigError
from runner.core.outcome import ATTRIBUTIONS
from runner.core.text import harmless
from runner.quality.files import (
    DOCUMENT,
    OLD_CAUSES,
    READINGS,
    SCHEMA_VERSIONS,
    read_readings,
    read_spreadsheet_safe,
    up_to_date,
)
from runner.quality.grid import (
    HOUR,
    POLLUTANTS,
    day_of,
    first_and_last_day,
    hour_label,
    numeric,
    usable,
    utc,
)

_HOUR_MS = 3_600_000
_WORST_FIRST = ("fail", "warn", "pass")
_LOCAL = "%Y-%m-%d %H:%M"
_FLAGS = {"station_idx": pl.Int64, "day": pl.Date, "check": pl.String}


@dataclass(frozen=True)
class RunFiles:
    """A finished run.

    Attributes:
        directory: its `quality/`.
        document: its quality.json.
    """

    directory: Path
    document: Mapping[str, Any]

    @classmethod
    def of(cls, run_dir: Path) -> RunFiles:
        """Open the files of a run directory.

        Raises:
            ConfigError: it holds no quality.json that can be read.
        """
        path = run_dir / "quality" / DOCUMENT
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path} cannot be read: {error}", hint="A run directory has quality/quality.json"
            ) from None
        version = document.get("schema_version") if isinstance(document, dict) else None
        if version not in SCHEMA_VERSIONS:
            raise ConfigError(f"{path} is no quality.json of version 1, 2 or 3")
        return cls(path.parent, up_to_date(document))

    @cached_property
    def attributions(self) -> Sequence[Mapping[str, Any]]:
        """Whose measurements these are, by place; nothing where the source did not say."""
        try:
            text = (self.directory.parent / ATTRIBUTIONS).read_text(encoding="utf-8")
            kept = json.loads(text).get("attributions")
        except (OSError, ValueError, AttributeError):
            return ()
        return [one for one in kept if isinstance(one, dict)] if isinstance(kept, list) else ()

    @property
    def offset_h(self) -> int:
        """Hours that local time is ahead of UTC."""
        return int(self.document["window"]["utc_offset_hours"])

    @property
    def zone(self) -> str:
        """Local time as shown to a person: UTC+7."""
        return f"UTC{self.offset_h:+d}" if self.offset_h else "UTC"

    @cached_property
    def stations(self) -> Sequence[Mapping[str, Any]]:
        """The stations of quality.json, those first that look worst."""
        return sorted(
            self.document["stations"],
            key=lambda one: (
                _WORST_FIRST.index(one["status"]),
                -len(one["checks"]["fail"]),
                -len(one["checks"]["warn"]),
                1.0 if one["capture"] is None else one["capture"],
                one["station_idx"],
            ),
        )

    @cached_property
    def by_capture(self) -> Sequence[Mapping[str, Any]]:
        """The stations, the least captured first: one order for all that lists stations."""
        return sorted(
            self.document["stations"],
            key=lambda one: (
                -1.0 if one["capture"] is None else one["capture"],
                one["station_idx"],
            ),
        )

    @cached_property
    def names(self) -> Mapping[int, str]:
        """The stations' names."""
        return {one["station_idx"]: one["name"] or "" for one in self.document["stations"]}

    @cached_property
    def short_titles(self) -> Mapping[str, str]:
        """The checks' titles up to a colon: `Flat lines`."""
        return {one["id"]: one["title"].partition(":")[0] for one in self.document["checks"]}

    @property
    def with_findings(self) -> list[int]:
        """The stations that a check blames, the worst first."""
        return [one["station_idx"] for one in self.stations if one["status"] != "pass"]

    def station(self, station_idx: int) -> Mapping[str, Any]:
        """Return a station's entry in quality.json.

        Raises:
            ConfigError: the run did not look at it.
        """
        for one in self.document["stations"]:
            if one["station_idx"] == station_idx:
                return {**one, "name": harmless(one["name"] or "")}
        raise ConfigError(f"station {station_idx} is not in {self.directory / DOCUMENT}")

    def table(self, name: str) -> pl.DataFrame:
        """Return agg/<name>.parquet; without a row and a column where there is none."""
        path = self.directory / "agg" / f"{name}.parquet"
        if not path.is_file():
            return pl.DataFrame()
        return _with_labels(_with_causes(pl.read_parquet(path, glob=False)))

    @property
    def window(self) -> tuple[int, int]:
        """First and last-but-one hour of the range, hours since 1970, half-open."""
        window = self.document["window"]
        start, end = (
            pl.Series([window[side]]).str.to_datetime("%Y-%m-%dT%H:%M:%SZ").dt.timestamp("ms")[0]
            for side in ("start", "end")
        )
        return start // _HOUR_MS, end // _HOUR_MS

    def gaps(self, station_idx: int | None = None) -> pl.DataFrame:
        """Return the rows of gaps.csv, of one station or of all, the longest first."""
        path = self.directory / "gaps.csv"
        if not path.is_file():
            return pl.DataFrame()
        types = {"station_idx": pl.Int64, "name": pl.String, "detail": pl.String}
        return (
            _with_causes(read_spreadsheet_safe(path, types))
            .filter(True if station_idx is None else pl.col("station_idx") == station_idx)
            .with_columns(
                pl.col("start", "end").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
            )
        )

    def hours(self, station_idx: int) -> pl.DataFrame:
        """Return every hour of the range: ts (UTC), day (local), hod, aqi, cause.

        From the extracted readings and agg/cause.parquet, else from agg/hour.parquet; no row if
        the run kept neither.
        """
        if any((self.directory / READINGS).glob(f"{station_idx}-*.parquet")):
            return self._hours_of_readings(station_idx)
        kept = self.table("hour")
        if "station_idx" in kept.columns:
            return kept.filter(pl.col("station_idx") == station_idx).drop("station_idx")
        return pl.DataFrame(
            schema={
                "ts": pl.Datetime("ms", "UTC"),
                "day": pl.Date,
                "hod": pl.Int8,
                "aqi": pl.Float32,
                "cause": pl.String,
            }
        )

    def _hours_of_readings(self, station_idx: int) -> pl.DataFrame:
        start, end = self.window
        values = (
            numeric(read_readings(self.directory, station_idx))
            .select(HOUR.alias("hour"), *map(usable, ("aqi", *POLLUTANTS)))
            .unique("hour", keep="first", maintain_order=True)
        )
        grid = pl.DataFrame({"hour": pl.int_range(start, end, eager=True)})
        local = pl.col("hour") + self.offset_h
        return (
            grid.join(values, on="hour", how="left", maintain_order="left")
            .join(self._causes(station_idx), on="hour", how="left", maintain_order="left")
            .select(
                utc("hour", "ts"),
                day_of(local).cast(pl.Date).alias("day"),
                hour_label(local).alias("hod"),
                "aqi",
                pl.when(pl.col("aqi").is_null()).then("cause").alias("cause"),
                *POLLUTANTS,
            )
        )

    def _causes(self, station_idx: int) -> pl.DataFrame:
        """Return hour and cause of every missing hour.

        Runs of an older version kept the most frequent cause of every gap alone.
        """
        gaps = self.table("cause")
        if gaps.width:
            gaps = gaps.filter(pl.col("station_idx") == station_idx)
        else:
            gaps = self.gaps(station_idx)
        if not gaps.height:
            return pl.DataFrame(schema={"hour": pl.Int64, "cause": pl.String})
        hour = [pl.col(side).dt.timestamp("ms") // _HOUR_MS for side in ("start", "end")]
        return (
            gaps.select(pl.int_ranges(*hour).alias("hour"), "cause")
            .explode("hour")
            .unique("hour", keep="first", maintain_order=True)
        )

    def findings(self, station_idx: int) -> list[Mapping[str, Any]]:
        """Return the checks of quality.json that blame a station, failures first."""
        blamed = self.station(station_idx)["checks"]
        ids = [*blamed["fail"], *blamed["warn"]]
        checks = {one["id"]: one for one in self.document["checks"]}
        return [checks[one] for one in ids if one in checks]

    def failures(self, check_id: str, station_idx: int) -> pl.DataFrame:
        """Return the rows of a station that a check kept; without a row where it kept none."""
        path = self.directory / "failures" / f"{check_id}.parquet"
        if not path.is_file():
            return pl.DataFrame()
        rows = pl.read_parquet(path, glob=False)
        if "station_idx" not in rows.columns:
            return pl.DataFrame()
        return rows.filter(pl.col("station_idx") == station_idx)

    @cached_property
    def flags(self) -> pl.DataFrame:
        """Return what checks found by day: station_idx, day (local), check; each once."""
        pieces = [pl.DataFrame(schema=_FLAGS)]
        for check in self.document["checks"]:
            path = self.directory / "failures" / f"{check['id']}.parquet"
            if check["stations"] and path.is_file():
                pieces.append(self._days_of(pl.read_parquet(path, glob=False), check))
        return pl.concat(pieces).unique().sort("station_idx", "day", "check")

    def _days_of(self, rows: pl.DataFrame, check: Mapping[str, Any]) -> pl.DataFrame:
        """Return the local days of the rows of a check, at the stations that it blames."""
        if "station_idx" not in rows.columns or "month" in rows.columns:  # no day is to blame
            return pl.DataFrame(schema=_FLAGS)
        days = first_and_last_day(rows, self.offset_h)
        return (
            rows.select(pl.col("station_idx").cast(pl.Int64))
            .with_columns(
                pl.date_ranges(days["first"].cast(pl.Date), days["last"].cast(pl.Date)).alias(
                    "day"
                ),
                pl.lit(check["id"]).alias("check"),
            )
            .filter(pl.col("station_idx").is_in(list(check["stations"])))
            .explode("day")
            .drop_nulls()
        )

    def local(self, column: str) -> pl.Expr:
        """Return a column of UTC instants as text on the local clock, the same for every viewer."""
        return (pl.col(column) + pl.duration(hours=self.offset_h)).dt.strftime(_LOCAL)


def station_of(path: Path) -> int:
    """Return the station that a file of `quality/stations/` is about.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["station_idx"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            hint="A station's file is quality/stations/<station index>.json in a run directory",
        ) from None


def latest_run(places: Iterable[Path]) -> Path | None:
    """Return the newest run with a quality.json under `runs/` of the first place that has one.

    The names of run directories are their times, which copying does not change.
    """
    for directory in places:
        found = sorted((directory / "runs").glob(f"*/*/quality/{DOCUMENT}"))
        if found:
            return found[-1].parent.parent
    return None


def open_run(run_dir: str | Path | None) -> RunFiles:
    """Return the run in a directory; by default the newest one under `runs/`, here or above.

    Raises:
        ConfigError: there is none.
    """
    chosen = Path(run_dir) if run_dir else latest_run([Path.cwd(), *Path.cwd().parents])
    if chosen is None:
        raise ConfigError("there is no finished run under runs/, here or above", hint="Set RUN_DIR")
    return RunFiles.of(chosen)


def _with_labels(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a table with hours 1..24 of the day; older runs called the last one 0 of the next."""
    if "hod" not in rows.columns:
        return rows
    is_last = pl.col("hod") == 0
    if "day" in rows.columns:
        rows = rows.with_columns(pl.col("day") - pl.duration(days=is_last.cast(pl.Int64)))
    return rows.with_columns(pl.when(is_last).then(24).otherwise("hod").alias("hod"))


def _with_causes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a table of a run of schema 1 with today's names of causes; others as they are."""
    names = {f"{old}{end}": f"{new}{end}" for old, new in OLD_CAUSES.items() for end in ("", "_h")}
    rows = rows.rename(names, strict=False)
    if "cause" not in rows.columns:
        return rows
    return rows.with_columns(pl.col("cause").replace(OLD_CAUSES))
