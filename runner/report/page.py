"""The executed notebook of the quality report as one HTML file that needs nothing else.

The notebook's cells are the sections: tag `section:<id>`, metadata `title`. Of a cell only the HTML
it showed is used; a cell that failed becomes a section that says so. Counts, times and ids of the
execution are not looked at, so that the same run gives the same page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.core.text import harmless
from runner.report.style import style_sheet

TITLE = "Quality report"
_HERE = Path(__file__).parent
_TEMPLATE = "template"
_SECTION = "section:"
_LONGEST_REASON = 200
_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_DIRECTORIES = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")
_SECRET = re.compile(r"(?i)(token|key|password|secret|passwd|pwd)(['\"]?\s*[=:]\s*)\S+")
_NOTHING = "It has not shown anything: the notebook did not get this far."


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page.

    Attributes:
        section: its id.
        title: its heading; empty without one.
        html: what it shows.
        failed: why it shows nothing, in words; empty if it does.
    """

    section: str
    title: str
    html: str = ""
    failed: str = ""


def render(executed_notebook: Path, target: Path) -> None:
    """Write the page.

    Args:
        executed_notebook: a copy of `02_quality_report.ipynb` with its outputs.
        target: the HTML file.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the notebook cannot be read, or has no section.
        ImportError: nbconvert is not installed.
    """
    import nbformat  # noqa: PLC0415 - heavy

    notebook = nbformat.read(executed_notebook, as_version=4)  # type: ignore[no-untyped-call]  # it has no types
    sections = [one for cell in notebook.cells if (one := section_of(cell))]
    if not sections:
        raise ValueError(f"{executed_notebook.name} has no cell with a tag {_SECTION}…")
    html = _through_template(sections)
    target.write_text(html, encoding="utf-8", errors="backslashreplace", newline="\n")


def section_of(cell: Mapping[str, Any]) -> Section | None:
    """Return the section that a cell is; None where it is none."""
    metadata = cell.get("metadata", {})
    ids = [tag for tag in metadata.get("tags", ()) if tag.startswith(_SECTION)]
    if not ids or cell.get("cell_type") != "code":
        return None
    name, title = ids[0].removeprefix(_SECTION), str(metadata.get("title", ""))
    outputs = cell.get("outputs", ())
    for output in outputs:
        if output.get("output_type") == "error":
            return Section(name, title, failed=reason(output))
    html = "\n".join(
        piece for output in outputs if (piece := output.get("data", {}).get("text/html"))
    )
    return Section(name, title, html, "" if html else _NOTHING)


def reason(error: Mapping[str, Any]) -> str:
    """Return why a cell failed, short: no traceback, no directory, no address, no key."""
    said = _COLOUR_CODES.sub("", str(error.get("evalue", ""))).strip().partition("\n")[0]
    for pattern, stands in (
        (_ADDRESS, "(address)"),
        (_SECRET, r"\1\2***"),
        (_DIRECTORIES, "…/"),
    ):
        said = pattern.sub(stands, said)
    told = harmless(f"{error.get('ename', 'Error')}: {said}")
    return told if len(told) <= _LONGEST_REASON else f"{told[:_LONGEST_REASON]}…"


def _through_template(sections: list[Section]) -> str:
    import nbformat  # noqa: PLC0415 - heavy
    from nbconvert import HTMLExporter  # noqa: PLC0415 - heavy

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]  # it has no types
        template_name=_TEMPLATE,
        extra_template_basedirs=[str(_HERE)],
    )
    v4 = nbformat.v4
    cells = [
        v4.new_code_cell(id=f"section-{at}", metadata=asdict(one))  # type: ignore[no-untyped-call]  # nor these
        for at, one in enumerate(sections)
    ]
    notebook = v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    resources: dict[str, Any] = {"page": {"title": TITLE, "style": style_sheet()}}
    html, _resources = exporter.from_notebook_node(notebook, resources)
    return str(html).strip() + "\n"
