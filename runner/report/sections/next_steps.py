"""What to do next, with commands that work when pasted."""

from __future__ import annotations

from runner.core.text import counted, harmless
from runner.report.markup import Markup, text
from runner.report.run_files import RunFiles
from runner.report.sections.pieces import names, where


def next_steps(run: RunFiles) -> Markup:
    """Return the actions of quality.json, in their order."""
    actions = run.document["actions"]
    if not actions:
        return Markup("<p>Nothing: no hour is open, and no record was refused.</p>")
    known = names(run)
    items = []
    for one in actions:
        stations = where(one["stations"], known)
        at = f' <span class="note">({stations})</span>' if stations else ""
        command = f"<pre><code>{text(one['command'])}</code></pre>" if one["command"] else ""
        said = harmless(one["text"])
        items.append(f"<li>{text(said[:1].upper() + said[1:])}.{at}{command}</li>")
    return Markup(f'<ol class="next">{"".join(items)}</ol>', counted(len(actions), "steps"))
