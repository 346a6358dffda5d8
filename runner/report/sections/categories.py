"""How many of each station's hours lie in every band of the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.report.bands import BANDS
from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import folded, legend, names, note, station
from runner.report.sections.words import band_names, counted, share

MOST_SHOWN = 60
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
    entries = [
        (f"background:{band.colour}", f"{band.label} {name}")
        for band, name in zip(BANDS, band_names(), strict=True)
    ]
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
