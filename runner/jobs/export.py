"""job=export: write stored readings to files that pandas and openair read in one line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import polars as pl

from runner.config.export import FileFormat, Shape
from runner.core.aqi import SCALES
from runner.core.aqi.aqicn import AQICN
from runner.core.checkpoint import Checkpoint
from runner.core.concentrations import CONTEXT_H, POLLUTANTS, Series, indices_of
from runner.core.errors import ConfigError
from runner.core.intervals import Interval, hour_of, iso
from runner.core.outcome import Outcome
from runner.core.stations import Station
from runner.core.text import counted
from runner.jobs.choosing import choose_stations
from runner.process.files import replacing, write_text
from runner.process.job import Job
from runner.process.secrets import masked
from runner.quality.files import spreadsheet_safe
from runner.quality.grid import HOUR_MS, KNOWN_KEYS
from runner.quality.inputs import years
from runner.quality.report.run_files import RunFiles, latest_run
from runner.sources import providers
from runner.store.database import Store, open_store

READINGS = "readings"
_DAY_MS = 24 * HOUR_MS
_NO_INDEX = 1e6
ABOUT = "ABOUT.md"

_STATION = {
    "station_idx": (pl.Int32, "station index of AQICN"),
    "name": (pl.String, "name of the station"),
    "lat": (pl.Float64, "degrees north; empty if unknown"),
    "lon": (pl.Float64, "degrees east; empty if unknown"),
    "ts": (pl.Datetime("ms", "UTC"), "label of the hour, its end, UTC"),
    "local": (pl.String, "the same label on the wall clock there"),
}
_ORIGIN = {
    "scale": (pl.String, "scale of the indices (below)"),
    "source": (pl.String, "source of the hour; empty if several sources wrote here"),
    "flags": (pl.String, "checks of the newest verdict that flag this local day, as `V02,T01`"),
}
_WIDE = {
    **_STATION,
    "aqi": (pl.Int32, "index of the air; empty if the scale has none for the hour"),
    **{f"aqi_{one}": (pl.Int32, f"sub-index of {one}") for one in POLLUTANTS},
    **{one: (pl.Float64, f"concentration of {one}, where it is kept") for one in POLLUTANTS},
    **{f"{one}_unit": (pl.String, f"unit of {one}") for one in POLLUTANTS},
    **_ORIGIN,
}
_LONG = {
    **_STATION,
    "pollutant": (pl.String, f"`aqi` (the index of the air) or {', '.join(POLLUTANTS)}"),
    "index": (pl.Int32, "index of the air, or sub-index"),
    "concentration": (pl.Float64, "concentration, where it is kept"),
    "unit": (pl.String, "unit of the concentration"),
    **_ORIGIN,
}
_COLUMNS: dict[Shape, Mapping[str, tuple[Any, str]]] = {Shape.wide: _WIDE, Shape.long: _LONG}
_READ = {
    FileFormat.parquet: f'pandas.read_parquet("{READINGS}")\narrow::open_dataset("{READINGS}")',
    FileFormat.csv: f'pandas.read_csv("{READINGS}.csv", parse_dates=["ts"])\n'
    f'transform(read.csv("{READINGS}.csv"), date = as.POSIXct(ts, "UTC", "%Y-%m-%dT%H:%M:%SZ"))',
}


def run(job: Job) -> Outcome:
    """Write the readings of the chosen stations and range to `export.dir`.

    Raises:
        ConfigError: no station is chosen, or the directory holds something.
        StoreError: MongoDB could not answer.
    """
    place = Path(job.config.export.dir)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigError(
            f"export.dir={place} holds something, which may be another export",
            hint="Name another directory, or empty this one",
        )
    with open_store(job) as store:
        stations = choose_stations(job, store).stations
        export = _Export(
            job, store, store.checkpoints.load([one.idx for one in stations], with_empty=False)
        )
        windows = [(station, export.window_of(station)) for station in stations]
        chosen = [(station, window) for station, window in windows if window]
        hours = sum(window.hours for _station, window in chosen)
        job.tell(
            f"Export: {counted(hours, 'station-hours')} of {counted(len(chosen), 'stations')} "
            f"from {job.place}"
        )
        if job.config.dry_run or not chosen:
            job.tell("Nothing was written." if chosen else "Nothing is covered: nothing to export.")
            return job.outcome()
        place.mkdir(parents=True, exist_ok=True)
        rows = export.write(chosen, place)
        about = export.about(chosen, rows)
    write_text(place / ABOUT, about)
    job.tell(f"{counted(rows, 'rows')} written to {place}; {place / ABOUT} describes them")
    return job.outcome()


class _Export:
    """One export: a year of a station is in memory at a time."""

    def __init__(self, job: Job, store: Store, checkpoints: Mapping[int, Checkpoint]) -> None:
        self._job = job
        self._store = store
        self._settings = job.config.export
        self._checkpoints = checkpoints
        self._flat = store.flat(POLLUTANTS, KNOWN_KEYS)
        self._columns = _COLUMNS[self._settings.shape]
        self._without = 0

    def window_of(self, station: Station) -> Interval | None:
        """Return the hours of a station: the range typed, else all that is covered."""
        if any(word.startswith("backfill") for word in self._job.context.overrides):
            return self._job.wanted
        found = self._checkpoints.get(station.idx)
        covered = found.covered if found else ()
        return Interval(covered[0].start, covered[-1].end) if covered else None

    def write(self, chosen: Iterable[tuple[Station, Interval]], place: Path) -> int:
        """Write a file per station, or one of all as CSV; return how many rows there are."""
        rows = 0
        with ExitStack() as opened:
            stream: IO[bytes] | None = None
            if self._settings.format is FileFormat.csv:
                path = opened.enter_context(replacing(place / f"{READINGS}.csv"))
                stream = opened.enter_context(path.open("wb"))
            else:
                (place / READINGS).mkdir()
            for station, window in chosen:
                frames = []
                for piece in years(window):
                    self._job.stop.check()
                    frame = self._frame(station, piece)
                    rows += frame.height
                    if stream is None:
                        frames.append(frame)
                    else:
                        self._append(frame, stream)
                if frames:
                    with replacing(place / READINGS / f"{station.idx}.parquet") as path:
                        pl.concat(frames).write_parquet(path)
        return rows

    def _append(self, frame: pl.DataFrame, stream: IO[bytes]) -> None:
        spreadsheet_safe(frame).write_csv(
            stream, include_header=stream.tell() == 0, datetime_format="%Y-%m-%dT%H:%M:%SZ"
        )

    def _frame(self, station: Station, window: Interval) -> pl.DataFrame:
        """Return the rows of a station in a part of its range, in order of time."""
        records = list(self._records(station, window))
        schema = {name: kind for name, (kind, _words) in self._columns.items()}
        if self._settings.shape is Shape.long:
            records = [row for record in records for row in _long(record)]
        return pl.DataFrame(
            {name: [one.get(name) for one in records] for name in schema}, schema, strict=False
        )

    def _records(self, station: Station, window: Interval) -> Iterator[dict[str, Any]]:
        """Yield one wide record per hour."""
        kept, series = self._kept(station, window)
        stored = {one["ts"]: one for one in self._flat.of(station.idx, window) if one["ts"]}
        there = {hour * HOUR_MS for hour in kept if window.start <= hour < window.end}
        about = {"station_idx": station.idx, "name": station.name}
        about |= {"lat": station.latitude, "lon": station.longitude}
        for ts in sorted(stored.keys() | there):
            hour, found = ts // HOUR_MS, stored.get(ts, {})
            measured = kept.get(hour, {}) if ts % HOUR_MS == 0 else {}
            record = {**about, "ts": ts, "local": found.get("s") or measured.get("local")}
            yield record | {
                **self._indices(found, measured, series, hour),
                **measured.get("values", {}),
                "source": measured.get("source") or self._only_source,
                "flags": self._flags.get((station.idx, (ts + self._offset_ms) // _DAY_MS)),
            }

    def _indices(
        self, stored: Mapping[str, Any], measured: Mapping[str, Any], series: Series, hour: int
    ) -> dict[str, Any]:
        """Return the indices of an hour: as they are stored, or computed on `export.scale`."""
        scale = self._settings.scale
        if scale is None:
            found = {"aqi": _whole(stored.get("aqi"))}
            found |= {f"aqi_{one}": _whole(stored.get(one)) for one in POLLUTANTS}
            return found | {"scale": measured.get("scale") or AQICN.name}
        if not measured:
            self._without += 1
            return {"scale": scale}
        aqi, indices = indices_of(series, hour, scale)
        return {"aqi": aqi, **{f"aqi_{k}": v for k, v in indices.items()}, "scale": scale}

    def _kept(self, station: Station, window: Interval) -> tuple[dict[int, dict[str, Any]], Series]:
        """Return the concentrations that decide: by hour for a record, by pollutant for a scale."""
        hours: dict[int, dict[str, Any]] = {}
        series: Series = defaultdict(dict)
        before = Interval(window.start - CONTEXT_H, window.end)
        for one in self._store.concentrations.of(station.idx, before):
            hour = hour_of(one["ts"])
            if hour in hours:  # of another source, with which no reading was made
                continue
            values: dict[str, Any] = {}
            for item in one["measured"]:
                name, value, unit = item["pollutant"], item["value"], item["unit"]
                if item["decides"] and name in POLLUTANTS:
                    values |= {name: value, f"{name}_unit": unit}
                    series[name][hour] = (value, unit)
            hours[hour] = {
                "values": values,
                "local": one["local"].get("s"),
                "scale": one["scale"],
                "source": one["source"],
            }
        return hours, series

    @cached_property
    def _only_source(self) -> str | None:
        """The one source that ever wrote to the database; None if there are several."""
        found = self._store.runs.sources()
        return found[0] if len(found) == 1 else None

    @cached_property
    def _verdict(self) -> RunFiles | None:
        """The newest verdict on this database here; None without one."""
        newest = latest_run([Path.cwd()])
        run = RunFiles.of(newest) if newest else None
        is_ours = run is not None and run.document.get("database") == self._job.database_name
        return run if is_ours else None

    @cached_property
    def _flags(self) -> dict[tuple[int, int], str]:
        """Checks by station and local day."""
        if self._verdict is None:
            return {}
        days = self._verdict.flags.with_columns(pl.col("day").cast(pl.Int32))
        merged = days.group_by("station_idx", "day").agg(pl.col("check").unique().sort())
        return {(idx, day): ",".join(checks) for idx, day, checks in merged.iter_rows()}

    @property
    def _offset_ms(self) -> int:
        return self._verdict.offset_h * HOUR_MS if self._verdict else 0

    def about(self, chosen: Sequence[tuple[Station, Interval]], rows: int) -> str:
        """Return the data dictionary, with whose the readings are and under which licence."""
        job, settings = self._job, self._settings
        start = min(window.start for _station, window in chosen)
        end = max(window.end for _station, window in chosen)
        contents = f"{counted(rows, 'rows')} of {counted(len(chosen), 'stations')}, {iso(start)} to"
        contents += f" {iso(end)} (excluded), from {job.database_name}, on {job.started_at:%F}."
        scale = settings.scale
        used = SCALES[scale] if scale else None
        lines = [
            "# Exported air-quality readings",
            "",
            contents,
            "",
            "An hour that has no reading has no row. "
            + (
                f"Indices: computed from the kept concentrations on {used.title} ({used.source}); "
                f"{self._without:,} hours have none."
                if used
                else "Indices: as stored, on the scale named in `scale`."
            ),
            "",
            "```",
            _READ[settings.format],
            "```",
            "",
            "## Columns",
            "",
            "| column | what |",
            "|---|---|",
            *(f"| `{name}` | {words} |" for name, (_kind, words) in self._columns.items()),
        ]
        scales = [f"- `{one.name}`: {one.title}. {one.source}" for one in SCALES.values()]
        lines += ["", "## Scales", "", *scales]
        flags = sorted({one for found in self._flags.values() for one in found.split(",")})
        if flags:
            checks = self._verdict.document["checks"] if self._verdict else ()
            titles = {check["id"]: check["title"] for check in checks}
            lines += ["", "## Flags", "", *(f"- `{one}`: {titles.get(one, '')}" for one in flags)]
        lines += ["", "## Whose readings these are", "", *self._credits(chosen)]
        return str(masked("\n".join(lines), job.redact))

    def _credits(self, chosen: Sequence[tuple[Station, Interval]]) -> Iterator[str]:
        """Yield a line for every source and every place of the stations."""
        known = {name: text for one in providers().values() for name, text in one.credits.items()}
        names, places = self._store.runs.credits()
        yield from (f"- {known.get(name, name)}" for name in names)
        ids = {station.idx for station, _window in chosen}
        for place in places:
            if place.get("station_idx") in ids:
                said = [f"location {place.get('location')}", place.get("name")]
                said += [place.get("provider"), place.get("owner")]
                for one in place.get("licences") or ():
                    said += [one.get("name"), one.get("attribution"), one.get("url")]
                words = "; ".join(dict.fromkeys(str(one) for one in said if one))
                yield f"- Station {place['station_idx']}: {words}"


def _whole(value: float | None) -> int | None:
    """Return an index as the whole number that it is; None for what no index can be."""
    return round(value) if value is not None and abs(value) < _NO_INDEX else None


def _long(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one record per pollutant that has an index or a concentration, and one of the air."""
    for name in ("aqi", *POLLUTANTS):
        index = record.get("aqi" if name == "aqi" else f"aqi_{name}")
        concentration = None if name == "aqi" else record.get(name)
        if index is None and concentration is None:
            continue
        row = {column: record.get(column) for column in (*_STATION, *_ORIGIN)}
        unit = record.get(f"{name}_unit")
        row |= {"pollutant": name, "index": index, "concentration": concentration, "unit": unit}
        yield row
