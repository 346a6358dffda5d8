"""The page of a sweep: a row a job, linked to the page of the job. No script, no address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from runner.report.markup import text
from runner.report.style import style_sheet

_TITLE = "Sweep"
_POLICY = "default-src 'none';style-src 'unsafe-inline';img-src data:"
_COLUMNS = (
    *("job", "settings", "state", "exit", "stations", "fetched", "failed", "requests"),
    *("inserted", "updated", "unchanged", "rejected", "quality", "page"),
)
_COUNTS = (
    *("stations", "fetched", "failed", "requests"),
    *("inserted", "updated", "unchanged", "rejects"),
)
_UNDER_WAY = '<meta http-equiv="refresh" content="20">'
"""A reload, no address."""


def sweep_page(summary: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        summary: the content of `summary.json`, see `runner.core.sweep`.
    """
    over = summary["ended_at"] is not None
    rows = "".join(_row(job) for job in summary["jobs"])
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in _COLUMNS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"{'' if over else _UNDER_WAY}"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_TITLE}</title>\n<style>\n{style_sheet()}\n</style>\n</head>\n<body>\n"
        f'<header><p class="kind">Air-quality backfill</p><h1>{_TITLE}</h1></header>\n<main>\n'
        f'<section id="sweep"><p class="lead">{text(_lead(summary))}</p>'
        f"<pre><code>{text(summary['command'])}</code></pre>"
        f'<p class="note">{text(_times(summary))}</p></section>\n'
        '<section id="jobs"><h2>Jobs</h2><div class="wide"><table><thead>'
        f"<tr>{head}</tr></thead><tbody>{rows}</tbody>"
        f"<tfoot>{_totals(summary['totals'])}</tfoot></table></div></section>\n"
        "</main>\n</body>\n</html>\n"
    )


def _lead(summary: Mapping[str, Any]) -> str:
    states = ", ".join(f"{count} {state}" for state, count in summary["totals"]["states"].items())
    code = summary["exit_code"]
    return f"{states}; {'under way' if code is None else f'exit code {code}'}"


def _times(summary: Mapping[str, Any]) -> str:
    until = summary["ended_at"] or "(under way)"
    return f"{summary['started_at']} to {until}, launcher {summary['launcher']}"


def _row(job: Mapping[str, Any]) -> str:
    numbers = [_cell(job[name]) for name in _COUNTS]
    state = text(job["state"]) + (f"<br>{text(job['error'])}" if job["error"] else "")
    page = job["page"]
    link = f'<a href="{text(_relative(page))}">report</a>' if page else ""
    cells = [
        _cell(job["number"]),
        f"<td>{text(job['label'])}</td>",
        f"<td>{state}</td>",
        _cell(job["exit_code"]),
        *numbers,
        f"<td>{text(job['quality'])}</td>",
        f"<td>{link}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>\n"


def _totals(totals: Mapping[str, Any]) -> str:
    numbers = "".join(_cell(totals[name]) for name in _COUNTS)
    return f'<tr><th scope="row" colspan="4">total</th>{numbers}<td></td><td></td></tr>'


def _cell(value: int | None) -> str:
    return f'<td class="n">{text(value)}</td>'


def _relative(path: str) -> str:
    """Return a link to a file below; `./` keeps a colon in it from being read as a scheme."""
    return f"./{quote(path)}"
