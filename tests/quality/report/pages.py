"""Pages for the tests of the page: in this process where the kernel is not the point."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from runner.quality.report.page import render

NOTEBOOK = Path(__file__).resolve().parents[3] / "notebooks" / "02_quality_report.ipynb"
SECTIONS = (
    "header", "verdict", "next", "ledger", "checks", "coverage", "gaps", "calendar", "categories",
    "diurnal", "stations", "provenance",
)  # fmt: skip
_ADDRESSES = ("src", "href", "action", "data", "poster", "srcset", "background", "xlink:href")


def source() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
    return made


def executed(run_dir: Path, target: Path, breaks: Mapping[str, Exception] | None = None) -> Path:
    """Run the cells of the notebook here, and keep what they showed as Jupyter would.

    Args:
        run_dir: of a run.
        target: the executed copy.
        breaks: sections that raise an exception in place of what they do.
    """
    content, namespace = source(), {}
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            continue
        code, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        section = "".join(tags).removeprefix("section:")
        if "parameters" in tags:
            namespace["RUN_DIR"] = str(run_dir)
        elif not tags:
            exec(code, namespace)  # noqa: S102 - our own cell
        elif breaks and section in breaks:
            cell["outputs"] = [_error(breaks[section])]
        else:
            shown = eval(code, namespace)  # noqa: S307 - as above
            data = {"text/html": shown._repr_html_(), "text/plain": repr(shown)}
            cell["outputs"] = [{"output_type": "execute_result", "data": data, "metadata": {},
                                "execution_count": 1}]  # fmt: skip
    target.write_text(json.dumps(content), encoding="utf-8")
    return target


def _error(error: Exception) -> dict[str, Any]:
    place = ['File "/home/somebody/.venv/lib/python3.11/site-packages/x.py", line 3']
    return {"output_type": "error", "ename": type(error).__name__, "evalue": str(error),
            "traceback": place}  # fmt: skip


def page(run_dir: Path, place: Path, breaks: Mapping[str, Exception] | None = None) -> str:
    """Return the page of a run."""
    target = place / "report.html"
    render(executed(run_dir, place / "executed.ipynb", breaks), target, "Quality report")
    return target.read_text("utf-8")


class Reader(HTMLParser):
    """What a browser makes of a page: its tags, addresses, ids and the text of every section."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.texts: dict[str, str] = {}
        self.styles: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.addresses += [value or ""] if name in _ADDRESSES else []
            self.handlers += [name] if name.startswith("on") else []
            self.ids += [value or ""] if name == "id" else []
            self.styles += [value or ""] if name == "style" else []
            if tag == "section" and name == "id":
                self.open.append(value or "")
        if tag == "style":
            self.open.append("style")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("section", "style") and self.open:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.styles.append(data)
        elif self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data
