"""The executed notebook of the quality report as one HTML file that needs nothing else.

The notebook's cells are the sections: tag `section:<id>`, metadata `title`. Of a cell only the HTML
it showed is used; a cell that failed becomes a section that says so. Counts, times and ids of the
execution are not looked at, so that the same run gives the same page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from runner.core.text import harmless
from runner.quality.report.html import Markup, text

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


_LONGEST_LINE = 300

_STYLE = """
:root{color-scheme:light}
body{margin:0 auto;padding:1rem;max-width:64rem;font:16px/1.5 system-ui,sans-serif;
 color:#1b1f24;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin:2rem 0 .4rem}
table{border-collapse:collapse;font-size:.92rem}
th,td{border-bottom:1px solid #d4d8de;padding:.25rem .6rem;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}figure{margin:0}
pre{background:#f4f5f7;padding:.6rem;overflow-x:auto;font-size:.85rem;white-space:pre-wrap}
.note{color:#5a6270}.bad,.failed{color:#9b1c12}.failed pre{color:inherit}
.failed{border-left:4px solid #9b1c12;padding-left:.8rem}
.hours{display:grid;grid-template-columns:2.6rem 1fr;font-size:.8rem}
.clock{display:flex;flex-direction:column;height:192px}.clock span{flex:1}
.days{position:relative;height:1.4rem}.days span{position:absolute;white-space:nowrap}
.legend span{margin-right:.9rem;white-space:nowrap}.legend{display:flex;flex-wrap:wrap}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border:1px solid #777}
@media print{body{max-width:none}.wide{overflow:visible}}
"""


def write_html(executed: Path, target: Path, title: str) -> None:
    """Write an executed notebook as HTML.

    Args:
        executed: the notebook.
        target: the HTML file.
        title: of the page.

    Raises:
        OSError: a file cannot be read or written.
        ImportError: nbconvert is not installed.
        ValueError: the notebook cannot be read.
    """
    target.write_text(page(body_of(executed), title), encoding="utf-8", errors="backslashreplace")


def body_of(executed: Path) -> str:
    """Return the outputs and texts of a notebook as HTML without head and style."""
    import nbformat  # noqa: PLC0415 - heavy
    from nbconvert import HTMLExporter  # noqa: PLC0415 - heavy

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]  # nbconvert says no types
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    notebook = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]  # nor this
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("tags", None)
        _mark_failed(cell)
    body, _resources = exporter.from_notebook_node(notebook)
    return str(body)


def _mark_failed(cell: MutableMapping[str, Any]) -> None:
    """Put words in place of a traceback: the executed notebook beside the page has it."""
    for output in cell.get("outputs", ()):
        if output["output_type"] == "error":
            said = text(f"{output['ename']}: {output['evalue']}"[:_LONGEST_LINE])
            html = (
                '<div class="failed"><p>This section failed; the executed notebook has the details.'
                f"</p><pre>{said}</pre></div>"
            )
            output.clear()
            output.update(output_type="display_data", data={"text/html": html}, metadata={})


def page(body: str, title: str) -> str:
    """Return a whole page around its body."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n"
        "</body></html>\n"
    )


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
    """Return the section that a cell is; None if it is none."""
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
    reason = harmless(f"{error.get('ename', 'Error')}: {said}")
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"


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
