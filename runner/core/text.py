"""Text from outside, made fit to be shown."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return the text without control characters, terminal escapes and direction marks."""
    return _CONTROL.sub("", text)
