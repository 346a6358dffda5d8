"""Charts as static pictures: no script, nothing fetched, the same for a viewer anywhere.

Instants come in as text on the local clock, so that no library turns them into the clock of
whoever looks at the page.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import altair as alt
import polars as pl

from runner.core.causes import CAUSE_WORDS
from runner.core.text import counted
from runner.quality.report.html import Markup, image, text
from runner.quality.report.words import BANDS, CAUSE_COLOURS, OUTSIDE

_MOST_LABELS = 12
_HOURS = 24
_HEIGHT_PX = 8 * _HOURS
_COLOURS = (*(band.colour for band in BANDS), *CAUSE_COLOURS.values(), OUTSIDE)
_MARK = (*CAUSE_COLOURS,).index("not_asked") + len(BANDS)
"""Black, as in the calendar."""


def palette_png(rows: Sequence[bytes], colours: Sequence[str]) -> bytes:
    """Return a PNG whose pixels are indices into a palette.

    Args:
        rows: one byte a pixel, all of the same length.
        colours: as `#rrggbb`.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    palette = b"".join(bytes.fromhex(colour.removeprefix("#")) for colour in colours)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    parts = chunk(b"IHDR", header) + chunk(b"PLTE", palette) + chunk(b"IDAT", pixels)
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def hours_image(
    hours: pl.DataFrame, zone: str, marks: Collection[date] = (), *, with_legend: bool = True
) -> Markup:
    """Return the image, its scales and its legend.

    Args:
        hours: see `RunFiles.hours`; every hour of the range.
        zone: of `day` and `hod`, as told to a person.
        marks: days with a mark below.
        with_legend: false where another image above has it.
    """
    first, last = hours["day"].min(), hours["day"].max()
    days = pl.DataFrame({"day": pl.date_range(first, last, eager=True)})  # type: ignore[arg-type]
    grid = days.join(pl.DataFrame({"hod": range(_HOURS)}), how="cross").join(
        hours.select("day", pl.col("hod").cast(pl.Int64), _pixel().alias("pixel")),
        on=["day", "hod"],
        how="left",
        maintain_order="left",
    )
    outside = len(_COLOURS) - 1
    pixels = grid.sort("hod", "day")["pixel"].fill_null(outside).to_list()
    width = days.height
    rows = [bytes(pixels[at : at + width]) for at in range(0, len(pixels), width)]
    if marks:
        marked = bytes(_MARK if day in marks else outside for day in days["day"])
        rows += [bytes([outside]) * width, marked]
    height = _HEIGHT_PX // _HOURS * len(rows)
    missing = int((hours["aqi"].is_null() & hours["cause"].is_not_null()).sum())
    picture = image(
        "png",
        palette_png(rows, _COLOURS),
        f"Index of every hour from {first!s} to {last!s}, a column a day, midnight on top; "
        f"missing: {counted(missing, 'hours')}",
        f"width:100%;height:{height}px;image-rendering:pixelated;display:block",
    )
    labels = "".join(
        f'<span style="left:{100 * at / width:.2f}%">{text(name)}</span>'
        for at, name in _labels(days["day"])
    )
    said = f"{_legend()}Hours of the day are {text(zone)}." if with_legend else ""
    said += " A mark below a day: a check found something in it." if with_legend and marks else ""
    return Markup(
        f'<figure><div class="hours"><div class="clock"><span>0 h</span><span>6 h</span>'
        f"<span>12 h</span><span>18 h</span></div><div>{picture.html}"
        f'<div class="days">{labels}</div></div></div>'
        f"<figcaption>{said}</figcaption></figure>",
        repr(picture),
    )


def _pixel() -> pl.Expr:
    """Return the index of an hour's colour."""
    outside = len(_COLOURS) - 1
    names = list(CAUSE_COLOURS)
    cause = pl.col("cause").replace_strict(
        names, range(len(BANDS), len(BANDS) + len(names)), default=outside, return_dtype=pl.Int64
    )
    band = pl.lit(0, pl.Int64)
    for index, (low, _high) in enumerate(pairwise(BANDS), start=1):
        band = pl.when(pl.col("aqi") > low.highest).then(index).otherwise(band)
    return pl.when(pl.col("aqi").is_not_null()).then(band).otherwise(cause)


def _labels(days: pl.Series) -> list[tuple[int, str]]:
    """Return place and text of the labels: months, or days where there is hardly a month."""
    starts = [(at, f"{day:%Y-%m}") for at, day in enumerate(days) if day.day == 1]
    if len(starts) < 2:  # noqa: PLR2004 - one is no scale
        starts = [(at, f"{day:%m-%d}") for at, day in enumerate(days)]
    step = -(-len(starts) // _MOST_LABELS)
    return starts[::step]


def _legend() -> str:
    named = [(band.colour, f"{band.label} {band.name}") for band in BANDS]
    named += [(colour, CAUSE_WORDS[name]) for name, colour in CAUSE_COLOURS.items()]
    return (
        '<span class="legend">'
        + "".join(
            f'<span><i style="background:{colour}"></i>{text(name)}</span>'
            for colour, name in named
        )
        + "</span> "
    )


_WIDTH = 860
_MOST_TICKS = 12
_MONTH_PX = 72
_OWN, _PEERS, _FLAG = "#1f4e8c", "#8a8f98", "#b3261e"


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
