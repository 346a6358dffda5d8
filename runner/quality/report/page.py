"""An executed notebook as one HTML file that needs nothing else.

The cells tagged `section:<id>` are the sections; a heading in the Markdown cell before one is its
title. Of a cell only the HTML it showed is used; a cell that failed becomes a section that says so.
Counts, times and ids of the execution are not looked at, so that the same run gives the same page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.core.text import harmless
from runner.quality.report.html import Markup, show

_SECTION = "section:"
_LONGEST_REASON = 200
_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_DIRECTORIES = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")
_SECRET = re.compile(r"(?i)(token|key|password|secret|passwd|pwd)(['\"]?\s*[=:]\s*)\S+")
_NOTHING = "It has not shown anything: the notebook did not get this far."


@dataclass(frozen=True, slots=True)
class _Section:
    """One section of the page.

    Attributes:
        section: its id.
        title: its heading; empty without one.
        about: the lines below the heading.
        html: what it shows.
        failed: why it shows nothing, in words; empty if it does.
    """

    section: str
    title: str
    about: tuple[str, ...]
    html: Markup
    failed: str = ""


def render(executed: Path, target: Path, title: str) -> None:
    """Write the page.

    Args:
        executed: a notebook with its outputs.
        target: the HTML file.
        title: of the page.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the notebook cannot be read, or has no section.
    """
    sections = [*_sections(json.loads(executed.read_text(encoding="utf-8"))["cells"])]
    if not sections:
        raise ValueError(f"{executed.name} has no cell with a tag {_SECTION}…")
    html = show("page", title=title, sections=sections).html + "\n"
    target.write_text(html, encoding="utf-8", errors="backslashreplace", newline="\n")


def _sections(cells: list[Mapping[str, Any]]) -> Iterator[_Section]:
    heading: list[str] = []
    for cell in cells:
        if cell["cell_type"] == "markdown":
            lines = [line for line in _text(cell["source"]).splitlines() if line]
            heading = lines if lines and lines[0].startswith("## ") else []
            continue
        ids = [tag for tag in cell["metadata"].get("tags", ()) if tag.startswith(_SECTION)]
        if ids:
            title, *about = heading or [""]
            name = ids[0].removeprefix(_SECTION)
            html, failed = _shown(cell.get("outputs", ()))
            yield _Section(name, title.removeprefix("## "), tuple(about), html, failed)
            heading = []


def _shown(outputs: list[Mapping[str, Any]]) -> tuple[Markup, str]:
    """Return what a cell shows, and why it shows nothing."""
    for output in outputs:
        if output.get("output_type") == "error":
            return Markup(""), reason(output)
    pieces = [_text(output.get("data", {}).get("text/html", "")) for output in outputs]
    html = "\n".join(filter(None, pieces))
    return Markup(html), "" if html else _NOTHING


def _text(lines: str | list[str]) -> str:
    """Return a text of a notebook, which may keep it as a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def reason(error: Mapping[str, Any]) -> str:
    """Return why a cell failed, short: no traceback, no directory, no address, no key."""
    said = _COLOUR_CODES.sub("", str(error.get("evalue", ""))).strip().partition("\n")[0]
    for pattern, stands in (
        (_ADDRESS, "(address)"),
        (_SECRET, r"\1\2***"),
        (_DIRECTORIES, "…/"),
    ):
        said = pattern.sub(stands, said)
    reason = harmless(f"{error.get('ename', 'Error')}: {said}")
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
