"""Text from outside, made fit to be shown."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return the text without control characters, terminal escapes and direction marks."""
    return _CONTROL.sub("", text)


def shortened(text: str, most: int) -> str:
    """Cut a text to a number of characters, at the end of a word, and mark the cut by an ellipsis.

    A word that alone is too long, or would leave less than half, is cut where it must be.
    """
    if len(text) <= most:
        return text
    room = max(0, most - 1)
    cut = text[:room]
    if not text[room : room + 1].isspace():
        end = max(cut.rfind(" "), 0)
        cut = cut[:end] if 2 * end >= room else cut
    return f"{cut.rstrip(' ,;:-(/')}…"


def counted(number: float, unit: str) -> str:
    """Return a count with its unit, which is a plural: `1 gap`, `2 gaps`, `1 station-day`."""
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"
