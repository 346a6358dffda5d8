"""An image with a pixel an hour: days from left to right, hours of the day from top to bottom."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Sequence
from datetime import date
from itertools import pairwise

import polars as pl

from runner.core.causes import CAUSE_WORDS
from runner.core.text import counted
from runner.report.bands import BANDS, CAUSE_COLOURS, OUTSIDE
from runner.report.markup import Markup, image, text

_HOURS = 24
_MOST_LABELS = 12
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
