"""All checks, failures first, with examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.quality.advice import ADVICE
from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.agreement import agreement
from runner.report.sections.amounts import before, bound, observed
from runner.report.sections.pieces import badge, clipped, folded, names, where
from runner.report.sections.when import when
from runner.report.sections.words import CAUSES, counted, is_instant, local, share

_BAD = ("fail", "error", "warn")
_MOST_SAMPLES = 10
_LONGEST_VALUE = 60
_SHARES = ("capture", "share")
_COLUMNS = ("Status", "Check", "Found", "Previous run", "Warns", "Fails", "Where")


def checks(run: RunFiles) -> Markup:
    """Return the table of those that found something, and the others folded away."""
    listed = run.document["checks"]
    bad = [item for status in _BAD for item in listed if item["status"] == status]
    good = [item for item in listed if item["status"] == "pass"]
    idle = [item for item in listed if item["status"] == "skip"]
    html = _table(run, bad) if bad else "<p>No check found anything.</p>"
    if good:
        html += folded(f"✓ {counted(len(good), 'checks')} passed", _table(run, good))
    if idle:
        html += folded(f"— {counted(len(idle), 'checks')} had nothing to look at", _idle(idle))
    html += agreement(run)
    return Markup(html, f"{len(bad)} of {len(listed)} checks found something")


def _table(run: RunFiles, listed: Sequence[Mapping[str, Any]]) -> str:
    known = names(run)
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    body = "".join(_rows(run, item, known) for item in listed)
    return f'<table class="checks"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _rows(run: RunFiles, item: Mapping[str, Any], known: Mapping[int, str]) -> str:
    said = f"<br>{clipped(item['message'], 200)}" if item["status"] == "error" else ""
    told = f"{said}{_told(run, item)}{_accepted(item, known)}"
    title = f"<b>{text(item['id'])}</b> {text(item['title'])}{told}"
    cells = (
        ("", badge(item["status"])),
        ("", title),
        ("Found", observed(item)),
        ("Previous run", before(item)),
        ("Warns", text(bound(item, "warn") or "never")),
        ("Fails", text(bound(item, "fail") or "never")),
        ("Where", where(item["stations"], known, " ")),
    )
    row = "".join(f'<td data-label="{label}">{html}</td>' for label, html in cells if html)
    if not cells[-1][1]:
        row += "<td></td>"
    return f"<tr>{row}</tr>{_examples(run, item)}"


def _told(run: RunFiles, item: Mapping[str, Any]) -> str:
    """Return when it was, and what it means, of a check that found something."""
    if item["status"] not in ("warn", "fail"):
        return ""
    at = when(item, run.offset_h)
    times = f'<p class="when">{at} ({run.zone})</p>' if at else ""
    return f'{times}<p class="means">{text(ADVICE.get(item["id"], ""))}</p>'


def _accepted(item: Mapping[str, Any], known: Mapping[int, str]) -> str:
    told = []
    for one in item["accepted"]:
        if not one["n_failed"]:
            continue
        idx = one["station_idx"]
        about = "all stations" if idx is None else clipped(known.get(idx) or f"station {idx}", 34)
        state = "Acceptance expired" if one["expired"] else "Accepted until"
        told.append(
            f'<p class="accepted">{state} {text(one["until"])} ({about}): '
            f"{clipped(one['reason'], 200)}</p>"
        )
    return "".join(told)


def _examples(run: RunFiles, item: Mapping[str, Any]) -> str:
    """Return a row with examples that opens on demand; their instants are on the local clock."""
    samples = item["samples"][:_MOST_SAMPLES]
    if not samples:
        return ""
    columns = list(dict.fromkeys(key for sample in samples for key in sample))
    columns.sort(key=lambda name: name != "station_idx")
    instants = {key for sample in samples for key, value in sample.items() if is_instant(value)}
    head = "".join(
        f"<th{_side(samples[0].get(key))}>{clipped(key.replace('_', ' '), 30)}"
        f"{f' ({run.zone})' if key in instants else ''}</th>"
        for key in columns
    )
    rows = "".join(
        "<tr>" + "".join(_cell(key, sample.get(key), run.offset_h) for key in columns) + "</tr>"
        for sample in samples
    )
    total = item["samples_total"] or len(samples)
    shown = f"{len(samples)} of {total:,}" if total > len(samples) else f"{len(samples)}"
    table = (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    opened = folded(f"Examples: {shown}", table)
    return f'<tr class="more"><td colspan="{len(_COLUMNS)}">{opened}</td></tr>'


def _cell(key: str, value: Any, offset_h: int) -> str:
    if value is None:
        told = ""
    elif is_instant(value):
        told = local(value, offset_h)
    elif key in _SHARES and isinstance(value, int | float):
        told = share(value)
    elif isinstance(value, float):
        told = f"{value:,.4g}"
    elif isinstance(value, int) and key != "station_idx":
        told = f"{value:,}"
    else:
        told = clipped(CAUSES.get(value, value) if key == "cause" else value, _LONGEST_VALUE)
    return f"<td{_side(value)}>{told}</td>"


def _side(value: Any) -> str:
    """Return where a value stands: numbers on the right."""
    return ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _idle(listed: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f"<li><b>{text(item['id'])}</b> {text(item['title'])}{_said(item['message'])}</li>"
        for item in listed
    )
    return f"<ul>{items}</ul>"


def _said(message: str) -> str:
    return f": {clipped(message, 200)}" if message else ""
