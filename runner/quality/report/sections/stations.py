"""All stations with their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.quality.report.html import Markup, text
from runner.quality.report.run_files import RunFiles
from runner.quality.report.sections.pieces import badge, clipped, note, short_titles, station
from runner.quality.report.words import counted, local, share

_MOST_IDS, _MOST_TITLES = 8, 2
_COLUMNS = (
    ("", "Station"),
    ("", "Verdict"),
    ("", "Failing, warning"),
    ("n", "Capture"),
    ("n", "Readings"),
    ("", "First"),
    ("", "Last"),
    ("n", "Longest gap"),
    ("", "Progress"),
    ("", "Position"),
)


def stations(run: RunFiles) -> Markup:
    """Return the table, the stations that look worst first."""
    if not run.stations:
        return Markup(note("The run has no station."))
    placed = any(one["latitude"] is not None for one in run.stations)
    columns = _COLUMNS if placed else _COLUMNS[:-1]
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for kind, name in columns)
    titles = short_titles(run)
    body = "".join(_row(one, titles, run.offset_h, placed=placed) for one in run.stations)
    said = note(
        f"The worst first. First and last reading are {run.zone}; positions are degrees north and "
        "east, where they are known. The verdict of a station is that of the "
        "worst check that blames it."
    )
    table = (
        f'<div class="wide tall"><table class="list"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return Markup(said + table, counted(len(run.stations), "stations"))


def _row(one: Mapping[str, Any], titles: Mapping[str, str], offset_h: int, *, placed: bool) -> str:
    cells = (
        ("", badge(one["status"])),
        ("ids", _blamed(one, titles)),
        ("n", share(one["capture"])),
        ("n", f"{one['readings']:,} of {one['expected']:,}"),
        ("", _day(one["first"], offset_h)),
        ("", _day(one["last"], offset_h)),
        ("n", f"{one['longest_gap_h']:,} h"),
        ("", _progress(one)),
        *([("", _position(one))] if placed else []),
    )
    shown = "".join(f'<td class="{kind}">{html}</td>' for kind, html in cells)
    name = station(one["name"], one["station_idx"])
    return f'<tr id="station{one["station_idx"]}"><th scope="row">{name}</th>{shown}</tr>'


def _day(instant: str | None, offset_h: int) -> str:
    """Return the local day of an instant; pointing at it shows the hour."""
    shown = local(instant, offset_h)
    return f'<span title="{shown}">{shown[:10]}</span>'


def _progress(one: Mapping[str, Any]) -> str:
    state = text((one["checkpoint"] or "no record").replace("_", " "))
    return (
        f'{state}<br><span class="note">{clipped(one["error"], 120)}</span>'
        if one["error"]
        else state
    )


def _position(one: Mapping[str, Any]) -> str:
    if one["latitude"] is None or one["longitude"] is None:
        return '<span class="note">not known</span>'
    return f"{one['latitude']:.4f}, {one['longitude']:.4f}"


def _blamed(one: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Return the checks that blame a station: the first in words, the others by their ids."""
    blame = one["checks"]
    ids = [*((id_, "b") for id_ in blame["fail"]), *((id_, "span") for id_ in blame["warn"])]
    shown = [
        f"<{tag}>{text(id_)} {text(titles.get(id_, ''))}</{tag}>" for id_, tag in ids[:_MOST_TITLES]
    ]
    rest = ids[_MOST_TITLES:_MOST_IDS]
    shown += [" ".join(f"<{tag}>{text(id_)}</{tag}>" for id_, tag in rest)] if rest else []
    shown += [f"and {len(ids) - _MOST_IDS} more"] if len(ids) > _MOST_IDS else []
    return "<br>".join(shown) or "—"
