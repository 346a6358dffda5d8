"""An executed notebook as one HTML file that needs nothing else: outputs only, no script."""

from __future__ import annotations

from collections.abc import MutableMapping
from html import escape
from pathlib import Path
from typing import Any

from runner.report.markup import text

_LONGEST_REASON = 300

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
            said = text(f"{output['ename']}: {output['evalue']}"[:_LONGEST_REASON])
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
