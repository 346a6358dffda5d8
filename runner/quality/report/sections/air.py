"""Every day as a pixel, a strip a station; and every hour of the stations that look worst."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from runner.core.aqi import BANDS
from runner.core.text import counted
from runner.quality.report.charts import hours_image, palette_png
from runner.quality.report.html import Markup, image, text
from runner.quality.report.plots import OWN, Plot
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections.pieces import (
    by_capture,
    folded,
    legend,
    names,
    note,
    short_titles,
    station,
)
from runner.quality.report.words import MONTHS, share

MOST_CURVES = 24
_WIDTH, _HEIGHT = 190, 96
_ROUND = 50


def diurnal(run: RunFiles) -> Markup:
    """Return a chart a station: median and quartiles of AQI by local hour."""
    held = run.table("diurnal")
    if not held.height or not held["n"].sum():
        return Markup(note("There is no reading in the range."))
    highest = held["q3"].max()
    top = _ROUND * math.ceil(float(highest) / _ROUND) if isinstance(highest, int | float) else 0
    alive = held.filter(pl.col("n") > 0)["station_idx"].unique().to_list()
    listed = [one for one in _worst_first(run) if one["station_idx"] in alive]
    figures = []
    for one in listed[:MOST_CURVES]:
        idx = one["station_idx"]
        chart = _chart(held.filter(pl.col("station_idx") == idx), top or _ROUND)
        caption = f"<figcaption>{station(one['name'], idx)}</figcaption>"
        figures.append(f"<figure>{caption}{chart}</figure>")
    left = len(listed) - MOST_CURVES
    said = note(
        f"Hourly AQI (up) by hour of the day, {run.zone} (across): median as a line, the middle "
        "half of the hours as a band. All charts have the same scale and begin at zero."
        + (f" In agg/diurnal.parquet: {counted(left, 'more stations')}." if left > 0 else "")
    )
    return Markup(
        f'{said}<div class="multiples">{"".join(figures)}</div>', counted(len(listed), "stations")
    )


def _worst_first(run: RunFiles) -> list[Any]:
    """Return the stations that checks blame before the others, then the least captured first."""
    order = {"fail": 0, "warn": 1}
    return sorted(by_capture(run), key=lambda one: order.get(one["status"], 2))


def _chart(course: pl.DataFrame, top: int) -> str:
    """Return a chart as SVG in the page, which gives it its colours."""
    course = course.sort("hod")
    hours = course["hod"].to_list()
    plot = Plot(_WIDTH, _HEIGHT, (0, 23), top)
    plot.axes([(hour, f"{hour} h") for hour in (0, 6, 12, 18)], steps=4)
    plot.band(hours, course["q1"].to_list(), course["q3"].to_list())
    plot.line(hours, course["median"].to_list(), OWN, 2)
    known = course.filter(pl.col("median").is_not_null()).sort("median", "hod")
    low, high = known.row(0, named=True), known.row(-1, named=True)
    return plot.markup(
        f"Median AQI by hour: lowest {low['median']:.0f} at {low['hod']} h, "
        f"highest {high['median']:.0f} at {high['hod']} h"
    ).html


"""Stations shown at once; the others are folded away."""
_ROOM_FOR_A_NUMBER = 0.06
_UNHEALTHY_FROM = 2
"""The first band that is unhealthy for somebody: above 100."""


def categories(run: RunFiles) -> Markup:
    """Return a bar a station, the dirtiest air first."""
    held = run.table("category")
    if not held.height or not held["hours"].sum():
        return Markup(note("There is no reading in the range."))
    hours: dict[int, list[int]] = {}
    labels = [band.label for band in BANDS]
    for row in held.iter_rows(named=True):
        counts = hours.setdefault(row["station_idx"], [0] * len(BANDS))
        counts[labels.index(row["category"])] = row["hours"]
    listed = sorted((idx for idx in hours if sum(hours[idx])), key=lambda i: (-_bad(hours[i]), i))
    known = names(run)
    rows = [_row(idx, known, hours[idx]) for idx in listed]
    html = _bars(rows[:MOST_SHOWN])
    if len(rows) > MOST_SHOWN:
        html += folded(
            f"{counted(len(rows) - MOST_SHOWN, 'stations')} with cleaner air",
            _bars(rows[MOST_SHOWN:]),
        )
    silent = len(hours) - len(listed)
    said = note(
        "Share of each station's hours in every band, of the hours that have a reading: a station "
        "with gaps may look cleaner or dirtier than its air. The share above 100 "
        "is on the right, the highest first."
        + (f" Not shown: {counted(silent, 'stations')} without a reading." if silent else "")
    )
    entries = [(f"background:{band.colour}", f"{band.label} {band.title}") for band in BANDS]
    return Markup(said + legend(entries) + html, counted(len(rows), "stations"))


def _bad(counts: Sequence[int]) -> float:
    return sum(counts[_UNHEALTHY_FROM:]) / sum(counts)


def _bars(rows: Sequence[str]) -> str:
    head = '<div></div><div></div><div class="n note">above 100</div>'
    return f'<div class="bars">{head}{"".join(rows)}</div>'


def _row(idx: int, known: Mapping[int, str], counts: Sequence[int]) -> str:
    total = sum(counts)
    pieces = []
    for at, (band, count) in enumerate(zip(BANDS, counts, strict=True)):
        part = count / total
        if not count:
            continue
        number = f"{100 * part:.0f}" if part >= _ROOM_FOR_A_NUMBER else ""
        title = text(f"{band.label} {band.name}: {count:,} h, {share(part)}")
        pieces.append(
            f'<i class="b{at}" style="width:{100 * part:.2f}%" title="{title}">{number}</i>'
        )
    return (
        f'<div class="name">{station(known.get(idx), idx)}</div><div class="bar">{"".join(pieces)}'
        f'</div><div class="n">{share(_bad(counts))}</div>'
    )


MOST_SHOWN = 60
"""Stations shown at once; the others are folded away."""
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
_MOST_OPEN = 3
"""Stations whose hours are shown without asking."""


def calendar(run: RunFiles) -> Markup:
    """Return the strips, the least captured station first."""
    days = run.table("day")
    if not days.height:
        return Markup(note("The run kept no days."))
    first, last = days["day"].min(), days["day"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        return Markup(note("The run kept no days."))
    weeks = ((last - _monday(first)).days // _WEEK) + 1
    pixels = days.select("station_idx", "day", _pixel().alias("pixel")).partition_by(
        "station_idx", as_dict=True, maintain_order=True
    )
    titles = short_titles(run)
    flags = run.flags.partition_by("station_idx", as_dict=True, maintain_order=True)
    strips = []
    for one in by_capture(run):
        if (key := (one["station_idx"],)) in pixels:
            found = flags.get(key, run.flags.clear())
            marks = _marks(found, titles)
            strips.append(_strip(one, pixels[key], marks, found["day"], _monday(first), weeks))
    ticks = _ticks(_monday(first), weeks)
    html = _sheet(strips[:MOST_SHOWN], ticks)
    if len(strips) > MOST_SHOWN:
        more = f"{counted(len(strips) - MOST_SHOWN, 'stations')} with better capture"
        html += folded(more, _sheet(strips[MOST_SHOWN:], ticks))
    said = note(
        f"A pixel is a local day ({run.zone}), a column a week, Monday on top. Its colour is the "
        f"band of the median of the day's hourly AQI, where the day has {VALID_H} hours or more. "
        "A mark below a week: a check found something in it."
    )
    entries = [
        *((f"background:{band.colour}", f"{band.label} {band.title}") for band in BANDS),
        (f"background:{_COLOURS[_FEW]}", f"fewer than {VALID_H} hours"),
        (f"background:{_COLOURS[_NONE]}", "no reading"),
        (f"background:{_COLOURS[_MARK]}", "below a week: a check found something"),
    ]  # fmt: skip
    return Markup(said + html + legend(entries) + _hours(run), counted(len(strips), "calendars"))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _pixel() -> pl.Expr:
    """Return the colour of a day. A day at an edge of the range may have fewer hours to give."""
    band = pl.lit(0, pl.Int64)
    for index, low in enumerate(BANDS[:-1], start=1):
        band = pl.when(pl.col("median") > low.highest).then(index).otherwise(band)
    needed = pl.min_horizontal(pl.lit(VALID_H), (pl.col("expected") * VALID_H + 23) // 24)
    return (
        pl.when(pl.col("expected") == 0)
        .then(_OUTSIDE)
        .when(pl.col("n") == 0)
        .then(_NONE)
        .when(pl.col("n") < needed)
        .then(_FEW)
        .otherwise(band)
    )


def _strip(
    one: Any, days: pl.DataFrame, marks: str, flagged: pl.Series, start: date, weeks: int
) -> str:
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
    png = palette_png([bytes(row) for row in grid], _COLOURS)
    picture = image("png", png, f"Days: {counts_said}")
    name = station(one["name"], one["station_idx"])
    return (
        f'<div class="name">{name}</div><div class="strip" style="--weeks:{weeks}">'
        f"{picture.html}{marks}</div>"
    )


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
    return f'<p class="note">▲ {text("; ".join(lines))}</p>' if lines else ""


def _sheet(strips: Sequence[str], ticks: str) -> str:
    return (
        f'<div class="wide"><div class="calendar">{"".join(strips)}<div></div>{ticks}</div></div>'
    )


def _ticks(start: date, weeks: int) -> str:
    """Return the scale below the strips: months where they begin, the year with January."""
    begins = []
    for week in range(weeks):
        for at in range(_WEEK):
            day = start + timedelta(days=week * _WEEK + at)
            if day.day == 1:
                begins.append((week, day))
    step = next(
        (step for step in (1, 2, 3, 6, 12) if len(begins) <= step * _MOST_TICKS), len(begins)
    )
    chosen = [
        (week, day)
        for week, day in begins
        if (day.month - 1) % step == 0 and week < weeks * _LAST_TICK
    ]
    years = any(day.month == 1 for _week, day in chosen)
    labels = "".join(
        f'<span{_rare(day, step)} style="left:{100 * week / weeks:.2f}%">'
        f"{_tick(day, with_year=day.month == 1 or (not years and at == 0))}</span>"
        for at, (week, day) in enumerate(chosen)
    )
    return f'<div class="ticks" style="--weeks:{weeks}">{labels}</div>'


def _tick(day: date, *, with_year: bool) -> str:
    return (
        str(day.year)
        if with_year and day.month == 1
        else (f"{MONTHS[day.month - 1]}{f' {day.year}' if with_year else ''}")
    )


def _rare(day: date, step: int) -> str:
    """Mark labels that a narrow screen leaves out."""
    return "" if (day.month - 1) % (3 * step) == 0 else ' class="rare"'


def _hours(run: RunFiles) -> str:
    held = run.table("hour")
    if not held.height:
        return ""
    ids = held["station_idx"].unique().to_list()
    names = {one["station_idx"]: one for one in by_capture(run)}
    shown = [one for idx, one in names.items() if idx in ids]
    figures = "".join(
        f"<h4>{station(one['name'], one['station_idx'])}</h4>"
        + hours_image(
            held.filter(pl.col("station_idx") == one["station_idx"]),
            run.zone,
            set(run.flags.filter(pl.col("station_idx") == one["station_idx"])["day"]),
            with_legend=at == 0,
        ).html
        for at, one in enumerate(shown)
    )
    title = f"Every hour of the {len(shown)} stations that most checks blame"
    return folded(
        title if len(shown) > 1 else "Every hour of the station that checks blame",
        figures,
        unfolded=len(shown) <= _MOST_OPEN,
    )
