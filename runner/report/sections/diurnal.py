"""The course of the day at every station: small charts on one scale."""

from __future__ import annotations

import io
import math
from typing import Any

import altair as alt
import polars as pl

from runner.core.text import counted
from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import by_capture, note, station

MOST_SHOWN = 24
_WIDTH, _HEIGHT = 190, 96
_ROUND = 50
_XML = ('xmlns="http://www.w3.org/2000/svg" ', 'xmlns:xlink="http://www.w3.org/1999/xlink" ')


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
    for one in listed[:MOST_SHOWN]:
        idx = one["station_idx"]
        chart = _chart(held.filter(pl.col("station_idx") == idx), top or _ROUND)
        caption = f"<figcaption>{station(one['name'], idx)}</figcaption>"
        figures.append(f"<figure>{caption}{chart}</figure>")
    left = len(listed) - MOST_SHOWN
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
    base = alt.Chart(course.sort("hod").select("hod", "q1", "median", "q3"))
    x = alt.X("hod:Q", title=None, scale=alt.Scale(domain=[0, 23], nice=False),
              axis=alt.Axis(values=[0, 6, 12, 18], labelExpr="datum.value + ' h'"))  # fmt: skip
    scale = alt.Scale(domain=[0, top], nice=False)
    y = alt.Y("q1:Q", title=None, scale=scale, axis=alt.Axis(tickCount=3))
    band = base.mark_area().encode(x=x, y=y, y2="q3:Q")
    line = base.mark_line(strokeWidth=2).encode(x=x, y="median:Q")
    out = io.StringIO()
    alt.layer(band, line).properties(width=_WIDTH, height=_HEIGHT).configure(
        background="transparent", view=alt.ViewConfig(stroke=None)
    ).save(out, format="svg")
    svg = out.getvalue()
    for name in _XML:  # inside HTML they say nothing
        svg = svg.replace(name, "", 1)
    told = course.filter(pl.col("median").is_not_null()).sort("median", "hod")
    low, high = told.row(0, named=True), told.row(-1, named=True)
    label = text(
        f"Median AQI by hour: lowest {low['median']:.0f} at {low['hod']} h, "
        f"highest {high['median']:.0f} at {high['hod']} h"
    )
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
