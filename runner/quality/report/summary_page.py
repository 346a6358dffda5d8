"""What notebook 04 shows: the air itself, as far as these readings tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import polars as pl

from runner.core.aqi import BANDS, SCALES
from runner.core.aqi.aqicn import AQICN
from runner.core.text import counted, harmless
from runner.quality.grid import breakpoints
from runner.quality.report import charts as figures
from runner.quality.report.attribution import SCALE_SOURCE, attribution, scale_in_words, scales_of
from runner.quality.report.html import Markup, paragraph, table
from runner.quality.report.run_files import RunFiles, open_run
from runner.quality.report.words import share

_MOST_STATIONS = 40
_HOURS_OF_A_VALID_DAY = 18
"""75 % of 24 hours (40 CFR 50, appendix N)."""
_DAYS_OF_A_VALID_MONTH = 20
_CLEAN = [band.label for band in BANDS[:2]]

LIMITS = (
    ("WHO 2021 guideline", ((date.min, 15.0),),
     "WHO global air quality guidelines 2021: 24-hour mean of PM2.5, 15 µg/m³"),
    ("QCVN 05:2023", ((date.min, 50.0), (date(2026, 1, 1), 45.0)),
     "QCVN 05:2023/BTNMT: 24-hour mean of PM2.5, 50 µg/m³; 45 from 2026 on"),
)  # fmt: skip
"""Name, µg/m³ from which day on, source."""


def _above(limits: Sequence[tuple[date, float]]) -> pl.Expr:
    """Return whether a day's mean is above the limit of its date."""
    limit = pl.lit(None, pl.Float64)
    for begins, ugm3 in limits:
        limit = pl.when(pl.col("day") >= begins).then(ugm3).otherwise(limit)
    return pl.col("pm25_ugm3") > limit


@dataclass(frozen=True)
class SummaryPage:
    """The page; every method makes one piece of it.

    Attributes:
        run: the files.
    """

    run: RunFiles

    @classmethod
    def of(cls, run_dir: str | Path | None = None) -> SummaryPage:
        """Open a run; by default the newest one.

        Raises:
            ConfigError: there is none.
        """
        return cls(open_run(run_dir))

    def introduction(self) -> Markup:
        """What the numbers are."""
        document = self.run.document
        counts, window = document["counts"], document["window"]
        return paragraph(
            f"{counted(counts['readings'], 'readings')} of "
            f"{counted(counts['stations'], 'stations')}, "
            f"{window['start']} to {window['end']} (UTC), from {document['source']}. "
            "Not validated by the agencies that measured them."
        ) + paragraph(
            f"Index: {scale_in_words(self.run)}. PM2.5 in µg/m³ is worked back from "
            f"its sub-index (scale {document['scale']}). Days and hours are {self.run.zone}. "
            "A mean of indices is not the index of a mean: days are averaged in µg/m³."
        )

    def _names(self) -> pl.DataFrame:
        listed = [
            (one["station_idx"], f"{one['station_idx']} {harmless(one['name'] or '')}".strip()[:60])
            for one in self.run.document["stations"]
        ]
        schema = {"station_idx": pl.Int64, "station": pl.String}
        return pl.DataFrame(listed, schema=schema, orient="row")

    def categories(self) -> Markup:
        """Hours in every band, the stations with the dirtiest air first."""
        held = self.run.table("category")
        if not held.height or not held["hours"].sum():
            return paragraph("There is no reading in the range.", "note")
        order = (
            held.group_by("station_idx")
            .agg(
                pl.col("hours").sum().alias("all"),
                pl.col("hours").filter(~pl.col("category").is_in(_CLEAN)).sum()
                .alias("bad"),
            )
            .filter(pl.col("all") > 0)
            .sort((pl.col("bad") / pl.col("all")), "station_idx", descending=[True, False])
        )  # fmt: skip
        shown = order.head(_MOST_STATIONS).join(held, on="station_idx", maintain_order="left_right")
        shares = shown.join(self._names(), on="station_idx", how="left", maintain_order="left")
        chart = figures.shares_of_bands(
            shares.select("station", "category", (pl.col("hours") / pl.col("all")).alias("share"))
        )
        left = order.height - _MOST_STATIONS
        return (
            chart + paragraph(f"Not shown: {counted(left, 'cleaner stations')}.")
            if left > 0
            else chart
        )

    def _valid_days(self) -> pl.DataFrame:
        days = self.run.table("day")
        if not days.height:
            return days
        return days.filter(pl.col("pm25_n") >= _HOURS_OF_A_VALID_DAY).sort("station_idx", "day")

    def exceedances(self) -> Markup:
        """Days above the limits, by station and year: WHO and QCVN count per calendar year."""
        days = self._valid_days()
        if not days.height:
            return paragraph("No day has 18 hours of PM2.5.", "note")
        year = pl.col("day").dt.year().alias("year")
        counted = (
            days.group_by("station_idx", year, maintain_order=True)
            .agg(
                pl.len().cast(pl.Int64).alias("days"),
                pl.col("pm25_ugm3").mean().alias("mean"),
                *(_above(limits).sum().cast(pl.Int64).alias(name) for name, limits, _s in LIMITS),
            )
            .with_columns(pl.col("mean").mean().over("station_idx").alias("all"))
            .join(self._names(), on="station_idx", how="left")
            .sort("all", "station_idx", "year", descending=[True, False, False])
        )
        rows = [
            (row["station"], str(row["year"]), row["days"], row["mean"],
             *(f"{row[name]:,} ({share(row[name] / row['days'])})" for name, _l, _s in LIMITS))
            for row in counted.iter_rows(named=True)
        ]  # fmt: skip
        columns = [f"days above {name}" for name, _limits, _source in LIMITS]
        sources = "; ".join(source for _name, _limits, source in LIMITS)
        return table(("station", "year", "valid days", "mean µg/m³", *columns), rows) + paragraph(
            f"A valid day has {_HOURS_OF_A_VALID_DAY} of its hours 01 to 24 with PM2.5. {sources}."
        )

    def hour_of_day(self) -> Markup:
        """The daily course of the middle station."""
        diurnal = self.run.table("diurnal")
        if not diurnal.height or not diurnal["n"].sum():
            return paragraph("There is no reading in the range.", "note")
        course = (
            diurnal.group_by("hod")
            .agg(
                pl.col("median").quantile(0.25, "linear").alias("q1"),
                pl.col("median").median(),
                pl.col("median").quantile(0.75, "linear").alias("q3"),
            )
            .sort("hod")
            .with_columns(pl.lit(None, pl.Float64).alias("peers"))
        )
        return figures.by_hour_of_day(course, self.run.zone) + paragraph(
            "Median of the stations' medians, between their quartiles."
        )

    def seasons(self) -> Markup:
        """Mean PM2.5 of every month, over the stations that have enough days in it."""
        days, every = self._valid_days(), self.run.table("month")
        if not days.height:
            return paragraph("No day has 18 hours of PM2.5.", "note")
        month = pl.col("day").dt.strftime("%Y-%m").alias("month")
        means = (
            days.group_by("station_idx", month, maintain_order=True)  # sums depend on the order
            .agg(pl.len().alias("days"), pl.col("pm25_ugm3").mean().alias("ugm3"))
            .filter(pl.col("days") >= _DAYS_OF_A_VALID_MONTH)
            .group_by("month", maintain_order=True)
            .agg(pl.col("ugm3").mean(), pl.len().alias("stations"))
        )
        dense = every.select("month").unique().sort("month")
        shown = dense.join(means, on="month", how="left", maintain_order="left")
        if shown["ugm3"].null_count() == shown.height:
            return paragraph(
                f"No station has a month with {_DAYS_OF_A_VALID_MONTH} valid days.", "note"
            )
        return figures.by_month(shown) + paragraph(
            f"Mean over the stations with at least {_DAYS_OF_A_VALID_MONTH} valid days in a month; "
            "a month without a bar has no such station."
        )

    def scale(self) -> Markup:
        """The scale behind the µg/m³: breakpoints, an interval a row, and sources."""
        shown = Markup("")
        for name in scales_of(self.run.document) or [AQICN.name]:
            found = breakpoints(name, "pm25")
            if found is None:
                shown += paragraph(f"The scale {name} is not known here: there is no µg/m³.")
                continue
            rows = [
                (f"{low} to {high}", f"{from_ugm3:g} to {to_ugm3:g}")
                for (from_ugm3, low), (to_ugm3, high) in pairwise(found.knots)
            ]
            beyond = f"Above {found.knots[-1][1]} the last line goes on."
            source = SCALE_SOURCE if name == AQICN.name else SCALES[name].source
            shown += table((f"index ({found.name})", "PM2.5, µg/m³"), rows) + paragraph(
                f"In between the scale is a straight line. {beyond} {source}"
            )
        return shown

    def footer(self) -> Markup:
        """Whose readings these are."""
        return attribution(self.run.document)
