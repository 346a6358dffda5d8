"""HTML pieces that a notebook shows. All text that comes in is escaped here, and only here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from runner.core.text import harmless


class Markup:
    """A piece of HTML; Jupyter shows it as what it is.

    Args:
        html: safe to be shown.
        plain: stands for it where only text can be shown.
    """

    def __init__(self, html: str, plain: str = "") -> None:
        self.html = html
        self._plain = plain

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self._plain or "(see the HTML)"

    def __add__(self, other: Markup) -> Markup:
        return Markup(self.html + other.html, f"{self!r}\n{other!r}")


def text(value: Any) -> str:
    """Return any value as HTML text: escaped, without control characters."""
    return escape(harmless(_told(value)))


def _told(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}".removesuffix(".0")
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def percent(share: float | None) -> str:
    """Return a share as text; `none` where there is none."""
    return "none" if share is None else f"{100 * share:.1f} %"


def heading(title: str) -> Markup:
    """Return a page's title."""
    return Markup(f"<h1>{text(title)}</h1>", title)


def paragraph(content: str, kind: str = "") -> Markup:
    """Return a paragraph; `note` and `bad` are kinds."""
    of_kind = f' class="{kind}"' if kind else ""
    return Markup(f"<p{of_kind}>{text(content)}</p>", content)


def code(content: str) -> Markup:
    """Return text as it was typed."""
    lines = "\n".join(text(line) for line in content.split("\n"))
    return Markup(f"<pre><code>{lines}</code></pre>", content)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """Return a table; numbers stand on the right."""
    body = []
    for row in rows:
        cells = [f"<td{_side(value)}>{text(value)}</td>" for value in row]
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    return Markup(
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>",
        f"table of {len(body)} rows",
    )


def _side(value: Any) -> str:
    return ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""


def image(kind: str, content: bytes, alt: str, style: str = "") -> Markup:
    """Return a picture inside the page; as an image its ids and styles touch nothing else.

    Args:
        kind: `png` or `svg+xml`.
        content: of the file.
        alt: what is to be seen on it.
        style: CSS.
    """
    data = base64.b64encode(content).decode("ascii")
    of_style = f' style="{style}"' if style else ""
    return Markup(f'<img src="data:image/{kind};base64,{data}" alt="{text(alt)}"{of_style}>', alt)
