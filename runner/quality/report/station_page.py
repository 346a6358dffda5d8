"""What notebook 03 shows of one station. Reads the files of a run, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from runner.core.causes import gap_words
from runner.core.errors import ConfigError
from runner.core.text import counted
from runner.quality.report import charts as figures
from runner.quality.report.attribution import attribution, places
from runner.quality.report.html import Markup, paragraph, show, table
from runner.quality.report.run_files import RunFiles, open_run, station_of
from runner.quality.report.words import share

_MOST_GAPS = 25
_MOST_SAMPLES = 5
_HOURS = 24


@dataclass(frozen=True)
class StationPage:
    """The page of one station; every method makes one piece of it.

    Attributes:
        run: the files.
        station_idx: the station.
    """

    run: RunFiles
    station_idx: int

    @classmethod
    def of(
        cls, run_dir: str | Path | None = None, station_file: str | Path | None = None
    ) -> StationPage:
        """Open a run; by default the newest one, and in it the station that looks worst.

        Args:
            run_dir: the run; None for the run that the station's file is of.
            station_file: one of `quality/stations/`.

        Raises:
            ConfigError: there is no such run, or no such station in it.
        """
        if station_file is None:
            run = open_run(run_dir)
            if not run.stations:
                raise ConfigError("the run has no station")
            return cls(run, run.stations[0]["station_idx"])
        station_idx = station_of(Path(station_file))
        run = open_run(run_dir or Path(station_file).absolute().parents[2])
        run.station(station_idx)
        return cls(run, station_idx)

    def summary(self) -> Markup:
        """Name and numbers."""
        one = self.run.station(self.station_idx)
        window = self.run.document["window"]
        numbers = [
            ("Station", f"{self.station_idx} {one['name']}".strip()),
            ("Verdict", one["status"].upper()),
            ("Range asked for (UTC)", f"{window['start']} to {window['end']}"),
            ("Readings", f"{one['readings']:,} of {one['expected']:,} hours"),
            ("Capture", share(one["capture"])),
            ("First reading (UTC)", one["first"] or "none"),
            ("Last reading (UTC)", one["last"] or "none"),
            ("Longest gap", f"{one['longest_gap_h']:,} h"),
            ("Gaps of a day or more", one["gaps_ge_24h"]),
            ("Checkpoint", one["checkpoint"] or "none"),
            ("Last error", one["error"] or "none"),
            ("Sub-indices", ", ".join(one["keys"]) or "none"),
            ("Database, source", f"{self.run.document['database']}, {self.run.document['source']}"),
        ]
        return show("facts", facts=numbers)

    def checks(self) -> Markup:
        """What the checks found here, failures first, with examples."""
        found = self.run.findings(self.station_idx)
        if not found:
            return paragraph("No check found anything at this station.")
        blamed = self.run.station(self.station_idx)["checks"]
        rows = [
            ("FAIL" if one["id"] in blamed["fail"] else "warn", one["id"], one["title"],
             self.run.failures(one["id"], self.station_idx).height, self._examples(one))
            for one in found
        ]  # fmt: skip
        return table(("", "check", "what it looks for", "rows kept", "examples (UTC)"), rows)

    def _examples(self, check: Any) -> str:
        mine = [one for one in check["samples"] if one.get("station_idx") == self.station_idx]
        lines = []
        for sample in mine[:_MOST_SAMPLES]:
            parts = [f"{key} {value}" for key, value in sample.items() if key != "station_idx"]
            lines.append(", ".join(parts))
        return "; ".join(lines)

    def hours(self) -> Markup:
        """Every hour as a pixel."""
        hours = self.run.hours(self.station_idx)
        if not hours.height:
            return paragraph(
                "The run kept no hours of this station (quality.keep_readings=false).", "note"
            )
        marked = self.run.flags.filter(pl.col("station_idx") == self.station_idx)["day"]
        return figures.hours_image(hours, self.run.zone, set(marked))

    def course(self) -> Markup:
        """The days, with marks where a check found something."""
        days = self.run.table("day")
        if not days.height:
            return paragraph("The run kept no days.", "note")
        mine = days.filter(pl.col("station_idx") == self.station_idx).sort("day")
        if not mine["n"].sum():
            return paragraph("There is no reading in the range.", "note")
        shown = mine.select(pl.col("day").dt.strftime("%Y-%m-%d"), "median", "max")
        flags = self.flags().filter(pl.col("day").is_in(shown["day"].to_list()))
        chart = figures.daily_course(shown, flags)
        if not flags.height:
            return chart + paragraph("Blue: median of the day; grey: its largest hour.")
        named = flags.group_by("check").len().sort("check")
        marks = ", ".join(f"{check} (days: {count})" for check, count in named.iter_rows())
        return chart + paragraph(
            f"Blue: median of the day; grey: its largest hour; triangles: marked by {marks}."
        )

    def flags(self) -> pl.DataFrame:
        """Return day (text, local) and check of everything that the checks kept of this station."""
        return self.run.flags.filter(pl.col("station_idx") == self.station_idx).select(
            pl.col("day").dt.strftime("%Y-%m-%d"), "check"
        )

    def gaps(self) -> Markup:
        """The longest gaps, and why."""
        gaps = self.run.gaps(self.station_idx)
        if not gaps.height:
            return paragraph("No hour is missing.")
        longest = gaps.head(_MOST_GAPS).with_columns(
            self.run.local("start").alias("from"), self.run.local("end").alias("to")
        )
        rows = [
            (row["from"], row["to"], row["hours"], gap_words(row), row["detail"] or "")
            for row in longest.iter_rows(named=True)
        ]
        zone = self.run.zone
        shown = table((f"from ({zone})", f"to ({zone})", "hours", "cause", "detail"), rows)
        if gaps.height <= _MOST_GAPS:
            return shown
        return shown + paragraph(
            f"In gaps.csv: {counted(gaps.height - _MOST_GAPS, 'shorter gaps')}."
        )

    def hour_of_day(self) -> Markup:
        """The daily course against that of the other stations."""
        diurnal = self.run.table("diurnal")
        if not diurnal.height:
            return paragraph("The run kept no daily courses.", "note")
        own = diurnal.filter(pl.col("station_idx") == self.station_idx)
        if not own["n"].sum():
            return paragraph("There is no reading in the range.", "note")
        peers = (
            diurnal.filter(pl.col("station_idx") != self.station_idx, pl.col("n") > 0)
            .group_by("hod")
            .agg(pl.col("median").median().alias("peers"))
        )
        course = own.join(peers, on="hod", how="left").sort("hod")
        chart = figures.by_hour_of_day(course.select("hod", "q1", "median", "q3", "peers"),
                                       self.run.zone)  # fmt: skip
        others = diurnal.filter(pl.col("n") > 0)["station_idx"].n_unique() - 1
        return chart + paragraph(
            f"Blue: this station, median between the quartiles; dashed: median of "
            f"{counted(others, 'others')}."
        )

    def footer(self) -> Markup:
        """Whose readings these are."""
        return attribution(self.run.document) + places(self.run, self.station_idx)
