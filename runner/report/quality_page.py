"""What notebook 02 shows: the verdict, what to do next, and where the run stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.report import places
from runner.report.attribution import attribution
from runner.report.check_table import checks_table
from runner.report.markup import Markup, heading, paragraph, percent, short, table, text
from runner.report.run_files import RunFiles, open_run
from runner.report.summary_page import SummaryPage

_WORDS = {
    "pass": ("✔", "PASS", "Every check that could be made passes."),
    "warn": ("▲", "WARN", "Usable, with remarks."),
    "fail": ("✖", "FAIL", "Not as it should be: look before you use it."),
}
_MOST_NAMED = 4
_MOST_STEPS = 5
_GOOD_CAPTURE = 0.75
"""A year counts from this share of its hours on (2008/50/EC, annex XI)."""
_LEDGER = (
    ("inserted", "new"),
    ("updated", "changed at the source, replaced"),
    ("unchanged", "stored already, the same"),
    ("kept", "changed at the source, cannot be replaced here"),
    ("repeated", "said twice in one answer"),
    ("rejected", "refused, kept in ingest_rejects"),
)


@dataclass(frozen=True)
class QualityPage:
    """The page; every method makes one section of it.

    Attributes:
        run: the files.
    """

    run: RunFiles

    @classmethod
    def of(cls, run_dir: str | Path | None = None) -> QualityPage:
        """Open a run; by default the newest one.

        Raises:
            ConfigError: there is none.
        """
        return cls(open_run(run_dir))

    def verdict(self) -> Markup:
        """The verdict in words, and six numbers."""
        document = self.run.document
        icon, word, told = _WORDS[document["status"]]
        bad = [
            check for check in document["checks"] if check["status"] in ("fail", "error", "warn")
        ]
        bad.sort(key=lambda check: ("fail", "error", "warn").index(check["status"]))
        names = [f"{check['title']} ({check['id']})" for check in bad[:_MOST_NAMED]]
        more = f", and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else ""
        said = f"{'; '.join(names)}{more}." if names else told
        return (
            heading("Data quality")
            + self._about()
            + Markup(
                f'<div class="verdict {text(document["status"])}"><b>{icon} {word}</b>'
                f"<span>{text(said)}</span></div>",
                f"{word}: {said}",
            )
            + self._numbers()
        )

    def _about(self) -> Markup:
        document, window = self.run.document, self.run.document["window"]
        about = (
            f"{window['start'][:16].replace('T', ' ')} to {window['end'][:16].replace('T', ' ')} "
            f"UTC · {document['counts']['stations']:,} stations · source {document['source']} · "
            f"days and hours below are {self.run.zone}"
        )
        if document["source"] != "sandbox":
            return paragraph(about, "note")
        return paragraph(about, "note") + paragraph(
            "SYNTHETIC: these readings were made up by the sandbox. Nothing was measured.",
            "synthetic",
        )

    def _numbers(self) -> Markup:
        document = self.run.document
        counts, before = document["counts"], (document["compare"] or {}).get("counts") or {}
        gaps_before = ((document["compare"] or {}).get("gaps") or {}).get("ge_24h")
        good = sum((one["capture"] or 0) >= _GOOD_CAPTURE for one in document["stations"])
        flagged = sum(
            check["n_failed"]
            for check in document["checks"]
            if check["level"] == "row" and check["status"] in ("warn", "fail")
        )
        capture, capture_before = counts["capture"], before.get("capture")
        points = None
        if capture is not None and capture_before is not None:
            points = round(100 * (capture - capture_before), 1)
        cards = (
            (f"{counts['readings']:,}", "readings", _delta(counts, before, "readings")),
            (f"{counts['stations']:,}", "stations", _delta(counts, before, "stations")),
            (percent(capture), "of the hours are there", f"{points:+} points" if points else ""),
            (f"{good:,}", "stations with 75 % or more", ""),
            (
                f"{document['gaps']['ge_24h']:,}",
                "gaps of a day or more",
                _change(document["gaps"]["ge_24h"], gaps_before),
            ),
            (f"{flagged:,}", "readings with a remark", ""),
        )
        shown = "".join(
            f"<li><b>{text(value)}</b> {text(name)}"
            + (f"<i>{text(change)} since the last run</i>" if change else "")
            + "</li>"
            for value, name, change in cards
        )
        return Markup(f'<ul class="cards">{shown}</ul>', "; ".join(f"{v} {n}" for v, n, _ in cards))

    def next_steps(self) -> Markup:
        """What to do, with commands that work when pasted."""
        actions = self.run.document["actions"][:_MOST_STEPS]
        if not actions:
            return paragraph("Nothing: every hour that the source has is stored.")
        steps = []
        for action in actions:
            named = self._named(action["stations"])
            where = f" ({named})" if named else ""
            command = action["command"]
            shown = f"<pre><code>{text(command)}</code></pre>" if command else ""
            steps.append(f"<li>{text(_sentence(action['text'] + where))}{shown}</li>")
        return Markup(f'<ol class="steps">{"".join(steps)}</ol>', f"{len(steps)} steps")

    def _named(self, ids: Sequence[int]) -> str:
        names = {one["station_idx"]: one["name"] or "" for one in self.run.document["stations"]}
        told = [short(f"{idx} {names.get(idx, '')}".strip()) for idx in ids[:_MOST_NAMED]]
        more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
        return ", ".join(told) + more

    def ledger(self) -> Markup:
        """What the run asked, what it got, and where every record went."""
        ledger = self.run.document["ledger"]
        if ledger is None:
            return paragraph("No run in hand: job=validate looks at what is stored.", "note")
        windows, readings = ledger["windows"], ledger["readings"]
        asked = (
            f"{windows['planned']:,} windows planned: {windows['ok']:,} answered "
            f"({windows['empty']:,} of them without a record), {windows['failed']:,} failed, "
            f"{windows['not_attempted']:,} not tried. {ledger['requests']:,} requests, of which "
            f"{ledger['retries']:,} failed and {ledger['rate_limited']:,} were told to slow down."
        )
        rows: list[tuple[str, Any]] = [("records that came", readings["fetched"])]
        parts = [(name, told) for name, told in _LEDGER if readings.get(name)]
        rows += [(f"→ {told}", readings[name]) for name, told in parts]
        total = sum(readings[name] for name, _told in parts) - readings.get("partial", 0)
        adds_up = total == readings["fetched"]
        verdict = "It adds up." if adds_up else f"It does not add up: {total:,} accounted for."
        return (
            paragraph(asked)
            + table(("records", "count"), rows)
            + paragraph(verdict, "note" if adds_up else "bad")
        )

    def checks(self) -> Markup:
        """All checks, failures first."""
        return checks_table(self.run.document)

    def coverage(self) -> Markup:
        """Share of hours by station and month."""
        return places.coverage(self.run)

    def gaps(self) -> Markup:
        """The longest gaps, by cause."""
        return places.gaps(self.run)

    def calendar(self) -> Markup:
        """A pixel a day; and a pixel an hour for the stations that look worst."""
        return places.calendar(self.run)

    def air(self) -> Markup:
        """Hours in every band, and the course of the day."""
        summary = SummaryPage(self.run)
        return (
            paragraph(
                "The hourly index is AQICN's InstantCast: an hour's concentration on a 24-hour "
                "scale. It is not the daily AQI.",
                "note",
            )
            + summary.categories()
            + summary.hour_of_day()
        )

    def stations(self) -> Markup:
        """The stations, those first that look worst."""
        return places.stations(self.run)

    def provenance(self) -> Markup:
        """Where all this comes from."""
        document = self.run.document
        config = document["config"]
        rows = [
            ("run", document["run_id"]),
            ("made by", config["command"]),
            ("checked", document["generated_at"]),
            ("database", document["database"]),
            ("configuration", config["fingerprint"]),
            ("index", f"hourly AQI, scale {document['scale']} (US EPA 2012 breakpoints)"),
            ("hours expected", document["window"]["expected"]),
            ("gate", f"quality.fail_on={document['fail_on']}: exit code {document['exit_code']}"),
            *((f"version of {name}", told) for name, told in sorted(document["versions"].items())),
            *self._compared(),
        ]
        return table(("", ""), rows) + attribution(document["source"])

    def _compared(self) -> Iterator[tuple[str, str]]:
        compare: Mapping[str, Any] | None = self.run.document["compare"]
        if compare is None:
            yield "compared with", "no earlier run of the same stations and range"
            return
        yield "compared with", f"{compare['with']} ({compare['generated_at']})"
        yield "lost since then", f"{compare['lost_readings']:,} readings"
        yield "changed since then", f"values of {compare['changed_days']:,} station-days"


def _delta(counts: Mapping[str, Any], before: Mapping[str, Any], name: str) -> str:
    return _change(counts[name], before.get(name))


def _change(now: int, before: int | None) -> str:
    return "" if before is None or now == before else f"{now - before:+,}"


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:]
