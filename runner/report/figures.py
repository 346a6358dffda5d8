"""Charts as static pictures: no script, nothing fetched, the same for a viewer anywhere.

Instants come in as text on the local clock, so that no library turns them into the clock of
whoever looks at the page.
"""

from __future__ import annotations

import io
from typing import Any

import altair as alt
import polars as pl

from runner.core.text import counted
from runner.report.bands import BANDS
from runner.report.markup import Markup, image

_WIDTH = 860
_MOST_TICKS = 12
_MONTH_PX = 72
_OWN, _PEERS, _FLAG = "#1f4e8c", "#8a8f98", "#b3261e"
_HOURS = 24


def picture(chart: Any, alt_text: str) -> Markup:
    """Return a chart as an SVG image."""
    out = io.StringIO()
    chart.configure(
        background="white",
        font="sans-serif",
        axis=alt.AxisConfig(labelFontSize=12, titleFontSize=12),
        view=alt.ViewConfig(stroke=None),
    ).save(out, format="svg")
    return image("svg+xml", out.getvalue().encode(), alt_text, "max-width:100%;height:auto")


def ticks(labels: list[str]) -> list[str]:
    """Return the labels of an axis that has room for a dozen."""
    step = max(1, -(-len(labels) // _MOST_TICKS))
    return labels[::step]


def daily_course(days: pl.DataFrame, flags: pl.DataFrame) -> Markup:
    """Return median and largest hour of every local day, with marks on flagged days.

    Args:
        days: day (text), median, max; dense, so that a line breaks at missing days.
        flags: day (text), check; without a row where nothing is flagged.
    """
    order = days["day"].to_list()
    x = alt.X("day:O", title="local day", axis=alt.Axis(values=ticks(order), labelAngle=0))
    base = alt.Chart(days).properties(width=_WIDTH, height=240)
    most = base.mark_line(color=_PEERS, strokeWidth=1).encode(
        x=x, y=alt.Y("max:Q", title="hourly index (AQI)")
    )
    middle = base.mark_line(color=_OWN, strokeWidth=1.6).encode(x=x, y="median:Q")
    single = base.mark_point(color=_OWN, size=6, filled=True).encode(x=x, y="median:Q")
    layers = [most, middle, single]
    if flags.height:
        layers.append(
            alt.Chart(flags)
            .mark_point(color=_FLAG, shape="triangle-down", filled=True, size=60)
            .encode(x=x, y=alt.value(4))
        )
    flagged = f"; {counted(flags['day'].n_unique(), 'days')} marked" if flags.height else ""
    said = f"Median (blue) and largest hour (grey) of every day{flagged}"
    return picture(alt.layer(*layers), said)


def by_hour_of_day(course: pl.DataFrame, zone: str) -> Markup:
    """Return the daily course of a station between its quartiles, and of the others.

    Args:
        course: hod, q1, median, q3, peers (null without any).
        zone: of hod, as told to a person.
    """
    x = alt.X("hod:Q", title=f"hour of the day, {zone}", scale=alt.Scale(domain=[0, _HOURS - 1]),
              axis=alt.Axis(values=list(range(0, _HOURS, 3))))  # fmt: skip
    base = alt.Chart(course).properties(width=_WIDTH // 2, height=220)
    y = alt.Y("q1:Q", title="hourly index (AQI)")
    band = base.mark_area(color=_OWN, opacity=0.18).encode(x=x, y=y, y2="q3:Q")
    own = base.mark_line(color=_OWN, strokeWidth=2.4).encode(x=x, y="median:Q")
    peers = base.mark_line(color=_PEERS, strokeWidth=1.6, strokeDash=[5, 3]).encode(
        x=x, y="peers:Q"
    )
    said = "Median (blue) between the quartiles, and the median of the other stations (dashed)"
    return picture(alt.layer(band, peers, own), said)


def shares_of_bands(shares: pl.DataFrame) -> Markup:
    """Return the share of hours in every band, a bar a station.

    Args:
        shares: station (text), category, share (0..1), sorted as it is to be shown.
    """
    stations = shares["station"].unique(maintain_order=True).to_list()
    labels = [band.label for band in BANDS]
    ranked = shares.with_columns(
        pl.col("category").replace_strict(labels, range(len(labels))).alias("rank")
    )
    chart = (
        alt.Chart(ranked)
        .mark_bar(stroke="#444", strokeWidth=0.4)
        .encode(
            x=alt.X(
                "share:Q",
                title="share of the hours",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            y=alt.Y("station:N", sort=stations, title=None, axis=alt.Axis(labelLimit=320)),
            color=alt.Color(
                "category:N",
                scale=alt.Scale(domain=labels, range=[band.colour for band in BANDS]),
                legend=alt.Legend(title="index", orient="top"),
            ),
            order="rank:O",
        )
        .properties(width=_WIDTH // 2 + 80)
    )
    return picture(chart, f"Share of the hours in every band, {counted(len(stations), 'stations')}")


def by_month(months: pl.DataFrame) -> Markup:
    """Return a value a month as bars.

    Args:
        months: month (text), ugm3 (null where there is too little); dense.
    """
    order = months["month"].to_list()
    chart = (
        alt.Chart(months)
        .mark_bar(color=_OWN)
        .encode(
            x=alt.X("month:O", sort=order, title="local month",
                    axis=alt.Axis(values=ticks(order), labelAngle=0)),
            y=alt.Y("ugm3:Q", title="PM2.5, µg/m³ (mean of the days)"),
        )
        .properties(width=min(_WIDTH, _MONTH_PX * len(order)), height=200)
    )  # fmt: skip
    return picture(chart, f"Mean PM2.5 of {counted(len(order), 'months')}")
