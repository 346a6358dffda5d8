"""Pieces of HTML, made by the templates beside this file, which escape all text that comes in."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runner.core.causes import CAUSE_WORDS, gap_words
from runner.core.text import counted, harmless, shortened
from runner.quality.report.words import BADGES, CAUSE_COLOURS, duration, local, share

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_NAME = 80


class Markup:
    """A piece of HTML; Jupyter and templates show it as what it is.

    Args:
        html: safe to be shown.
        plain: stands for it where only text can be shown.
    """

    def __init__(self, html: str, plain: str = "") -> None:
        self.html = html
        self._plain = plain

    def __html__(self) -> str:
        return self.html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self._plain or "(see the HTML)"

    def __add__(self, other: Markup) -> Markup:
        return Markup(self.html + other.html, f"{self!r}\n{other!r}")


def show(template: str, plain: str = "", **values: Any) -> Markup:
    """Return what a template makes of some values.

    Args:
        template: its name without ending.
        plain: stands for it where only text can be shown.
        values: that the template names.
    """
    html = environment().get_template(f"{template}.html.j2").render(values)
    return Markup(html.strip(), plain)


@cache
def environment() -> Environment:
    """Return what the templates have in common: filters, words, and that everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_fit,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clipped": lambda value, most=_LONGEST_NAME: shortened(str(value), most),
        "counted": counted,
        "duration": duration,
        "gap_words": gap_words,
        "harmless": harmless,
        "local": local,
        "share": share,
        "words": words,
    }
    made.globals |= {
        "badges": BADGES,
        "causes": CAUSE_WORDS,
        "cause_colours": CAUSE_COLOURS,
        "style_sheet": style_sheet,
    }
    return made


def _fit(value: Any) -> Any:
    """Return a value as a template shows it: text without control characters, nothing for None."""
    if value is None:
        return ""
    return harmless(value) if type(value) is str else value


def words(value: Any) -> Any:
    """Return a value as a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:,}" if isinstance(value, int) else value


@cache
def style_sheet() -> Markup:
    """Return the style sheet without comments and needless space."""
    content = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    content = re.sub(r"/\*.*?\*/", "", content, flags=re.DOTALL)
    content = re.sub(r"\s*([{};,])\s*", r"\1", content)
    return Markup(re.sub(r":\s+|\s+", lambda found: found[0].strip() or " ", content).strip())


def style() -> Markup:
    """Return the style sheet for the outputs of a notebook."""
    # What Jupyter calls the place of a cell's HTML; nothing beside it may change its looks.
    outputs = ".jp-RenderedHTMLCommon,.rendered_html"
    own = re.sub(r"(?<![\w-])(?::root|body)(?=\{)", "&", style_sheet().html)
    return Markup(f"<style>{outputs}{{{own}}}</style>", "(style of what follows)")


def _piece(name: str, plain: str, *values: Any) -> Markup:
    pieces = environment().get_template("pieces.html.j2").module
    return Markup(str(getattr(pieces, name)(*values)), plain)


def heading(title: str) -> Markup:
    """Return a page's title."""
    return _piece("heading", title, title)


def paragraph(content: str, kind: str = "") -> Markup:
    """Return a paragraph; `note` and `bad` are kinds."""
    return _piece("paragraph", content, content, kind)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """Return a table; numbers stand on the right."""
    listed = [*rows]
    return _piece("table", f"table of {len(listed)} rows", columns, listed)


def image(content: bytes, alt: str, style: str = "") -> Markup:
    """Return a PNG inside the page.

    Args:
        content: of the file.
        alt: what is to be seen on it.
        style: CSS.
    """
    return _piece("image", alt, base64.b64encode(content).decode("ascii"), alt, style)
