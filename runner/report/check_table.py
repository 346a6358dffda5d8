"""The checks as a table: failures first, what was found, what is allowed, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.report.markup import Markup, percent, short, text

_WORDS = {
    "fail": "✖ fail",
    "error": "✖ broke",
    "warn": "▲ warn",
    "pass": "✔ pass",
    "skip": "\N{EN DASH} not made",
}
_ORDER = tuple(_WORDS)
_HEAD = ("", "check", "found", "last run", "limits", "where")
_MOST_SAMPLES = 10
_MOST_WHERE = 3
_LONGEST_SAMPLE = 80


def checks_table(document: Mapping[str, Any]) -> Markup:
    """Return the table.

    Args:
        document: quality.json.
    """
    names = {one["station_idx"]: one["name"] or "" for one in document["stations"]}
    checks = sorted(document["checks"], key=lambda one: (_ORDER.index(one["status"]), one["id"]))
    of = {status: [one for one in checks if one["status"] == status] for status in _ORDER}
    findings = [*of["fail"], *of["error"], *of["warn"]]
    made = _table(findings, names) if findings else Markup("<p>No check found anything.</p>")
    for status, told in (("pass", "pass"), ("skip", "could not be made")):
        if of[status]:
            made = made + _folded(f"{len(of[status])} checks {told}", _table(of[status], names))
    return made


def _table(checks: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> Markup:
    columns = "".join(f'<th scope="col">{text(name)}</th>' for name in _HEAD)
    rows = "".join(_row(check, names) for check in checks)
    return Markup(
        f'<div class="wide"><table class="checks"><thead><tr>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>",
        f"table of {len(checks)} checks",
    )


def _folded(title: str, content: Markup) -> Markup:
    shown = f"<details><summary>{text(title)}</summary>{content.html}</details>"
    return Markup(shown, title)


def _row(check: Mapping[str, Any], names: Mapping[int, str]) -> str:
    status = check["status"]
    cells = (
        f'<td class="status {text(status)}">{_WORDS[status]}</td>',
        f"<td>{_name(check, names)}</td>",
        f"<td>{text(found(check))}</td>",
        f"<td>{text(_before(check))}</td>",
        f"<td>{text(_limits(check))}</td>",
        f"<td>{text(_where(check['stations'], names))}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _name(check: Mapping[str, Any], names: Mapping[int, str]) -> str:
    title = f"<b>{text(check['id'])}</b> {text(check['title'])}"
    return title + _remarks(check, names) + _samples(check)


def found(check: Mapping[str, Any]) -> str:
    """Return what a check found, as a count and a share of what it looked at."""
    if check["status"] == "skip" or not check["n_evaluated"]:
        return ""
    if check["direction"] == "min":
        return percent(check["observed"])
    failed, looked_at = check["n_failed"], check["n_evaluated"]
    if not failed:
        return f"0 of {looked_at:,} {check['unit']}"
    return f"{failed:,} of {looked_at:,} {check['unit']} ({_share(failed / looked_at)})"


def _share(share: float) -> str:
    return "under 0.1 %" if share < 0.001 else percent(share)  # noqa: PLR2004 - what rounds to 0.0


def _before(check: Mapping[str, Any]) -> str:
    previous = check["previous"]
    if not previous or previous["observed"] is None:
        return ""
    word = _WORDS.get(previous["status"], "")
    observed = previous["observed"]
    told = percent(observed) if check["direction"] == "min" else f"{observed:,}"
    return f"{told} {word}".strip()


def _limits(check: Mapping[str, Any]) -> str:
    sign = "below" if check["direction"] == "min" else "above"
    bounds = [(name, check[name]) for name in ("warn", "fail") if check[name] is not None]
    return "; ".join(f"{name} {sign} {_limit(bound)}" for name, bound in bounds)


def _limit(bound: Mapping[str, Any]) -> str:
    return f"{100 * bound['value']:g} %" if bound["is_share"] else f"{bound['value']:g}"


def _where(ids: Sequence[int], names: Mapping[int, str]) -> str:
    told = [short(f"{idx} {names.get(idx, '')}".strip()) for idx in ids[:_MOST_WHERE]]
    more = f" and {len(ids) - _MOST_WHERE} more" if len(ids) > _MOST_WHERE else ""
    return ", ".join(told) + more


def _remarks(check: Mapping[str, Any], names: Mapping[int, str]) -> str:
    remarks = [check["message"]] if check["message"] else []
    for known in check["accepted"]:
        where = _where([known["station"]], names) if known.get("station") else "all stations"
        remarks.append(f"accepted for {where} until {known['until']}: {known['reason']}")
    return "".join(f'<div class="note">{text(remark)}</div>' for remark in remarks)


def _samples(check: Mapping[str, Any]) -> str:
    """Return examples that open with a click, or without script by the browser itself."""
    samples = check["samples"][:_MOST_SAMPLES]
    if not samples or check["status"] in ("pass", "skip"):
        return ""
    columns = list(samples[0])
    head = "".join(f'<th scope="col">{text(name.replace("_", " "))}</th>' for name in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{text(_cell(name, sample.get(name)))}</td>" for name in columns)
        + "</tr>"
        for sample in samples
    )
    total = check["samples_total"]
    told = f"{len(samples):,} of {total:,} examples" if total > len(samples) else "examples"
    return (
        f"<details><summary>{told}</summary><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></details>"
    )


def _cell(name: str, value: Any) -> str:
    """Return a sample's value; an index of a station is a name, not a number."""
    if name == "station_idx":
        return str(value)
    if isinstance(value, str) and value.endswith("Z") and value[10:11] == "T":
        return f"{value[:16].replace('T', ' ')} UTC"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return str("" if value is None else value)[:_LONGEST_SAMPLE]
