"""The style sheet of the quality report: for its page, and for its notebook opened by hand."""

from __future__ import annotations

import re
from pathlib import Path

from runner.report.markup import Markup

_PATH = Path(__file__).parent / "template" / "style.css"
_OUTPUTS = ".jp-RenderedHTMLCommon,.rendered_html"
"""What Jupyter calls the place of a cell's HTML; nothing beside it may change its looks."""


def style_sheet() -> str:
    """Return the style sheet without comments and needless space."""
    content = re.sub(r"/\*.*?\*/", "", _PATH.read_text(encoding="utf-8"), flags=re.DOTALL)
    content = re.sub(r"\s*([{};,])\s*", r"\1", content)
    return re.sub(r":\s+|\s+", lambda found: found[0].strip() or " ", content).strip()


def style() -> Markup:
    """Return the style sheet for the outputs of a notebook."""
    own = re.sub(r"(?<![\w-])(?::root|body)(?=\{)", "&", style_sheet())
    return Markup(f"<style>{_OUTPUTS}{{{own}}}</style>", "(style of what follows)")
