"""docs/performance.md: every benchmark owns the section between two marks of its name."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pymongo import MongoClient


def machine() -> str:
    """Return the machine, as far as a reader needs it to judge the numbers."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def versions(client: MongoClient[dict[str, Any]]) -> str:
    """Return the versions of what carries the load."""
    server = client.server_info()["version"]
    libraries = (f"{name} {version(name)}" for name in ("pymongo", "requests"))
    return f"MongoDB {server}, {', '.join(libraries)}"


def write_section(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises:
        ValueError: the file has no such section.
    """
    whole = path.read_text("utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = whole.partition(begin)
    _old, closed, after = rest.partition(end)
    if not (found and closed):
        msg = f"{path} has no section between {begin.strip()} and {end}"
        raise ValueError(msg)
    path.write_text(f"{before}{begin}{text.strip()}\n{end}{after}", "utf-8")
