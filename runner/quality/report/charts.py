"""The figures of the station and summary pages: no script, nothing fetched.

A grid of thousands of hours is a PNG, which is smaller than as many shapes; the rest is SVG.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Sequence
from datetime import date

import polars as pl

from runner.core.aqi import BANDS
from runner.core.causes import CAUSE_WORDS
from runner.core.text import counted
from runner.quality.report.html import Markup, image, show
from runner.quality.report.plots import OWN, PEERS, Plot, stacked
from runner.quality.report.words import CAUSE_COLOURS, OUTSIDE

_MOST_LABELS = 12
_LAST_LABEL = 0.94
"""Share of the width after which a label has no room."""
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
        zone: of `day` and `hod`, as shown to a person.
        marks: days with a mark below.
        with_legend: false where another image above has it.
    """
    first, last = hours["day"].min(), hours["day"].max()
    days = pl.DataFrame({"day": pl.date_range(first, last, eager=True)})  # type: ignore[arg-type]
    grid = days.join(pl.DataFrame({"hod": range(1, _HOURS + 1)}), how="cross").join(
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
        palette_png(rows, _COLOURS),
        f"Index of every hour from {first!s} to {last!s}, a column a day, 01 h on top; "
        f"missing: {counted(missing, 'hours')}",
        f"width:100%;height:{height}px;image-rendering:pixelated;display:block",
    )
    causes = [(f"background:{colour}", CAUSE_WORDS[name]) for name, colour in CAUSE_COLOURS.items()]
    return show(
        "hours",
        repr(picture),
        picture=picture,
        labels=[(f"{100 * at / width:.2f}", *label) for at, *label in _labels(days["day"])],
        with_legend=with_legend,
        entries=[*band_legend(), *causes],
        zone=zone,
        marks=marks,
    )


def band_legend() -> list[tuple[str, str]]:
    """Return the patches of the bands and what they stand for."""
    return [(f"background:{band.colour}", f"{band.label} {band.title}") for band in BANDS]


def band_of(column: str) -> pl.Expr:
    """Return the place of the band that an index lies in."""
    band = pl.lit(0, pl.Int64)
    for index, low in enumerate(BANDS[:-1], start=1):
        band = pl.when(pl.col(column) > low.highest).then(index).otherwise(band)
    return band


def _pixel() -> pl.Expr:
    """Return the index of an hour's colour."""
    outside = len(_COLOURS) - 1
    names = list(CAUSE_COLOURS)
    cause = pl.col("cause").replace_strict(
        names, range(len(BANDS), len(BANDS) + len(names)), default=outside, return_dtype=pl.Int64
    )
    return pl.when(pl.col("aqi").is_not_null()).then(band_of("aqi")).otherwise(cause)


def _labels(days: pl.Series) -> list[tuple[int, str, bool]]:
    """Return the labels: months, or days where there is hardly a month.

    Place and text, and whether a narrow screen leaves it out.
    """
    starts = [(at, f"{day:%Y-%m}") for at, day in enumerate(days) if day.day == 1]
    if len(starts) < 2:  # noqa: PLR2004 - one is no scale
        starts = [(at, f"{day:%m-%d}") for at, day in enumerate(days)]
    step = -(-len(starts) // _MOST_LABELS)
    shown = [(at, name) for at, name in starts[::step] if at < _LAST_LABEL * len(days)]
    return [(*label, number % 3 != 0) for number, label in enumerate(shown)]


_WIDTH = 860
_MOST_TICKS = 9
_MONTH_PX = 72
_NARROWEST_PX = 220
_BAR = 0.8
"""Share of a month's room that its bar takes."""
_UP = "hourly index (AQI)"


def ticks(labels: Sequence[str]) -> Sequence[tuple[float, str]]:
    """Return place and text of the labels of an axis that has room for nine."""
    step = max(1, -(-len(labels) // _MOST_TICKS))
    return list(enumerate(labels))[::step]


def _highest(*columns: pl.Series) -> float:
    """Return the highest value with some room above; 1 without one."""
    values = [float(one) for column in columns for one in column if one is not None]
    return 1.05 * max(values, default=0) or 1.0


def daily_course(days: pl.DataFrame, flags: pl.DataFrame) -> Markup:
    """Return median and largest hour of every local day, with marks on flagged days.

    Args:
        days: day (text), median, max; dense, so that a line breaks at missing days.
        flags: day (text), check; without a row if nothing is flagged.
    """
    order = days["day"].to_list()
    places = list(range(len(order)))
    plot = Plot(_WIDTH, 240, (0, len(order) - 1), _highest(days["max"]), _UP, "local day")
    plot.axes(ticks(order))
    plot.line(places, days["max"].to_list(), PEERS, 1)
    plot.line(places, days["median"].to_list(), OWN, 1.8)
    marked = set(flags["day"])
    plot.marks([at for at, day in enumerate(order) if day in marked])
    flagged = f"; {counted(len(marked), 'days')} marked" if marked else ""
    return plot.markup(f"Median (blue) and largest hour (grey) of every day{flagged}")


def by_hour_of_day(course: pl.DataFrame, zone: str) -> Markup:
    """Return the daily course of a station between its quartiles, and of the others.

    Args:
        course: hod, q1, median, q3, peers (null without any).
        zone: of hod, as shown to a person.
    """
    top = _highest(course["q3"], course["peers"])
    plot = Plot(_WIDTH // 2, 220, (1, _HOURS), top, _UP, f"hour of the day, {zone}")
    plot.axes([(hour, str(hour)) for hour in range(3, _HOURS + 1, 3)])
    hours = course["hod"].to_list()
    plot.band(hours, course["q1"].to_list(), course["q3"].to_list())
    plot.line(hours, course["peers"].to_list(), PEERS, 1.6, "5 3")
    plot.line(hours, course["median"].to_list(), OWN, 2.4)
    return plot.markup(
        "Median (blue) between the quartiles, and the median of the other stations (dashed)"
    )


def shares_of_bands(shares: pl.DataFrame) -> Markup:
    """Return the share of hours in every band, a bar per station.

    Args:
        shares: station (text), category, share (0..1), sorted as it is to be shown.
    """
    labels = [band.label for band in BANDS]
    rows: dict[str, list[float]] = {}
    for name, label, share in shares.select("station", "category", "share").iter_rows():
        rows.setdefault(name, [0.0] * len(BANDS))[labels.index(label)] += share
    chart = stacked(
        list(rows.items()),
        [band.colour for band in BANDS],
        f"Share of the hours in every band, {counted(len(rows), 'stations')}",
    )
    return show("bands_of_stations", repr(chart), chart=chart, entries=band_legend())


def by_month(months: pl.DataFrame) -> Markup:
    """Return a value per month as bars.

    Args:
        months: month (text), ugm3 (null if there is too little); dense.
    """
    order = months["month"].to_list()
    width = max(_NARROWEST_PX, min(_WIDTH, _MONTH_PX * len(order)))
    across = (-0.5, len(order) - 0.5)
    title = "PM2.5, µg/m³ (mean of the days)"
    plot = Plot(width, 200, across, _highest(months["ugm3"]), title, "local month")
    plot.axes(ticks(order))
    room = min(_MONTH_PX, width / len(order))
    plot.bars(range(len(order)), months["ugm3"].to_list(), _BAR * room)
    return plot.markup(f"Mean PM2.5 of {counted(len(order), 'months')}")
