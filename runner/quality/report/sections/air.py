"""Every day as a pixel, a strip a station; hours by band, and by hour of the day."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from runner.core.aqi import BANDS
from runner.core.text import counted
from runner.quality.report.charts import band_legend, band_of, hours_image, palette_png
from runner.quality.report.html import Markup, image, show
from runner.quality.report.plots import OWN, Plot
from runner.quality.report.run_files import RunFiles
from runner.quality.report.words import MONTHS, share

MOST_CURVES = 24
_WIDTH, _HEIGHT = 190, 96
_ROUND = 50
MOST_SHOWN = 60
"""Stations shown at once; the others are folded away."""
_ROOM_FOR_A_NUMBER = 0.06
_UNHEALTHY_FROM = 2
"""The first band that is unhealthy for somebody: above 100."""
VALID_H = 18
"""Hours that a day needs: 75 % of 24 (40 CFR 50, appendix N)."""
_WEEK = 7
_MOST_TICKS = 14
_LAST_TICK = 0.96
"""Share of the width after which a label has no room."""
_FEW, _NONE, _OUTSIDE, _MARK = range(len(BANDS), len(BANDS) + 4)
_COLOURS = (*(band.colour for band in BANDS), "#8d96a3", "#d5dae1", "#ffffff", "#101010")
_MOST_MARKS = 3
"""Findings named under a strip."""
_LEGEND = (
    *band_legend(),
    (f"background:{_COLOURS[_FEW]}", f"fewer than {VALID_H} hours"),
    (f"background:{_COLOURS[_NONE]}", "no reading"),
    (f"background:{_COLOURS[_MARK]}", "below a week: a check found something"),
)


def diurnal(run: RunFiles) -> Markup:
    """Return a chart a station: median and quartiles of AQI by local hour."""
    held = run.table("diurnal")
    listed: list[Any] = []
    charts = []
    if held.height and held["n"].sum():
        highest = held["q3"].max()
        top = _ROUND * math.ceil(float(highest) / _ROUND) if isinstance(highest, int | float) else 0
        alive = held.filter(pl.col("n") > 0)["station_idx"].unique().to_list()
        # Those that checks blame come before the others, then the least captured first.
        order = {"fail": 0, "warn": 1}
        worst_first = sorted(run.by_capture, key=lambda one: order.get(one["status"], 2))
        listed = [one for one in worst_first if one["station_idx"] in alive]
        for one in listed[:MOST_CURVES]:
            own = held.filter(pl.col("station_idx") == one["station_idx"])
            charts.append((one, _chart(own, top or _ROUND)))
    plain = counted(len(listed), "stations")
    return show("diurnal", plain, run=run, charts=charts, left=len(listed) - MOST_CURVES)


def _chart(course: pl.DataFrame, top: int) -> Markup:
    """Return a chart as SVG in the page, which gives it its colours."""
    course = course.sort("hod")
    hours = course["hod"].to_list()
    plot = Plot(_WIDTH, _HEIGHT, (1, 24), top)
    plot.axes([(hour, f"{hour} h") for hour in (6, 12, 18, 24)], steps=4)
    plot.band(hours, course["q1"].to_list(), course["q3"].to_list())
    plot.line(hours, course["median"].to_list(), OWN, 2)
    known = course.filter(pl.col("median").is_not_null()).sort("median", "hod")
    low, high = known.row(0, named=True), known.row(-1, named=True)
    return plot.markup(
        f"Median AQI by hour: lowest {low['median']:.0f} at {low['hod']} h, "
        f"highest {high['median']:.0f} at {high['hod']} h"
    )


def categories(run: RunFiles) -> Markup:
    """Return a bar a station, the dirtiest air first."""
    held = run.table("category")
    labels = [band.label for band in BANDS]
    hours: dict[int, list[int]] = {}
    for row in held.iter_rows(named=True):
        counts = hours.setdefault(row["station_idx"], [0] * len(BANDS))
        counts[labels.index(row["category"])] = row["hours"]
    listed = sorted((idx for idx in hours if sum(hours[idx])), key=lambda i: (-_bad(hours[i]), i))
    return show(
        "bands",
        counted(len(listed), "stations"),
        rows=[
            {"name": run.names.get(idx), "idx": idx, "bad": _bad(hours[idx]),
             "pieces": [*_pieces(hours[idx])]} for idx in listed
        ],
        silent=len(hours) - len(listed),
        bands=band_legend(),
        most=MOST_SHOWN,
    )  # fmt: skip


def _bad(counts: Sequence[int]) -> float:
    return sum(counts[_UNHEALTHY_FROM:]) / sum(counts)


def _pieces(counts: Sequence[int]) -> Iterator[tuple[int, str, str, str]]:
    """Yield the pieces of a bar: band, width in percent, the number on it, a title."""
    total = sum(counts)
    for at, (band, count) in enumerate(zip(BANDS, counts, strict=True)):
        if count:
            part = count / total
            number = f"{100 * part:.0f}" if part >= _ROOM_FOR_A_NUMBER else ""
            title = f"{band.label} {band.name}: {count:,} h, {share(part)}"
            yield at, f"{100 * part:.2f}", number, title


def calendar(run: RunFiles) -> Markup:
    """Return the strips, the least captured station first."""
    days = run.table("day")
    first, last = (days["day"].min(), days["day"].max()) if days.height else (None, None)
    if not isinstance(first, date) or not isinstance(last, date):
        return show("calendar", strips=[])
    start = first - timedelta(days=first.weekday())
    weeks = ((last - start).days // _WEEK) + 1
    pixels = days.select("station_idx", "day", _pixel().alias("pixel")).partition_by(
        "station_idx", as_dict=True, maintain_order=True
    )
    flags = run.flags.partition_by("station_idx", as_dict=True, maintain_order=True)
    strips = []
    for one in run.by_capture:
        if (key := (one["station_idx"],)) in pixels:
            found = flags.get(key, run.flags.clear())
            strips.append({
                "name": one["name"],
                "idx": one["station_idx"],
                "picture": _strip(pixels[key], found["day"], start, weeks),
                "marks": _marks(found, run.short_titles),
            })  # fmt: skip
    return show(
        "calendar",
        counted(len(strips), "calendars"),
        run=run,
        strips=strips,
        weeks=weeks,
        ticks=[*_ticks(start, weeks)],
        most=MOST_SHOWN,
        valid_h=VALID_H,
        legends=_LEGEND,
        hours=_hours(run),
    )


def _pixel() -> pl.Expr:
    """Return the colour of a day; one that the range cuts short may have too few hours for one."""
    return (
        pl.when(pl.col("expected") == 0)
        .then(_OUTSIDE)
        .when(pl.col("n") == 0)
        .then(_NONE)
        .when(pl.col("n") < VALID_H)
        .then(_FEW)
        .otherwise(band_of("median"))
    )


def _strip(days: pl.DataFrame, flagged: pl.Series, start: date, weeks: int) -> Markup:
    grid = [bytearray([_OUTSIDE]) * weeks for _ in range(_WEEK + 2)]
    counts = [0] * len(_COLOURS)
    for day, pixel in days.select("day", "pixel").iter_rows():
        column, row = divmod((day - start).days, _WEEK)
        grid[row][column] = pixel
        counts[pixel] += 1
    for day in flagged:
        if 0 <= (column := (day - start).days // _WEEK) < weeks:
            grid[_WEEK + 1][column] = _MARK
    names = [*(band.name for band in BANDS), f"under {VALID_H} hours", "without a reading"]
    counts_said = ", ".join(
        f"{count} {name}" for count, name in zip(counts, names, strict=False) if count
    )
    return image(palette_png([bytes(row) for row in grid], _COLOURS), f"Days: {counts_said}")


def _marks(flags: pl.DataFrame, titles: Mapping[str, str]) -> str:
    """Return what the marks of a strip stand for: check and days."""
    found = (
        flags.group_by("check", maintain_order=True)
        .agg(pl.col("day").min().alias("first"), pl.col("day").max().alias("last"), pl.len())
        .sort("first", "check")
    )
    lines = []
    for check, first, last, days in found.head(_MOST_MARKS).iter_rows():
        span = str(first) if first == last else f"{first} to {last}"
        scattered = days < (last - first).days + 1
        some = f" ({counted(days, 'days')})" if scattered else ""
        lines.append(f"{check} {titles.get(check, '')}: {span}{some}")
    left = found.height - len(lines)
    lines += [f"and {counted(left, 'more checks')}"] if left > 0 else []
    return "; ".join(lines)


def _ticks(start: date, weeks: int) -> Iterator[tuple[str, str, bool]]:
    """Yield the scale below the strips: months where they begin, the year with January.

    Place in percent, label, and whether a narrow screen leaves it out.
    """
    days = ((week, start + timedelta(days=week * _WEEK + at))
            for week in range(weeks) for at in range(_WEEK))  # fmt: skip
    begins = [(week, day) for week, day in days if day.day == 1]
    step = next(
        (step for step in (1, 2, 3, 6, 12) if len(begins) <= step * _MOST_TICKS), len(begins)
    )
    chosen = [
        (week, day)
        for week, day in begins
        if (day.month - 1) % step == 0 and week < weeks * _LAST_TICK
    ]
    years = any(day.month == 1 for _week, day in chosen)
    for at, (week, day) in enumerate(chosen):
        name = MONTHS[day.month - 1]
        if years and day.month == 1:
            name = str(day.year)
        elif not years and at == 0:
            name += f" {day.year}"
        yield f"{100 * week / weeks:.2f}", name, (day.month - 1) % (3 * step) != 0


def _hours(run: RunFiles) -> list[tuple[Mapping[str, Any], Markup]]:
    """Return every hour of the stations that most checks blame, the legend with the first."""
    held = run.table("hour")
    if not held.height:
        return []
    ids = held["station_idx"].unique().to_list()
    shown = [one for one in run.by_capture if one["station_idx"] in ids]
    own = [pl.col("station_idx") == one["station_idx"] for one in shown]
    return [
        (one, hours_image(held.filter(mine), run.zone, set(run.flags.filter(mine)["day"]),
                          with_legend=at == 0))
        for at, (one, mine) in enumerate(zip(shown, own, strict=True))
    ]  # fmt: skip
