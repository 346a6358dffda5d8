"""structlog, imported without rich.

Where structlog finds rich, it makes ready to draw tracebacks with it, and a highlighter of source
code comes along: a twentieth of what `job=status` costs. Our tracebacks go to the log as JSON, and
the console names the error only (logs.py), so none is ever drawn.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast


def import_structlog() -> None:
    """Import structlog as if rich were not installed, unless either is imported already."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = cast("ModuleType", None)  # as Python's import system has it: not there
    try:
        import structlog  # noqa: F401, PLC0415 - everybody else finds it imported
    finally:
        del sys.modules["rich"]
