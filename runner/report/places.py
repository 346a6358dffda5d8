"""Station by station: coverage by month, gaps, calendars, the list."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from runner.report.bands import BANDS
from runner.report.markup import Markup, image, paragraph, percent, short, table, text
from runner.report.pixels import hours_image, palette_png
from runner.report.run_files import RunFiles

_MOST_GAPS = 25
_LONG_GAP_H = 12
_MOST_HOURLY = 4
_LONGEST_NAME = 60
_VALID_HOURS = 18
"""Hours of a day with a value of its own: 75 % (40 CFR 50, appendix N)."""
_STEPS = ((0.90, "90 % or more"), (0.85, "85 to 90 %"), (0.75, "75 to 85 %"), (0.0, "below 75 %"))
"""US EPA and EU data quality objectives for capture: 90, 85 and 75 %."""
_CAUSES = {
    "not_fetched": "nobody has fetched it yet",
    "source_empty": "the source has nothing",
    "rejected": "the record was refused",
    "lost": "it was stored, and is gone",
}
_FEW, _NONE, _OUTSIDE = "#9db4cc", "#c9ced6", "#ffffff"
_DAY_COLOURS = (*(band.colour for band in BANDS), _FEW, _NONE, _OUTSIDE)
_WEEK = 7
_PIXEL_PX = 6
_MOST_MARKS = 12
_WEEKS_OF_A_QUARTER = 13


def name_of(one: Mapping[str, Any]) -> str:
    """Return index and name of a station of quality.json."""
    return short(f"{one['station_idx']} {one['name'] or ''}".strip(), _LONGEST_NAME)


def coverage(run: RunFiles) -> Markup:
    """Return the share of hours of every station and month; numbers and colours say the same."""
    months = run.table("month")
    if not months.height:
        return paragraph("The run kept no months.", "note")
    held = {
        (idx, month): (readings, expected)
        for idx, month, readings, expected in months.select(
            "station_idx", "month", "readings", "expected"
        ).iter_rows()
    }
    columns = sorted({month for _idx, month in held})
    head = "".join(f'<th scope="col">{text(month)}</th>' for month in columns)
    body = "".join(
        f'<tr><th scope="row">{text(name_of(one))}</th>'
        + "".join(_month_cell(held.get((one["station_idx"], month)), month) for month in columns)
        + "</tr>"
        for one in sorted(run.stations, key=lambda one: (one["capture"] or 0, one["station_idx"]))
    )
    legend = "".join(
        f'<span><i class="c{step}"></i>{text(told)}</span>'
        for step, (_low, told) in enumerate(_STEPS)
    )
    return Markup(
        f'<p class="legend">{legend}<span>\N{EN DASH} no hour expected</span></p>'
        f'<div class="wide"><table class="months"><thead><tr><th scope="col">station</th>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
        '<p class="note">Percent of the hours of a local month that have a reading, rounded down.'
        "</p>",
        f"coverage of {len(run.stations)} stations in {len(columns)} months",
    )


def _month_cell(held: tuple[int, int] | None, month: str) -> str:
    if held is None or not held[1]:
        return "<td>\N{EN DASH}</td>"
    readings, expected = held
    share = readings / expected
    step = next(step for step, (low, _told) in enumerate(_STEPS) if share >= low)
    title = f"{month}: {readings:,} of {expected:,} hours"
    return f'<td class="c{step}" title="{text(title)}">{100 * readings // expected}</td>'


def gaps(run: RunFiles) -> Markup:
    """Return how many hours are missing by cause, and the longest gaps."""
    missing = run.document["gaps"]["hours_missing"]
    told = [(_CAUSES[cause], hours) for cause, hours in missing.items() if hours]
    if not told:
        return paragraph("No hour is missing.")
    found = run.all_gaps().filter(pl.col("hours") >= _LONG_GAP_H)
    shown = found.head(_MOST_GAPS)
    names = {one["station_idx"]: name_of(one) for one in run.document["stations"]}
    rows = [
        (
            names.get(idx, str(idx)),
            start,
            end,
            hours,
            _CAUSES.get(cause, cause) + (f": {detail}" if detail else ""),
        )
        for idx, start, end, hours, cause, detail in shown.select(
            "station_idx", run.local("start"), run.local("end"), "hours", "cause", "detail"
        ).iter_rows()
    ]
    longest = (
        table(("station", f"from ({run.zone})", f"to ({run.zone})", "hours", "why"), rows)
        if rows
        else paragraph(f"No gap is {_LONG_GAP_H} hours or longer.", "note")
    )
    left = found.height - shown.height
    rest = f", {left:,} more of {_LONG_GAP_H} hours or longer among them," if left else ""
    return (
        table(("why hours are missing", "station-hours"), told)
        + longest
        + paragraph(f"All gaps{rest} stand in gaps.csv beside this page.", "note")
    )


def calendar(run: RunFiles) -> Markup:
    """Return a pixel a day for every station, and a pixel an hour for those that look worst."""
    days = run.table("day")
    if not days.height:
        return paragraph("The run kept no days.", "note")
    by_station = days.select(
        "station_idx", "day", _day_pixel().alias("pixel"), (pl.col("n") > 0).alias("any")
    ).partition_by("station_idx", as_dict=True, maintain_order=True)
    shown = [
        _weeks(name_of(one), by_station[one["station_idx"],])
        for one in run.stations
        if (one["station_idx"],) in by_station
    ]
    named = [(band.colour, f"{band.label} {band.name}") for band in BANDS]
    named += [(_FEW, f"fewer than {_VALID_HOURS} hours"), (_NONE, "no reading")]
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{text(told)}</span>' for colour, told in named
    )
    note = paragraph(
        "A pixel is a local day, a column a week from Monday down; the colour is the median of its "
        "hourly index.",
        "note",
    )
    calendars = Markup(f'<p class="legend">{legend}</p><div class="weeks">{"".join(shown)}</div>')
    return calendars + note + _hourly(run)


def _day_pixel() -> pl.Expr:
    band = pl.lit(0)
    for index, (low, _high) in enumerate(pairwise(BANDS), start=1):
        band = pl.when(pl.col("median") > low.highest).then(index).otherwise(band)
    few, none, outside = (len(BANDS) + at for at in range(3))
    return (
        pl.when(pl.col("expected") == 0)
        .then(outside)
        .when(pl.col("n") == 0)
        .then(none)
        .when(pl.col("n") < _VALID_HOURS)
        .then(few)
        .otherwise(band)
    )


def _weeks(name: str, days: pl.DataFrame) -> str:
    """Return the calendar of a station: seven rows, a column a week."""
    outside = len(_DAY_COLOURS) - 1
    first = days["day"][0]
    lead = first.weekday()
    pixels = [outside] * lead + days["pixel"].to_list()
    pixels += [outside] * (-len(pixels) % _WEEK)
    rows = [bytes(pixels[row::_WEEK]) for row in range(_WEEK)]
    weeks = len(rows[0])
    without = int((~days["any"]).sum())
    shown = image(
        "png",
        palette_png(rows, _DAY_COLOURS),
        f"{name}: {days.height:,} days from {first} to {days['day'][-1]}, {without:,} without a "
        "reading",
        f"width:100%;height:{_WEEK * _PIXEL_PX}px",
    )
    step = -(-weeks // (_MOST_MARKS * _WEEKS_OF_A_QUARTER)) * 3
    marks = [
        (at, f"{day:%Y}" if day.month == 1 else f"{day:%b}")
        for at, day in enumerate(days["day"])
        if day.day == 1 and (12 * day.year + day.month - 1) % step == 0
    ]
    labels = "".join(
        f'<span style="left:{100 * ((at + lead) // _WEEK) / weeks:.2f}%">{text(told)}</span>'
        for at, told in marks
    )
    return (
        f'<figure style="width:{weeks * _PIXEL_PX}px"><figcaption>{text(name)}</figcaption>'
        f'{shown.html}<div class="days">{labels}</div></figure>'
    )


def _hourly(run: RunFiles) -> Markup:
    made = Markup("")
    for one in run.stations[:_MOST_HOURLY]:
        hours = run.hours(one["station_idx"])
        if one["status"] != "pass" and hours.height:
            made = made + Markup(f"<h3>{text(name_of(one))}, hour by hour</h3>")
            made = made + hours_image(hours, run.zone)
    return made


def stations(run: RunFiles) -> Markup:
    """Return the stations, those first that look worst."""
    rows = [
        (
            name_of(one),
            {"fail": "✖ fail", "warn": "▲ warn", "pass": "✔ pass"}[one["status"]],
            one["readings"],
            percent(one["capture"]),
            one["longest_gap_h"],
            _instant(one["first"]),
            _instant(one["last"]),
            one["checkpoint"] or "none",
            ", ".join([*one["checks"]["fail"], *one["checks"]["warn"]]),
        )
        for one in run.stations
    ]
    head = (
        *("station", "state", "readings", "capture", "longest gap (h)"),
        *("first (UTC)", "last (UTC)", "progress", "checks"),
    )
    return table(head, rows)


def _instant(told: str | None) -> str:
    return "" if told is None else told[:16].replace("T", " ")
